/* A stream on memory, see the header. Never waits: a read past the input's end gives at_end. */
#include "net/memory_stream.h"

#include <string.h>

static enum rc end_of(const struct memory_stream *m)
{
    return m->at_end == RC_OK ? RC_CLOSED : m->at_end;
}

static enum rc memory_read(void *ctx, void *buf, size_t cap, size_t *got, struct deadline d)
{
    struct memory_stream *m = ctx;
    (void)d;
    size_t n = m->input.len - m->pos;
    if (n == 0)
        return end_of(m);
    if (n > cap)
        n = cap;
    if (m->chunk > 0 && n > m->chunk)
        n = m->chunk;
    memcpy(buf, m->input.p + m->pos, n);
    m->pos += n;
    *got = n;
    return RC_OK;
}

static enum rc memory_write(void *ctx, struct span data, struct deadline d)
{
    struct memory_stream *m = ctx;
    (void)d;
    if (m->written == NULL)
        return RC_OK;
    strbuf_add(m->written, data);
    return m->written->overflow ? RC_FULL : RC_OK;
}

static bool memory_readable(void *ctx)
{
    const struct memory_stream *m = ctx;
    return m->pos < m->input.len || end_of(m) == RC_CLOSED;
}

static void memory_close(void *ctx, bool abort)
{
    struct memory_stream *m = ctx;
    m->closed = true;
    m->aborted = m->aborted || abort;
}

static const struct stream_ops memory_ops = { memory_read, memory_write, memory_readable, memory_close };

void memory_stream_init(struct stream *s, struct memory_stream *m, struct span input, struct strbuf *written)
{
    *m = (struct memory_stream){ .input = input, .written = written };
    stream_init(s, &memory_ops, m);
}
