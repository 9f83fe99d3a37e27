/* SMTP replies as a client reads them (RFC 5321 4.2, RFC 2034). */
#ifndef NET_SMTP_REPLY_H
#define NET_SMTP_REPLY_H

#include "net/stream.h"

#define SMTP_REPLY_TEXT_MAX 512
#define SMTP_REPLY_LINES_MAX 100
#define SMTP_REPLY_LINE_MAX 600 /* kept of one line: RFC 5321 4.5.3.1.5 allows 512; the rest of a longer one is dropped */

struct smtp_reply {
    uint16_t code;       /* 200..599 */
    uint8_t enhanced[3]; /* 0.0.0 when there is none, or when its class differs from the code's */
    bool truncated;
    unsigned lines;
    char text[SMTP_REPLY_TEXT_MAX]; /* printable, lines joined by " / ", codes left out */
};

/* Called for each line of a multiline reply with the text after the code: how EHLO's keywords are read. */
typedef void (*smtp_reply_line)(void *ctx, struct span text, bool last);

/* Reads one complete, possibly multiline reply; d bounds the whole of it, not each line. RC_PROTOCOL: bad code, codes that differ
 * between lines, more than SMTP_REPLY_LINES_MAX lines, bare LF. On any error *reply is zeroed but for text, which tells what came.
 * on_line may be NULL. Yields. */
enum rc smtp_reply_read(struct stream *s, struct smtp_reply *reply, smtp_reply_line on_line, void *ctx,
                        struct deadline d) MUST_CHECK;

#endif
