/* net/smtp_server*.c: dialogues as scripts (tests/support/script_stream.h), what the owner heard, and how the session ended.
 * Each runs with the input cut into pieces of several sizes. Long because the dialogues stand beside what runs them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "net/memory_stream.h"
#include "net/smtp_server.h"
#include "net/tls_session.h"
#include "tests/support/script_stream.h"

/* Stands in for the TLS floor: what follows is the same script. */
static struct script_stream script;
static uint64_t handshake_left_ms;
enum rc tls_session_start(struct stream *s, struct tls_params *p, struct deadline d)
{
    bool failing;
    handshake_left_ms = deadline_left_ms(d);
    if (!script_stream_tls(&script, &failing) || failing) {
        p->facts->cause = TLS_CAUSE_CLOSED;
        return RC_TLS;
    }
    s->tls = (struct tls_session *)&script;
    return RC_OK;
}

enum tls_cause tls_late_cause(const struct stream *s)
{
    return s->tls != NULL ? TLS_CAUSE_CLOSED_AFTER_TICKET : TLS_CAUSE_NONE;
}

/* An owner that writes down what it hears. By the local part: "no" is refused, "later" waits, "shut" closes. */
struct owner {
    char text[8192];
    struct strbuf log;
    enum smtp_line_ends line_ends;
    enum rc write_rc;
    uint64_t bytes;
    unsigned recipients;
    bool quiet, in_data;
};
static struct owner owner;

static void judge(const struct smtp_address *a, const char *enhanced, struct smtp_answer *answer)
{
    if (strcmp(a->local, "no") == 0)
        smtp_answer(answer, 550, "5.7.1", "not here");
    else if (strcmp(a->local, "later") == 0)
        smtp_answer(answer, 451, "4.7.1", "later");
    else if (strcmp(a->local, "nonsense") == 0)
        smtp_answer(answer, 70, enhanced, "ok");
    else if (strcmp(a->local, "nothing") != 0)
        smtp_answer(answer, 250, enhanced, "ok");
    answer->close = strcmp(a->local, "shut") == 0;
}

static void on_mail(void *ctx, struct smtp_server *s, const struct smtp_server_mail *m, struct smtp_answer *a)
{
    (void)ctx;
    (void)s;
    strbuf_printf(&owner.log, "mail <%s> size=%llu%s%s ret=%c envid=%s\n", m->sender.full, (unsigned long long)m->declared_bytes,
                  m->body == SMTP_BODY_8BITMIME ? " 8bit" : "", m->utf8 ? " utf8" : "", m->ret ? m->ret : '-', m->envid);
    judge(&m->sender, "2.1.0", a);
}

static void on_rcpt(void *ctx, struct smtp_server *s, const struct smtp_server_rcpt *r, struct smtp_answer *a)
{
    (void)ctx;
    (void)s;
    owner.recipients++;
    if (owner.recipients <= 10)
        strbuf_printf(&owner.log, "rcpt <%s> notify=%u orcpt=%s\n", r->address.full, r->notify, r->orcpt);
    judge(&r->address, "2.1.5", a);
}

static void on_data(void *ctx, struct smtp_server *s, struct smtp_answer *a)
{
    (void)ctx;
    strbuf_puts(&owner.log, "data\n");
    owner.in_data = true;
    judge(&s->mail.sender, "", a);
    if (strcmp(s->mail.sender.local, "nodata") == 0)
        smtp_answer(a, 452, "4.3.1", "full");
    else if (a->code == 250)
        smtp_answer(a, 354, "", "go ahead");
}

static enum rc on_write(void *ctx, struct span bytes)
{
    (void)ctx;
    assert_true(owner.in_data);
    owner.bytes += bytes.len;
    if (!owner.quiet)
        strbuf_add(&owner.log, bytes);
    return owner.bytes > 10 ? owner.write_rc : RC_OK;
}

static void on_done(void *ctx, struct smtp_server *s, struct smtp_answer *a)
{
    (void)ctx;
    assert_true(owner.in_data);
    owner.in_data = false;
    strbuf_printf(&owner.log, "done %u\n", s->recipients);
    if (strcmp(s->mail.sender.local, "nodone") != 0)
        smtp_answer(a, strcmp(s->mail.sender.local, "odd") != 0 ? 250 : 600, "2.0.0", "queued");
}

static void on_abort(void *ctx)
{
    (void)ctx;
    owner.in_data = false;
    strbuf_puts(&owner.log, "abort\n");
}

static enum smtp_line_ends on_line_ends(void *ctx)
{
    (void)ctx;
    return owner.line_ends;
}

static void on_auth(void *ctx, struct smtp_server *s, struct span user, struct span password, struct smtp_answer *a)
{
    (void)ctx;
    (void)s;
    strbuf_printf(&owner.log, "auth %.*s %.*s\n", (int)user.len, user.p, (int)password.len, password.p);
    if (span_is(password, "secret"))
        smtp_answer(a, 235, "2.7.0", "welcome");
    else
        smtp_answer(a, 535, "5.7.8", "no");
}

static const struct smtp_server_ops ops = { on_mail, on_rcpt, on_data, on_write, on_done, on_abort, on_line_ends, on_auth };
static struct tls_facts facts;
static struct tls_params tls = { .role = TLS_SERVER, .facts = &facts };
static struct smtp_server server;

static struct smtp_server_params params_for(enum smtp_service service)
{
    return (struct smtp_server_params){
        .service = service,
        .host_name = "mx.test",
        .limits = { .command_ms = 300000,
                    .data_block_ms = 180000,
                    .session_ms = 1800000,
                    .least_bytes_per_s = 100,
                    .grace_ms = 30000,
                    .handshake_ms = 30000,
                    .errors_max = 10,
                    .recipients_max = 100,
                    .idle_commands_max = 20,
                    .size_max = 1000 },
        .ops = &ops,
        .tls = &tls,
    };
}

#define GREETING "< 220 mx.test ESMTP Postern\n"
#define FEATURES "< 250-mx.test\n< 250-PIPELINING\n< 250-8BITMIME\n< 250-SMTPUTF8\n< 250-CHUNKING\n< 250-DSN\n< 250-SIZE 1000\n"
#define LAST_FEATURES "< 250-LIMITS RCPTMAX=100\n< 250 ENHANCEDSTATUSCODES\n"
#define EHLO "> EHLO c.test\n" FEATURES "< 250-STARTTLS\n" LAST_FEATURES
#define EHLO_TLS "> EHLO c.test\n" FEATURES LAST_FEATURES
#define OPEN GREETING EHLO "> MAIL FROM:<a@b.test>\n< 250 2.1.0 ok\n> RCPT TO:<c@d.test>\n< 250 2.1.5 ok\n"
#define HEARD "mail <a@b.test> size=0 ret=- envid=\nrcpt <c@d.test> notify=0 orcpt=\n"
#define DATA OPEN "> DATA\n< 354 go ahead\n"
#define QUIT "> QUIT\n< 221 2.0.0 goodbye\n"
#define BARE_LF_END "< 550 5.6.0 a bare LF in the message: lines end in CRLF\n"
#define BARE_CR_END "< 550 5.6.0 a bare CR in the message: lines end in CRLF\n"

