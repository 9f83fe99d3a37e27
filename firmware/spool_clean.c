/* Making room: erasing what holds nothing, and copying the little that still lives out of segments that are mostly dead. A copy
 * names the segment it comes from and counts only once that segment is gone, so that a cut at any point leaves exactly one
 * of both. Runs in the spool's own task, or in the writer that finds no free segment: then for one segment's copy. */
#include "firmware/spool_internal.h"

#include <string.h>

#include "hal/base/log.h"
#include "hal/base/sanitize.h"

#define FREE_AHEAD 2 /* segments that the task keeps free beyond what intake must leave */

static uint8_t copy_buffer[SPOOL_CHUNK_BYTES];

/* --- exclusion: many may zero at a time, but not while a segment is copied --- */

void kill_begin(void)
{
    while (spool.cleaning)
        task_wait_always(&spool.unlocked);
    spool.killers++;
}

void kill_end(void)
{
    if (--spool.killers == 0)
        event_signal(&spool.unlocked);
}

static void clean_begin(void)
{
    while (spool.cleaning)
        task_wait_always(&spool.unlocked);
    spool.cleaning = true; /* no new killers from here */
    while (spool.killers > 0)
        task_wait_always(&spool.unlocked);
}

static void clean_end(void)
{
    spool.cleaning = spool.cleaning_deep = false;
    event_signal(&spool.unlocked);
}

/* --- choosing --- */

static bool may_clean(unsigned i)
{
    const struct segment *s = &spool.segment[i];
    return s->state == SEGMENT_USED && !s->worn && (int)i != spool.head && s->live_bytes > 0 &&
           s->live_bytes <= segment_usable() / 4 * 3;
}

uint64_t spool_gainable_bytes(void)
{
    uint64_t bytes = 0;
    for (unsigned i = 0; i < spool.segments; i++) {
        const struct segment *s = &spool.segment[i];
        bool empty = s->state == SEGMENT_USED && s->live_bytes == 0 && !s->worn && (int)i != spool.head;
        if (s->state == SEGMENT_DIRTY || empty)
            bytes += segment_usable();
        else if (may_clean(i))
            bytes += segment_usable() - s->live_bytes;
    }
    return bytes;
}

/* Whether a message that is being written or settled has something in it. */
static bool holds_busy(unsigned i)
{
    struct log_cursor c = log_from(spool.segment[i].seq, 0);
    struct log_record r;
    while (log_next(&c, &r) == RC_OK && r.place.seq == spool.segment[i].seq)
        if (!r.dead && message_is_busy(r.h.id))
            return true;
    return false;
}

static int least_alive(void)
{
    int best = -1;
    for (unsigned i = 0; i < spool.segments; i++)
        if (may_clean(i) && (best < 0 || spool.segment[i].live_bytes < spool.segment[best].live_bytes) && !holds_busy(i))
            best = (int)i;
    return best;
}

/* A status record that a newer one has made worthless is left behind. Whether a result is the newest of its recipient takes many reads: it is
 * looked for only where nothing else makes room. */
static bool is_superseded(const struct log_record *r)
{
    const struct window_entry *w = window_find(r->h.id);
    if (w == NULL || r->h.type < RECORD_OUTCOME || r->h.type > RECORD_SETASIDE || r->h.serial == w->serial ||
        place_is(w->status, r->place))
        return false;
    if (r->h.type != RECORD_OUTCOME)
        return w->status.seq != 0;
    if (!spool.cleaning_deep)
        return false;
    struct log_record newest;
    struct span payload;
    return message_outcome(r->h.id, r->h.index, &newest, &payload) == RC_OK && newest.h.serial > r->h.serial;
}

/* Bytes that a copy of the segment would carry. */
static uint32_t weigh(unsigned i)
{
    struct log_cursor c = log_from(spool.segment[i].seq, 0);
    struct log_record r;
    uint32_t bytes = 0;
    unsigned steps = 0;
    while (log_next(&c, &r) == RC_OK && r.place.seq == spool.segment[i].seq) {
        if (!r.dead && !is_superseded(&r))
            bytes += record_bytes(r.h.payload_len);
        log_pause(&steps);
    }
    return bytes;
}

/* Looks into segments that seem full of what lives: much of it may be status records that newer ones have replaced. The first one
 * with something to gain does. */
static int first_light(void)
{
    spool.cleaning_deep = true;
    event_signal(&spool.unlocked); /* intake does not wait for this */
    for (unsigned i = 0; i < spool.segments; i++) {
        const struct segment *s = &spool.segment[i];
        if (s->state == SEGMENT_USED && !s->worn && (int)i != spool.head && weigh(i) <= segment_usable() / 4 * 3 && !holds_busy(i))
            return (int)i;
    }
    return -1;
}

static int choose_victim(enum room_class class)
{
    int i = least_alive();
    return i >= 0 || class == ROOM_INTAKE ? i : first_light();
}

/* --- copying --- */

/* Adds one record to the buffer, with its payload as it is: damage stays visible. */
static enum rc take(const struct log_record *r, size_t *used)
{
    struct record_header h = r->h;
    uint32_t len = record_bytes(h.payload_len) - RECORD_HEADER_BYTES;
    h.source = r->place.seq;
    record_header_encode(copy_buffer + *used, &h, 0);
    enum rc rc = flash_read(r->addr + RECORD_HEADER_BYTES, copy_buffer + *used + RECORD_HEADER_BYTES, len);
    *used += RECORD_HEADER_BYTES + len;
    return rc;
}

