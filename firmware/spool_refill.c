/* Filling the window from flash. Each walk costs the whole log, so their number must not grow with the queue.
 *
 * What was put off for long is known from its status record alone: one walk marks it, and the second one, which loads, passes it over. What is
 * new has no status record: there the second walk stops when the window is full of what is due, and goes on at that place next time
 * (spool.scan). Everything before it that is not inside is due at spool.overflow_due or later; when that has come, all begins again. */
#include "firmware/spool_internal.h"

#include <string.h>

#include "hal/base/log.h"

#define LATE_IDS (PLAN_SPOOL_LATE_BYTES * 8u)
#define A_QUARTER (SPOOL_WINDOW_ENTRIES / 4)
#define AHEAD_S 60          /* the window is filled with what is due within that time: so seldom all is looked through */
#define OUT_OF_THE_WAY_S 30 /* so long what has given way may stay outside, if there is no room before */

/* Messages that are due late, one bit each from the id late_from on; older ones are loaded to be known. */
static uint8_t late[PLAN_SPOOL_LATE_BYTES];
static uint32_t late_from;

static bool is_late(uint32_t id)
{
    uint32_t i = id - late_from;
    return i < LATE_IDS && (late[i / 8] >> i % 8 & 1) != 0;
}

static void set_late(uint32_t id, bool yes)
{
    uint32_t i = id - late_from, bit = 1u << i % 8;
    if (i < LATE_IDS)
        late[i / 8] = (uint8_t)(yes ? late[i / 8] | bit : late[i / 8] & ~bit);
}

static bool read_commit(const struct log_record *r, struct commit_payload *c)
{
    struct span payload;
    return log_payload(r, &payload) == RC_OK && commit_decode(payload, c);
}

static bool is_stuck(uint32_t id)
{
    for (unsigned i = 0; i < spool.stuck; i++)
        if (spool.stuck_id[i] == id)
            return true;
    return false;
}

/* At boot: a COMMIT of the last moments may stand over data that the cut took. It was never acknowledged. What the device does not give is
 * no such thing. */
static bool is_whole(const struct log_record *r, const struct commit_payload *c, uint32_t tail_stamp)
{
    enum rc rc = r->h.stamp < tail_stamp || r->h.source != 0 ? RC_OK : message_verify(r->h.id, c);
    if (rc == RC_OK || rc == RC_IO)
        return true;
    log_event(LOG_SPOOL, "unfinished", "id=%u dropped=yes", (unsigned)r->h.id);
    kill_begin();
    if (message_kill(r->h.id, (struct spool_place){ 0, 0 }, false) != RC_OK)
        log_event_at(LOG_WARN, LOG_SPOOL, "kill-failed", "id=%u", (unsigned)r->h.id);
    kill_end();
    return false;
}

/* Whether the record commits a message that waits: not one that is being written or settled just now, or that could not be zeroed. */
static bool is_waiting(const struct log_record *r, struct commit_payload *c)
{
    return r->h.type == RECORD_COMMIT && !r->dead && !is_stuck(r->h.id) && !message_is_busy(r->h.id) && read_commit(r, c);
}

bool window_entry_of(const struct log_record *r, struct window_entry *w)
{
    struct commit_payload c;
    if (!is_waiting(r, &c))
        return false;
    *w = (struct window_entry){
        .e = { .id = r->h.id,
               .size_bytes = c.body_bytes,
               .received = c.received,
               .recipients = c.recipients,
               .waiting = c.recipients,
               .origin = c.origin,
               .held = c.held },
        .first = c.first,
        .moved = r->h.source != 0,
        .loading = true,
    };
    return true;
}

/* Puts one committed message into the window, with what its COMMIT knows. False: there is nothing to put in. */
static bool load_commit(const struct log_record *r)
{
    struct window_entry *w = window_unused();
    if (w == NULL || r->h.type != RECORD_COMMIT || window_find(r->h.id) != NULL || !window_entry_of(r, w))
        return false;
    set_late(r->h.id, false); /* from here on the window knows better */
    return true;
}

