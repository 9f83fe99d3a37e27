/* A client session: greeting, EHLO or HELO, STARTTLS, QUIT. The transaction is in smtp_client_send.c.
 *
 * Invariant: once c->dead is set (the connection failed, a 421 came, a message was cut short) no command leaves any more, so
 * that nothing of ours can be taken for a part of a message. */
#include "net/smtp_client_private.h"

#include <string.h>

void smtp_client_begin(struct smtp_client *c, uint64_t ms)
{
    c->step = deadline_in_ms(c->most_ms != 0 && c->most_ms < ms ? c->most_ms : ms);
    c->put = c->dead ? RC_CLOSED : RC_OK;
}

void smtp_client_put(struct smtp_client *c, struct span piece)
{
    for (size_t i = 0; i < piece.len && c->put == RC_OK; i++)
        if ((unsigned char)piece.p[i] < 0x20 || piece.p[i] == 0x7f)
            c->put = RC_INVALID;
    if (c->put == RC_OK)
        c->put = stream_write(c->stream, piece, c->step);
}

void smtp_client_puts(struct smtp_client *c, const char *text)
{
    smtp_client_put(c, span_of(text));
}

void smtp_client_put_u64(struct smtp_client *c, uint64_t value)
{
    char memory[24];
    struct strbuf b = STRBUF(memory);
    strbuf_printf(&b, "%llu", (unsigned long long)value);
    smtp_client_put(c, strbuf_span(&b));
}

enum rc smtp_client_end(struct smtp_client *c, const char *step)
{
    if (c->put == RC_OK)
        c->put = stream_write(c->stream, SPAN("\r\n"), c->step);
    return c->put == RC_OK ? RC_OK : smtp_client_lost(c, step, c->put);
}

enum rc smtp_client_lost(struct smtp_client *c, const char *step, enum rc rc)
{
    c->dead = true;
    if (rc == RC_PROTOCOL && c->reply.text[0] != '\0')
        delivery_status_set(&c->status, DELIVERY_WAIT, SCOPE_HOST, 0, "4.5.0", "at %s the server broke the protocol: %s", step,
                            c->reply.text);
    else
        delivery_status_from_rc(&c->status, step, rc);
    /* Our own half-written line, or a message that cannot be finished, must not be closed off in order. */
    if (rc == RC_INVALID)
        stream_abort(c->stream);
    return rc;
}

enum rc smtp_client_cut_short(struct smtp_client *c, enum rc rc)
{
    enum rc out = smtp_client_lost(c, "message", rc);
    stream_abort(c->stream);
    return out;
}

enum rc smtp_client_refused(struct smtp_client *c, const char *step)
{
    if (c->reply.code < 400)
        return smtp_client_lost(c, step, RC_PROTOCOL);
    delivery_status_from_reply(&c->status, step, c->reply.code, c->reply.enhanced, span_of(c->reply.text));
    return RC_REFUSED;
}

static enum rc read_reply(struct smtp_client *c, const char *step, smtp_reply_line on_line, void *ctx)
{
    enum rc rc = smtp_reply_read(c->stream, &c->reply, on_line, ctx, c->step);
    if (rc != RC_OK)
        return smtp_client_lost(c, step, rc);
    if (c->reply.code != 421)
        return RC_OK;
    c->dead = true;
    return smtp_client_refused(c, step);
}

enum rc smtp_client_reply(struct smtp_client *c, const char *step)
{
    return read_reply(c, step, NULL, NULL);
}

enum rc smtp_client_command(struct smtp_client *c, const char *step, const char *line)
{
    smtp_client_begin(c, SMTP_CLIENT_COMMAND_MS);
    smtp_client_puts(c, line);
    enum rc rc = smtp_client_end(c, step);
    return rc == RC_OK ? smtp_client_reply(c, step) : rc;
}

