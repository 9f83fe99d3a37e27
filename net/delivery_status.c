/* The one place where replies and failures become what they mean for a mail: scope, permanence, enhanced code, words.
 *
 * Two tables decide: one by the step at which a reply came, one by enum rc. A 5yz code that speaks of the host and not of
 * the mail (greeting, EHLO, AUTH, STARTTLS) waits, for another host or another day may do better. */
#include "net/delivery_status.h"

#include <string.h>

struct step_scope {
    const char *step;
    enum delivery_scope scope;
};

/* Every step that is not named here concerns the host. */
static const struct step_scope step_scopes[] = {
    { "MAIL", SCOPE_MESSAGE },        { "RCPT", SCOPE_RECIPIENT }, { "DATA", SCOPE_MESSAGE },
    { "end of data", SCOPE_MESSAGE }, { "BDAT", SCOPE_MESSAGE },
};

static enum delivery_scope scope_of(const char *step)
{
    for (size_t i = 0; i < sizeof step_scopes / sizeof step_scopes[0]; i++)
        if (strcmp(step_scopes[i].step, step) == 0)
            return step_scopes[i].scope;
    return SCOPE_HOST;
}

static void put_text(struct strbuf *out, struct span text)
{
    for (size_t i = 0; i < text.len; i++)
        strbuf_putc(out, text.p[i] >= 0x20 && text.p[i] < 0x7f ? text.p[i] : '?');
}

static enum delivery_result result_of(const char *step, enum delivery_scope scope, uint16_t code)
{
    if (code < 400)
        return DELIVERY_DONE;
    if (code < 500 || scope == SCOPE_HOST)
        return DELIVERY_WAIT;
    /* "Too many recipients" under its old number (RFC 5321 section 4.5.3.1.10). */
    if (code == 552 && strcmp(step, "RCPT") == 0)
        return DELIVERY_WAIT;
    return DELIVERY_BOUNCE;
}

void delivery_status_from_reply(struct delivery_status *out, const char *step, uint16_t code, const uint8_t enhanced[3],
                                struct span text)
{
    *out = (struct delivery_status){ .scope = code == 421 ? SCOPE_HOST : scope_of(step), .code = code };
    out->result = result_of(step, out->scope, code);
    memcpy(out->enhanced, enhanced, sizeof out->enhanced);
    struct strbuf b = STRBUF(out->text);
    strbuf_printf(&b, "at %s the server said: %u", step, (unsigned)code);
    if (enhanced[0] != 0)
        strbuf_printf(&b, " %u.%u.%u", (unsigned)enhanced[0], (unsigned)enhanced[1], (unsigned)enhanced[2]);
    if (text.len > 0)
        strbuf_putc(&b, ' ');
    put_text(&b, text);
}

struct rc_meaning {
    enum delivery_result result;
    enum delivery_scope scope;
    uint8_t enhanced[3];
};

/* What is wrong with the connection concerns the host; what is wrong with this box concerns every host of the domain. */
static const struct rc_meaning rc_meanings[RC_COUNT] = {
    [RC_OK] = { DELIVERY_DONE, SCOPE_RECIPIENT, { 2, 0, 0 } },     [RC_TIMEOUT] = { DELIVERY_WAIT, SCOPE_HOST, { 4, 4, 2 } },
    [RC_CANCELLED] = { DELIVERY_WAIT, SCOPE_DOMAIN, { 4, 3, 2 } }, [RC_CLOSED] = { DELIVERY_WAIT, SCOPE_HOST, { 4, 4, 2 } },
    [RC_RESET] = { DELIVERY_WAIT, SCOPE_HOST, { 4, 4, 2 } },       [RC_REFUSED] = { DELIVERY_WAIT, SCOPE_HOST, { 4, 4, 1 } },
    [RC_UNREACHABLE] = { DELIVERY_WAIT, SCOPE_HOST, { 4, 4, 1 } }, [RC_PROTOCOL] = { DELIVERY_WAIT, SCOPE_HOST, { 4, 5, 0 } },
    [RC_TOO_LONG] = { DELIVERY_WAIT, SCOPE_HOST, { 4, 5, 0 } },    [RC_TOO_SLOW] = { DELIVERY_WAIT, SCOPE_HOST, { 4, 4, 2 } },
    [RC_TLS] = { DELIVERY_WAIT, SCOPE_HOST, { 4, 7, 5 } },         [RC_INVALID] = { DELIVERY_BOUNCE, SCOPE_MESSAGE, { 5, 6, 0 } },
    [RC_NOT_FOUND] = { DELIVERY_WAIT, SCOPE_HOST, { 4, 4, 4 } },   [RC_FULL] = { DELIVERY_WAIT, SCOPE_DOMAIN, { 4, 3, 1 } },
    [RC_NO_MEMORY] = { DELIVERY_WAIT, SCOPE_DOMAIN, { 4, 3, 1 } }, [RC_BUSY] = { DELIVERY_WAIT, SCOPE_DOMAIN, { 4, 3, 2 } },
    [RC_IO] = { DELIVERY_WAIT, SCOPE_MESSAGE, { 4, 3, 0 } },       [RC_CORRUPT] = { DELIVERY_WAIT, SCOPE_MESSAGE, { 4, 3, 0 } },
    [RC_EXPIRED] = { DELIVERY_WAIT, SCOPE_HOST, { 4, 7, 5 } },     [RC_UNSUPPORTED] = { DELIVERY_WAIT, SCOPE_DOMAIN, { 4, 3, 3 } },
};

