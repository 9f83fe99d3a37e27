/* net/smtp_client*.c: dialogues with servers of all kinds as scripts (tests/support/script_stream.h). One run is greeting,
 * perhaps STARTTLS, one transaction and QUIT; what came of it is compared as one text. Long because the dialogues stand
 * beside what runs them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "net/smtp_client.h"
#include "net/tls_session.h"
#include "tests/support/script_stream.h"

/* Stands in for the TLS floor: what follows is the same script. */
static struct script_stream script;
enum rc tls_session_start(struct stream *s, struct tls_params *p, struct deadline d)
{
    (void)d;
    bool failing;
    if (!script_stream_tls(&script, &failing) || failing) {
        p->facts->cause = TLS_CAUSE_NOT_TLS;
        return RC_TLS;
    }
    s->tls = (struct tls_session *)&script;
    return RC_OK;
}

static struct stream stream;
static struct smtp_client client;
static struct tls_facts facts;
static struct tls_params tls = { .role = TLS_CLIENT, .facts = &facts };
static uint8_t scratch[SMTP_CLIENT_SCRATCH_BYTES];

struct body {
    struct span text;
    size_t at;
    size_t piece;  /* most bytes a read gives */
    enum rc fault; /* what reads give once half is read, if not RC_OK */
};

static enum rc body_read(void *ctx, void *buf, size_t cap, size_t *got)
{
    struct body *b = ctx;
    if (b->fault != RC_OK && b->at >= b->text.len / 2)
        return b->fault;
    struct span left = span_sub(b->text, b->at, b->piece < cap ? b->piece : cap);
    memcpy(buf, left.p, left.len);
    b->at += left.len;
    *got = left.len;
    return RC_OK;
}

static enum rc body_rewind(void *ctx)
{
    struct body *b = ctx;
    b->at = 0;
    return RC_OK;
}

struct send_case {
    const char *name, *text, *result;
    const char *from, *to; /* NULL: a@b.test and one recipient, c@d.test; to: separated by blanks */
    struct span body;      /* empty: "x\r\n" */
    const char *
        flags; /* 8 body=8BITMIME, u SMTPUTF8, d DSN parameters, f the stored body fails, s size is not known, m more is declared than
                            * there is, l less, E the envelope id injects, O the original recipient does */
};

static bool has_flag(const struct send_case *c, char flag)
{
    return c->flags != NULL && strchr(c->flags, flag) != NULL;
}

static unsigned split_recipients(const struct send_case *c, struct smtp_recipient *r)
{
    unsigned n = 0;
    bool more = true;
    struct span to = span_of(c->to != NULL ? c->to : "c@d.test"), item;
    while (span_split(&to, &more, ' ', &item)) {
        r[n] = (struct smtp_recipient){ .address = item,
                                        .status.result = n % 2 ? DELIVERY_DONE : DELIVERY_BOUNCE }; /* of an earlier try */
        if (has_flag(c, 'd')) {
            r[n].notify = DSN_NOTIFY_SUCCESS | DSN_NOTIFY_DELAY;
            r[n].orcpt = SPAN("rfc822;o@d.test");
        }
        if (has_flag(c, 'O'))
            r[n].orcpt = SPAN("rfc822;o\nRSET");
        n++;
    }
    return n;
}

static void add_status(struct strbuf *out, const struct delivery_status *s)
{
    static const char *const results[] = { "done", "wait", "bounce" };
    static const char *const scopes[] = { "recipient", "message", "host", "domain" };
    strbuf_printf(out, "%s %s %u %u.%u.%u %s\n", results[s->result], scopes[s->scope], s->code, s->enhanced[0], s->enhanced[1],
                  s->enhanced[2], s->text);
}

static enum rc transact(const struct send_case *c, size_t piece, struct strbuf *out)
{
    static struct smtp_recipient r[120];
    struct body body = { .text = c->body.len > 0 ? c->body : SPAN("x\r\n"),
                         .piece = piece,
                         .fault = has_flag(c, 'f') ? RC_IO : RC_OK };
    struct smtp_message m = {
        .sender = span_of(c->from != NULL ? c->from : "a@b.test"),
        .size_bytes = has_flag(c, 's') ? 0 : body.text.len + has_flag(c, 'm') - has_flag(c, 'l'),
        .body = has_flag(c, '8') ? SMTP_BODY_8BITMIME : SMTP_BODY_7BIT,
        .utf8 = has_flag(c, 'u'),
        .read = body_read,
        .rewind = body_rewind,
        .read_ctx = &body,
    };
    if (has_flag(c, 'd')) {
        m.envid = SPAN("Q+2B1");
        m.ret = 'H';
    }
    if (has_flag(c, 'E'))
        m.envid = SPAN("Q\r\nQUIT");
    unsigned count = split_recipients(c, r);
    enum rc rc = smtp_client_send(&client, &m, r, count, scratch, sizeof scratch);
    for (unsigned i = 0; i < count; i++)
        add_status(out, &r[i].status);
    return rc;
}