/* A keyword line filled with X, in STARTTLS's place: the mark of a middlebox. Its last letter may differ ("XXXXXXXA"). */
static bool is_filler(struct span word)
{
    if (word.len < 4 || (word.p[0] != 'X' && word.p[0] != 'x' && word.p[0] != '*'))
        return false;
    for (size_t i = 1; i + 1 < word.len; i++)
        if (word.p[i] != word.p[0])
            return false;
    return true;
}

static void take_words(struct smtp_client *c, struct span args, void (*take)(struct smtp_client *c, struct span word))
{
    bool more = true;
    struct span word;
    while (span_split(&args, &more, ' ', &word))
        take(c, word);
}

static void take_mechanism(struct smtp_client *c, struct span word)
{
    if (span_is_nocase(word, "PLAIN"))
        c->extensions |= SMTP_AUTH_PLAIN;
    if (span_is_nocase(word, "LOGIN"))
        c->extensions |= SMTP_AUTH_LOGIN;
}

static void take_attribute(struct smtp_client *c, struct span word)
{
    static const struct {
        const char *word;
        uint8_t bit;
    } attributes[] = {
        { "ADDR", XCLIENT_ADDR },
        { "NAME", XCLIENT_NAME },
        { "PROTO", XCLIENT_PROTO },
        { "HELO", XCLIENT_HELO },
    };
    for (size_t i = 0; i < sizeof attributes / sizeof attributes[0]; i++)
        if (span_is_nocase(word, attributes[i].word))
            c->xclient |= attributes[i].bit;
}

static void take_extension(struct smtp_client *c, struct span text)
{
    static const struct {
        const char *word;
        uint32_t bit;
    } plain[] = {
        { "STARTTLS", SMTP_STARTTLS }, { "PIPELINING", SMTP_PIPELINING },
        { "SIZE", SMTP_SIZE },         { "8BITMIME", SMTP_8BITMIME },
        { "SMTPUTF8", SMTP_SMTPUTF8 }, { "CHUNKING", SMTP_CHUNKING },
        { "DSN", SMTP_DSN },           { "ENHANCEDSTATUSCODES", SMTP_ENHANCED },
        { "XCLIENT", SMTP_XCLIENT },   { "REQUIRETLS", SMTP_REQUIRETLS },
    };
    size_t end = 0;
    while (end < text.len && text.p[end] != ' ' && text.p[end] != '=') /* "AUTH=LOGIN": older than RFC 4954 */
        end++;
    struct span word = span_sub(text, 0, end), args = span_trim(span_from(text, end + 1));
    for (size_t i = 0; i < sizeof plain / sizeof plain[0]; i++)
        if (span_is_nocase(word, plain[i].word))
            c->extensions |= plain[i].bit;
    if (span_is_nocase(word, "SIZE") && !span_to_u64(args, &c->size_max))
        c->size_max = 0;
    if (span_is_nocase(word, "AUTH"))
        take_words(c, args, take_mechanism);
    if (span_is_nocase(word, "XCLIENT"))
        take_words(c, args, take_attribute);
    if (is_filler(word))
        c->extensions |= SMTP_STRIPPED;
}

struct hello_lines {
    struct smtp_client *c;
    unsigned count;
};

static void on_hello_line(void *ctx, struct span text, bool last)
{
    struct hello_lines *h = ctx;
    (void)last;
    if (h->count++ > 0) /* the first line is the server's name */
        take_extension(h->c, text);
}

static enum rc say_hello(struct smtp_client *c, const char *verb, smtp_reply_line on_line, void *ctx)
{
    c->extensions = 0;
    c->size_max = 0;
    c->xclient = 0;
    smtp_client_begin(c, SMTP_CLIENT_COMMAND_MS);
    smtp_client_puts(c, verb);
    smtp_client_puts(c, c->helo);
    enum rc rc = smtp_client_end(c, "EHLO");
    return rc == RC_OK ? read_reply(c, "EHLO", on_line, ctx) : rc;
}

