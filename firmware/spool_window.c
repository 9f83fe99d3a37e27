/* The queue's fixed window in RAM: the messages that are due soonest. What does not fit stays on flash, is counted, and is
 * walked for when there is room or its time has come. */
#include "firmware/spool_internal.h"

#include <string.h>

#include "hal/base/log.h"

_Static_assert(sizeof(struct window_entry) <= 64, "the window is meant to stay within 32 KiB");

static struct window_entry window[SPOOL_WINDOW_ENTRIES];

void window_clear(void)
{
    memset(window, 0, sizeof window);
}

void *window_scratch(size_t *bytes)
{
    *bytes = sizeof window;
    return window;
}

struct window_entry *window_find(uint32_t id)
{
    for (size_t i = 0; i < SPOOL_WINDOW_ENTRIES && id != 0; i++)
        if (window[i].e.id == id)
            return &window[i];
    return NULL;
}

unsigned window_count(void)
{
    unsigned n = 0;
    for (size_t i = 0; i < SPOOL_WINDOW_ENTRIES; i++)
        n += window[i].e.id != 0;
    return n;
}

/* When it wants to be tried: what is held or damaged gives way first. */
static int64_t due_of(const struct window_entry *w)
{
    return w->e.held || w->e.damaged ? INT64_MAX : w->e.next_try;
}

static bool may_leave(const struct window_entry *w)
{
    return w->e.id != 0 && !w->e.busy && !w->locked && !w->loading && !w->e.damaged;
}

static struct window_entry *latest_due(void)
{
    struct window_entry *best = NULL;
    for (size_t i = 0; i < SPOOL_WINDOW_ENTRIES; i++)
        if (may_leave(&window[i]) && (best == NULL || due_of(&window[i]) > due_of(best)))
            best = &window[i];
    return best;
}

struct window_entry *window_at(unsigned i)
{
    return &window[i];
}

int64_t window_latest_due(void)
{
    const struct window_entry *w = latest_due();
    return w != NULL ? due_of(w) : INT64_MIN;
}

static struct window_entry *unused(void)
{
    for (size_t i = 0; i < SPOOL_WINDOW_ENTRIES; i++)
        if (window[i].e.id == 0)
            return &window[i];
    return NULL;
}

static void stays_outside(const struct window_entry *w)
{
    spool.outside_grew = true;
    if (due_of(w) < spool.overflow_due)
        spool.overflow_due = due_of(w);
}

struct window_entry *window_add(const struct window_entry *entry)
{
    struct window_entry *w = unused();
    if (w == NULL) {
        w = latest_due();
        if (w == NULL || due_of(w) <= due_of(entry)) {
            stays_outside(entry);
            return NULL;
        }
        stays_outside(w);
    }
    *w = *entry;
    return w;
}

void window_remove(struct window_entry *w)
{
    memset(w, 0, sizeof *w);
}

void window_apply(struct window_entry *w, const struct log_record *r, const struct status_payload *s)
{
    if (r->h.serial <= w->serial)
        return;
    w->serial = r->h.serial;
    w->status = r->place;
    w->e.waiting = s->waiting < w->e.recipients ? s->waiting : w->e.recipients;
    w->e.attempts = s->attempts;
    w->e.next_try = r->h.stamp <= spool.due_stamp ? 0 : s->next_try;
    w->e.held = s->held;
    w->e.damaged = s->damaged;
}

/* --- refilling from flash --- */

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

/* At boot: a COMMIT of the last moments may stand over data that the cut took. It was never acknowledged. */
static bool is_whole(const struct log_record *r, const struct commit_payload *c, uint32_t tail_stamp)
{
    if (r->h.stamp < tail_stamp || r->h.source != 0 || message_verify(r->h.id, c) == RC_OK)
        return true;
    log_event(LOG_SPOOL, "unfinished", "id=%u dropped=yes", (unsigned)r->h.id);
    kill_begin();
    if (message_kill(r->h.id, (struct spool_place){ 0, 0 }, false) != RC_OK)
        log_event_at(LOG_WARN, LOG_SPOOL, "kill-failed", "id=%u", (unsigned)r->h.id);
    kill_end();
    return false;
}