struct dialogue {
    const char *name, *text, *heard;
    enum rc rc;
};

static void run_one(const struct dialogue *d, const struct smtp_server_params *p, size_t chunk)
{
    static struct stream s;
    owner.log = STRBUF(owner.text);
    owner.bytes = owner.recipients = 0;
    owner.in_data = false;
    memset(&facts, 0, sizeof facts);
    script_stream_init(&s, &script, d->text, chunk);
    enum rc rc = smtp_server_run(&server, &s, p);
    if (script_stream_verdict(&script)[0] != '\0')
        fail_msg("%s, chunk %zu: %s", d->name, chunk, script.error);
    if (rc != d->rc)
        fail_msg("%s, chunk %zu: ended with %s", d->name, chunk, rc_name(rc));
    if (strcmp(owner.text, d->heard) != 0)
        fail_msg("%s, chunk %zu: the owner heard\n%s", d->name, chunk, owner.text);
    assert_true(script.closed);
    if (server.tls) /* what the session learnt before it was closed */
        assert_int_equal(facts.cause, TLS_CAUSE_CLOSED_AFTER_TICKET);
}

static void run_all(const struct dialogue *d, size_t count, const struct smtp_server_params *p)
{
    static const size_t chunks[] = { 1, 2, 3, 7, 1000 };
    for (size_t i = 0; i < count; i++)
        for (size_t k = 0; k < sizeof chunks / sizeof chunks[0]; k++)
            run_one(&d[i], p, chunks[k]);
}
#define RUN(dialogues, p) run_all(dialogues, sizeof dialogues / sizeof dialogues[0], p)