enum rc smtp_client_hello(struct smtp_client *c)
{
    struct hello_lines lines = { c, 0 };
    enum rc rc = say_hello(c, "EHLO ", on_hello_line, &lines);
    if (rc == RC_OK && c->reply.code >= 500)
        rc = say_hello(c, "HELO ", NULL, NULL);
    if (rc != RC_OK)
        return rc;
    if (c->reply.code == 250)
        return RC_OK;
    c->extensions = 0;
    return smtp_client_refused(c, "EHLO");
}

enum rc smtp_client_greet(struct smtp_client *c, struct stream *s, const char *helo)
{
    uint32_t most_ms = c->most_ms;
    memset(c, 0, sizeof *c);
    c->most_ms = most_ms;
    c->stream = s;
    c->helo = helo;
    smtp_client_begin(c, SMTP_CLIENT_GREETING_MS);
    enum rc rc = smtp_client_reply(c, "greeting");
    if (rc != RC_OK)
        return rc;
    struct strbuf greeting = STRBUF(c->greeting);
    strbuf_puts(&greeting, c->reply.text);
    return c->reply.code == 220 ? smtp_client_hello(c) : smtp_client_refused(c, "greeting");
}

/* The server said no, but the session goes on: what that means is the caller's decision. */
static enum rc stay_plain(struct smtp_client *c)
{
    if (c->status.scope == SCOPE_HOST && !c->dead)
        c->status.scope = SCOPE_MESSAGE;
    return RC_REFUSED;
}

static enum rc shake_hands(struct smtp_client *c, struct tls_params *p)
{
    enum rc rc = stream_starttls(c->stream, p, c->step);
    if (rc == RC_OK) {
        c->tls = true;
        return smtp_client_hello(c);
    }
    c->dead = true;
    if (rc == RC_TIMEOUT || rc == RC_CLOSED || rc == RC_RESET || rc == RC_PROTOCOL)
        rc = RC_TLS;
    if (p->facts != NULL && p->facts->cause != TLS_CAUSE_NONE)
        delivery_status_set(&c->status, DELIVERY_WAIT, SCOPE_HOST, 0, "4.7.5", "STARTTLS: %s%s%s", tls_cause_text(p->facts->cause),
                            p->facts->detail[0] != '\0' ? ": " : "", p->facts->detail);
    else
        delivery_status_from_rc(&c->status, "STARTTLS", rc);
    return rc;
}

enum rc smtp_client_starttls(struct smtp_client *c, struct tls_params *p)
{
    if (!(c->extensions & SMTP_STARTTLS)) {
        delivery_status_set(&c->status, DELIVERY_WAIT, SCOPE_MESSAGE, 0, "4.7.4", "the server does not offer STARTTLS%s",
                            c->extensions & SMTP_STRIPPED ? " (something on the way has stripped it)" : "");
        return RC_REFUSED;
    }
    enum rc rc = smtp_client_command(c, "STARTTLS", "STARTTLS");
    if (rc != RC_OK)
        return rc;
    if (c->reply.code != 220) {
        rc = smtp_client_refused(c, "STARTTLS");
        return rc == RC_REFUSED ? stay_plain(c) : rc;
    }
    /* Replies that came with the 220 would be read as if they had come over TLS. */
    if (stream_readable(c->stream) && stream_fill(c->stream, deadline_in_ms(0)) == RC_OK) {
        c->dead = true;
        delivery_status_set(&c->status, DELIVERY_WAIT, SCOPE_HOST, 0, "4.7.5", "STARTTLS: plaintext came after the 220 reply");
        return RC_PROTOCOL;
    }
    return shake_hands(c, p);
}

void smtp_client_quit(struct smtp_client *c)
{
    struct deadline d = deadline_in_ms(SMTP_CLIENT_QUIT_MS);
    /* What the server says to QUIT changes nothing, and neither does a failure to hear it. */
    if (!c->dead && stream_write(c->stream, SPAN("QUIT\r\n"), d) == RC_OK && stream_flush(c->stream, d) == RC_OK &&
        smtp_reply_read(c->stream, &c->reply, NULL, NULL, d) != RC_OK)
        c->reply.code = 0;
    c->dead = true;
    stream_close(c->stream, d);
}