/* Puts one committed message into the window, with what its COMMIT knows. */
static void load_commit(const struct log_record *r, uint32_t tail_stamp, bool counting)
{
    struct commit_payload c;
    if (is_stuck(r->h.id) || message_is_busy(r->h.id) || window_find(r->h.id) != NULL || !read_commit(r, &c) ||
        !is_whole(r, &c, tail_stamp))
        return;
    const struct window_entry w = {
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
    spool.messages += counting;
    if (unused() != NULL)
        *unused() = w;
}

/* What was copied: the ENVELOPE is not where the COMMIT says. */
static void apply_copy(const struct log_record *r)
{
    struct window_entry *w = r->h.source != 0 ? window_find(r->h.id) : NULL;
    if (w == NULL)
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

static void apply_status(const struct log_record *r)
{
    struct window_entry *w = window_find(r->h.id);
    struct span payload;
    struct status_payload s;
    if (w == NULL || w->locked || log_payload(r, &payload) != RC_OK || !status_decode(payload, &s))
        return;
    struct spool_place before = w->status;
    window_apply(w, r, &s);
    if (w->loading && before.seq != 0 && place_is(w->status, r->place) && !place_is(before, r->place))
        kill_replaced(r, before);
}

static void apply_statuses(void)
{
    struct log_cursor c = log_from(0, 0);
    struct log_record r;
    unsigned steps = 0;
    while (log_next(&c, &r) == RC_OK) {
        log_pause(&steps);
        apply_copy(&r);
        if (!r.dead && record_is_status(r.h.type) && r.h.type != RECORD_SETTLED)
            apply_status(&r);
    }
}

static void end_loading(void)
{
    for (size_t i = 0; i < SPOOL_WINDOW_ENTRIES; i++)
        window[i].loading = false;
    event_signal(&spool.unlocked);
}

/* Makes a quarter of the window free for the next batch: the latest due go. False when nothing may leave. */
static bool shed(void)
{
    for (unsigned n = window_count(); n > SPOOL_WINDOW_ENTRIES * 3 / 4; n--) {
        struct window_entry *w = latest_due();
        if (w == NULL)
            break;
        stays_outside(w);
        window_remove(w);
    }
    return unused() != NULL;
}

static bool make_a_place(void)
{
    struct window_entry *w = unused() == NULL ? latest_due() : NULL;
    if (w != NULL) {
        stays_outside(w);
        window_remove(w);
    }
    return unused() != NULL;
}

void window_fetch(uint32_t id)
{
    struct log_cursor c = log_from(0, 0);
    struct log_record r;
    unsigned steps = 0;
    while (window_find(id) == NULL && log_next(&c, &r) == RC_OK) {
        if (r.h.id == id && r.h.type == RECORD_COMMIT && !r.dead && make_a_place())
            load_commit(&r, UINT32_MAX, false);
        log_pause(&steps);
    }
    if (window_find(id) == NULL)
        return;
    apply_statuses();
    end_loading();
}

void window_refill(uint32_t tail_stamp)
{
    bool counting = tail_stamp != UINT32_MAX;
    struct log_cursor c = log_from(0, 0);
    struct log_record r;
    unsigned steps = 0;
    bool more = true;
    spool.overflow_due = INT64_MAX;
    spool.outside_grew = false;
    while (more) {
        while (unused() != NULL && (more = log_next(&c, &r) == RC_OK)) {
            log_pause(&steps);
            if (r.h.type == RECORD_COMMIT && !r.dead)
                load_commit(&r, tail_stamp, counting);
        }
        apply_statuses();
        end_loading();
        more = more && shed();
    }
    if (!spool.outside_grew)
        spool.messages = window_count(); /* all are inside: so the count can't drift */
}
