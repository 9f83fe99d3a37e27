/* What becomes of a message: outcomes of recipients, deferrals, holds, and its end. Each is one small record that carries the
 * whole queue state, so that the newest alone tells. One record of a message is written at a time. */
#include "firmware/spool_internal.h"

#include "hal/base/log.h"

#define STALE_MAX 3 /* a deferral, a hold, an older result of the same recipient */

/* A change under way: the entry is locked, its new state not yet in RAM. */
struct change {
    struct window_entry *w;
    struct record_header h;
    struct status_payload s;
    struct stale {
        struct spool_place place;
        uint32_t serial;
    } stale[STALE_MAX]; /* what it makes worthless */
    unsigned stale_count;
};

static enum rc change_begin(struct change *c, uint32_t id, uint8_t type, uint32_t index)
{
    struct window_entry *w = window_find(id);
    while (w != NULL && (w->locked || w->loading)) {
        task_wait_always(&spool.unlocked);
        w = window_find(id);
    }
    if (w == NULL)
        return RC_NOT_FOUND;
    w->locked = true;
    *c = (struct change){
        .w = w,
        .h = { .type = type, .id = id, .index = index },
        .s = { .prev = w->status,
               .waiting = w->e.waiting,
               .attempts = w->e.attempts,
               .next_try = w->e.next_try,
               .held = w->e.held,
               .damaged = w->e.damaged },
    };
    return RC_OK;
}

static void change_end(const struct change *c)
{
    c->w->locked = false;
    event_signal(&spool.unlocked);
}

/* Writes the record durably. *place: where. */
static enum rc change_write(struct change *c, struct spool_place *place)
{
    uint8_t record[RECORD_HEADER_BYTES + (STATUS_PAYLOAD_MAX + SPOOL_UNIT - 1) / SPOOL_UNIT * SPOOL_UNIT] = { 0 };
    c->h.serial = ++c->w->serial; /* spent even if this fails: what is half written must never be the newest */
    c->h.payload_len = (uint16_t)status_encode(record + RECORD_HEADER_BYTES, &c->s);
    record_header_encode(record, &c->h, 0);
    enum rc rc = log_append(record, record_bytes(c->h.payload_len), ROOM_SYSTEM, NULL, place);
    if (rc != RC_OK)
        return rc;
    rc = log_sync();
    struct log_record r;
    if (rc != RC_OK && log_record_at(*place, &r) == RC_OK && log_kill(&r) != RC_OK)
        log_event_at(LOG_WARN, LOG_SPOOL, "kill-failed", "id=%u", (unsigned)c->h.id);
    return rc;
}

/* Leaves out of the chain what the new record makes worthless: the queue state before it, and an older result of the same recipient if
 * that comes next. */
static void leave_stale(struct change *c)
{
    struct log_record r;
    struct status_payload s;
    const struct log_record newer = { .h = { .type = c->h.type, .index = c->h.index, .serial = UINT32_MAX } };
    while (c->stale_count < STALE_MAX && message_status_at(c->h.id, c->s.prev, &r, &s) == RC_OK && message_replaces(&newer, &r)) {
        c->stale[c->stale_count++] = (struct stale){ r.place, r.h.serial };
        c->s.prev = s.prev;
    }
}

/* Zeros it, so that a long wait does not fill the log. What compaction has moved meanwhile stays until it is left behind. */
static void kill_stale(const struct change *c)
{
    if (c->stale_count == 0)
        return;
    kill_begin();
    for (unsigned i = 0; i < c->stale_count; i++) {
        struct log_record r;
        if (log_record_at(c->stale[i].place, &r) == RC_OK && r.h.id == c->h.id && r.h.serial == c->stale[i].serial && !r.dead &&
            log_kill(&r) != RC_OK)
            log_event_at(LOG_WARN, LOG_SPOOL, "kill-failed", "id=%u", (unsigned)c->h.id);
    }
    kill_end();
}

/* Writes it and takes it over into the window. */
static enum rc change_commit(struct change *c)
{
    struct spool_place place;
    leave_stale(c);
    enum rc rc = change_write(c, &place);
    if (rc == RC_OK) {
        struct spool_entry *e = &c->w->e;
        c->w->status = place;
        if (c->h.type == RECORD_OUTCOME && c->s.state != SPOOL_WAITING)
            message_settled_now(c->h.id, c->h.index);
        e->waiting = c->s.waiting;
        e->attempts = c->s.attempts;
        e->next_try = c->s.next_try;
        e->held = c->s.held;
        e->damaged = c->s.damaged;
        kill_stale(c);
    }
    change_end(c);
    return rc;
}

/* RC_OK: it waits; RC_BUSY: it already has this state for good, or one that can't be read any more; RC_INVALID: another one. */
static enum rc may_settle(uint32_t id, unsigned index, enum spool_state state)
{
    struct log_record r;
    struct span payload;
    struct status_payload s;
    if (!message_settled(id, index))
        return RC_OK;
    bool other = message_outcome(id, index, &r, &payload) == RC_OK && status_decode(payload, &s) && s.state != state;
    return other ? RC_INVALID : RC_BUSY;
}