static const struct dialogue plain_dialogues[] = {
    { "a mail", DATA "> Subject: x\n> \n> ..dot\n> .\n< 250 2.0.0 queued\n" QUIT, HEARD "data\nSubject: x\r\n\r\n.dot\r\ndone 1\n",
      RC_OK },
    { "HELO and an empty mail",
      GREETING "> helo c.test\n< 250 mx.test\n> mail from: <>\n< 250 2.1.0 ok\n> rcpt to:<postmaster>\n< 250 2.1.5 ok\n> data\n"
               "< 354 go ahead\n> .\n< 250 2.0.0 queued\n" QUIT,
      "mail <> size=0 ret=- envid=\nrcpt <postmaster> notify=0 orcpt=\ndata\ndone 1\n", RC_OK },
    { "pipelined, then another mail and QUIT behind the end of data",
      GREETING EHLO "> MAIL FROM:<a@b.test>\n> RCPT TO:<c@d.test>\n> DATA\n< 250 2.1.0 ok\n< 250 2.1.5 ok\n< 354 go ahead\n"
                    "> x\n> .\n> MAIL FROM:<e@b.test>\n> RCPT TO:<f@d.test>\n> QUIT\n< 250 2.0.0 queued\n< 250 2.1.0 ok\n"
                    "< 250 2.1.5 ok\n< 221 2.0.0 goodbye\n",
      HEARD "data\nx\r\ndone 1\nmail <e@b.test> size=0 ret=- envid=\nrcpt <f@d.test> notify=0 orcpt=\nabort\n", RC_OK },
    { "all parameters",
      GREETING EHLO "> MAIL FROM:<a@b.test> SIZE=1000 BODY=8bitmime SMTPUTF8 RET=HDRS ENVID=QQ+2B1 AUTH=<>\n< 250 2.1.0 ok\n"
                    "> RCPT TO:<\xc3\xb6@d.test> NOTIFY=SUCCESS,DELAY,failure ORCPT=rfc822;x+40y\n< 250 2.1.5 ok\n"
                    "> RCPT TO:<c@d.test> NOTIFY=NEVER\n< 250 2.1.5 ok\n> RSET\n< 250 2.0.0 ok\n" QUIT,
      "mail <a@b.test> size=1000 8bit utf8 ret=H envid=QQ+2B1\nrcpt <\xc3\xb6@d.test> notify=14 orcpt=rfc822;x+40y\n"
      "rcpt <c@d.test> notify=1 orcpt=\nabort\n",
      RC_OK },
    { "an owner whose word is nonsense, or who has none",
      GREETING EHLO "> MAIL FROM:<nonsense@b.test>\n< 451 4.3.0 local error, try again later\n"
                    "> MAIL FROM:<odd@b.test>\n< 250 2.1.0 ok\n> RCPT TO:<c@d.test>\n< 250 2.1.5 ok\n"
                    "> RCPT TO:<nothing@d.test>\n< 451 4.3.0 local error, try again later\n"
                    "> RCPT TO:<nonsense@d.test>\n< 451 4.3.0 local error, try again later\n"
                    "> DATA\n< 354 go ahead\n> .\n< 451 4.3.0 local error, try again later\n" QUIT,
      "mail <nonsense@b.test> size=0 ret=- envid=\nmail <odd@b.test> size=0 ret=- envid=\nrcpt <c@d.test> notify=0 orcpt=\n"
      "rcpt <nothing@d.test> notify=0 orcpt=\nrcpt <nonsense@d.test> notify=0 orcpt=\ndata\ndone 1\n",
      RC_OK },
    { "EHLO ends a mail that is under way", OPEN EHLO "> RCPT TO:<c@d.test>\n< 503 5.5.1 say MAIL first\n" QUIT, HEARD "abort\n",
      RC_OK },
    { "bad MAIL",
      GREETING EHLO "> MAIL <a@b.test>\n< 501 5.5.4 FROM: is missing\n"
                    "> MAIL FROM:<a@b.test\n< 501 5.1.7 no closing '>'\n"
                    "> MAIL FROM:<postmaster>\n< 553 5.1.7 the sender address has no domain\n"
                    "> MAIL FROM:<a@b.test> SIZE=1001\n< 552 5.3.4 the message is bigger than this server takes\n"
                    "> MAIL FROM:<a@b.test> SIZE=99999999999999999999\n< 552 5.3.4 the message is bigger than this server takes\n"
                    "> MAIL FROM:<a@b.test> SIZE=x\n< 501 5.5.4 parameter SIZE: SIZE is not a number\n"
                    "> MAIL FROM:<a@b.test> BODY=BINARYMIME\n< 501 5.5.4 parameter BODY: BODY is neither 7BIT nor 8BITMIME\n"
                    "> MAIL FROM:<\xc3\xb6@b.test>\n< 550 5.6.7 a sender beyond ASCII needs SMTPUTF8\n" QUIT,
      "", RC_OK },
    { "bad MAIL parameters",
      GREETING EHLO "> MAIL FROM:<a@b.test> RET=HDRS RET=FULL\n< 501 5.5.4 parameter RET: given twice\n"
                    "> MAIL FROM:<a@b.test> RET=x\n< 501 5.5.4 parameter RET: RET is neither FULL nor HDRS\n"
                    "> MAIL FROM:<a@b.test> FOO=1\n< 555 5.5.4 parameter FOO not recognised\n"
                    "> MAIL FROM:<a@b.test> REQUIRETLS\n< 555 5.5.4 parameter REQUIRETLS not recognised\n"
                    "> MAIL FROM:<a@b.test> =1\n< 501 5.5.4 malformed parameter\n"
                    "> MAIL FROM:<a@b.test> ENVID=a+0D+0Ab\n< 501 5.5.4 parameter ENVID: malformed xtext\n"
                    "> MAIL FROM:<a@b.test> SMTPUTF8=1\n< 501 5.5.4 parameter SMTPUTF8: SMTPUTF8 takes no value\n" QUIT,
      "", RC_OK },
    { "bad ORCPT",
      GREETING EHLO "> MAIL FROM:<a@b.test>\n< 250 2.1.0 ok\n"
                    "> RCPT TO:<c@d.test> ORCPT=;a\n< 501 5.5.4 parameter ORCPT: ORCPT is not TYPE;ADDRESS\n"
                    "> RCPT TO:<c@d.test> ORCPT=rfc822;\n< 501 5.5.4 parameter ORCPT: ORCPT is not TYPE;ADDRESS\n"
                    "> RCPT TO:<c@d.test> ORCPT=x+41;a\n< 501 5.5.4 parameter ORCPT: malformed address type in ORCPT\n"
                    "> RCPT TO:<c@d.test> ORCPT=rfc822;a+7Fb\n< 501 5.5.4 parameter ORCPT: malformed xtext\n" QUIT,
      "mail <a@b.test> size=0 ret=- envid=\nabort\n", RC_OK },
    { "bad RCPT",
      GREETING EHLO "> MAIL FROM:<a@b.test>\n< 250 2.1.0 ok\n"
                    "> RCPT TO:<>\n< 501 5.1.3 the null address takes no mail\n"
                    "> RCPT TO:<a>\n< 501 5.1.3 the address has no domain\n"
                    "> RCPT TO:<\xc3\xb6@b.test>\n< 553 5.6.7 an address beyond ASCII needs SMTPUTF8 on MAIL\n"
                    "> RCPT TO:<c@d.test> NOTIFY=NEVER,DELAY\n< 501 5.5.4 parameter NOTIFY: NOTIFY=NEVER stands alone\n"
                    "> RCPT TO:<c@d.test> NOTIFY=\n< 501 5.5.4 malformed parameter\n"
                    "> RCPT TO:<c@d.test> ORCPT=rfc822\n< 501 5.5.4 parameter ORCPT: ORCPT is not TYPE;ADDRESS\n"
                    "> RCPT TO:<c@d.test> ORCPT=rfc822;a+0Ab\n< 501 5.5.4 parameter ORCPT: malformed xtext\n"
                    "> RCPT FROM:<c@d.test>\n< 501 5.5.4 TO: is missing\n"
                    "> DATA\n< 554 5.5.1 no valid recipients\n" QUIT,
      "mail <a@b.test> size=0 ret=- envid=\nabort\n", RC_OK },
    { "out of order",
      GREETING "> MAIL FROM:<a@b.test>\n< 503 5.5.1 say EHLO first\n> RCPT TO:<c@d.test>\n< 503 5.5.1 say MAIL first\n"
               "> DATA\n< 503 5.5.1 say MAIL first\n> EHLO\n< 501 5.5.4 your name is missing\n" EHLO
               "> MAIL FROM:<a@b.test>\n< 250 2.1.0 ok\n> MAIL FROM:<a@b.test>\n< 503 5.5.1 a mail is under way already\n"
               "> DATA now\n< 501 5.5.4 DATA takes no parameters\n" EHLO QUIT,
      "mail <a@b.test> size=0 ret=- envid=\nabort\n", RC_OK },
    { "small commands",
      GREETING EHLO
      "> NOOP x\n< 250 2.0.0 ok\n> VRFY x\n< 252 2.5.0 send some mail, and it will be tried\n> VRFY\n< 501 5.5.4 VRFY needs an "
      "address\n"
      "> EXPN x\n< 502 5.5.1 EXPN is not offered\n> HELP\n< 214 2.0.0 see RFC 5321\n> FOO\n< 500 5.5.1 command not recognised\n"
      "> \n< 500 5.5.1 command not recognised\n> AUTH PLAIN x\n< 502 5.5.1 AUTH is not offered\n" QUIT,
      "", RC_OK },
    { "the owner refuses",
      GREETING EHLO
      "> MAIL FROM:<no@b.test>\n< 550 5.7.1 not here\n> MAIL FROM:<later@b.test>\n< 451 4.7.1 later\n"
      "> MAIL FROM:<nothing@b.test>\n< 451 4.3.0 local error, try again later\n> MAIL FROM:<a@b.test>\n< 250 2.1.0 ok\n"
      "> RCPT TO:<no@d.test>\n< 550 5.7.1 not here\n> RCPT TO:<later@d.test>\n< 451 4.7.1 later\n> DATA\n"
      "< 554 5.5.1 no valid recipients\n" QUIT,
      "mail <no@b.test> size=0 ret=- envid=\nmail <later@b.test> size=0 ret=- envid=\nmail <nothing@b.test> size=0 ret=- envid=\n"
      "mail <a@b.test> size=0 ret=- envid=\nrcpt <no@d.test> notify=0 orcpt=\nrcpt <later@d.test> notify=0 orcpt=\nabort\n",
      RC_OK },
    { "the owner refuses the data",
      GREETING EHLO "> MAIL FROM:<nodata@b.test>\n< 250 2.1.0 ok\n> RCPT TO:<c@d.test>\n< 250 2.1.5 ok\n> DATA\n< 452 4.3.1 full\n"
                    "> DATA\n< 503 5.5.1 say MAIL first\n" QUIT,
      "mail <nodata@b.test> size=0 ret=- envid=\nrcpt <c@d.test> notify=0 orcpt=\ndata\nabort\n", RC_OK },
    { "the owner forgets to say that it is safe",
      GREETING EHLO
      "> MAIL FROM:<nodone@b.test>\n< 250 2.1.0 ok\n> RCPT TO:<c@d.test>\n< 250 2.1.5 ok\n> DATA\n< 354 go ahead\n> x\n> .\n"
      "< 451 4.3.0 local error, try again later\n" QUIT,
      "mail <nodone@b.test> size=0 ret=- envid=\nrcpt <c@d.test> notify=0 orcpt=\ndata\nx\r\ndone 1\n", RC_OK },
    { "the owner closes", GREETING EHLO "> MAIL FROM:<shut@b.test>\n< 250 2.1.0 ok\n",
      "mail <shut@b.test> size=0 ret=- envid=\nabort\n", RC_REFUSED },
    { "bare LF in a command",
      GREETING ">_EHLO c.test\\n\n< 500 5.5.2 a line must end in CRLF, not in a bare LF\n" EHLO
               ">_NOOP\\nMAIL FROM:<a@b.test>\\r\\n\n< 500 5.5.2 a line must end in CRLF, not in a bare LF\n< 250 2.1.0 ok\n" QUIT,
      "mail <a@b.test> size=0 ret=- envid=\nabort\n", RC_OK },
    { "control characters in a command",
      GREETING "> EHLO a\\rb\n< 500 5.5.2 a control character in the command\n"
               "> EHLO a\\0b\n< 500 5.5.2 a control character in the command\n> EHLO \\xff\n< 500 5.5.2 the command is neither "
               "ASCII nor UTF-8\n" QUIT,
      "", RC_OK },
    { "a browser", GREETING "> POST / HTTP/1.1\n< 554 5.5.1 this is an SMTP server\n> Host: x\n> \n> MAIL FROM:<a@b.test>\n", "",
      RC_PROTOCOL },
    { "cut in DATA", DATA "> x\nclose\n", HEARD "data\nx\r\nabort\n", RC_CLOSED },
    { "reset in DATA", DATA "> x\nreset\n", HEARD "data\nx\r\nabort\n", RC_RESET },
    { "silence in DATA", DATA "> x\ntimeout\n< 421 4.4.2 timeout\n", HEARD "data\nx\r\nabort\n", RC_TIMEOUT },
    { "silence", GREETING EHLO "timeout\n< 421 4.4.2 timeout\n", "", RC_TIMEOUT },
    { "cut before the final LF", DATA "> x\n>_.\\r\nclose\n", HEARD "data\nx\r\nabort\n", RC_CLOSED },
};

