/* What a client sends: a whole server session. It runs twice, with the input cut differently: replies and mails taken must be
 * the same. The owner checks the order in which it is called. First byte: bit 7 normalise, the rest the cut of the second run. */

#include "net/memory_stream.h"
#include "net/smtp_server.h"
#include "tests/fuzz/demand.h"

#define SIZE_MAX_BYTES 300

struct owner {
    enum { IDLE, MAIL, DATA } state;
    enum smtp_line_ends line_ends;
    char mail_text[SIZE_MAX_BYTES + 1], taken_text[64 * 1024];
    struct strbuf mail, taken; /* the message under way, and all that were done */
    char replies_text[256 * 1024];
    struct strbuf replies;
};

static void on_mail(void *ctx, struct smtp_server *s, const struct smtp_server_mail *m, struct smtp_answer *a)
{
    struct owner *o = ctx;
    (void)s;
    demand(o->state == IDLE);
    if (m->sender.local[0] == 'n') {
        smtp_answer(a, 550, "5.7.1", "no");
        return;
    }
    o->state = MAIL;
    smtp_answer(a, 250, "2.1.0", "ok");
}

static void on_rcpt(void *ctx, struct smtp_server *s, const struct smtp_server_rcpt *r, struct smtp_answer *a)
{
    struct owner *o = ctx;
    demand(o->state == MAIL && s->recipients < 3 && !r->address.null && r->address.full[0] != '\0');
    smtp_answer(a, r->address.local[0] == 'n' ? 550 : 250, "", "said");
}

static void on_data(void *ctx, struct smtp_server *s, struct smtp_answer *a)
{
    struct owner *o = ctx;
    demand(o->state == MAIL && s->recipients > 0);
    o->state = DATA;
    o->mail = STRBUF(o->mail_text);
    smtp_answer(a, s->mail.sender.local[0] == 'f' ? 452 : 354, "", "data");
}

static enum rc on_write(void *ctx, struct span bytes)
{
    struct owner *o = ctx;
    demand(o->state == DATA);
    strbuf_add(&o->mail, bytes);
    demand(!o->mail.overflow);
    return RC_OK;
}

/* The promise to everybody downstream. */
static void check_line_ends(struct span mail)
{
    for (size_t i = 0; i < mail.len; i++) {
        demand(mail.p[i] != '\0');
        demand(mail.p[i] != '\n' || (i > 0 && mail.p[i - 1] == '\r'));
        demand(mail.p[i] != '\r' || (i + 1 < mail.len && mail.p[i + 1] == '\n'));
    }
}

static void on_done(void *ctx, struct smtp_server *s, struct smtp_answer *a)
{
    struct owner *o = ctx;
    demand(o->state == DATA && s->recipients > 0);
    o->state = IDLE;
    check_line_ends(strbuf_span(&o->mail));
    strbuf_add(&o->taken, strbuf_span(&o->mail));
    strbuf_puts(&o->taken, "\n--\n");
    smtp_answer(a, 250, "2.0.0", "queued");
}

static void on_abort(void *ctx)
{
    struct owner *o = ctx;
    demand(o->state != IDLE);
    o->state = IDLE;
}

static enum smtp_line_ends on_line_ends(void *ctx)
{
    const struct owner *o = ctx;
    return o->line_ends;
}

static void run(struct owner *o, struct span input, size_t chunk, enum smtp_line_ends line_ends)
{
    static const struct smtp_server_ops ops = { on_mail, on_rcpt, on_data, on_write, on_done, on_abort, on_line_ends, NULL };
    static struct smtp_server server;
    static struct stream s;
    struct memory_stream m;
    const struct smtp_server_params p = {
        .service = SMTP_SERVICE_SUBMISSION,
        .host_name = "mx.test",
        .limits = { .command_ms = 300000,
                    .data_block_ms = 300000,
                    .session_ms = 300000,
                    .errors_max = 10,
                    .recipients_max = 3,
                    .idle_commands_max = 10,
                    .size_max = SIZE_MAX_BYTES },
        .ops = &ops,
        .ctx = o,
    };
    o->state = IDLE;
    o->line_ends = line_ends;
    o->taken = STRBUF(o->taken_text);
    o->replies = STRBUF(o->replies_text);
    memory_stream_init(&s, &m, input, &o->replies);
    m.chunk = chunk;
    demand(smtp_server_run(&server, &s, &p) != RC_TIMEOUT);
    demand(o->state == IDLE && m.closed);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct owner a, b;
    if (size == 0)
        return 0;
    struct span input = span_bytes(data + 1, size - 1);
    enum smtp_line_ends line_ends = data[0] & 0x80 ? SMTP_BARE_NORMALISE : SMTP_BARE_REJECT;
    run(&a, input, 0, line_ends);
    run(&b, input, 1 + (data[0] & 0x7f), line_ends);
    demand(span_eq(strbuf_span(&a.replies), strbuf_span(&b.replies)));
    demand(span_eq(strbuf_span(&a.taken), strbuf_span(&b.taken)));
    return 0;
}
