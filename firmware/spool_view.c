/* All of the queue in order of id, also what lies outside the window: a batch of the lowest ids that were not seen yet, found by one walk
 * over the log, and a second one for their statuses. Nothing is moved into the window for it, so a look changes nothing. Copies of a
 * message and moves into the window and out of it meanwhile make no difference, as an id has one place in the order. */
#include "firmware/spool_internal.h"

#include <string.h>

static struct window_entry view[PLAN_SPOOL_VIEW_MESSAGES];
static unsigned view_count;
static uint32_t last_id; /* mail that comes in meanwhile must not keep the walk going for ever */

struct window_entry *view_find(uint32_t id)
{
    for (unsigned i = 0; i < view_count; i++)
        if (view[i].e.id == id)
            return &view[i];
    return NULL;
}

static void view_add(const struct window_entry *w, uint32_t after_id)
{
    unsigned i = view_count;
    while (i > 0 && view[i - 1].e.id > w->e.id)
        i--;
    if (w->e.id <= after_id || i == PLAN_SPOOL_VIEW_MESSAGES || (i > 0 && view[i - 1].e.id == w->e.id))
        return;
    if (view_count < PLAN_SPOOL_VIEW_MESSAGES)
        view_count++;
    memmove(&view[i + 1], &view[i], (view_count - 1 - i) * sizeof view[0]);
    view[i] = *w;
}

static void learn(const struct log_record *r)
{
    struct window_entry *w = view_find(r->h.id);
    if (w != NULL)
        window_learn(w, r);
}

/* The lowest ids behind after_id. What lost its COMMIT is in the window alone. */
static void fill(uint32_t after_id)
{
    struct log_cursor c = log_from(0, 0);
    struct log_record r;
    struct window_entry w;
    unsigned steps = 0;
    view_count = 0;
    while (log_next(&c, &r) == RC_OK) {
        if (r.h.id > after_id && window_entry_of(&r, &w))
            view_add(&w, after_id);
        log_pause(&steps);
    }
    for (unsigned i = 0; i < SPOOL_WINDOW_ENTRIES; i++)
        if (!window_at(i)->loading)
            view_add(window_at(i), after_id);
    walk_statuses((struct spool_place){ 0, 0 }, learn);
}

bool spool_next_of_all(uint32_t after_id, struct spool_entry *out)
{
    if (after_id == 0) {
        view_count = 0;
        last_id = spool.next_id - 1;
    }
    if (spool.messages <= window_count())
        return spool_next(after_id, out) && out->id <= last_id;
    if (view_count == 0 || view[view_count - 1].e.id <= after_id)
        fill(after_id);
    for (unsigned i = 0; i < view_count; i++) {
        const struct window_entry *w = window_find(view[i].e.id);
        if (view[i].e.id <= after_id)
            continue;
        *out = w != NULL && !w->loading ? w->e : view[i].e;
        return out->id <= last_id;
    }
    return false;
}
