/* net/smtp_client_pass.c: a mail that is passed on while it comes in, against servers of all kinds as scripts. What each call gave is
 * compared as one text. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "net/smtp_client.h"
#include "net/tls_session.h"
#include "tests/support/script_stream.h"

enum rc tls_session_start(struct stream *s, struct tls_params *p, struct deadline d)
{
    (void)s;
    (void)p;
    (void)d;
    return RC_TLS;
}

static struct script_stream script;
static struct stream stream;
static struct smtp_client client;

struct pass_case {
    const char *name, *text, *result;
    const char *body; /* NULL: "x\r\n"; pieces are separated by '|' */
    bool extended;    /* with all parameters */
    bool cut;         /* before the end */
};

static enum rc note(struct strbuf *out, const char *step, enum rc rc)
{
    strbuf_printf(out, "%s %s %u\n", step, rc_name(rc), client.reply.code);
    return rc;
}

static enum rc pass_envelope(const struct pass_case *c, struct strbuf *out)
{
    struct smtp_message m = { .sender = SPAN("a@b.test") };
    struct smtp_recipient r = { .address = SPAN("c@d.test") };
    if (c->extended) {
        m = (struct smtp_message){
            .sender = m.sender, .size_bytes = 9, .body = SMTP_BODY_8BITMIME, .utf8 = true, .envid = SPAN("Q"), .ret = 'F'
        };
        r.notify = DSN_NOTIFY_NEVER;
        r.orcpt = SPAN("rfc822;o@d.test");
    }
    enum rc rc = note(out, "MAIL", smtp_client_pass_mail(&client, &m));
    if (rc == RC_OK && client.reply.code < 400)
        rc = note(out, "RCPT", smtp_client_pass_rcpt(&client, &r));
    return rc;
}

static enum rc pass_body(const struct pass_case *c, struct smtp_stuff *stuff, struct strbuf *out)
{
    struct span rest = span_of(c->body ? c->body : "x\r\n"), piece;
    bool more = true;
    while (span_split(&rest, &more, '|', &piece)) {
        enum rc rc = smtp_client_pass_write(&client, stuff, piece);
        if (rc == RC_OK)
            rc = stream_flush(&stream, deadline_in_ms(1));
        if (rc != RC_OK)
            return note(out, "bytes", rc);
    }
    if (c->cut) {
        smtp_client_cut(&client);
        return RC_CANCELLED;
    }
    return note(out, "end", smtp_client_pass_end(&client, stuff));
}

static void run(const struct pass_case *c, size_t chunk)
{
    char memory[1024];
    struct strbuf out = STRBUF(memory);
    struct smtp_stuff stuff;
    memset(&client, 0, sizeof client);
    script_stream_init(&stream, &script, c->text, chunk);
    enum rc rc = smtp_client_greet(&client, &stream, "box.test");
    if (rc == RC_OK)
        rc = pass_envelope(c, &out);
    if (rc == RC_OK && client.reply.code < 400)
        rc = note(&out, "DATA", smtp_client_pass_data(&client, &stuff));
    if (rc == RC_OK && client.reply.code < 400)
        rc = pass_body(c, &stuff, &out);
    if (rc == RC_OK)
        rc = note(&out, "RSET", smtp_client_pass_reset(&client));
    smtp_client_quit(&client);
    if (script_stream_verdict(&script)[0] != '\0')
        fail_msg("%s, chunk %zu: %s", c->name, chunk, script.error);
    if (strcmp(memory, c->result) != 0)
        fail_msg("%s, chunk %zu:\n%s", c->name, chunk, memory);
    assert_int_equal(script.aborted, c->cut);
}

#define GREET "> 220 mx.test\n< EHLO box.test\n> 250 mx.test\n"
#define MAIL "< MAIL FROM:<a@b.test>\n"
#define RCPT "< RCPT TO:<c@d.test>\n"
#define TO_DATA GREET MAIL "> 250 ok\n" RCPT "> 250 ok\n< DATA\n> 354 go\n"
#define END "< RSET\n> 250 ok\n< QUIT\n> 221 bye\n"
#define YES "MAIL ok 250\nRCPT ok 250\nDATA ok 354\n"