static void run_send(const struct send_case *c, size_t chunk, size_t piece)
{
    char memory[32 * 1024];
    struct strbuf out = STRBUF(memory);
    script_stream_init(&stream, &script, c->text, chunk);
    enum rc rc = smtp_client_greet(&client, &stream, "box.test");
    if (rc == RC_OK)
        rc = transact(c, piece, &out);
    else
        add_status(&out, &client.status);
    smtp_client_quit(&client);
    strbuf_puts(&out, rc_name(rc));
    if (script_stream_verdict(&script)[0] != '\0')
        fail_msg("%s, chunk %zu, piece %zu: %s", c->name, chunk, piece, script.error);
    if (strcmp(memory, c->result) != 0)
        fail_msg("%s, chunk %zu, piece %zu:\n%s", c->name, chunk, piece, memory);
    assert_true(script.closed);
}

static void run_sends(const struct send_case *c, size_t count)
{
    static const size_t chunks[] = { 1, 2, 3, 7, 1000 };
    for (size_t i = 0; i < count; i++)
        for (size_t k = 0; k < sizeof chunks / sizeof chunks[0]; k++)
            run_send(&c[i], chunks[k], chunks[sizeof chunks / sizeof chunks[0] - 1 - k]);
}
#define RUN(cases) run_sends(cases, sizeof cases / sizeof cases[0])

#define GREET "> 220 mx.test hello\n< EHLO box.test\n"
#define PLAIN GREET "> 250 mx.test\n"
#define PIPE GREET "> 250-mx.test\n> 250 PIPELINING\n"
#define FULL                                                                                                   \
    GREET "> 250-mx.test\n> 250-PIPELINING\n> 250-SIZE 100\n> 250-8BITMIME\n> 250-SMTPUTF8\n> 250-DSN\n> 250 " \
          "ENHANCEDSTATUSCODES\n"
#define CHUNK GREET "> 250-mx.test\n> 250-PIPELINING\n> 250 CHUNKING\n"
#define MAIL "< MAIL FROM:<a@b.test>\n"
#define RCPT "< RCPT TO:<c@d.test>\n"
#define TO_DATA MAIL "> 250 ok\n" RCPT "> 250 ok\n< DATA\n> 354 go\n"
#define SENT TO_DATA "< x\n< .\n"
#define QUIT "< QUIT\n> 221 bye\n"
#define DONE "done message 250 0.0.0 at end of data the server said: 250 taken\n"

static const struct send_case good_cases[] = {
    { .name = "plain", .text = PLAIN SENT "> 250 taken\n" QUIT, .result = DONE "ok" },
    { .name = "HELO", .text = GREET "> 502 what\n< HELO box.test\n> 250 mx\n" SENT "> 250 taken\n" QUIT, .result = DONE "ok" },
    { .name = "long greeting",
      .text = "> 220-mx\n> 220-no spam\n> 220 hello\n< EHLO box.test\n> 250 mx\n" SENT "> 250 taken\n" QUIT,
      .result = DONE "ok" },
    { .name = "pipelined",
      .text = PIPE MAIL RCPT "< DATA\n> 250 ok\n> 250 ok\n> 354 go\n< x\n< .\n> 250 taken\n" QUIT,
      .result = DONE "ok" },
    { .name = "all parameters",
      .flags = "8ud",
      .text = FULL
      "< MAIL FROM:<a@b.test> SIZE=3 BODY=8BITMIME SMTPUTF8 RET=HDRS ENVID=Q+2B1\n"
      "< RCPT TO:<c@d.test> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;o@d.test\n< DATA\n> 250 2.1.0 ok\n> 250 2.1.5 ok\n> 354 go\n"
      "< x\n< .\n> 250 2.0.0 taken\n" QUIT,
      .result = "done message 250 2.0.0 at end of data the server said: 250 2.0.0 taken\nok" },
    { .name = "no DSN, no parameters", .flags = "d", .text = PLAIN SENT "> 250 taken\n" QUIT, .result = DONE "ok" },
    { .name = "null sender",
      .from = "",
      .text = PLAIN "< MAIL FROM:<>\n> 250 ok\n" RCPT "> 250 ok\n< DATA\n> 354 go\n< x\n< .\n> 250 taken\n" QUIT,
      .result = DONE "ok" },
    { .name = "dots",
      .body = SPAN(".\r\n..\r\na.\r\n.b"),
      .text = PLAIN TO_DATA "< ..\n< ...\n< a.\n< ..b\n< .\n> 250 taken\n" QUIT,
      .result = DONE "ok" },
    { .name = "BDAT, byte for byte",
      .body = SPAN(".\r\n.\r\nno end"),
      .text = CHUNK MAIL RCPT "> 250 ok\n> 250 ok\n< BDAT 12 LAST\n<_.\\r\\n.\\r\\nno end\n> 250 taken\n" QUIT,
      .result = DONE "ok" },
    { .name = "size not known: DATA",
      .flags = "s",
      .text = CHUNK MAIL RCPT "< DATA\n> 250 ok\n> 250 ok\n> 354 go\n< x\n< .\n> 250 taken\n" QUIT,
      .result = DONE "ok" },
    { .name = "declared 8BITMIME, but ASCII", .flags = "8u", .text = PLAIN SENT "> 250 taken\n" QUIT, .result = DONE "ok" },
    { .name = "some recipients",
      .to = "c@d.test e@d.test f@d.test",
      .text = PIPE MAIL RCPT
      "< RCPT TO:<e@d.test>\n< RCPT TO:<f@d.test>\n< DATA\n> 250 ok\n> 550 5.1.1 none\n> 450 4.2.0 busy\n> 251 ok\n> 354 go\n"
      "< x\n< .\n> 250 taken\n" QUIT,
      .result = "bounce recipient 550 5.1.1 at RCPT the server said: 550 5.1.1 none\n"
                "wait recipient 450 4.2.0 at RCPT the server said: 450 4.2.0 busy\n" DONE "ok" },
};