static enum rc put(size_t *used)
{
    size_t len = *used;
    *used = 0;
    return len > 0 ? log_append(copy_buffer, len, ROOM_CLEANER, NULL, NULL) : RC_OK;
}

static enum rc copy_live(uint32_t seq)
{
    struct log_cursor c = log_from(seq, 0);
    struct log_record r;
    size_t used = 0;
    enum rc rc = RC_OK;
    while (rc == RC_OK && log_next(&c, &r) == RC_OK && r.place.seq == seq) {
        if (r.dead || is_superseded(&r))
            continue;
        if (used + record_bytes(r.h.payload_len) > sizeof copy_buffer)
            rc = put(&used);
        if (rc == RC_OK)
            rc = take(&r, &used);
    }
    return rc == RC_OK ? put(&used) : rc;
}

static void repoint_settled(const struct log_record *copy)
{
    for (unsigned i = 0; i < spool.settled_count; i++)
        if (copy->h.type == RECORD_SETTLED && spool.settled[i].id == copy->h.id)
            spool.settled[i].place = copy->place;
}

/* The window learns where things are now. */
static void repoint(const struct log_record *copy)
{
    repoint_settled(copy);
    struct window_entry *w = window_find(copy->h.id);
    struct log_record old;
    if (w == NULL)
        return;
    w->moved = true;
    if (copy->h.type == RECORD_ENVELOPE)
        w->first = copy->place;
    if (record_is_status(copy->h.type) && w->status.seq == copy->h.source && log_record_at(w->status, &old) == RC_OK &&
        old.h.serial == copy->h.serial)
        w->status = copy->place;
}

/* Goes through the copies made of segment seq: repoints the window to them, or zeros them when the work broke off. */
static void finish_copies(uint32_t seq, struct spool_place from, bool good)
{
    struct log_cursor c = log_from(from.seq, from.off);
    struct log_record r;
    while (log_next(&c, &r) == RC_OK) {
        if (r.h.source != seq || r.dead)
            continue;
        if (good)
            repoint(&r);
        else if (log_kill(&r) != RC_OK)
            log_event_at(LOG_WARN, LOG_SPOOL, "kill-failed", "id=%u", (unsigned)r.h.id);
    }
}

static enum rc clean_segment(unsigned i)
{
    uint32_t seq = spool.segment[i].seq;
    int head = spool.head;
    struct spool_place from = { spool.next_seq, 0 };
    if (head >= 0)
        from = (struct spool_place){ spool.segment[head].seq, spool.segment[head].end };
    enum rc rc = copy_live(seq);
    if (rc == RC_OK)
        rc = log_sync();
    if (rc == RC_OK && !segment_retire(i))
        rc = RC_IO;
    finish_copies(seq, from, rc == RC_OK);
    spool.compacted += rc == RC_OK;
    return rc == RC_OK ? segment_reclaim(i) : rc;
}

enum rc spool_make_room(enum room_class class)
{
    int i = segment_reclaimable();
    if (i >= 0)
        return segment_reclaim((unsigned)i);
    const uint64_t before = spool.reclaimed;
    while (spool.cleaning) {
        if (class == ROOM_INTAKE && spool.cleaning_deep)
            return RC_FULL;
        task_wait_always(&spool.unlocked);
        if (spool.reclaimed != before) /* who waits together shares what one has made */
            return RC_OK;
    }
    clean_begin();
    i = choose_victim(class);
    enum rc rc = i < 0 ? RC_FULL : clean_segment((unsigned)i);
    clean_end();
    return rc;
}

/* What lies in a worn segment is moved while it can still be read; one that does not let go of it is read on. */
static void empty_worn(void)
{
    for (unsigned i = 0; i < spool.segments; i++) {
        struct segment *s = &spool.segment[i];
        if (s->state != SEGMENT_USED || !s->worn || s->looked || s->live_bytes == 0)
            continue;
        clean_begin();
        if (!holds_busy(i) && segment_may_append(ROOM_OWN)) {
            s->looked = true;
            if (clean_segment(i) != RC_OK)
                log_event_at(LOG_WARN, LOG_SPOOL, "not-emptied", "segment=%u", i);
        }
        clean_end();
    }
}

/* --- the task --- */

static void housekeep(void)
{
    while (segment_look_next())
        if (task_yield() != RC_OK)
            return;
    for (int i = segment_reclaimable(); i >= 0; i = segment_reclaimable())
        if (segment_reclaim((unsigned)i) != RC_OK)
            break;
    spool_settled_flush();
    if (spool.fetch_id != 0) {
        window_fetch(spool.fetch_id);
        spool.fetch_id = 0;
        event_signal(&spool.fetched);
    }
    if (spool.refill_wanted) {
        window_refill();
        spool.refill_wanted = false;
        event_signal(&spool_changed);
    }
    empty_worn();
    while (segments_free() < spool.reserve_segments + 1 + FREE_AHEAD)
        if (spool_make_room(ROOM_SYSTEM) != RC_OK)
            break;
}

static void run(void *arg)
{
    (void)arg;
    for (;;) {
        housekeep();
        if (task_wait(&spool.work, deadline_never()) == RC_CANCELLED)
            return;
    }
}

void spool_housekeeping_start(void)
{
    static struct task task;
    static uint8_t stack[PLAN_SPOOL_STACK_BYTES] __attribute__((aligned(16)));
    if (task_done(&task))
        task_start(&task, "spool", stack, sizeof stack, run, NULL);
}
