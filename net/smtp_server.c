/* The dialogue of a session: greeting, command lines, replies, STARTTLS, and the bounds on all of it. What carries mail is
 * in smtp_server_mail.c, AUTH in smtp_server_auth.c, the grammar in smtp_command.c.
 *
 * Invariants: every command gets exactly one reply; replies leave together when commands come together (the stream sees to
 * it); nothing that came before a TLS handshake, in bytes or in state, survives it. */
#include "net/smtp_server_private.h"

#include <string.h>

#include "net/smtp_command.h"

/* How long a refused peer may go on sending so that it gets to read why. */
#define LINGER_MS 2000
#define CLOSE_MS 5000

void(smtp_answer)(struct smtp_answer *a, uint16_t code, const char *enhanced, const char *format, ...)
{
    memset(a, 0, sizeof *a);
    a->code = code;
    struct strbuf e = STRBUF(a->enhanced);
    strbuf_puts(&e, enhanced);
    struct strbuf text = STRBUF(a->text);
    va_list ap;
    va_start(ap, format);
    strbuf_vprintf(&text, format, ap);
    va_end(ap);
}

static struct deadline write_deadline(const struct smtp_server *s)
{
    return deadline_in_ms(s->params->limits.command_ms);
}

enum rc smtp_server_say(struct smtp_server *s, const struct smtp_answer *a)
{
    char memory[SMTP_ANSWER_TEXT_MAX + sizeof a->enhanced + 8];
    struct strbuf line = STRBUF(memory);
    strbuf_printf(&line, "%u %s%s%s", (unsigned)a->code, a->enhanced, a->enhanced[0] != '\0' ? " " : "", a->text);
    for (size_t i = 0; i < line.len; i++)
        if (line.p[i] < 0x20 || line.p[i] >= 0x7f)
            line.p[i] = '?';
    strbuf_puts(&line, "\r\n");
    if (a->close) {
        s->ending = true;
        s->end = s->end != RC_OK ? s->end : RC_REFUSED;
    }
    return stream_write(s->stream, strbuf_span(&line), write_deadline(s));
}

enum rc smtp_server_reply(struct smtp_server *s, uint16_t code, const char *enhanced, const char *text)
{
    smtp_answer(&s->answer, code, enhanced, "%s", text);
    return smtp_server_say(s, &s->answer);
}

enum rc smtp_server_refuse(struct smtp_server *s, uint16_t code, const char *enhanced, const char *text)
{
    s->errors++;
    return smtp_server_reply(s, code, enhanced, text);
}

enum rc smtp_server_last(struct smtp_server *s, enum rc rc, bool linger, uint16_t code, const char *enhanced, const char *text)
{
    s->ending = true;
    s->linger = linger;
    s->end = rc;
    return smtp_server_reply(s, code, enhanced, text);
}

enum rc smtp_server_gone(struct smtp_server *s, enum rc rc)
{
    if (rc == RC_CANCELLED)
        return smtp_server_last(s, rc, false, 421, "4.3.2", PACKED("this service is closing, try again later"));
    if (rc == RC_TOO_SLOW)
        return smtp_server_last(s, rc, false, 421, "4.4.2", PACKED("the data came too slowly"));
    if (rc == RC_TIMEOUT)
        return smtp_server_last(s, rc, false, 421, "4.4.2", "timeout");
    return rc;
}

/* What the least data rate leaves a peer for waiting, whatever time our own flash took in between. */
static uint64_t rate_left_ms(const struct smtp_server *s)
{
    const struct smtp_server_limits *l = &s->params->limits;
    if (l->least_bytes_per_s == 0)
        return UINT64_MAX;
    uint64_t allowed_ms = l->grace_ms + s->data_received * 1000 / l->least_bytes_per_s;
    return allowed_ms > s->data_waited_ms ? allowed_ms - s->data_waited_ms : 0;
}