static void good(void **state)
{
    (void)state;
    RUN(good_cases);
}

#define LOST_AT(step) "wait host 0 4.4.2 " step ": the server closed the connection (closed)\nclosed"
static const struct send_case refused_cases[] = {
    { .name = "554 greeting",
      .text = "> 554 go away\n" QUIT,
      .result = "wait host 554 0.0.0 at greeting the server said: 554 go away\nrefused" },
    { .name = "450 greeting",
      .text = "> 450 later\n" QUIT,
      .result = "wait host 450 0.0.0 at greeting the server said: 450 later\nrefused" },
    { .name = "421 greeting",
      .text = "> 421 busy\n",
      .result = "wait host 421 0.0.0 at greeting the server said: 421 busy\nrefused" },
    { .name = "250 greeting",
      .text = "> 250 hello\n",
      .result = "wait host 0 4.5.0 at greeting the server broke the protocol: hello\nprotocol" },
    { .name = "no SMTP",
      .text = "> SSH-2.0-x\n",
      .result = "wait host 0 4.5.0 at greeting the server broke the protocol: not an SMTP reply: SSH-2.0-x\nprotocol" },
    { .name = "EHLO 451",
      .text = GREET "> 451 later\n" QUIT,
      .result = "wait host 451 0.0.0 at EHLO the server said: 451 later\nrefused" },
    { .name = "HELO 550",
      .text = GREET "> 500 what\n< HELO box.test\n> 550 no\n" QUIT,
      .result = "wait host 550 0.0.0 at EHLO the server said: 550 no\nrefused" },
    { .name = "MAIL 550",
      .text = PLAIN MAIL "> 550 5.7.1 no\n" QUIT,
      .result = "bounce message 550 5.7.1 at MAIL the server said: 550 5.7.1 no\nok" },
    { .name = "MAIL 451",
      .text = PLAIN MAIL "> 451 later\n" QUIT,
      .result = "wait message 451 0.0.0 at MAIL the server said: 451 later\nok" },
    { .name = "MAIL 421",
      .text = PLAIN MAIL "> 421 later\n",
      .result = "wait host 421 0.0.0 at MAIL the server said: 421 later\nrefused" },
    { .name = "MAIL 354",
      .text = PLAIN MAIL "> 354 go\n",
      .result = "wait host 0 4.5.0 at MAIL the server broke the protocol: go\nprotocol" },
    { .name = "RCPT 550",
      .text = PLAIN MAIL "> 250 ok\n" RCPT "> 550 none\n< RSET\n> 250 ok\n" QUIT,
      .result = "bounce recipient 550 0.0.0 at RCPT the server said: 550 none\nok" },
    { .name = "RCPT 552 is too many",
      .text = PLAIN MAIL "> 250 ok\n" RCPT "> 552 too many\n< RSET\n> 250 ok\n" QUIT,
      .result = "wait recipient 552 0.0.0 at RCPT the server said: 552 too many\nok" },
    { .name = "RCPT 421, in a flight",
      .to = "c@d.test e@d.test",
      .text = PIPE MAIL RCPT "< RCPT TO:<e@d.test>\n< DATA\n> 250 ok\n> 250 ok\n> 421 bye\n",
      .result =
          "wait host 421 0.0.0 at RCPT the server said: 421 bye\nwait host 421 0.0.0 at RCPT the server said: 421 bye\nrefused" },
    { .name = "DATA 451",
      .text = PLAIN MAIL "> 250 ok\n" RCPT "> 250 ok\n< DATA\n> 451 later\n< RSET\n> 250 ok\n" QUIT,
      .result = "wait message 451 0.0.0 at DATA the server said: 451 later\nok" },
    { .name = "DATA 554",
      .text = PLAIN MAIL "> 250 ok\n" RCPT "> 250 ok\n< DATA\n> 554 no\n< RSET\n> 250 ok\n" QUIT,
      .result = "bounce message 554 0.0.0 at DATA the server said: 554 no\nok" },
    { .name = "DATA 250",
      .text = PLAIN MAIL "> 250 ok\n" RCPT "> 250 ok\n< DATA\n> 250 ok\n",
      .result = "wait host 0 4.5.0 at DATA the server broke the protocol: ok\nprotocol" },
    { .name = "end 554",
      .text = PLAIN SENT "> 554 5.7.0 spam\n" QUIT,
      .result = "bounce message 554 5.7.0 at end of data the server said: 554 5.7.0 spam\nok" },
    { .name = "end 451",
      .text = PLAIN SENT "> 451 later\n" QUIT,
      .result = "wait message 451 0.0.0 at end of data the server said: 451 later\nok" },
    { .name = "end 421",
      .text = PLAIN SENT "> 421 later\n",
      .result = "wait host 421 0.0.0 at end of data the server said: 421 later\nrefused" },
    { .name = "end 354",
      .text = PLAIN SENT "> 354 more\n",
      .result = "wait host 0 4.5.0 at end of data the server broke the protocol: more\nprotocol" },
    { .name = "BDAT 554",
      .text = CHUNK MAIL RCPT "> 250 ok\n> 250 ok\n< BDAT 3 LAST\n< x\n> 554 no\n< RSET\n> 250 ok\n" QUIT,
      .result = "bounce message 554 0.0.0 at end of data the server said: 554 no\nok" },
    { .name = "MAIL refused in a flight",
      .text = PIPE MAIL RCPT "< DATA\n> 550 no\n> 503 what\n> 503 what\n" QUIT,
      .result = "bounce message 550 0.0.0 at MAIL the server said: 550 no\nok" },
    { .name = "RCPT 354",
      .text = PLAIN MAIL "> 250 ok\n" RCPT "> 354 go\n",
      .result = "wait host 0 4.5.0 at RCPT the server broke the protocol: go\nprotocol" },
    { .name = "354 to the end of nothing",
      .text = PIPE MAIL RCPT "< DATA\n> 250 ok\n> 550 none\n> 354 go\n< .\n> 354 more\n",
      .result = "bounce recipient 550 0.0.0 at RCPT the server said: 550 none\nprotocol" },
    { .name = "354 without a recipient",
      .text = PIPE MAIL RCPT "< DATA\n> 250 ok\n> 550 none\n> 354 go\n< .\n> 554 none\n" QUIT,
      .result = "bounce recipient 550 0.0.0 at RCPT the server said: 550 none\nok" },
    { .name = "354 after a refused MAIL",
      .text = PIPE MAIL RCPT "< DATA\n> 450 no\n> 503 none\n> 354 go\n< .\n> 250 fine\n" QUIT,
      .result = "wait message 450 0.0.0 at MAIL the server said: 450 no\nok" },
    { .name = "503 to DATA without a recipient",
      .text = PIPE MAIL RCPT "< DATA\n> 250 ok\n> 550 none\n> 503 none\n< RSET\n> 250 ok\n" QUIT,
      .result = "bounce recipient 550 0.0.0 at RCPT the server said: 550 none\nok" },
    { .name = "no BDAT without a recipient",
      .text = CHUNK MAIL RCPT "> 250 ok\n> 550 none\n< RSET\n> 250 ok\n" QUIT,
      .result = "bounce recipient 550 0.0.0 at RCPT the server said: 550 none\nok" },
    { .name = "RSET refused",
      .text = PLAIN MAIL "> 250 ok\n" RCPT "> 550 none\n< RSET\n> 500 what\n",
      .result = "bounce recipient 550 0.0.0 at RCPT the server said: 550 none\nrefused" },
};