static void dialogues(void **state)
{
    (void)state;
    struct smtp_server_params p = params_for(SMTP_SERVICE_MX);
    RUN(plain_dialogues, &p);
}

static const struct dialogue smuggling_dialogues[] = {
    { "LF.LF", DATA ">_x\\r\\ny\\n\n>~.\\nMAIL FROM:<evil@b.test>\\r\\n\n" BARE_LF_END, HEARD "data\nx\r\nyabort\n", RC_PROTOCOL },
    { "CRLF.LF", DATA ">_x\\r\\n.\\n\n>~MAIL FROM:<evil@b.test>\\r\\n\n" BARE_LF_END, HEARD "data\nx\r\nabort\n", RC_PROTOCOL },
    { "LF.CRLF", DATA ">_x\\n\n>~.\\r\\nMAIL FROM:<evil@b.test>\\r\\n\n" BARE_LF_END, HEARD "data\nxabort\n", RC_PROTOCOL },
    { "CR.CRLF", DATA ">_x\\r.\n>~\\r\\nMAIL FROM:<evil@b.test>\\r\\n\n" BARE_CR_END, HEARD "data\nxabort\n", RC_PROTOCOL },
    { "CR.CR", DATA ">_x\\r.\n>~\\rMAIL FROM:<evil@b.test>\\r\\n\n" BARE_CR_END, HEARD "data\nxabort\n", RC_PROTOCOL },
    { "CRLF.CR", DATA ">_x\\r\\n.\\rM\n>~AIL FROM:<evil@b.test>\\r\\n\n" BARE_CR_END, HEARD "data\nx\r\nabort\n", RC_PROTOCOL },
    { "CRLF.CRCRLF", DATA ">_x\\r\\n.\\r\\r\n>~\\nMAIL FROM:<evil@b.test>\\r\\n\n" BARE_CR_END, HEARD "data\nx\r\nabort\n",
      RC_PROTOCOL },
    { "CRLF NUL .CRLF", DATA ">_x\\r\\n\\0\n>~.\\r\\nMAIL FROM:<evil@b.test>\\r\\n\n< 550 5.6.0 a NUL in the message\n",
      HEARD "data\nx\r\nabort\n", RC_PROTOCOL },
};

static void smuggling(void **state)
{
    (void)state;
    struct smtp_server_params p = params_for(SMTP_SERVICE_MX);
    RUN(smuggling_dialogues, &p);
}

static const struct dialogue normalised_dialogues[] = {
    { "LF.LF is data", DATA ">_x\\n.\\nMAIL FROM:<evil@b.test>\\r\\n.\\r\\n\n< 250 2.0.0 queued\n" QUIT,
      HEARD "data\nx\r\n.\r\nMAIL FROM:<evil@b.test>\r\ndone 1\n", RC_OK },
    { "CRLF.LF is data", DATA ">_x\\r\\n.\\nMAIL FROM:<evil@b.test>\\r\\n.\\r\\n\n< 250 2.0.0 queued\n" QUIT,
      HEARD "data\nx\r\n.\r\nMAIL FROM:<evil@b.test>\r\ndone 1\n", RC_OK },
    { "CR.CR is data", DATA ">_x\\r.\\rMAIL FROM:<evil@b.test>\\r\\n.\\r\\n\n< 250 2.0.0 queued\n" QUIT,
      HEARD "data\nx\r\n.\r\nMAIL FROM:<evil@b.test>\r\ndone 1\n", RC_OK },
    { "over BDAT too", OPEN "> BDAT 4 LAST\n>_x\\ny\\r\n< 250 2.0.0 queued\n" QUIT, HEARD "data\nx\r\ny\r\ndone 1\n", RC_OK },
    { "a bare LF in a command stays an error",
      GREETING ">_EHLO c.test\\n\n< 500 5.5.2 a line must end in CRLF, not in a bare LF\n" QUIT, "", RC_OK },
};

static void normalised(void **state)
{
    (void)state;
    struct smtp_server_params p = params_for(SMTP_SERVICE_MX);
    owner.line_ends = SMTP_BARE_NORMALISE;
    RUN(normalised_dialogues, &p);
    owner.line_ends = SMTP_BARE_REJECT;
}

