/* Streams: line reading, buffering, and the order between what is written and what is read. It knows nothing of what the
 * stream stands on (stream_ops) and nothing of TLS but where it is started.
 *
 * Invariants: in holds in_len unread bytes from in_head on, and is only refilled when empty; out holds out_len bytes not yet
 * handed to ops->write. A failed write breaks the stream for good, for nobody knows how much of it went out. A read that
 * times out or is cancelled loses nothing. */
#include "net/stream.h"

#include <string.h>

#include "net/tls_session.h"

void stream_init(struct stream *s, const struct stream_ops *ops, void *ctx)
{
    memset(s, 0, sizeof *s);
    s->ops = ops;
    s->ctx = ctx;
}

/* Drops buffered input too: nothing behind a fatal error is taken for the peer's word. */
static enum rc stream_fail(struct stream *s, enum rc rc)
{
    if (s->broken == RC_OK)
        s->broken = rc;
    s->in_len = 0;
    return rc;
}

static enum rc write_through(struct stream *s, struct span data, struct deadline d)
{
    enum rc rc = s->ops->write(s->ctx, data, d);
    if (rc != RC_OK)
        return stream_fail(s, rc);
    s->bytes_out += data.len;
    return RC_OK;
}

enum rc stream_flush(struct stream *s, struct deadline d)
{
    if (s->broken != RC_OK)
        return s->broken;
    if (s->out_len == 0)
        return RC_OK;
    struct span data = span_bytes(s->out, s->out_len);
    s->out_len = 0;
    return write_through(s, data, d);
}

static size_t buffer_output(struct stream *s, struct span data)
{
    size_t room = sizeof s->out - s->out_len;
    size_t n = data.len < room ? data.len : room;
    if (n > 0)
        memcpy(s->out + s->out_len, data.p, n);
    s->out_len = (uint16_t)(s->out_len + n);
    return n;
}

enum rc stream_write(struct stream *s, struct span data, struct deadline d)
{
    if (s->broken != RC_OK)
        return s->broken;
    if (s->out_len == 0 && data.len >= sizeof s->out)
        return write_through(s, data, d);
    data = span_from(data, buffer_output(s, data));
    if (data.len == 0)
        return RC_OK;
    enum rc rc = stream_flush(s, d);
    return rc == RC_OK ? stream_write(s, data, d) : rc;
}

/* One read from below, into any memory. Replies go out before we wait for what the peer says to them. */
static enum rc read_through(struct stream *s, void *buf, size_t cap, size_t *got, struct deadline d)
{
    *got = 0;
    if (s->broken != RC_OK)
        return s->broken;
    if (s->ended)
        return RC_CLOSED;
    if (s->out_len > 0 && !s->ops->readable(s->ctx)) {
        enum rc flushed = stream_flush(s, d);
        if (flushed != RC_OK)
            return flushed;
    }
    enum rc rc = s->ops->read(s->ctx, buf, cap, got, d);
    if (rc == RC_OK) {
        s->bytes_in += *got;
        return RC_OK;
    }
    *got = 0;
    if (rc == RC_CLOSED)
        s->ended = true; /* what we still have to say can go out all the same */
    else if (rc != RC_TIMEOUT && rc != RC_CANCELLED)
        stream_fail(s, rc);
    return rc;
}

static enum rc fill(struct stream *s, struct deadline d)
{
    size_t got;
    enum rc rc = read_through(s, s->in, sizeof s->in, &got, d);
    s->in_head = 0;
    s->in_len = (uint16_t)got;
    return rc;
}

enum rc stream_fill(struct stream *s, struct deadline d)
{
    return s->in_len > 0 ? RC_OK : fill(s, d);
}

struct span stream_peek(const struct stream *s)
{
    return span_bytes(s->in + s->in_head, s->in_len);
}

void stream_skip(struct stream *s, size_t len)
{
    if (len > s->in_len)
        len = s->in_len;
    s->in_head = (uint16_t)(s->in_head + len);
    s->in_len = (uint16_t)(s->in_len - len);
}

bool stream_readable(struct stream *s)
{
    return s->in_len > 0 || s->ended || s->broken != RC_OK || s->ops->readable(s->ctx);
}