/* What was copied: the ENVELOPE is not where the COMMIT says. */
static void apply_copy(struct window_entry *w, const struct log_record *r)
{
    if (r->h.source == 0)
        return;
    w->moved = true;
    if (r->h.type == RECORD_ENVELOPE && !r->dead)
        w->first = r->place;
}

/* A cut may have undone the zeros over what a newer status record had replaced: nobody would come by there again. */
static void kill_replaced(const struct log_record *by, struct spool_place from)
{
    struct log_record r;
    struct status_payload s;
    kill_begin();
    while (message_status_at(by->h.id, from, &r, &s) == RC_OK && message_replaces(by, &r)) {
        from = s.prev;
        if (log_kill(&r) != RC_OK)
            log_event_at(LOG_WARN, LOG_SPOOL, "kill-failed", "id=%u", (unsigned)r.h.id);
    }
    kill_end();
}

void window_learn(struct window_entry *w, const struct log_record *r)
{
    struct span payload;
    struct status_payload s;
    apply_copy(w, r);
    if (!r->dead && record_is_status(r->h.type) && r->h.type != RECORD_SETTLED && !w->locked && log_payload(r, &payload) == RC_OK &&
        status_decode(payload, &s))
        window_apply(w, r, &s);
}

static void take_over(const struct log_record *r)
{
    struct window_entry *w = window_find(r->h.id);
    if (w == NULL)
        return;
    struct spool_place before = w->status;
    window_learn(w, r);
    if (w->loading && before.seq != 0 && place_is(w->status, r->place) && !place_is(before, r->place))
        kill_replaced(r, before);
}

void walk_statuses(struct spool_place from, void (*see)(const struct log_record *r))
{
    struct log_cursor c = log_from(from.seq, from.off);
    struct log_record r;
    unsigned steps = 0;
    for (int i; (i = segment_at_or_after(c.at.seq)) >= 0;) {
        uint32_t seq = spool.segment[i].seq;
        while (spool.segment[i].has_status && log_next(&c, &r) == RC_OK && r.place.seq == seq) {
            log_pause(&steps);
            see(&r);
        }
        c = log_from(seq + 1, 0);
    }
}

/* Of what was loaded: statuses lie behind their COMMIT, unless that is a copy. */
static void apply_statuses(struct spool_place from)
{
    walk_statuses(from, take_over);
}

static void end_loading(void)
{
    for (unsigned i = 0; i < SPOOL_WINDOW_ENTRIES; i++)
        window_at(i)->loading = false;
    event_signal(&spool.unlocked);
}

/* --- what is due late --- */

/* Marks what is outside and put off for long: it is known by its status record alone. */
static void note_late(const struct log_record *r)
{
    struct span payload;
    struct status_payload s;
    if (r->dead || (r->h.type != RECORD_DEFER && r->h.type != RECORD_HOLD) || r->h.stamp <= spool.due_stamp ||
        window_find(r->h.id) != NULL || log_payload(r, &payload) != RC_OK || !status_decode(payload, &s))
        return;
    int64_t due = s.held ? INT64_MAX : s.next_try;
    if (s.damaged || due <= spool.now + AHEAD_S)
        return;
    set_late(r->h.id, true);
    if (due < spool.overflow_due)
        spool.overflow_due = due;
}

static void find_late(void)
{
    memset(late, 0, sizeof late);
    late_from = spool.next_id > LATE_IDS ? spool.next_id - LATE_IDS : 0;
    walk_statuses((struct spool_place){ 0, 0 }, note_late);
}

/* --- the window --- */

/* Whether so many places are free. What is not due soon makes room, the latest first, but for late_too. */
static bool has_room(unsigned places, bool late_too)
{
    unsigned count = window_count();
    for (; !late_too && count > SPOOL_WINDOW_ENTRIES - A_QUARTER && window_latest_due() > spool.now + SPOOL_SOON_S; count--)
        window_put_out(window_latest());
    return count <= SPOOL_WINDOW_ENTRIES - places;
}

