/* A byte stream that blocks its task, never the box. It stands on TCP (net/tcp.h), on TLS over that (net/tls.h), or on memory
 * (net/memory_stream.h) so that tests and fuzzers drive the same dialogues without a network.
 *
 * A stream has an input buffer (lines) and an output buffer (replies to pipelined commands leave together): output leaves on
 * stream_flush, when the buffer is full, and before a read that would have to wait. One task uses a stream at a time.
 *
 * A read that gives RC_TIMEOUT, RC_CANCELLED or RC_TOO_LONG leaves the stream usable (stream_read_line has then taken the
 * part of the line that had come). RC_CLOSED from a read is the peer's end: it stays, but writes still go through. Any other
 * error, and every error of a write, is final: each later call gives it again, and the stream is only good for
 * stream_close or stream_abort. All calls but init, peek, skip, readable and abort yield. */
#ifndef NET_STREAM_H
#define NET_STREAM_H

#include "hal/base/ipaddr.h"
#include "hal/base/rc.h"
#include "hal/base/strbuf.h"
#include "hal/clock.h"

struct tls_params;

struct stream_ops {
    /* At least one byte into buf and *got > 0 with RC_OK; RC_CLOSED on the peer's orderly end. */
    enum rc (*read)(void *ctx, void *buf, size_t cap, size_t *got, struct deadline d);
    enum rc (*write)(void *ctx, struct span data, struct deadline d); /* all of it */
    /* True when a read would not have to wait: bytes (or an end) are there already. */
    bool (*readable)(void *ctx);
    void (*close)(void *ctx, bool abort); /* idempotent */
};

#define STREAM_IN_BYTES 1024
#define STREAM_OUT_BYTES 1024

struct stream {
    const struct stream_ops *ops;
    void *ctx;
    struct tls_session *tls; /* NULL while in plaintext */
    struct ip_endpoint peer;
    struct ip_endpoint local;
    uint64_t bytes_in, bytes_out; /* payload, since init */
    enum rc broken;               /* the first fatal error, or RC_OK */
    bool ended;                   /* the peer's orderly end was read; writing still works */
    uint16_t in_head, in_len, out_len;
    char in[STREAM_IN_BYTES];
    char out[STREAM_OUT_BYTES];
};

void stream_init(struct stream *s, const struct stream_ops *ops, void *ctx);

/* Reads one line up to and with its LF into *line, without the line end. A line that ended in CRLF sets *bare_lf false, in a
 * lone LF true (the caller decides what that means; bare_lf may be NULL: then a lone LF is RC_PROTOCOL). CRs elsewhere stay in
 * the line. A line longer than line's capacity: the rest is read and dropped up to the LF (bounded by d and by
 * STREAM_LINE_SKIP_MAX), the result is RC_TOO_LONG, *line has its beginning and overflow set, and the stream stays usable; past
 * the bound it is RC_PROTOCOL. d bounds the whole line. RC_CLOSED when the peer ended first. */
enum rc stream_read_line(struct stream *s, struct strbuf *line, bool *bare_lf, struct deadline d) MUST_CHECK;
#define STREAM_LINE_SKIP_MAX (4u * 1024 * 1024)

/* At least one and at most cap bytes. */
enum rc stream_read(struct stream *s, void *buf, size_t cap, size_t *got, struct deadline d) MUST_CHECK;
enum rc stream_read_exact(struct stream *s, void *buf, size_t len, struct deadline d) MUST_CHECK;
/* The same, but takes nothing that comes after these bytes into the buffer here: what stands before a TLS handshake. */
enum rc stream_read_only(struct stream *s, void *buf, size_t len, struct deadline d) MUST_CHECK;
/* Waits until stream_peek shows at least one byte. */
enum rc stream_fill(struct stream *s, struct deadline d) MUST_CHECK;
/* Bytes already buffered here, without waiting: a view until the next call on s. Takes none. */
struct span stream_peek(const struct stream *s);
void stream_skip(struct stream *s, size_t len); /* takes len of the peeked bytes */
/* True if a read would return at once. Never yields. */
bool stream_readable(struct stream *s);

enum rc stream_write(struct stream *s, struct span data, struct deadline d) MUST_CHECK;
enum rc stream_flush(struct stream *s, struct deadline d) MUST_CHECK;

/* Turns s into TLS in place (net/tls.h has params and facts). RC_PROTOCOL if plaintext is still buffered here: nothing that
 * came before the handshake survives it. Flushes first. On error the stream is broken. */
enum rc stream_starttls(struct stream *s, struct tls_params *p, struct deadline d) MUST_CHECK;

/* Orderly end: flush (also after RC_PROTOCOL, so that the reply to it arrives), TLS close_notify, FIN; bounded by d; never
 * fails. Afterwards s is only good for stream_init. Closing twice, or after abort, does nothing. */
void stream_close(struct stream *s, struct deadline d);
void stream_abort(struct stream *s); /* RST, at once. Does not yield. */

#endif