#define WORDS_MAX 50
static const char rc_words[RC_COUNT][WORDS_MAX] PACKED_TABLE = {
    [RC_OK] = "done",
    [RC_TIMEOUT] = "the server did not answer in time",
    [RC_CANCELLED] = "this box gave the attempt up",
    [RC_CLOSED] = "the server closed the connection",
    [RC_RESET] = "the connection broke",
    [RC_REFUSED] = "the connection was refused",
    [RC_UNREACHABLE] = "the server could not be reached",
    [RC_PROTOCOL] = "the server broke the protocol",
    [RC_TOO_LONG] = "something was longer than its bound",
    [RC_TOO_SLOW] = "the server took the data too slowly",
    [RC_TLS] = "TLS failed",
    [RC_INVALID] = "the message holds what must not be sent",
    [RC_NOT_FOUND] = "something needed was not found",
    [RC_FULL] = "this box has no room now",
    [RC_NO_MEMORY] = "this box has no memory left for the session",
    [RC_BUSY] = "this box is busy",
    [RC_IO] = "the stored message could not be read",
    [RC_CORRUPT] = "the stored message does not check",
    [RC_EXPIRED] = "something needed has expired",
    [RC_UNSUPPORTED] = "this box cannot do what is needed",
};

void delivery_status_from_rc(struct delivery_status *out, const char *step, enum rc rc)
{
    unsigned index = rc < RC_COUNT ? (unsigned)rc : (unsigned)RC_UNSUPPORTED;
    const struct rc_meaning *m = &rc_meanings[index];
    *out = (struct delivery_status){ .result = m->result, .scope = m->scope };
    memcpy(out->enhanced, m->enhanced, sizeof out->enhanced);
    struct strbuf b = STRBUF(out->text);
    strbuf_printf(&b, "%s: %s (%s)", step, rc_words[index], rc_name(rc));
}

static void enhanced_parse(struct span text, uint8_t out[3])
{
    bool more = true;
    struct span item;
    for (unsigned i = 0; i < 3; i++) {
        uint32_t v;
        if (!span_split(&text, &more, '.', &item) || !span_to_u32(item, &v) || v > UINT8_MAX) {
            memset(out, 0, 3);
            return;
        }
        out[i] = (uint8_t)v;
    }
}

void(delivery_status_set)(struct delivery_status *out, enum delivery_result result, enum delivery_scope scope, uint16_t code,
                          const char *enhanced, const char *format, ...)
{
    *out = (struct delivery_status){ .result = result, .scope = scope, .code = code };
    enhanced_parse(span_of(enhanced), out->enhanced);
    struct strbuf b = STRBUF(out->text);
    va_list ap;
    va_start(ap, format);
    strbuf_vprintf(&b, format, ap);
    va_end(ap);
    for (size_t i = 0; i < b.len; i++)
        if (b.p[i] < 0x20 || b.p[i] >= 0x7f)
            b.p[i] = '?';
}
