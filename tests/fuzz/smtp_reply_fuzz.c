/* What a server sends: replies alone, or a whole client session with one mail against it. First byte: bit 7 the session, the
 * rest how many bytes a read gives. */

#include "net/memory_stream.h"
#include "net/smtp_client.h"
#include "tests/fuzz/demand.h"

static const struct deadline never = { UINT64_MAX };

static void check_text(const char *text, size_t cap)
{
    demand(memchr(text, '\0', cap) != NULL);
    for (; *text != '\0'; text++)
        demand(*text >= 0x20 && *text < 0x7f);
}

static void read_replies(struct stream *s)
{
    static struct smtp_reply r;
    while (smtp_reply_read(s, &r, NULL, NULL, never) == RC_OK) {
        demand(r.code >= 200 && r.code <= 599 && r.lines >= 1 && r.lines <= SMTP_REPLY_LINES_MAX);
        demand(r.enhanced[0] == 0 || r.enhanced[0] == r.code / 100);
        check_text(r.text, sizeof r.text);
    }
    demand(r.code == 0);
    check_text(r.text, sizeof r.text);
}

static enum rc read_body(void *ctx, void *buf, size_t cap, size_t *got)
{
    size_t *left = ctx;
    *got = *left < cap ? *left : cap;
    memset(buf, '.', *got);
    *left -= *got;
    return RC_OK;
}

static enum rc rewind_body(void *ctx)
{
    *(size_t *)ctx = 40;
    return RC_OK;
}

static void whole_session(struct stream *s)
{
    static struct smtp_client c;
    static char scratch[SMTP_CLIENT_SCRATCH_BYTES];
    size_t left = 40;
    struct smtp_message m = { .sender = SPAN("a@b.test"),
                              .size_bytes = 40,
                              .body = SMTP_BODY_8BITMIME,
                              .read = read_body,
                              .rewind = rewind_body,
                              .read_ctx = &left };
    struct smtp_recipient r[3] = { { .address = SPAN("c@d.test") },
                                   { .address = SPAN("e@d.test") },
                                   { .address = SPAN("f@d.test") } };
    if (smtp_client_greet(&c, s, "box.test") == RC_OK) {
        enum rc rc = smtp_client_send(&c, &m, r, 3, scratch, sizeof scratch);
        demand(rc == RC_OK || c.dead);
        for (size_t i = 0; i < 3; i++) {
            demand(r[i].status.text[0] != '\0');
            check_text(r[i].status.text, sizeof r[i].status.text);
            demand(r[i].status.result != DELIVERY_DONE || strstr(r[i].status.text, "end of data") != NULL);
        }
    } else {
        demand(c.status.result == DELIVERY_WAIT && c.status.scope == SCOPE_HOST && c.status.text[0] != '\0');
    }
    check_text(c.greeting, sizeof c.greeting);
    smtp_client_quit(&c);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct stream s;
    struct memory_stream m;
    if (size == 0)
        return 0;
    memory_stream_init(&s, &m, span_bytes(data + 1, size - 1), NULL);
    m.chunk = data[0] & 0x7f;
    if (data[0] & 0x80)
        whole_session(&s);
    else
        read_replies(&s);
    return 0;
}