enum rc stream_read(struct stream *s, void *buf, size_t cap, size_t *got, struct deadline d)
{
    *got = 0;
    if (cap == 0)
        return RC_INVALID;
    if (s->in_len == 0) {
        if (cap >= sizeof s->in)
            return read_through(s, buf, cap, got, d);
        enum rc rc = fill(s, d);
        if (rc != RC_OK)
            return rc;
    }
    *got = s->in_len < cap ? s->in_len : cap;
    memcpy(buf, s->in + s->in_head, *got);
    stream_skip(s, *got);
    return RC_OK;
}

enum rc stream_read_exact(struct stream *s, void *buf, size_t len, struct deadline d)
{
    char *to = buf;
    while (len > 0) {
        size_t got;
        enum rc rc = stream_read(s, to, len, &got, d);
        if (rc != RC_OK)
            return rc;
        to += got;
        len -= got;
    }
    return RC_OK;
}

enum rc stream_read_only(struct stream *s, void *buf, size_t len, struct deadline d)
{
    char *to = buf;
    while (len > 0) {
        size_t got;
        enum rc rc = s->in_len > 0 ? stream_read(s, to, len, &got, d) : read_through(s, to, len, &got, d);
        if (rc != RC_OK)
            return rc;
        to += got;
        len -= got;
    }
    return RC_OK;
}

/* A line as it is put together from pieces: a CR at the end of a piece is held back, for it may be half of a line end. */
struct line_builder {
    struct strbuf *line;
    bool held_cr;
    bool ended_crlf;
    size_t total; /* bytes seen, kept or not */
};

static void line_take(struct line_builder *b, struct span piece, bool complete)
{
    b->total += piece.len;
    if (piece.len > 0 && b->held_cr) {
        strbuf_putc(b->line, '\r');
        b->held_cr = false;
    }
    if (piece.len > 0 && piece.p[piece.len - 1] == '\r') {
        b->held_cr = true;
        piece.len--;
    }
    strbuf_add(b->line, piece);
    if (complete)
        b->ended_crlf = b->held_cr;
}

static enum rc line_done(struct stream *s, const struct line_builder *b, bool *bare_lf)
{
    if (bare_lf != NULL)
        *bare_lf = !b->ended_crlf;
    if (b->line->overflow)
        return RC_TOO_LONG;
    if (bare_lf == NULL && !b->ended_crlf)
        return stream_fail(s, RC_PROTOCOL);
    return RC_OK;
}

enum rc stream_read_line(struct stream *s, struct strbuf *line, bool *bare_lf, struct deadline d)
{
    struct line_builder b = { .line = line };
    strbuf_clear(line);
    for (;;) {
        if (s->in_len == 0) {
            enum rc rc = fill(s, d);
            if (rc != RC_OK)
                return rc;
        }
        struct span have = stream_peek(s);
        size_t end = span_find(have, 0, '\n');
        bool complete = end != SIZE_MAX;
        size_t n = complete ? end : have.len;
        line_take(&b, span_sub(have, 0, n), complete);
        stream_skip(s, complete ? n + 1 : n);
        if (b.total > STREAM_LINE_SKIP_MAX)
            return stream_fail(s, RC_PROTOCOL);
        if (complete)
            return line_done(s, &b, bare_lf);
    }
}

enum rc stream_starttls(struct stream *s, struct tls_params *p, struct deadline d)
{
    if (s->broken != RC_OK)
        return s->broken;
    if (s->tls != NULL)
        return stream_fail(s, RC_INVALID);
    if (s->in_len > 0)
        return stream_fail(s, RC_PROTOCOL);
    enum rc rc = stream_flush(s, d);
    if (rc != RC_OK)
        return rc;
    rc = tls_session_start(s, p, d);
    if (rc != RC_OK)
        return stream_fail(s, rc);
    s->ended = false; /* TLS has an end of its own */
    return RC_OK;
}

void stream_close(struct stream *s, struct deadline d)
{
    if (s->ops == NULL)
        return;
    /* Our own verdict on what the peer sent must still reach it. */
    if (s->broken == RC_PROTOCOL)
        s->broken = RC_OK;
    enum rc rc = stream_flush(s, d);
    s->ops->close(s->ctx, rc == RC_RESET);
    s->ops = NULL;
    stream_fail(s, RC_CLOSED);
}

void stream_abort(struct stream *s)
{
    if (s->ops == NULL)
        return;
    s->ops->close(s->ctx, true);
    s->ops = NULL;
    stream_fail(s, RC_CLOSED);
}