static const struct pass_case cases[] = {
    { .name = "plain", .text = TO_DATA "< x\n< .\n> 250 taken\n" END, .result = YES "end ok 250\nRSET ok 250\n" },
    { .name = "all parameters",
      .extended = true,
      .text = "> 220 mx\n< EHLO box.test\n> 250-mx\n> 250-SIZE\n> 250-8BITMIME\n> 250-SMTPUTF8\n> 250-CHUNKING\n> "
              "250-PIPELINING\n> 250 DSN\n"
              "< MAIL FROM:<a@b.test> SIZE=9 BODY=8BITMIME SMTPUTF8 RET=FULL ENVID=Q\n> 250 ok\n"
              "< RCPT TO:<c@d.test> NOTIFY=NEVER ORCPT=rfc822;o@d.test\n> 250 ok\n< DATA\n> 354 go\n< x\n< .\n> 250 taken\n" END,
      .result = YES "end ok 250\nRSET ok 250\n" },
    { .name = "what is not offered is not said",
      .extended = true,
      .text = TO_DATA "< x\n< .\n> 250 taken\n" END,
      .result = YES "end ok 250\nRSET ok 250\n" },
    { .name = "dots over any cut",
      .body = ".|.\r|\n|..\r\na.\r\n.b",
      .text = TO_DATA "< ...\n< ...\n< a.\n< ..b\n< .\n> 250 taken\n" END,
      .result = YES "end ok 250\nRSET ok 250\n" },
    { .name = "a refused MAIL", .text = GREET MAIL "> 550 no\n" END, .result = "MAIL ok 550\nRSET ok 250\n" },
    { .name = "a refused RCPT",
      .text = GREET MAIL "> 250 ok\n" RCPT "> 450 later\n" END,
      .result = "MAIL ok 250\nRCPT ok 450\nRSET ok 250\n" },
    { .name = "a refused DATA",
      .text = GREET MAIL "> 250 ok\n" RCPT "> 250 ok\n< DATA\n> 554 no\n" END,
      .result = "MAIL ok 250\nRCPT ok 250\nDATA ok 554\nRSET ok 250\n" },
    { .name = "a refused message", .text = TO_DATA "< x\n< .\n> 554 spam\n" END, .result = YES "end ok 554\nRSET ok 250\n" },
    { .name = "421 to MAIL", .text = GREET MAIL "> 421 bye\n", .result = "MAIL refused 421\n" },
    { .name = "354 to RCPT", .text = GREET MAIL "> 250 ok\n" RCPT "> 354 go\n", .result = "MAIL ok 250\nRCPT protocol 354\n" },
    { .name = "250 to DATA",
      .text = GREET MAIL "> 250 ok\n" RCPT "> 250 ok\n< DATA\n> 250 ok\n",
      .result = "MAIL ok 250\nRCPT ok 250\nDATA protocol 250\n" },
    { .name = "354 to the end", .text = TO_DATA "< x\n< .\n> 354 more\n", .result = YES "end protocol 354\n" },
    { .name = "421 to the end", .text = TO_DATA "< x\n< .\n> 421 bye\n", .result = YES "end refused 421\n" },
    { .name = "closed before the end's answer", .text = TO_DATA "< x\n< .\nclose\n", .result = YES "end closed 0\n" },
    { .name = "silent before the end's answer", .text = TO_DATA "< x\n< .\ntimeout\n", .result = YES "end timeout 0\n" },
    { .name = "an answer before the end",
      .body = "x\r\n|y\r\n",
      .text = TO_DATA "< x\n> 552 too much\n",
      .result = YES "bytes refused 552\n" },
    { .name = "a yes before the end",
      .body = "x\r\n|y\r\n",
      .text = TO_DATA "< x\n> 250 fine\n",
      .result = YES "bytes protocol 250\n" },
    { .name = "cut: no end is sent", .cut = true, .text = TO_DATA "< x\n", .result = YES },
    { .name = "RSET refused",
      .text = TO_DATA "< x\n< .\n> 250 ok\n< RSET\n> 500 what\n",
      .result = YES "end ok 250\nRSET protocol 500\n" },
};

static void dialogues(void **state)
{
    static const size_t chunks[] = { 1, 3, 1000 };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        for (size_t k = 0; k < sizeof chunks / sizeof chunks[0]; k++)
            run(&cases[i], chunks[k]);
}

/* A step waits as long as the RFC says, or as most_ms where that is shorter. */
static void patience(void **state)
{
    static const uint32_t most_ms[] = { 0, 7000 }, want_ms[] = { SMTP_CLIENT_COMMAND_MS, 7000 };
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        memset(&client, 0, sizeof client);
        client.most_ms = most_ms[i];
        script_stream_init(&stream, &script, GREET "< RSET\n> 250 ok\n", 0);
        assert_int_equal(smtp_client_greet(&client, &stream, "box.test"), RC_OK);
        assert_int_equal(smtp_client_pass_reset(&client), RC_OK);
        assert_int_equal(client.step.at_ms - clock_ms(), want_ms[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(dialogues), cmocka_unit_test(patience) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