static void refused(void **state)
{
    (void)state;
    RUN(refused_cases);
}

static const struct send_case cut_cases[] = {
    { .name = "at greeting", .text = "close\n", .result = LOST_AT("greeting") },
    { .name = "in greeting", .text = ">_220 mx\nclose\n", .result = LOST_AT("greeting") },
    { .name = "greeting never comes",
      .text = "timeout\n",
      .result = "wait host 0 4.4.2 greeting: the server did not answer in time (timeout)\ntimeout" },
    { .name = "at EHLO", .text = GREET "close\n", .result = LOST_AT("EHLO") },
    { .name = "in EHLO", .text = GREET "> 250-mx\nclose\n", .result = LOST_AT("EHLO") },
    { .name = "at MAIL", .text = PLAIN MAIL "close\n", .result = LOST_AT("MAIL") },
    { .name = "at RCPT", .text = PLAIN MAIL "> 250 ok\n" RCPT "close\n", .result = LOST_AT("RCPT") },
    { .name = "at DATA", .text = PLAIN MAIL "> 250 ok\n" RCPT "> 250 ok\n< DATA\nclose\n", .result = LOST_AT("DATA") },
    { .name = "at the end",
      .text = PLAIN SENT "close\n",
      .result = "wait message 0 4.4.2 no reply to the end of the message (closed): it may arrive twice\nclosed" },
    { .name = "reset at the end",
      .text = PLAIN SENT "reset\n",
      .result = "wait message 0 4.4.2 no reply to the end of the message (reset): it may arrive twice\nreset" },
    { .name = "silence at the end",
      .text = PLAIN SENT "timeout\n",
      .result = "wait message 0 4.4.2 no reply to the end of the message (timeout): it may arrive twice\ntimeout" },
    { .name = "silence at the end of BDAT",
      .text = CHUNK MAIL RCPT "> 250 ok\n> 250 ok\n< BDAT 3 LAST\n< x\ntimeout\n",
      .result = "wait message 0 4.4.2 no reply to the end of the message (timeout): it may arrive twice\ntimeout" },
    { .name = "in a flight, some settled",
      .to = "c@d.test e@d.test f@d.test",
      .text = PIPE MAIL RCPT "< RCPT TO:<e@d.test>\n< RCPT TO:<f@d.test>\n< DATA\n> 250 ok\n> 550 none\n> 250 ok\nclose\n",
      .result = "bounce recipient 550 0.0.0 at RCPT the server said: 550 none\n"
                "wait host 0 4.4.2 RCPT: the server closed the connection (closed)\n" LOST_AT("RCPT") },
    { .name = "at QUIT", .text = PLAIN SENT "> 250 taken\n< QUIT\nclose\n", .result = DONE "ok" },
    { .name = "refused before the end",
      .text = PLAIN TO_DATA "> 552 5.3.4 too big\n",
      .result = "bounce message 552 5.3.4 at end of data the server said: 552 5.3.4 too big\nrefused" },
    { .name = "taken before the end",
      .text = PLAIN TO_DATA "> 250 fine\n",
      .result = "wait host 0 4.5.0 at end of data the server broke the protocol: fine\nprotocol" },
    { .name = "closed before the end", .text = PLAIN TO_DATA "close\n", .result = LOST_AT("end of data") },
    { .name = "a reply too many", .text = PLAIN MAIL "> 250 ok\n> 250 ok\n" RCPT "< DATA\nclose\n", .result = LOST_AT("DATA") },
};