static const struct dialogue bdat_dialogues[] = {
    { "two chunks, split within a line end",
      OPEN "> BDAT 7\n>_..\\r\\n.\\r\\n\n> BDAT 4 LAST\n>_ab\\r\\n\n< 250 2.0.0 chunk taken\n"
           "< 250 2.0.0 queued\n" QUIT,
      HEARD "data\n..\r\n.\r\nab\r\ndone 1\n", RC_OK },
    { "split in CR LF", OPEN "> BDAT 2\n>_a\\r\n> BDAT 2 last\n>_\\nb\n< 250 2.0.0 chunk taken\n< 250 2.0.0 queued\n" QUIT,
      HEARD "data\na\r\nbdone 1\n", RC_OK },
    { "BDAT 0 LAST", OPEN "> BDAT 3\n>_a\\r\\n\n> BDAT 0 LAST\n< 250 2.0.0 chunk taken\n< 250 2.0.0 queued\n" QUIT,
      HEARD "data\na\r\ndone 1\n", RC_OK },
    { "an empty message", OPEN "> BDAT 0 LAST\n< 250 2.0.0 queued\n" QUIT, HEARD "data\ndone 1\n", RC_OK },
    { "bytes that look like commands, in chunks that are refused",
      GREETING EHLO "> BDAT 6\n> NOOP\n< 503 5.5.1 say MAIL first\n"
                    "> MAIL FROM:<a@b.test>\n< 250 2.1.0 ok\n> BDAT 6 LAST\n> QUIT\n< 554 5.5.1 no valid recipients\n" QUIT,
      "mail <a@b.test> size=0 ret=- envid=\nabort\n", RC_OK },
    { "the owner refuses, and later chunks are out of order",
      GREETING EHLO
      "> MAIL FROM:<nodata@b.test>\n> RCPT TO:<c@d.test>\n> BDAT 6\n> QUIT\n> BDAT 6 LAST\n> QUIT\n< 250 2.1.0 ok\n< 250 2.1.5 ok\n"
      "< 452 4.3.1 full\n< 503 5.5.1 say MAIL first\n" QUIT,
      "mail <nodata@b.test> size=0 ret=- envid=\nrcpt <c@d.test> notify=0 orcpt=\ndata\nabort\n", RC_OK },
    { "between chunks",
      OPEN
      "> BDAT 3\n>_a\\r\\n\n< 250 2.0.0 chunk taken\n> NOOP\n< 250 2.0.0 ok\n> DATA\n< 503 5.5.1 BDAT has begun\n"
      "> RCPT TO:<c@d.test>\n< 503 5.5.1 the message has begun\n> MAIL FROM:<c@d.test>\n< 503 5.5.1 a mail is under way already\n"
      "> RSET\n< 250 2.0.0 ok\n> BDAT 0 LAST\n< 503 5.5.1 say MAIL first\n" QUIT,
      HEARD "data\na\r\nabort\n", RC_OK },
    { "too big, said before",
      OPEN "> BDAT 1001 LAST\n>_"
           "12345678901234567890123456789012345678901234567890123456789012345678901234567890"
           "\nclose\n",
      HEARD "abort\n", RC_CLOSED },
    { "far too big", OPEN "> BDAT 99999999 LAST\n>~123\n< 552 5.3.4 the message is bigger than this server takes\n",
      HEARD "abort\n", RC_PROTOCOL },
    { "malformed", OPEN "> BDAT x\n< 501 5.5.4 malformed BDAT\n> QUIT\n", HEARD "abort\n", RC_PROTOCOL },
    { "negative", OPEN "> BDAT -1\n< 501 5.5.4 malformed BDAT\n", HEARD "abort\n", RC_PROTOCOL },
    { "wrong word", OPEN "> BDAT 1 FIRST\n< 501 5.5.4 malformed BDAT\n", HEARD "abort\n", RC_PROTOCOL },
    { "overflow", OPEN "> BDAT 18446744073709551616\n< 501 5.5.4 malformed BDAT\n", HEARD "abort\n", RC_PROTOCOL },
    { "bare LF", OPEN "> BDAT 5 LAST\n>_x\\n\n>~.\\r\\n\n" BARE_LF_END, HEARD "data\nxabort\n", RC_PROTOCOL },
    { "bare CR at the very end", OPEN "> BDAT 2 LAST\n>_x\\r\n" BARE_CR_END, HEARD "data\nxabort\n", RC_PROTOCOL },
    { "bare CR at a seam", OPEN "> BDAT 2\n>_x\\r\n< 250 2.0.0 chunk taken\n> BDAT 1 LAST\n>_y\n" BARE_CR_END,
      HEARD "data\nxabort\n", RC_PROTOCOL },
    { "cut", OPEN "> BDAT 5 LAST\n>_x\nclose\n", HEARD "data\nxabort\n", RC_CLOSED },
};

static void bdat(void **state)
{
    (void)state;
    struct smtp_server_params p = params_for(SMTP_SERVICE_MX);
    RUN(bdat_dialogues, &p);
}

static const struct dialogue tls_dialogues[] = {
    { "STARTTLS forgets all",
      OPEN "> STARTTLS\n< 220 2.0.0 ready to start TLS\ntls\n> RCPT TO:<c@d.test>\n< 503 5.5.1 say MAIL first\n"
           "> MAIL FROM:<a@b.test>\n< 503 5.5.1 say EHLO first\n" EHLO_TLS
           "> STARTTLS\n< 503 5.5.1 TLS is active already\n> RCPT TO:<c@d.test>\n"
           "< 503 5.5.1 say MAIL first\n" QUIT,
      HEARD "abort\n", RC_OK },
    { "injection",
      GREETING EHLO "> STARTTLS\n>~MAIL FROM:<evil@b.test>\\r\\n\n< 554 5.5.0 nothing may follow STARTTLS before the handshake\n",
      "", RC_PROTOCOL },
    { "injection of half a line", GREETING EHLO "> STARTTLS\n>~R\n< 554 5.5.0 nothing may follow STARTTLS before the handshake\n",
      "", RC_PROTOCOL },
    { "with a parameter", GREETING EHLO "> STARTTLS now\n< 501 5.5.4 STARTTLS takes no parameters\n" QUIT, "", RC_OK },
    { "failed handshake", GREETING EHLO "> STARTTLS\n< 220 2.0.0 ready to start TLS\ntls-fail\n", "", RC_TLS },
};

