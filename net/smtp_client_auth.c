/* AUTH (RFC 4954) and XCLIENT: who we are, and on whose behalf. Credentials go out through a block of 48 bytes that is wiped,
 * never through a buffer that outlives the call but the stream's own. */
#include "net/smtp_client_private.h"

#include <string.h>

#include "hal/base/base64.h"
#include "hal/base/secret.h"
#include "net/smtp_address.h"

/* "AUTH PLAIN " and base64 of these must fit a command line of 512 bytes (RFC 5321 section 4.5.3.1.4). */
#define CREDENTIALS_MAX 360

struct base64_out {
    struct smtp_client *c;
    uint8_t raw[48]; /* a multiple of three: only the last block is padded */
    size_t len;
};

static void base64_flush(struct base64_out *o)
{
    char memory[65];
    struct strbuf text = STRBUF(memory);
    base64_encode(&text, span_bytes(o->raw, o->len));
    smtp_client_put(o->c, strbuf_span(&text));
    o->len = 0;
    secret_wipe(memory, sizeof memory);
    secret_wipe(o->raw, sizeof o->raw);
}

static void base64_put(struct base64_out *o, struct span bytes)
{
    for (size_t i = 0; i < bytes.len; i++) {
        o->raw[o->len++] = (uint8_t)bytes.p[i];
        if (o->len == sizeof o->raw)
            base64_flush(o);
    }
}

/* Sends "" or "AUTH PLAIN " and the parts, each after a NUL when nul is set, then reads the reply. */
static enum rc send_secret(struct smtp_client *c, const char *before, struct span a, struct span b, bool nul)
{
    struct base64_out o = { .c = c };
    smtp_client_begin(c, SMTP_CLIENT_COMMAND_MS);
    smtp_client_puts(c, before);
    if (nul)
        base64_put(&o, SPAN("\0"));
    base64_put(&o, a);
    if (nul)
        base64_put(&o, SPAN("\0"));
    base64_put(&o, b);
    base64_flush(&o);
    enum rc rc = smtp_client_end(c, "AUTH");
    return rc == RC_OK ? smtp_client_reply(c, "AUTH") : rc;
}

static enum rc login(struct smtp_client *c, struct span user, struct span password)
{
    enum rc rc = smtp_client_command(c, "AUTH", "AUTH LOGIN");
    if (rc == RC_OK && c->reply.code == 334)
        rc = send_secret(c, "", user, SPAN(""), false);
    if (rc == RC_OK && c->reply.code == 334)
        rc = send_secret(c, "", password, SPAN(""), false);
    return rc;
}

static enum rc not_possible(struct smtp_client *c, const char *why)
{
    delivery_status_set(&c->status, DELIVERY_WAIT, SCOPE_HOST, 0, "4.7.0", "AUTH: %s", why);
    return RC_REFUSED;
}

enum rc smtp_client_auth(struct smtp_client *c, struct span user, struct span password)
{
    if (!c->tls && c->stream->tls == NULL)
        return not_possible(c, PACKED("credentials are sent over TLS only"));
    if (user.len + password.len > CREDENTIALS_MAX || span_find(user, 0, '\0') != SIZE_MAX ||
        span_find(password, 0, '\0') != SIZE_MAX)
        return not_possible(c, PACKED("user name and password are too long or hold a NUL"));
    enum rc rc;
    if (c->extensions & SMTP_AUTH_PLAIN)
        rc = send_secret(c, "AUTH PLAIN ", user, password, true);
    else if (c->extensions & SMTP_AUTH_LOGIN)
        rc = login(c, user, password);
    else
        return not_possible(c, PACKED("the server offers neither PLAIN nor LOGIN"));
    if (rc != RC_OK)
        return rc;
    return c->reply.code == 235 ? RC_OK : smtp_client_refused(c, "AUTH");
}

static void put_attribute(struct smtp_client *c, uint8_t bit, const char *name, const char *value)
{
    if (!(c->xclient & bit))
        return;
    smtp_client_puts(c, " ");
    smtp_client_puts(c, name);
    if (value == NULL || value[0] == '\0')
        smtp_client_puts(c, "[UNAVAILABLE]");
    for (const char *p = value; p != NULL && *p != '\0'; p++) {
        char memory[4];
        struct strbuf text = STRBUF(memory);
        xtext_encode(&text, span_bytes(p, 1));
        smtp_client_put(c, strbuf_span(&text));
    }
}

static void put_addr(struct smtp_client *c, const struct ip_addr_any *addr)
{
    char memory[IP_TEXT_MAX + 5];
    struct strbuf text = STRBUF(memory);
    if (addr->family == IP_V6)
        strbuf_puts(&text, "IPV6:");
    if (addr->family != IP_NONE)
        ip_format(&text, addr);
    put_attribute(c, XCLIENT_ADDR, "ADDR=", memory);
}

enum rc smtp_client_xclient(struct smtp_client *c, const struct smtp_client_origin *o)
{
    if (!(c->extensions & SMTP_XCLIENT) || !(c->xclient & XCLIENT_ADDR)) {
        delivery_status_set(&c->status, DELIVERY_WAIT, SCOPE_MESSAGE, 0, "4.7.0", "the server does not offer XCLIENT to us");
        return RC_REFUSED;
    }
    smtp_client_begin(c, SMTP_CLIENT_COMMAND_MS);
    smtp_client_puts(c, "XCLIENT");
    put_addr(c, &o->peer.addr);
    put_attribute(c, XCLIENT_NAME, "NAME=", o->name);
    put_attribute(c, XCLIENT_PROTO, "PROTO=", o->proto);
    put_attribute(c, XCLIENT_HELO, "HELO=", o->helo);
    enum rc rc = smtp_client_end(c, "XCLIENT");
    if (rc == RC_OK)
        rc = smtp_client_reply(c, "XCLIENT");
    if (rc != RC_OK)
        return rc;
    return c->reply.code == 220 ? smtp_client_hello(c) : smtp_client_refused(c, "XCLIENT");
}