static void cut(void **state)
{
    (void)state;
    RUN(cut_cases);
}

#define ALL_BOUNCE(enhanced, why) "bounce message 0 " enhanced " " why "\nok"
static const struct send_case unsendable_cases[] = {
    { .name = "too big",
      .body = SPAN("1234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890\r\n"),
      .text = FULL QUIT,
      .result = ALL_BOUNCE("5.3.4", "the message is bigger than the server takes") },
    { .name = "8-bit",
      .flags = "8",
      .body = SPAN("\xc3\xb6\r\n"),
      .text = PLAIN QUIT,
      .result = ALL_BOUNCE("5.6.3", "the message has 8-bit content, and the server does not offer 8BITMIME") },
    { .name = "UTF-8",
      .flags = "u",
      .body = SPAN("Subject: \xc3\xb6\r\n"),
      .text = PLAIN QUIT,
      .result = ALL_BOUNCE("5.6.7", "the message needs SMTPUTF8, which the server does not offer") },
    { .name = "UTF-8 sender",
      .flags = "u",
      .from = "\xc3\xb6@b.test",
      .text = PLAIN QUIT,
      .result = ALL_BOUNCE("5.6.7", "the sender address needs SMTPUTF8, which the server does not offer") },
    { .name = "UTF-8 recipient beside another",
      .flags = "u",
      .to = "\xc3\xb6@d.test c@d.test",
      .text = PLAIN SENT "> 250 taken\n" QUIT,
      .result = "bounce recipient 0 5.6.7 the recipient address needs SMTPUTF8, which the server does not offer\n" DONE "ok" },
    { .name = "an address that injects",
      .to = "c@d.test>\r\nRCPT c@d.test e@d.test\n",
      .text = PLAIN "< MAIL FROM:<a@b.test>\n> 250 ok\n" RCPT "> 250 ok\n< DATA\n> 354 go\n< x\n< .\n> 250 taken\n" QUIT,
      .result = "bounce recipient 0 5.1.3 the recipient address cannot be sent\n" DONE
                "bounce recipient 0 5.1.3 the recipient address cannot be sent\nok" },
    { .name = "a sender that injects",
      .from = "a\r@b.test",
      .text = PLAIN QUIT,
      .result = ALL_BOUNCE("5.1.7", "the sender address cannot be sent") },
    { .name = "DEL in a sender",
      .from = "a\x7f@b.test",
      .text = PLAIN QUIT,
      .result = ALL_BOUNCE("5.1.7", "the sender address cannot be sent") },
    { .name = "an envelope id that injects",
      .flags = "E",
      .text = FULL QUIT,
      .result = ALL_BOUNCE("5.1.7", "the sender address cannot be sent") },
    { .name = "an original recipient that injects",
      .flags = "O",
      .text = FULL QUIT,
      .result = "bounce recipient 0 5.1.3 the recipient address cannot be sent\nok" },
    { .name = "a recipient without a name",
      .to = " c@d.test",
      .text = PLAIN SENT "> 250 taken\n" QUIT,
      .result = "bounce recipient 0 5.1.3 the recipient address cannot be sent\n" DONE "ok" },
};

static void unsendable(void **state)
{
    (void)state;
    RUN(unsendable_cases);
}

/* What breaks off in the middle of a message: how much went out is open, but never an end, and never an orderly close. */
static void run_broken(const char *text, struct span content, const char *flags, const char *result, enum rc expected)
{
    char memory[1024];
    struct strbuf out = STRBUF(memory);
    struct send_case c = { .name = "broken", .text = text, .body = content, .flags = flags };
    script_stream_init(&stream, &script, text, 0);
    assert_int_equal(smtp_client_greet(&client, &stream, "box.test"), RC_OK);
    assert_int_equal(transact(&c, 1000, &out), expected);
    assert_string_equal(memory, result);
    assert_string_equal(script.error, "");
    smtp_client_quit(&client);
    assert_true(script.aborted);
    assert_string_equal(script.error, "");
}

static void never_a_bare_line_end(void **state)
{
    (void)state;
    static const char bounced[] = "bounce message 0 5.6.0 message: the message holds what must not be sent (invalid)\n";
    static const struct span bodies[] = { SPAN("a\nb\r\n"), SPAN("a\rb\r\n"), SPAN("a\r\n.\nb\r\n"),
                                          SPAN("a\r"),      SPAN("\0"),       SPAN("a\r\r\n") };
    for (size_t i = 0; i < sizeof bodies / sizeof bodies[0]; i++) {
        run_broken(PLAIN TO_DATA "<_never sent\n", bodies[i], NULL, bounced, RC_INVALID);
        run_broken(CHUNK MAIL RCPT "> 250 ok\n> 250 ok\n<_never sent\n", bodies[i], NULL, bounced, RC_INVALID);
    }
}

