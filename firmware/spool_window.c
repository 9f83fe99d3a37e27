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

bool window_may_leave(const struct window_entry *w)
{
    return w->e.id != 0 && !w->e.busy && !w->locked && !w->loading && !w->e.damaged;
}

struct window_entry *window_latest(void)
{
    struct window_entry *best = NULL;
    for (size_t i = 0; i < SPOOL_WINDOW_ENTRIES; i++)
        if (window_may_leave(&window[i]) && (best == NULL || due_of(&window[i]) > due_of(best)))
            best = &window[i];
    return best;
}

struct window_entry *window_at(unsigned i)
{
    return &window[i];
}

int64_t window_latest_due(void)
{
    const struct window_entry *w = window_latest();
    return w != NULL ? due_of(w) : INT64_MIN;
}

struct window_entry *window_unused(void)
{
    for (size_t i = 0; i < SPOOL_WINDOW_ENTRIES; i++)
        if (window[i].e.id == 0)
            return &window[i];
    return NULL;
}

void window_unseen_from(struct spool_place at)
{
    spool.unseen = true;
    if (at.seq < spool.scan.seq || (at.seq == spool.scan.seq && at.off < spool.scan.off))
        spool.scan = at;
}

/* What is new lies where the walk is still to come by; where a copy lies is not known. */
static void stays_outside(const struct window_entry *w)
{
    spool.outside_grew = true;
    if (due_of(w) == 0 && !w->moved)
        window_unseen_from(w->first);
    else if (due_of(w) < spool.overflow_due)
        spool.overflow_due = due_of(w);
}

void window_put_out(struct window_entry *w)
{
    stays_outside(w);
    memset(w, 0, sizeof *w);
}

void window_make_place(void)
{
    struct window_entry *w = window_unused() == NULL ? window_latest() : NULL;
    if (w != NULL)
        window_put_out(w);
}

struct window_entry *window_add(const struct window_entry *entry)
{
    struct window_entry *w = window_unused();
    if (w == NULL) {
        w = window_latest();
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