enum rc spool_outcome(uint32_t id, unsigned index, enum spool_state state, uint16_t code, const uint8_t enhanced[3],
                      struct span text, int64_t at)
{
    struct change c;
    enum rc rc = change_begin(&c, id, RECORD_OUTCOME, index);
    if (rc != RC_OK)
        return rc;
    rc = index < c.w->e.recipients ? may_settle(id, index, state) : RC_INVALID;
    if (rc != RC_OK) {
        change_end(&c);
        return rc == RC_BUSY ? RC_OK : rc;
    }
    c.s.state = (uint8_t)state;
    c.s.code = code;
    c.s.enhanced[0] = enhanced[0];
    c.s.enhanced[1] = enhanced[1];
    c.s.enhanced[2] = enhanced[2];
    c.s.at = at;
    c.s.text = text;
    if (state != SPOOL_WAITING && c.s.waiting > 0)
        c.s.waiting--;
    return change_commit(&c);
}

enum rc spool_defer(uint32_t id, int64_t next_try, uint16_t attempts)
{
    struct change c;
    enum rc rc = change_begin(&c, id, RECORD_DEFER, 0);
    if (rc != RC_OK)
        return rc;
    c.s.next_try = next_try;
    c.s.attempts = attempts;
    rc = change_commit(&c);
    event_signal(&spool_changed);
    return rc;
}

enum rc spool_hold(uint32_t id, bool held)
{
    struct change c;
    enum rc rc = change_begin(&c, id, RECORD_HOLD, 0);
    if (rc != RC_OK)
        return rc;
    c.s.held = held;
    rc = change_commit(&c);
    event_signal(&spool_changed);
    return rc;
}

enum rc spool_set_aside(uint32_t id)
{
    struct change c;
    enum rc rc = change_begin(&c, id, RECORD_SETASIDE, 0);
    if (rc != RC_OK)
        return rc;
    if (c.w->e.damaged) {
        change_end(&c);
        return RC_OK;
    }
    log_event_at(LOG_ALERT, LOG_SPOOL, "set-aside", "id=%u", (unsigned)id);
    c.w->e.damaged = true; /* also when it can't be written */
    c.s.damaged = true;
    return change_commit(&c);
}

/* --- the end --- */

/* SETTLED records are zeroed once a sync has passed over the zeros that they stand for. */
void spool_settled_flush(void)
{
    for (unsigned i = 0; i < spool.settled_count;) {
        struct log_record r;
        struct spool_place place = spool.settled[i].place;
        if (spool.settled[i].sync > spool.syncs_done) {
            i++;
            continue;
        }
        spool.settled[i] = spool.settled[--spool.settled_count];
        kill_begin();
        if (log_record_at(place, &r) == RC_OK && !r.dead && r.h.type == RECORD_SETTLED && log_kill(&r) != RC_OK)
            log_event_at(LOG_WARN, LOG_SPOOL, "kill-failed", "id=%u", (unsigned)r.h.id);
        kill_end();
    }
}

static void settled_push(uint32_t id, struct spool_place place)
{
    spool_settled_flush();
    if (spool.settled_count == SPOOL_SETTLED_MAX && log_sync() == RC_OK)
        spool_settled_flush();
    if (spool.settled_count == SPOOL_SETTLED_MAX)
        return; /* no sync succeeds: the next boot ends what is left */
    spool.settled[spool.settled_count].id = id;
    spool.settled[spool.settled_count].place = place;
    spool.settled[spool.settled_count++].sync = spool.syncs + 1;
}

/* Zeros the whole message: from ENVELOPE to COMMIT and along the chain if nothing has been moved, else all over the log. */
static enum rc zero_message(uint32_t id, const struct window_entry *was)
{
    if (was->moved || was->e.damaged)
        return message_kill(id, (struct spool_place){ 0, 0 }, false);
    enum rc rc = message_kill(id, was->first, true);
    enum rc chain = message_kill_chain(id, was->status);
    if (chain == RC_CORRUPT)
        return message_kill(id, (struct spool_place){ 0, 0 }, false);
    return rc == RC_OK ? chain : rc;
}

/* SETTLED is durable: nothing of the message may be found again. The entry stays until no copy is under way, so that it knows
 * of all that was moved. */
static void end_message(struct change *c, struct spool_place settled)
{
    uint32_t id = c->h.id;
    c->w->e.busy = true;
    kill_begin();
    const struct window_entry was = *c->w;
    window_remove(c->w);
    change_end(c);
    spool.messages--;
    enum rc rc = zero_message(id, &was);
    kill_end();
    if (rc == RC_OK)
        settled_push(id, settled);
    else
        log_event_at(LOG_WARN, LOG_SPOOL, "kill-failed", "id=%u", (unsigned)id);
}

enum rc spool_settle(uint32_t id)
{
    struct change c;
    struct spool_place place;
    enum rc rc = change_begin(&c, id, RECORD_SETTLED, 0);
    if (rc != RC_OK)
        return rc;
    bool ready = c.w->e.waiting == 0 || c.w->e.damaged;
    if (!ready || !message_busy_begin(id)) {
        change_end(&c);
        return RC_BUSY;
    }
    c.s.prev = c.w->first;
    rc = change_write(&c, &place);
    if (rc == RC_OK)
        end_message(&c, place);
    else
        change_end(&c);
    message_busy_end(id);
    event_signal(&spool.work);
    return rc;
}