uint64_t smtp_server_data_rate(const struct smtp_server *s, uint64_t *waited_ms)
{
    *waited_ms = s->data_waited_ms + clock_ms() - s->last_activity_ms;
    return *waited_ms ? s->data_received * 1000 / *waited_ms : UINT64_MAX;
}

struct deadline smtp_server_patience(const struct smtp_server *s, uint32_t ms)
{
    if (!s->in_data)
        return deadline_earlier(deadline_in_ms(ms), s->session);
    uint64_t left_ms = rate_left_ms(s);
    return deadline_in_ms(left_ms < ms ? left_ms : ms);
}

void smtp_server_waited(struct smtp_server *s, uint64_t since_ms)
{
    s->last_activity_ms = clock_ms();
    if (s->in_data)
        s->data_waited_ms += s->last_activity_ms - since_ms;
}

enum rc smtp_server_wait_result(const struct smtp_server *s, enum rc rc)
{
    return rc == RC_TIMEOUT && s->in_data && rate_left_ms(s) == 0 ? RC_TOO_SLOW : rc;
}

enum rc smtp_server_line(struct smtp_server *s, struct span *line)
{
    struct strbuf buf = STRBUF(s->line);
    bool bare_lf = false;
    uint64_t since_ms = clock_ms();
    enum rc rc = stream_read_line(s->stream, &buf, &bare_lf, smtp_server_patience(s, s->params->limits.command_ms));
    *line = (struct span){ NULL, 0 };
    smtp_server_waited(s, since_ms);
    if (rc != RC_OK && rc != RC_TOO_LONG)
        return smtp_server_gone(s, smtp_server_wait_result(s, rc));
    if (bare_lf)
        return smtp_server_refuse(s, 500, "5.5.2", PACKED("a line must end in CRLF, not in a bare LF"));
    if (rc == RC_TOO_LONG)
        return smtp_server_refuse(s, 500, "5.5.2", PACKED("line too long"));
    *line = strbuf_span(&buf);
    return RC_OK;
}

static enum rc ehlo_line(struct smtp_server *s, const char *format, ...)
{
    char memory[DOMAIN_TEXT_MAX + 64];
    struct strbuf line = STRBUF(memory);
    va_list ap;
    va_start(ap, format);
    strbuf_vprintf(&line, format, ap);
    va_end(ap);
    strbuf_puts(&line, "\r\n");
    return line.overflow ? RC_TOO_LONG : stream_write(s->stream, strbuf_span(&line), write_deadline(s));
}
#define ehlo_line(s, ...) ehlo_line(s, PACKED_FORMAT(__VA_ARGS__))

static bool offers_starttls(const struct smtp_server *s)
{
    return s->params->tls != NULL && !s->tls;
}

static enum rc say_extensions(struct smtp_server *s)
{
    static const char plain[] = "250-PIPELINING\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250-CHUNKING\r\n250-DSN";
    const struct smtp_server_limits *l = &s->params->limits;
    enum rc rc = ehlo_line(s, "250-%s", s->params->host_name);
    if (rc == RC_OK)
        rc = ehlo_line(s, "%s", plain);
    if (rc == RC_OK)
        rc = ehlo_line(s, "250-SIZE %llu", (unsigned long long)l->size_max);
    if (rc == RC_OK && offers_starttls(s))
        rc = ehlo_line(s, "250-STARTTLS");
    if (rc == RC_OK && smtp_server_offers_auth(s))
        rc = ehlo_line(s, "250-AUTH PLAIN LOGIN");
    if (rc == RC_OK)
        rc = ehlo_line(s, "250-LIMITS RCPTMAX=%u", l->recipients_max); /* RFC 9422 */
    return rc == RC_OK ? ehlo_line(s, "250 ENHANCEDSTATUSCODES") : rc;
}

static enum rc on_hello(struct smtp_server *s, struct span args, bool esmtp)
{
    if (!smtp_command_helo(args, s->helo, sizeof s->helo, &s->answer)) {
        s->errors++;
        return smtp_server_say(s, &s->answer);
    }
    s->idle_commands++;
    s->esmtp = esmtp;
    smtp_server_reset(s);
    if (esmtp)
        return say_extensions(s);
    return smtp_server_reply(s, 250, "", s->params->host_name);
}