static void the_store_fails(void **state)
{
    (void)state;
    static const char waits[] = "wait message 0 4.3.0 message: the stored message could not be read (io)\n";
    struct span content = SPAN("1234\r\n6789\r\n");
    run_broken(PLAIN TO_DATA "<_never sent\n", content, "f", waits, RC_IO);
    run_broken(CHUNK MAIL RCPT "> 250 ok\n> 250 ok\n<_never sent\n", content, "f", waits, RC_IO);
}

/* BDAT has announced a size: with another one, what follows would be taken for the message or for commands. */
static void the_size_is_another(void **state)
{
    (void)state;
    static const char waits[] = "wait message 0 4.3.0 message: the stored message does not check (corrupt)\n";
    static const char *const flags[] = { "m", "l" };
    for (size_t i = 0; i < 2; i++) {
        run_broken(CHUNK "< MAIL FROM:<a@b.test>*\n" RCPT "> 250 ok\n> 250 ok\n<_never sent\n", SPAN("1234\r\n"), flags[i], waits,
                   RC_CORRUPT);
        run_broken(PLAIN TO_DATA "<_never sent\n", SPAN("1234\r\n"), flags[i], waits, RC_CORRUPT);
    }
}

static void no_control_character_leaves(void **state)
{
    (void)state;
    script_stream_init(&stream, &script, "> 220 mx\n<_never sent\n", 0);
    assert_int_equal(smtp_client_greet(&client, &stream, "box.test\r\nMAIL FROM:<>"), RC_INVALID);
    assert_string_equal(script.error, "");
    assert_true(script.aborted);
}

static void flights_are_bounded(void **state)
{
    (void)state;
    static char text[64 * 1024], to[8 * 1024], result[32 * 1024];
    struct strbuf t = STRBUF(text), r = STRBUF(to), e = STRBUF(result);
    strbuf_puts(&t, PIPE MAIL);
    unsigned in_flight = 1, replies = 0;
    for (unsigned i = 0; i < 110; i++) {
        strbuf_printf(&r, "%su%u@d.test", i ? " " : "", i);
        strbuf_printf(&t, "< RCPT TO:<u%u@d.test>\n", i);
        strbuf_puts(&e, DONE);
        if (++in_flight == 50)
            for (; in_flight > 0; in_flight--, replies++)
                strbuf_puts(&t, "> 250 ok\n");
    }
    strbuf_puts(&t, "< DATA\n");
    for (; in_flight > 0; in_flight--)
        strbuf_puts(&t, "> 250 ok\n");
    strbuf_puts(&t, "> 354 go\n< x\n< .\n> 250 taken\n" QUIT);
    strbuf_puts(&e, "ok");
    assert_false(t.overflow || r.overflow || e.overflow);
    const struct send_case c = { .name = "110 recipients", .text = text, .to = to, .result = result };
    run_send(&c, 1000, 1000);
    run_send(&c, 1, 1);
}

static void greet_on(const char *text, size_t chunk)
{
    memset(&facts, 0, sizeof facts);
    script_stream_init(&stream, &script, text, chunk);
    assert_int_equal(smtp_client_greet(&client, &stream, "box.test"), RC_OK);
}

static void followed(void)
{
    if (script_stream_verdict(&script)[0] != '\0')
        fail_msg("%s", script.error);
}

static void extensions(void **state)
{
    (void)state;
    greet_on(GREET
             "> 250-STARTTLS greets you\n> 250-SIZE 12345\n> 250-auth=LOGIN\n> 250-AUTH CRAM-MD5 plain\n> 250-XCLIENT NAME ADDR\n"
             "> 250-starttls\n> 250-8BITMIMEX\n> 250 REQUIRETLS\n",
             3);
    assert_int_equal(client.extensions,
                     SMTP_SIZE | SMTP_AUTH_LOGIN | SMTP_AUTH_PLAIN | SMTP_XCLIENT | SMTP_STARTTLS | SMTP_REQUIRETLS);
    assert_int_equal(client.size_max, 12345);
    assert_string_equal(client.greeting, "mx.test hello");
    greet_on(GREET "> 250 STARTTLS\n", 0);
    assert_int_equal(client.extensions, 0);
    greet_on(GREET "> 250-mx\n> 250 SIZE\n", 0);
    assert_int_equal(client.extensions, SMTP_SIZE);
    assert_int_equal(client.size_max, 0);
    static const struct {
        const char *line;
        bool stripped;
    } fillers[] = {
        { "XXXXXXXX", true },  { "XXXXXXXA", true }, { "xxxx", true }, { "********", true }, { "XXXXXXXX x", true },
        { "XFORWARD", false }, { "XCLIENT", false }, { "XXX", false }, { "X-EXPS", false },  { "XXXXXXAA", false },
    };
    for (size_t i = 0; i < sizeof fillers / sizeof fillers[0]; i++) {
        char text[128];
        struct strbuf b = STRBUF(text);
        strbuf_printf(&b, GREET "> 250-mx\n> 250-%s\n> 250 HELP\n", fillers[i].line);
        /* A "*" at a script's line end is only a wildcard in what is expected. */
        greet_on(text, 0);
        assert_int_equal((client.extensions & SMTP_STRIPPED) != 0, fillers[i].stripped);
    }
}