static void starttls(void **state)
{
    (void)state;
    struct smtp_server_params p = params_for(SMTP_SERVICE_MX);
    RUN(tls_dialogues, &p);
    static const struct dialogue without = { "not offered",
                                             GREETING EHLO_TLS "> STARTTLS\n< 502 5.5.1 STARTTLS is not offered\n" QUIT, "",
                                             RC_OK };
    p.tls = NULL;
    run_one(&without, &p, 0);
}

#define SUBMISSION GREETING EHLO "> STARTTLS\n< 220 2.0.0 ready to start TLS\ntls\n"
#define EHLO_AUTH "> EHLO c.test\n" FEATURES "< 250-AUTH PLAIN LOGIN\n" LAST_FEATURES
static const struct dialogue auth_dialogues[] = {
    { "not without TLS", GREETING EHLO "> AUTH PLAIN AHUAc2VjcmV0\n< 538 5.7.11 AUTH needs TLS\n" QUIT, "", RC_OK },
    { "PLAIN",
      SUBMISSION EHLO_AUTH "> AUTH PLAIN AHUAc2VjcmV0\n< 235 2.7.0 welcome\n> AUTH PLAIN AHUAc2VjcmV0\n"
                           "< 503 5.5.1 AUTH is not possible now\n" QUIT,
      "auth u secret\n", RC_OK },
    { "PLAIN, asked", SUBMISSION EHLO_AUTH "> auth plain\n< 334 \n> AHUAc2VjcmV0\n< 235 2.7.0 welcome\n" QUIT, "auth u secret\n",
      RC_OK },
    { "PLAIN for oneself and for another",
      SUBMISSION EHLO_AUTH "> AUTH PLAIN dQB1AHNlY3JldA==\n< 235 2.7.0 welcome\n" EHLO_AUTH QUIT, "auth u secret\n", RC_OK },
    { "PLAIN for another",
      SUBMISSION EHLO_AUTH "> AUTH PLAIN eAB1AHNlY3JldA==\n< 535 5.7.8 acting for another user is not offered\n" QUIT, "", RC_OK },
    { "LOGIN",
      SUBMISSION EHLO_AUTH "> AUTH LOGIN\n< 334 VXNlcm5hbWU6\n> dQ==\n< 334 UGFzc3dvcmQ6\n> c2VjcmV0\n< 235 2.7.0 welcome\n" QUIT,
      "auth u secret\n", RC_OK },
    { "LOGIN, wrong", SUBMISSION EHLO_AUTH "> AUTH LOGIN dQ==\n< 334 UGFzc3dvcmQ6\n> d3Jvbmc=\n< 535 5.7.8 no\n" QUIT,
      "auth u wrong\n", RC_OK },
    { "given up and malformed",
      SUBMISSION EHLO_AUTH
      "> AUTH LOGIN\n< 334 VXNlcm5hbWU6\n> *\n< 501 5.7.0 authentication given up\n"
      "> AUTH PLAIN a\n< 501 5.5.2 malformed credentials\n> AUTH PLAIN dQ==\n< 501 5.5.2 malformed credentials\n"
      "> AUTH CRAM-MD5\n< 504 5.5.4 mechanism not offered\n> AUTH PLAIN =\n< 501 5.5.2 malformed credentials\n" QUIT,
      "", RC_OK },
};

static void auth(void **state)
{
    (void)state;
    struct smtp_server_params p = params_for(SMTP_SERVICE_SUBMISSION);
    RUN(auth_dialogues, &p);
}

static void implicit_tls(void **state)
{
    (void)state;
    static const struct dialogue d[] = {
        { "465", "tls\n" GREETING EHLO_AUTH QUIT, "", RC_OK },
        { "465, failed", "tls-fail\n", "", RC_TLS },
    };
    struct smtp_server_params p = params_for(SMTP_SERVICE_SUBMISSIONS);
    RUN(d, &p);
}

static void before_the_greeting(void **state)
{
    (void)state;
    static const struct dialogue early[] = {
        { "early talker", ">~EHLO c.test\n< 554 5.5.0 you spoke before the greeting\n", "", RC_PROTOCOL },
        { "gone at once", "close\n", "", RC_CLOSED },
    };
    static const struct dialogue busy = { "busy", "< 421 4.3.2 too many sessions, try again later\n", "", RC_BUSY };
    struct smtp_server_params p = params_for(SMTP_SERVICE_MX);
    RUN(early, &p);
    p.busy = true;
    run_one(&busy, &p, 0);
}

/* Without EHLO, whose reply names the limits; the owner's bytes are not written down, for the cut decides how many it gets. */
#define HELO_OPEN "> MAIL FROM:<a@b.test>\n< 250 2.1.0 ok\n> RCPT TO:<c@d.test>\n< 250 2.1.5 ok\n"
#define HELO GREETING "> HELO c.test\n< 250 mx.test\n" HELO_OPEN

static void size_limit(void **state)
{
    (void)state;
    static const struct dialogue d[] = {
        { "too big, then one that just fits",
          HELO "> DATA\n< 354 go ahead\n> 12345678\n> 12345678\n> .\n< 552 5.3.4 the message is bigger than this server "
               "takes\n" HELO_OPEN "> DATA\n< 354 go ahead\n> 12345678\n> 12345\n> .\n< 250 2.0.0 queued\n" QUIT,
          HEARD "data\nabort\n" HEARD "data\ndone 1\n", RC_OK },
        { "dots that stuff do not count", HELO "> DATA\n< 354 go ahead\n> ..2345678\n> ..2345\n> .\n< 250 2.0.0 queued\n" QUIT,
          HEARD "data\ndone 1\n", RC_OK },
        { "BDAT in pieces",
          HELO "> BDAT 9\n>_123456789\n< 250 2.0.0 chunk taken\n> BDAT 9 LAST\n>_123456789\n"
               "< 552 5.3.4 the message is bigger than this server takes\n" QUIT,
          HEARD "data\nabort\n", RC_OK },
        { "a chunk too big ends the mail",
          HELO "> BDAT 18\n>_123456789012345678\n< 552 5.3.4 the message is bigger than this server takes\n"
               "> BDAT 0 LAST\n< 503 5.5.1 say MAIL first\n" QUIT,
          HEARD "abort\n", RC_OK },
    };
    struct smtp_server_params p = params_for(SMTP_SERVICE_MX);
    p.limits.size_max = 17;
    owner.quiet = true;
    RUN(d, &p);
    owner.quiet = false;
}