static enum rc on_ehlo(struct smtp_server *s, struct span args)
{
    return on_hello(s, args, true);
}

static enum rc on_helo(struct smtp_server *s, struct span args)
{
    return on_hello(s, args, false);
}

static enum rc shake_hands(struct smtp_server *s)
{
    enum rc rc = stream_starttls(s->stream, s->params->tls, deadline_in_ms(s->params->limits.handshake_ms));
    s->tls = rc == RC_OK;
    s->last_activity_ms = clock_ms();
    return rc;
}

static enum rc on_starttls(struct smtp_server *s, struct span args)
{
    if (s->tls)
        return smtp_server_refuse(s, 503, "5.5.1", PACKED("TLS is active already"));
    if (s->params->tls == NULL)
        return smtp_server_refuse(s, 502, "5.5.1", PACKED("STARTTLS is not offered"));
    if (args.len > 0)
        return smtp_server_refuse(s, 501, "5.5.4", PACKED("STARTTLS takes no parameters"));
    /* Whoever stands between could have put commands there that would be taken for the client's own (CVE-2011-0411). */
    if (stream_readable(s->stream))
        return smtp_server_last(s, RC_PROTOCOL, true, 554, "5.5.0", PACKED("nothing may follow STARTTLS before the handshake"));
    smtp_server_reset(s);
    s->helo[0] = '\0';
    s->esmtp = false;
    s->authenticated = false;
    enum rc rc = smtp_server_reply(s, 220, "2.0.0", PACKED("ready to start TLS"));
    return rc == RC_OK ? shake_hands(s) : rc;
}

static enum rc idle_reply(struct smtp_server *s, uint16_t code, const char *enhanced, const char *text)
{
    s->idle_commands++;
    return smtp_server_reply(s, code, enhanced, text);
}

static enum rc on_noop(struct smtp_server *s, struct span args)
{
    (void)args;
    return idle_reply(s, 250, "2.0.0", "ok");
}

static enum rc on_rset(struct smtp_server *s, struct span args)
{
    (void)args;
    smtp_server_reset(s);
    return idle_reply(s, 250, "2.0.0", "ok");
}

static enum rc on_vrfy(struct smtp_server *s, struct span args)
{
    if (args.len == 0)
        return smtp_server_refuse(s, 501, "5.5.4", PACKED("VRFY needs an address"));
    return idle_reply(s, 252, "2.5.0", "send some mail, and it will be tried");
}

static enum rc on_expn(struct smtp_server *s, struct span args)
{
    (void)args;
    return smtp_server_refuse(s, 502, "5.5.1", PACKED("EXPN is not offered"));
}

static enum rc on_help(struct smtp_server *s, struct span args)
{
    (void)args;
    return idle_reply(s, 214, "2.0.0", "see RFC 5321");
}

static enum rc on_quit(struct smtp_server *s, struct span args)
{
    (void)args;
    return smtp_server_last(s, RC_OK, false, 221, "2.0.0", "goodbye");
}

static enum rc on_unknown(struct smtp_server *s, struct span args)
{
    (void)args;
    return smtp_server_refuse(s, 500, "5.5.1", PACKED("command not recognised"));
}

static enum rc on_foreign(struct smtp_server *s, struct span args)
{
    (void)args;
    return smtp_server_last(s, RC_PROTOCOL, true, 554, "5.5.1", PACKED("this is an SMTP server"));
}