#define OFFER GREET "> 250-mx.test\n> 250-SIZE 5\n> 250 STARTTLS\n< STARTTLS\n"
static void starttls(void **state)
{
    (void)state;
    static const size_t chunks[] = { 1, 2, 3, 7, 1000 };
    for (size_t k = 0; k < sizeof chunks / sizeof chunks[0]; k++) {
        greet_on(OFFER "> 220 go\ntls\n< EHLO box.test\n> 250-mx\n> 250 PIPELINING\n", chunks[k]);
        assert_int_equal(smtp_client_starttls(&client, &tls), RC_OK);
        assert_true(client.tls);
        assert_int_equal(client.extensions, SMTP_PIPELINING);
        assert_int_equal(client.size_max, 0);
        followed();
    }
}

/* After a handshake that failed, or bytes that somebody put in, the session must carry neither a mail nor a QUIT. */
static void nothing_more_goes_out(void)
{
    const struct send_case c = { .name = "after the end" };
    char memory[512];
    struct strbuf out = STRBUF(memory);
    assert_int_equal(transact(&c, 10, &out), RC_CLOSED);
    smtp_client_quit(&client);
    assert_string_equal(script.error, "");
}

static void starttls_injection(void **state)
{
    (void)state;
    static const char *const texts[] = {
        OFFER "> 220 go\n> 250 fine\n",
        OFFER "> 220 go\n>~x\n",
        OFFER ">_220 go\\r\\n250-mx\\r\\n250 AUTH PLAIN\\r\\n\n",
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        for (size_t chunk = 0; chunk < 12; chunk++) {
            greet_on(texts[i], chunk);
            assert_int_equal(smtp_client_starttls(&client, &tls), RC_PROTOCOL);
            assert_false(client.tls);
            assert_int_equal(client.status.scope, SCOPE_HOST);
            assert_string_equal(client.status.text, "STARTTLS: plaintext came after the 220 reply");
            nothing_more_goes_out();
        }
}

static void starttls_refused(void **state)
{
    (void)state;
    greet_on(OFFER "> 454 4.7.0 not now\n" QUIT, 0);
    assert_int_equal(smtp_client_starttls(&client, &tls), RC_REFUSED);
    assert_int_equal(client.status.scope, SCOPE_MESSAGE);
    assert_int_equal(client.status.code, 454);
    smtp_client_quit(&client);
    followed();

    greet_on(OFFER "> 421 bye\n", 0);
    assert_int_equal(smtp_client_starttls(&client, &tls), RC_REFUSED);
    assert_int_equal(client.status.scope, SCOPE_HOST);
    smtp_client_quit(&client);
    followed();

    greet_on(PLAIN QUIT, 0);
    assert_int_equal(smtp_client_starttls(&client, &tls), RC_REFUSED);
    assert_string_equal(client.status.text, "the server does not offer STARTTLS");
    smtp_client_quit(&client);
    followed();

    greet_on(OFFER "> 250 fine\n", 0);
    assert_int_equal(smtp_client_starttls(&client, &tls), RC_PROTOCOL);
    greet_on(OFFER "> garbage\n", 0);
    assert_int_equal(smtp_client_starttls(&client, &tls), RC_PROTOCOL);
    greet_on(OFFER "close\n", 0);
    assert_int_equal(smtp_client_starttls(&client, &tls), RC_CLOSED);
}

static void handshake_fails(void **state)
{
    (void)state;
    greet_on(OFFER "> 220 go\ntls-fail\n", 0);
    assert_int_equal(smtp_client_starttls(&client, &tls), RC_TLS);
    assert_int_equal(client.status.result, DELIVERY_WAIT);
    assert_int_equal(client.status.scope, SCOPE_HOST);
    assert_int_equal(client.status.enhanced[1], 7);
    nothing_more_goes_out();
    followed();
}

#define SECURE(auth) OFFER "> 220 go\ntls\n< EHLO box.test\n> 250-mx\n> 250 " auth "\n"
static enum rc log_in(const char *text, const char *user, const char *password)
{
    greet_on(text, 0);
    assert_int_equal(smtp_client_starttls(&client, &tls), RC_OK);
    enum rc rc = smtp_client_auth(&client, span_of(user), span_of(password));
    followed();
    return rc;
}

static void auth(void **state)
{
    (void)state;
    assert_int_equal(log_in(SECURE("AUTH LOGIN PLAIN") "< AUTH PLAIN AHUAc2VjcmV0\n> 235 ok\n", "u", "secret"), RC_OK);
    assert_int_equal(
        log_in(SECURE("AUTH LOGIN") "< AUTH LOGIN\n> 334 VXNlcm5hbWU6\n< dQ==\n> 334 UGFzc3dvcmQ6\n< c2VjcmV0\n> 235 ok\n", "u",
               "secret"),
        RC_OK);
    assert_int_equal(log_in(SECURE("AUTH PLAIN") "< AUTH PLAIN AHUAd3Jvbmc=\n> 535 5.7.8 no\n", "u", "wrong"), RC_REFUSED);
    assert_int_equal(client.status.result, DELIVERY_WAIT);
    assert_int_equal(log_in(SECURE("AUTH PLAIN") "< AUTH PLAIN AHUAc2VjcmV0\n> 334 \n", "u", "secret"), RC_PROTOCOL);
    assert_int_equal(log_in(SECURE("AUTH CRAM-MD5"), "u", "secret"), RC_REFUSED);
    static const char sixty[] = "012345678901234567890123456789012345678901234567890123456789";
    assert_int_equal(
        log_in(SECURE("AUTH PLAIN") "< AUTH PLAIN ADAxMjM0NTY3ODkwMTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDEyMzQ"
                                    "1Njc4OQBw\n> 235 ok\n",
               sixty, "p"),
        RC_OK);
    char text[400];
    memset(text, 'x', sizeof text);
    greet_on(SECURE("AUTH PLAIN"), 0);
    assert_int_equal(smtp_client_starttls(&client, &tls), RC_OK);
    assert_int_equal(smtp_client_auth(&client, span_bytes(text, sizeof text), span_bytes(text, sizeof text)), RC_REFUSED);
    assert_int_equal(smtp_client_auth(&client, SPAN("u\0x"), SPAN("secret")), RC_REFUSED);
    assert_int_equal(smtp_client_auth(&client, SPAN("u"), SPAN("secret\0x")), RC_REFUSED);
    followed();
    greet_on(GREET "> 250-mx\n> 250 AUTH PLAIN\n", 0);
    assert_int_equal(smtp_client_auth(&client, SPAN("u"), SPAN("secret")), RC_REFUSED);
    followed();
}

static void xclient(void **state)
{
    (void)state;
    struct smtp_client_origin o = { .peer = { .addr = ip_v4(192, 0, 2, 1) }, .name = "a+b.test", .helo = NULL, .proto = "ESMTP" };
    greet_on(GREET "> 250-mx\n> 250 XCLIENT NAME ADDR PROTO HELO PORT\n< XCLIENT ADDR=192.0.2.1 NAME=a+2Bb.test PROTO=ESMTP "
                   "HELO=[UNAVAILABLE]\n> 220 again\n< EHLO box.test\n> 250-mx\n> 250 SIZE 7\n",
             0);
    assert_int_equal(smtp_client_xclient(&client, &o), RC_OK);
    assert_int_equal(client.extensions, SMTP_SIZE);
    followed();
    greet_on(GREET "> 250-mx\n> 250 XCLIENT NAME ADDR\n< XCLIENT ADDR=IPV6:2001:db8::1 NAME=a+2Bb.test\n> 550 no\n", 0);
    o.peer.addr = (struct ip_addr_any){ IP_V6, { 0x20, 0x01, 0x0d, 0xb8, [15] = 1 } };
    assert_int_equal(smtp_client_xclient(&client, &o), RC_REFUSED);
    followed();
    greet_on(PLAIN, 0);
    assert_int_equal(smtp_client_xclient(&client, &o), RC_REFUSED);
}

static void after_a_dead_session(void **state)
{
    (void)state;
    const struct send_case c = { .name = "dead" };
    char memory[512];
    struct strbuf out = STRBUF(memory);
    greet_on(OFFER "> 421 bye\n", 0);
    assert_int_equal(smtp_client_starttls(&client, &tls), RC_REFUSED);
    assert_int_equal(transact(&c, 10, &out), RC_CLOSED);
    assert_string_equal(memory, "wait host 421 0.0.0 at STARTTLS the server said: 421 bye\n");
    followed();
}

/* Little patience ends where it would make a second copy. */
static void the_end_has_its_time(void **state)
{
    (void)state;
    const struct send_case c = { .name = "hurried" };
    char memory[512];
    struct strbuf out = STRBUF(memory);
    memset(&client, 0, sizeof client);
    client.most_ms = 7000;
    script_stream_init(&stream, &script, PLAIN SENT "timeout\n", 0);
    assert_int_equal(smtp_client_greet(&client, &stream, "box.test"), RC_OK);
    assert_int_equal(client.step.at_ms - clock_ms(), 7000);
    assert_int_equal(transact(&c, 10, &out), RC_TIMEOUT);
    assert_int_equal(client.step.at_ms - clock_ms(), SMTP_CLIENT_DATA_DONE_MS);
}

static void a_second_transaction(void **state)
{
    (void)state;
    const struct send_case c = { .name = "two" };
    char memory[512];
    struct strbuf out = STRBUF(memory);
    greet_on(PLAIN SENT "> 250 taken\n" SENT "> 250 taken\n" QUIT, 0);
    assert_int_equal(transact(&c, 10, &out), RC_OK);
    assert_int_equal(transact(&c, 10, &out), RC_OK);
    smtp_client_quit(&client);
    assert_string_equal(memory, DONE DONE);
    followed();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good),
        cmocka_unit_test(refused),
        cmocka_unit_test(cut),
        cmocka_unit_test(unsendable),
        cmocka_unit_test(never_a_bare_line_end),
        cmocka_unit_test(the_store_fails),
        cmocka_unit_test(the_size_is_another),
        cmocka_unit_test(no_control_character_leaves),
        cmocka_unit_test(flights_are_bounded),
        cmocka_unit_test(extensions),
        cmocka_unit_test(starttls),
        cmocka_unit_test(starttls_injection),
        cmocka_unit_test(starttls_refused),
        cmocka_unit_test(handshake_fails),
        cmocka_unit_test(auth),
        cmocka_unit_test(xclient),
        cmocka_unit_test(after_a_dead_session),
        cmocka_unit_test(the_end_has_its_time),
        cmocka_unit_test(a_second_transaction),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
