#include "tests/support/pipe_stream.h"

#include <string.h>

static enum rc pipe_read(void *ctx, void *buf, size_t cap, size_t *got, struct deadline d)
{
    struct pipe_end *p = ctx;
    while (p->len == 0) {
        if (p->broken)
            return RC_RESET;
        if (p->ended)
            return RC_CLOSED;
        enum rc rc = task_wait(&p->event, d);
        if (rc != RC_OK)
            return rc;
    }
    size_t n = p->len < cap ? p->len : cap;
    if (p->read_max != 0 && n > p->read_max)
        n = p->read_max;
    for (size_t i = 0; i < n; i++)
        ((uint8_t *)buf)[i] = p->bytes[(p->head + i) % PIPE_BYTES];
    p->head = (p->head + n) % PIPE_BYTES;
    p->len -= n;
    *got = n;
    event_signal(&p->other->event);
    return RC_OK;
}

static void end_both(struct pipe_end *p)
{
    p->ended = true;
    p->other->ended = true;
    event_signal(&p->event);
    event_signal(&p->other->event);
}

static enum rc pipe_write(void *ctx, struct span data, struct deadline d)
{
    struct pipe_end *p = ctx, *to = p->other;
    for (size_t i = 0; i < data.len; i++) {
        if (p->cut_after != 0 && p->written == p->cut_after) {
            end_both(p);
            return RC_RESET;
        }
        while (to->len == PIPE_BYTES) {
            enum rc rc = task_wait(&p->event, d);
            if (rc != RC_OK)
                return rc;
        }
        if (p->ended)
            return RC_RESET;
        p->written++;
        to->bytes[(to->head + to->len) % PIPE_BYTES] = (uint8_t)(data.p[i] ^ (p->written == p->flip_at));
        to->len++;
        event_signal(&to->event);
    }
    return RC_OK;
}

static bool pipe_readable(void *ctx)
{
    struct pipe_end *p = ctx;
    return p->len > 0 || p->ended || p->broken;
}

static void pipe_close(void *ctx, bool abort)
{
    struct pipe_end *p = ctx;
    p->other->ended = true;
    if (abort)
        p->other->broken = true;
    event_signal(&p->other->event);
}

static const struct stream_ops pipe_ops = { pipe_read, pipe_write, pipe_readable, pipe_close };

void pipe_open(struct pipe_end *a, struct pipe_end *b)
{
    memset(a, 0, sizeof *a);
    memset(b, 0, sizeof *b);
    a->other = b;
    b->other = a;
}

void pipe_stream_init(struct stream *s, struct pipe_end *end)
{
    stream_init(s, &pipe_ops, end);
}