static enum rc (*const handlers[SMTP_VERB_COUNT])(struct smtp_server *s, struct span args) = {
    [SMTP_VERB_UNKNOWN] = on_unknown,    [SMTP_VERB_EHLO] = on_ehlo,          [SMTP_VERB_HELO] = on_helo,
    [SMTP_VERB_MAIL] = smtp_server_mail, [SMTP_VERB_RCPT] = smtp_server_rcpt, [SMTP_VERB_DATA] = smtp_server_data,
    [SMTP_VERB_BDAT] = smtp_server_bdat, [SMTP_VERB_STARTTLS] = on_starttls,  [SMTP_VERB_AUTH] = smtp_server_auth,
    [SMTP_VERB_NOOP] = on_noop,          [SMTP_VERB_RSET] = on_rset,          [SMTP_VERB_VRFY] = on_vrfy,
    [SMTP_VERB_EXPN] = on_expn,          [SMTP_VERB_HELP] = on_help,          [SMTP_VERB_QUIT] = on_quit,
    [SMTP_VERB_FOREIGN] = on_foreign,
};

static enum rc one_command(struct smtp_server *s)
{
    const struct smtp_server_limits *l = &s->params->limits;
    if (s->errors >= l->errors_max)
        return smtp_server_last(s, RC_PROTOCOL, true, 421, "4.7.0", PACKED("too many errors"));
    if (s->idle_commands >= l->idle_commands_max)
        return smtp_server_last(s, RC_PROTOCOL, true, 421, "4.7.0", PACKED("too many commands without a mail"));
    struct span line;
    enum rc rc = smtp_server_line(s, &line);
    if (rc != RC_OK || line.p == NULL)
        return rc;
    struct smtp_command command;
    const char *why;
    if (smtp_command_parse(line, &command, &why) != RC_OK)
        return smtp_server_refuse(s, 500, "5.5.2", why);
    return handlers[command.verb](s, command.args);
}

static enum rc greet(struct smtp_server *s)
{
    if (s->params->busy)
        return smtp_server_last(s, RC_BUSY, false, 421, "4.3.2", PACKED("too many sessions, try again later"));
    /* RFC 5321 section 3.1: a client waits for the greeting. What does not is no mail server. */
    if (s->params->service == SMTP_SERVICE_MX && stream_readable(s->stream)) {
        enum rc rc = stream_fill(s->stream, deadline_in_ms(0));
        if (rc == RC_OK)
            return smtp_server_last(s, RC_PROTOCOL, true, 554, "5.5.0", PACKED("you spoke before the greeting"));
        if (rc != RC_TIMEOUT)
            return rc;
    }
    smtp_answer(&s->answer, 220, "", "%s ESMTP Postern", s->params->host_name);
    return smtp_server_say(s, &s->answer);
}

static enum rc dialogue(struct smtp_server *s)
{
    enum rc rc = RC_OK;
    if (s->params->service == SMTP_SERVICE_SUBMISSIONS)
        rc = s->params->tls != NULL ? shake_hands(s) : RC_UNSUPPORTED;
    if (rc == RC_OK)
        rc = greet(s);
    while (rc == RC_OK && !s->ending)
        rc = one_command(s);
    return s->ending ? s->end : rc;
}

/* Closing with bytes unread sends a reset, which takes the last reply away from who still sends. */
static void linger(struct smtp_server *s)
{
    struct deadline d = deadline_in_ms(LINGER_MS);
    enum rc rc = stream_flush(s->stream, d);
    while (rc == RC_OK) {
        size_t got;
        rc = stream_read(s->stream, s->data, sizeof s->data, &got, d);
    }
}

static struct deadline session_deadline(const struct smtp_server_params *p)
{
    return p->limits.session_ms != 0 ? deadline_in_ms(p->limits.session_ms) : deadline_never();
}

enum rc smtp_server_run(struct smtp_server *s, struct stream *stream, const struct smtp_server_params *p)
{
    memset(s, 0, sizeof *s);
    s->stream = stream;
    s->params = p;
    s->session = session_deadline(p);
    s->last_activity_ms = clock_ms();
    enum rc rc = dialogue(s);
    smtp_server_reset(s);
    if (s->linger)
        linger(s);
    if (s->tls && p->tls->facts->cause == TLS_CAUSE_NONE)
        p->tls->facts->cause = tls_late_cause(stream);
    stream_close(stream, deadline_in_ms(CLOSE_MS));
    return rc;
}
