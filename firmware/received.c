/* Builds the field line by line; every part was sanitised where it entered. */
#include "firmware/received.h"

#include "hal/base/datetime.h"

/* RFC 3848 and RFC 6531 section 4.3. */
static void add_protocol(struct strbuf *out, const struct received_facts *f)
{
    strbuf_puts(out, f->utf8 ? "UTF8SMTP" : f->esmtp ? "ESMTP" : "SMTP");
    if (f->esmtp || f->utf8) {
        strbuf_puts(out, f->tls ? "S" : "");
        strbuf_puts(out, f->authenticated ? "A" : "");
    }
}

/* Characters that would end a comment or a line never get in. */
static void add_atom(struct strbuf *out, const char *text)
{
    for (; *text; text++) {
        bool plain = (*text >= 'a' && *text <= 'z') || (*text >= 'A' && *text <= 'Z') || (*text >= '0' && *text <= '9') ||
                     *text == '.' || *text == '-' || *text == '_' || *text == ':' || *text == '[' || *text == ']';
        strbuf_putc(out, plain ? *text : '?');
    }
}

void received_format(struct strbuf *out, const struct received_facts *f)
{
    strbuf_puts(out, "Received: from ");
    add_atom(out, f->helo[0] ? f->helo : "unknown");
    strbuf_puts(out, " (");
    add_atom(out, f->ptr[0] ? f->ptr : "unknown");
    strbuf_puts(out, f->client->addr.family == IP_V6 ? " [IPv6:" : " [");
    ip_format(out, &f->client->addr);
    strbuf_puts(out, "])\r\n");
    if (f->tls) {
        strbuf_printf(out, "\t(using %s with cipher ", f->tls->version);
        add_atom(out, f->tls->suite);
        strbuf_printf(out, " (%u bits))\r\n", (unsigned)f->tls->key_bits);
    }
    strbuf_puts(out, "\tby ");
    add_atom(out, f->by[0] ? f->by : "postern.invalid");
    strbuf_puts(out, " (Postern) with ");
    add_protocol(out, f);
    strbuf_printf(out, " id %08X", (unsigned)f->id);
    if (f->only_recipient)
        strbuf_printf(out, "\r\n\tfor <%s>", f->only_recipient);
    strbuf_puts(out, ";\r\n\t");
    rfc5322_date_format(out, f->now);
    strbuf_puts(out, "\r\n");
}