static void storage_fails(void **state)
{
    (void)state;
    static const struct {
        enum rc rc;
        const char *reply;
    } cases[] = {
        { RC_FULL, "< 452 4.3.1 no room for this message now\n" },
        { RC_REFUSED, "< 554 5.4.6 mail loop: too many Received lines\n" },
        { RC_TOO_LONG, "< 552 5.3.4 the message is bigger than this server takes\n" },
        { RC_INVALID, "< 550 5.6.0 malformed message\n" },
        { RC_IO, "< 451 4.3.0 local error, try again later\n" },
    };
    struct smtp_server_params p = params_for(SMTP_SERVICE_MX);
    owner.quiet = true;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[2048];
        struct strbuf b = STRBUF(text);
        strbuf_printf(&b, "%s> 1234567890\n> QUIT\n> .\n%s%s> BDAT 12\n>_123456789012\n> BDAT 6 LAST\n> QUIT\n%s%s%s",
                      HELO "> DATA\n< 354 go ahead\n", cases[i].reply, HELO_OPEN, cases[i].reply, "< 503 5.5.1 say MAIL first\n",
                      QUIT);
        assert_false(b.overflow);
        const struct dialogue d = { rc_name(cases[i].rc), text, HEARD "data\nabort\n" HEARD "data\nabort\n", RC_OK };
        owner.write_rc = cases[i].rc;
        run_all(&d, 1, &p);
    }
    owner.write_rc = RC_OK;
    owner.quiet = false;
}

static void waits_are_bounded(void **state)
{
    (void)state;
    static const struct dialogue slow = { "too slow",
                                          HELO "> DATA\n< 354 go ahead\ntimeout\n< 421 4.4.2 the data came too slowly\n",
                                          HEARD "data\nabort\n", RC_TOO_SLOW };
    static const struct dialogue idle_chunks = { "idle between chunks",
                                                 HELO "> BDAT 1\n>_x\n< 250 2.0.0 chunk taken\ntimeout\n"
                                                      "< 421 4.4.2 timeout\n",
                                                 HEARD "data\nxabort\n", RC_TIMEOUT };
    static const struct dialogue slow_refused = { "too slow with what is refused already",
                                                  GREETING "> BDAT 500\ntimeout\n< 421 4.4.2 the data came too slowly\n", "",
                                                  RC_TOO_SLOW };
    static const struct dialogue silent = { "silence", GREETING "timeout\n< 421 4.4.2 timeout\n", "", RC_TIMEOUT };
    static const struct dialogue silent_data = { "silence in DATA",
                                                 HELO "> DATA\n< 354 go ahead\n> x\ntimeout\n< 421 4.4.2 timeout\n",
                                                 HEARD "data\nx\r\nabort\n", RC_TIMEOUT };
    static const struct dialogue handshake = { "a handshake that fails",
                                               GREETING EHLO "> STARTTLS\n< 220 2.0.0 ready to start TLS\ntls-fail\n", "", RC_TLS };
    struct smtp_server_params p = params_for(SMTP_SERVICE_MX);
    run_one(&silent, &p, 0);
    assert_in_range(script.wait_ms, 299000, 300000);
    p.limits.session_ms = 5000;
    run_one(&silent, &p, 0);
    assert_in_range(script.wait_ms, 4000, 5000);
    run_one(&idle_chunks, &p, 0);
    assert_in_range(script.wait_ms, 29000, 30100);
    p.limits.grace_ms = 0;
    run_one(&slow, &p, 0);
    run_one(&slow_refused, &p, 0);
    p = params_for(SMTP_SERVICE_MX);
    p.limits.data_block_ms = 3000;
    run_one(&silent_data, &p, 0);
    assert_in_range(script.wait_ms, 2000, 3000);
    p.limits.handshake_ms = 7000;
    run_one(&handshake, &p, 0);
    assert_in_range(handshake_left_ms, 6000, 7000);
}

/* What comes from a generator rather than a script. */
static char flood_text[3 * 1024 * 1024], flood_replies[256 * 1024];
static struct strbuf flood, replies;

static enum rc run_flood(const struct smtp_server_params *p, size_t chunk)
{
    static struct stream s;
    static struct memory_stream m;
    memset(&owner, 0, sizeof owner);
    owner.log = STRBUF(owner.text);
    owner.quiet = true;
    replies = STRBUF(flood_replies);
    assert_false(flood.overflow);
    memory_stream_init(&s, &m, strbuf_span(&flood), &replies);
    m.chunk = chunk;
    return smtp_server_run(&server, &s, p);
}

static unsigned count_replies(const char *start)
{
    unsigned n = 0;
    struct span rest = strbuf_span(&replies), line;
    bool more = true;
    while (span_split(&rest, &more, '\n', &line))
        n += span_starts(line, start);
    return n;
}

static void repeat(const char *text, unsigned times)
{
    for (unsigned i = 0; i < times; i++)
        strbuf_puts(&flood, text);
}

static void ten_thousand_recipients(void **state)
{
    (void)state;
    struct smtp_server_params p = params_for(SMTP_SERVICE_SUBMISSION);
    flood = STRBUF(flood_text);
    strbuf_puts(&flood, "EHLO c.test\r\nMAIL FROM:<a@b.test>\r\n");
    repeat("RCPT TO:<c@d.test>\r\n", 10000);
    strbuf_puts(&flood, "DATA\r\nx\r\n.\r\nQUIT\r\n");
    assert_int_equal(run_flood(&p, 0), RC_PROTOCOL);
    assert_int_equal(owner.recipients, 100);
    assert_int_equal(count_replies("250 2.1.5"), 100);
    assert_int_equal(count_replies("452 4.5.3"), 900);
    assert_int_equal(count_replies("421 4.5.3"), 1);

    flood = STRBUF(flood_text);
    strbuf_puts(&flood, "EHLO c.test\r\nMAIL FROM:<a@b.test>\r\n");
    repeat("RCPT TO:<c@d.test>\r\n", 600);
    strbuf_puts(&flood, "DATA\r\nx\r\n.\r\nQUIT\r\n");
    assert_int_equal(run_flood(&p, 0), RC_OK);
    assert_int_equal(count_replies("452 4.5.3"), 500);
    assert_int_equal(count_replies("250 2.0.0 queued"), 1);
}