static struct window_entry *youngest_known(void)
{
    struct window_entry *best = NULL;
    for (unsigned i = 0; i < SPOOL_WINDOW_ENTRIES; i++) {
        struct window_entry *w = window_at(i);
        if (w->e.hop != 0 && window_may_leave(w) && (best == NULL || w->e.id > best->e.id))
            best = w;
    }
    return best;
}

/* A quarter of the window goes that waits for its next hop, the youngest first. */
static void give_way(void)
{
    struct window_entry *w;
    for (unsigned n = window_count(); n > SPOOL_WINDOW_ENTRIES * 3 / 4 && (w = youngest_known()) != NULL; n--) {
        if (!w->e.held && w->e.next_try <= spool.now)
            w->e.next_try = spool.now + OUT_OF_THE_WAY_S;
        window_put_out(w);
    }
}

/* Loads until the window is full of what is due. False at the log's end; else *at is where to go on. What is known to be due late is passed
 * over, or comes in as well, as long as there is room. Statuses cost a walk to the log's end: not for the few places that mail leaves free
 * meanwhile. */
static bool load_from(struct spool_place *at, bool late_too)
{
    struct log_cursor c = log_from(at->seq, at->off);
    struct log_record r;
    unsigned steps = 0;
    bool more = true;
    for (unsigned places = 1; more && has_room(places, late_too); places = A_QUARTER) {
        struct spool_place from = c.at;
        while (window_unused() != NULL && (more = log_next(&c, &r) == RC_OK)) {
            log_pause(&steps);
            if ((late_too || !is_late(r.h.id)) && load_commit(&r) && r.h.source != 0)
                from = (struct spool_place){ 0, 0 };
        }
        apply_statuses(from);
        end_loading();
    }
    *at = c.at;
    return more;
}

void window_fetch(uint32_t id)
{
    struct log_cursor c = log_from(0, 0);
    struct log_record r;
    unsigned steps = 0;
    while (window_find(id) == NULL && log_next(&c, &r) == RC_OK) {
        if (r.h.id == id && r.h.type == RECORD_COMMIT && !r.dead) {
            window_make_place();
            load_commit(&r);
        }
        log_pause(&steps);
    }
    if (window_find(id) == NULL)
        return;
    apply_statuses((struct spool_place){ 0, 0 });
    end_loading();
}

/* From the log's begin. What is due late comes in only where places stay free: for the operator's eyes. */
static void refill_all(void)
{
    struct spool_place at = { 0, 0 };
    spool.overflow_due = INT64_MAX;
    find_late();
    if (load_from(&at, false)) {
        window_unseen_from(at);
        return;
    }
    at = (struct spool_place){ 0, 0 };
    spool.outside_grew = spool.unseen;
    if (!load_from(&at, true) && window_unused() != NULL && !spool.outside_grew)
        spool.messages = window_count(); /* all are inside: so the count can't drift */
}

void window_refill(void)
{
    struct spool_place at = spool.scan;
    bool all = !spool.unseen || spool.overflow_due <= spool.now;
    if (spool.give_way)
        give_way();
    spool.give_way = spool.unseen = false;
    spool.scan = (struct spool_place){ UINT32_MAX, 0 };
    if (all)
        refill_all();
    else if (load_from(&at, false))
        window_unseen_from(at);
}

void window_boot(uint32_t tail_stamp)
{
    struct log_cursor c = log_from(0, 0);
    struct log_record r;
    struct commit_payload commit;
    unsigned steps = 0;
    while (log_next(&c, &r) == RC_OK) {
        log_pause(&steps);
        spool.messages += is_waiting(&r, &commit) && is_whole(&r, &commit, tail_stamp);
    }
    window_refill();
}
