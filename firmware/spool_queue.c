/* What delivery and the operator see of the queue. Nothing here yields but spool_find. */
#include "firmware/spool_internal.h"

#include <string.h>

static const struct window_entry *next_after(uint32_t id)
{
    const struct window_entry *best = NULL;
    for (unsigned i = 0; i < SPOOL_WINDOW_ENTRIES; i++) {
        const struct window_entry *w = window_at(i);
        if (w->e.id > id && (best == NULL || w->e.id < best->e.id))
            best = w;
    }
    return best;
}

bool spool_next(uint32_t after_id, struct spool_entry *out)
{
    const struct window_entry *w = next_after(after_id);
    if (w != NULL)
        *out = w->e;
    return w != NULL;
}

bool spool_lookup(uint32_t id, struct spool_entry *out)
{
    const struct window_entry *w = window_find(id);
    if (w != NULL)
        *out = w->e;
    return w != NULL;
}

bool spool_find(uint32_t id, struct spool_entry *out)
{
    while (!spool_lookup(id, out)) {
        if (spool.messages <= window_count())
            return false;
        bool ours = spool.fetch_id == 0; /* else somebody fetches just now */
        if (ours) {
            spool.fetch_id = id;
            event_signal(&spool.work);
        }
        while (spool.fetch_id != 0)
            task_wait_always(&spool.fetched);
        if (ours)
            return spool_lookup(id, out);
    }
    return true;
}

static bool is_candidate(const struct window_entry *w)
{
    return w->e.id != 0 && !w->loading && !w->e.busy && !w->e.held && !w->e.damaged;
}

static int64_t due(const struct window_entry *w)
{
    return w->e.waiting == 0 ? 0 : w->e.next_try;
}

static struct window_entry *soonest(bool (*fit)(const struct spool_entry *e))
{
    struct window_entry *best = NULL;
    for (unsigned i = 0; i < SPOOL_WINDOW_ENTRIES; i++) {
        struct window_entry *w = window_at(i);
        bool sooner = is_candidate(w) && (best == NULL || due(w) < due(best) || (due(w) == due(best) && w->e.id < best->e.id));
        if (sooner && (fit == NULL || fit(&w->e)))
            best = w;
    }
    return best;
}

static void fetch_more(bool give_way)
{
    spool.give_way = give_way;
    spool.refill_wanted = true;
    event_signal(&spool.work);
}

/* Places that are free, or taken by what is not due soon. */
static unsigned idle_places(int64_t now)
{
    unsigned n = 0;
    for (unsigned i = 0; i < SPOOL_WINDOW_ENTRIES; i++) {
        const struct window_entry *w = window_at(i);
        n += w->e.id == 0 || (window_may_leave(w) && (w->e.held || w->e.next_try > now + SPOOL_SOON_S));
    }
    return n;
}

/* Messages outside the window are fetched when some of them may be due and a quarter of it is idle. What is not due comes when the window
 * has become nearly empty. */
static void look_outside(int64_t now)
{
    spool.now = now;
    if (spool.messages <= window_count() || spool.refill_wanted)
        return;
    bool due = spool.unseen || spool.overflow_due <= now;
    if ((due && idle_places(now) >= SPOOL_WINDOW_ENTRIES / 4) || window_count() <= SPOOL_WINDOW_ENTRIES / 4)
        fetch_more(false);
}

void spool_look_further(int64_t now)
{
    bool due = spool.unseen || spool.overflow_due <= now;
    if (spool.messages <= window_count() || !due || spool.refill_wanted || spool.gave_way_at == now)
        return;
    spool.gave_way_at = now;
    fetch_more(true);
}

bool spool_take_due_if(int64_t now, bool (*fit)(const struct spool_entry *e), struct spool_entry *out)
{
    look_outside(now);
    struct window_entry *w = soonest(fit);
    if (w == NULL || due(w) > now)
        return false;
    w->e.busy = true;
    *out = w->e;
    return true;
}

bool spool_take_due(int64_t now, struct spool_entry *out)
{
    return spool_take_due_if(now, NULL, out);
}

void spool_note_hop(uint32_t id, uint16_t hop)
{
    struct window_entry *w = window_find(id);
    if (w != NULL)
        w->e.hop = hop;
}

void spool_hop_is_back(uint16_t hop)
{
    for (unsigned i = 0; i < SPOOL_WINDOW_ENTRIES; i++) {
        struct window_entry *w = window_at(i);
        if (w->e.id != 0 && w->e.hop == hop && !w->locked)
            w->e.next_try = 0;
    }
    event_signal(&spool_changed);
}

void spool_outside_is_due(void)
{
    if (spool.messages <= window_count())
        return;
    spool.due_stamp = spool.stamp - 1; /* what is put off from now on bears the present one */
    spool.overflow_due = 0;
    event_signal(&spool_changed);
}

void spool_release(uint32_t id)
{
    struct window_entry *w = window_find(id);
    if (w != NULL)
        w->e.busy = false;
}

int64_t spool_next_due(void)
{
    const struct window_entry *w = soonest(NULL);
    int64_t next = w != NULL ? due(w) : INT64_MAX;
    int64_t outside = spool.unseen ? 0 : spool.overflow_due;
    return spool.messages > window_count() && outside < next ? outside : next;
}

/* --- figures --- */

static void count_segments(struct spool_info *out)
{
    out->blocks = spool.segments;
    out->erase_min = UINT32_MAX;
    for (unsigned i = 0; i < spool.segments; i++) {
        const struct segment *s = &spool.segment[i];
        out->blocks_free += s->state == SEGMENT_FREE;
        out->blocks_bad += s->state == SEGMENT_BAD || s->worn;
        if (s->wear < out->erase_min)
            out->erase_min = s->wear;
        if (s->wear > out->erase_max)
            out->erase_max = s->wear;
    }
}

void spool_info(struct spool_info *out)
{
    memset(out, 0, sizeof *out);
    out->size_bytes = (uint64_t)spool.segments * spool.segment_bytes;
    out->free_bytes = spool_free_for_intake();
    out->messages = spool.messages;
    out->commits = spool.commits;
    out->syncs = spool.syncs;
    out->reclaimed_blocks = spool.reclaimed;
    out->compacted_blocks = spool.compacted;
    count_segments(out);
    for (unsigned i = 0; i < SPOOL_WINDOW_ENTRIES; i++) {
        const struct window_entry *w = window_at(i);
        out->damaged += w->e.id != 0 && w->e.damaged;
        out->waiting_recipients += w->e.id != 0 ? w->e.waiting : 0;
    }
}