static void endless_commands(void **state)
{
    (void)state;
    static const struct {
        const char *command, *reply;
        unsigned times;
    } cases[] = {
        { "NOOP\r\n", "250 2.0.0 ok", 20 },
        { "RSET\r\n", "250 2.0.0 ok", 20 },
        { "HELO x\r\n", "250 mx.test", 20 },
        { "VRFY x\r\n", "252", 20 },
        { "MAIL FROM:<later@b.test>\r\n", "451", 19 },
        { "MAIL FROM:<no@b.test>\r\n", "550", 10 },
        { "MAIL <a@b.test>\r\n", "501", 10 },
        { "RCPT TO:<no@d.test>\r\n", "550", 10 },
        { "RCPT <c@d.test>\r\n", "501", 10 },
        { "HELO\r\n", "501", 10 },
        { "BDAT 0\r\n", "503", 10 },
        { "FOO\r\n", "500", 10 },
        { "\r\n", "500", 10 },
        { "x\n", "500", 10 },
        { "AUTH PLAIN\r\n", "502", 10 },
    };
    struct smtp_server_params p = params_for(SMTP_SERVICE_SUBMISSION);
    static const struct smtp_server_ops no_auth = { on_mail, on_rcpt, on_data, on_write, on_done, on_abort, on_line_ends, NULL };
    p.ops = &no_auth;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        flood = STRBUF(flood_text);
        if (span_starts(span_of(cases[i].command), "MAIL"))
            strbuf_puts(&flood, "HELO x\r\n");
        if (span_starts(span_of(cases[i].command), "RCPT"))
            strbuf_puts(&flood, "HELO x\r\nMAIL FROM:<a@b.test>\r\n");
        repeat(cases[i].command, 100000 / (unsigned)strlen(cases[i].command));
        assert_int_equal(run_flood(&p, i % 2 == 0 ? 1 : 0), RC_PROTOCOL);
        assert_int_equal(count_replies(cases[i].reply), cases[i].times);
        assert_int_equal(count_replies("421 4.7.0"), 1);
    }
}

static void megabyte_lines(void **state)
{
    (void)state;
    struct smtp_server_params p = params_for(SMTP_SERVICE_SUBMISSION);
    flood = STRBUF(flood_text);
    repeat("EHLO 89012345678", 64 * 1024);
    strbuf_puts(&flood, "\r\nEHLO c.test\r\nMAIL FROM:<");
    repeat("1234567890", 200);
    strbuf_puts(&flood, "@b.test>\r\nMAIL FROM:<a@b.test>\r\nRCPT TO:<c@d.test>\r\nDATA\r\n");
    p.limits.size_max = 2 * 1024 * 1024;
    repeat("0123456789abcdef", 64 * 1024);
    strbuf_puts(&flood, "\r\n.\r\nQUIT\r\n");
    assert_int_equal(run_flood(&p, 0), RC_OK);
    assert_int_equal(count_replies("500 5.5.2 line too long"), 1);
    assert_int_equal(count_replies("553 5.1.7 local part too long"), 1);
    assert_int_equal(count_replies("250 2.0.0 queued"), 1);
    assert_int_equal(owner.bytes, 1024 * 1024 + 2);
}

static void endless_message(void **state)
{
    (void)state;
    struct smtp_server_params p = params_for(SMTP_SERVICE_SUBMISSION);
    flood = STRBUF(flood_text);
    strbuf_puts(&flood, "HELO c.test\r\nMAIL FROM:<a@b.test>\r\nRCPT TO:<c@d.test>\r\nDATA\r\n");
    repeat("0123456789abcdef\r\n", 100 * 1024);
    assert_int_equal(run_flood(&p, 0), RC_PROTOCOL);
    assert_int_equal(count_replies("552 5.3.4 the message does not end"), 1);
    assert_true(owner.bytes <= 1000);
}

static void replies_leave_together(void **state)
{
    (void)state;
    struct smtp_server_params p = params_for(SMTP_SERVICE_SUBMISSION);
    flood = STRBUF(flood_text);
    strbuf_puts(&flood, "HELO c.test\r\nNOOP\r\nNOOP\r\nNOOP\r\nQUIT\r\n");
    assert_int_equal(run_flood(&p, 0), RC_OK);
    assert_string_equal(flood_replies,
                        "220 mx.test ESMTP Postern\r\n250 mx.test\r\n250 2.0.0 ok\r\n250 2.0.0 ok\r\n250 2.0.0 ok\r\n"
                        "221 2.0.0 goodbye\r\n");
}

/* RFC 3461 allows 500 characters; what is longer than we keep only informs, and is left out. */
static void long_original_recipients(void **state)
{
    (void)state;
    static const struct {
        unsigned length;
        const char *reply, *heard;
    } cases[] = {
        { 321, "250 2.1.5", "rcpt <c@d.test> notify=0 orcpt=\n" },
        { 500, "250 2.1.5", "rcpt <c@d.test> notify=0 orcpt=\n" },
        { 501, "501 5.5.4", "" },
    };
    struct smtp_server_params p = params_for(SMTP_SERVICE_SUBMISSION);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        flood = STRBUF(flood_text);
        strbuf_puts(&flood, "HELO c.test\r\nMAIL FROM:<a@b.test>\r\nRCPT TO:<c@d.test> ORCPT=rfc822;");
        repeat("a", cases[i].length - 7);
        strbuf_puts(&flood, "\r\nQUIT\r\n");
        assert_int_equal(run_flood(&p, 0), RC_OK);
        assert_int_equal(count_replies(cases[i].reply), 1);
        assert_int_equal(strstr(owner.text, "rcpt") != NULL, cases[i].heard[0] != '\0');
        if (cases[i].heard[0] != '\0')
            assert_non_null(strstr(owner.text, cases[i].heard));
    }
}

static void what_the_owner_sees(void **state)
{
    (void)state;
    static const struct dialogue d = { "a name that forges", GREETING "> HELO a(b)\\xc3\\xb6;\"c\n< 250 mx.test\n" QUIT, "",
                                       RC_OK };
    struct smtp_server_params p = params_for(SMTP_SERVICE_MX);
    run_one(&d, &p, 0);
    assert_string_equal(server.helo, "a?b?????c");
    assert_false(server.esmtp);
    static const struct dialogue good = { "all that a name may hold", GREETING "> HELO [azAZ09-._:]\n< 250 mx.test\n" QUIT, "",
                                          RC_OK };
    run_one(&good, &p, 0);
    assert_string_equal(server.helo, "[azAZ09-._:]");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(dialogues),
        cmocka_unit_test(smuggling),
        cmocka_unit_test(normalised),
        cmocka_unit_test(bdat),
        cmocka_unit_test(starttls),
        cmocka_unit_test(auth),
        cmocka_unit_test(implicit_tls),
        cmocka_unit_test(before_the_greeting),
        cmocka_unit_test(size_limit),
        cmocka_unit_test(storage_fails),
        cmocka_unit_test(waits_are_bounded),
        cmocka_unit_test(ten_thousand_recipients),
        cmocka_unit_test(endless_commands),
        cmocka_unit_test(megabyte_lines),
        cmocka_unit_test(endless_message),
        cmocka_unit_test(replies_leave_together),
        cmocka_unit_test(long_original_recipients),
        cmocka_unit_test(what_the_owner_sees),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
