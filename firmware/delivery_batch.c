#include "firmware/delivery_batch.h"

#define BATCH_LOOK_AHEAD 64

static bool is_done(const uint8_t *done, unsigned i)
{
    return (done[i / 8] & (1u << (i % 8))) != 0;
}

static void set_done(uint8_t *done, unsigned i)
{
    done[i / 8] |= (uint8_t)(1u << (i % 8));
}

enum rc delivery_batch_next(struct delivery_slot *s, uint8_t done[DELIVERY_DONE_BYTES], bool aged)
{
    unsigned first = 0, looked = 0;
    s->count = 0;
    while (first < s->entry.recipients && is_done(done, first))
        first++;
    for (unsigned i = first; i < s->entry.recipients && s->count < PLAN_DELIVERY_BATCH; i++) {
        struct batch_recipient *b = &s->batch[s->count];
        if (is_done(done, i))
            continue;
        if (s->count && looked++ == BATCH_LOOK_AHEAD)
            break;
        enum rc rc = spool_read_address(s->entry.id, i, &b->to);
        if (rc == RC_OK)
            rc = task_yield();
        if (rc != RC_OK)
            return rc;
        if (b->to.state != SPOOL_WAITING) {
            set_done(done, i);
            continue;
        }
        if (!s->count)
            strbuf_copy(s->domain, sizeof s->domain, b->to.domain);
        if (!span_is(span_of(b->to.domain), s->domain))
            continue;
        if (aged && (rc = spool_read_recipient(s->entry.id, i, &b->to)) != RC_OK)
            return rc;
        b->index = i;
        b->open = true;
        set_done(done, i);
        s->count++;
    }
    return s->count ? RC_OK : RC_NOT_FOUND;
}

bool delivery_batch_waits(const struct delivery_slot *s)
{
    for (unsigned i = 0; i < s->count; i++)
        if (s->status[i].result == DELIVERY_WAIT)
            return true;
    return false;
}

bool delivery_batch_reached(const struct delivery_slot *s)
{
    for (unsigned i = 0; i < s->count; i++) {
        const struct delivery_status *st = &s->status[i];
        if (st->result != DELIVERY_WAIT || (st->scope != SCOPE_HOST && st->scope != SCOPE_DOMAIN))
            return true;
    }
    return false;
}
