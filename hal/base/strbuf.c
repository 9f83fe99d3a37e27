#include "hal/base/strbuf.h"

#include <string.h>

#include "hal/base/utf8.h"

static const char hex_digit[] = "0123456789abcdef";

struct strbuf strbuf_on(char *memory, size_t cap)
{
    memory[0] = '\0';
    return (struct strbuf){ .p = memory, .cap = cap };
}

void strbuf_copy(char *memory, size_t cap, const char *text)
{
    struct strbuf b = strbuf_on(memory, cap);
    strbuf_puts(&b, text);
}

void strbuf_clear(struct strbuf *b)
{
    b->len = 0;
    b->p[0] = '\0';
    b->overflow = false;
}

void strbuf_add(struct strbuf *b, struct span s)
{
    size_t room = b->cap - 1 - b->len;
    if (s.len > room) {
        s.len = room;
        b->overflow = true;
    }
    if (s.len > 0)
        memcpy(b->p + b->len, s.p, s.len);
    b->len += s.len;
    b->p[b->len] = '\0';
}

void strbuf_puts(struct strbuf *b, const char *text)
{
    if (text_is_packed(text))
        (strbuf_printf)(b, "%s", text);
    else
        strbuf_add(b, span_of(text));
}

void strbuf_putc(struct strbuf *b, char c)
{
    strbuf_add(b, (struct span){ &c, 1 });
}

void(strbuf_printf)(struct strbuf *b, const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    strbuf_vprintf(b, format, ap);
    va_end(ap);
}

static bool is_printable(char c)
{
    return c >= 0x20 && c < 0x7f && c != '\\';
}

void strbuf_add_printable(struct strbuf *b, struct span s, size_t max)
{
    size_t wanted = 0;
    for (size_t i = 0; i < s.len; i++)
        wanted += is_printable(s.p[i]) ? 1 : 4;
    bool cut = wanted > max;
    size_t left = !cut ? max : max > 3 ? max - 3 : 0;
    for (size_t i = 0; i < s.len; i++) {
        uint8_t c = (uint8_t)s.p[i];
        char text[4] = { '\\', 'x', hex_digit[c >> 4], hex_digit[c & 15] };
        struct span unit = is_printable(s.p[i]) ? span_sub(s, i, 1) : span_bytes(text, sizeof text);
        if (unit.len > left)
            break;
        strbuf_add(b, unit);
        left -= unit.len;
    }
    if (cut)
        strbuf_add(b, span_sub(SPAN("..."), 0, max));
}

static void add_json_ascii(struct strbuf *b, char c)
{
    static const char plain[] = "\"\\\b\f\n\r\t", escaped[] = "\"\\bfnrt";
    const char *hit = c == '\0' ? NULL : strchr(plain, c);
    if (hit != NULL) {
        strbuf_putc(b, '\\');
        strbuf_putc(b, escaped[hit - plain]);
    } else if (c < 0x20 || c == 0x7f) {
        strbuf_printf(b, "\\u%04x", (unsigned)c);
    } else {
        strbuf_putc(b, c);
    }
}

void strbuf_add_json(struct strbuf *b, struct span s)
{
    strbuf_putc(b, '"');
    for (size_t at = 0; at < s.len;) {
        uint32_t cp;
        size_t len = utf8_decode(s, at, &cp);
        if (len == 0)
            strbuf_puts(b, "\xef\xbf\xbd");
        else if (len == 1)
            add_json_ascii(b, s.p[at]);
        else
            strbuf_add(b, span_sub(s, at, len));
        at += len ? len : 1;
    }
    strbuf_putc(b, '"');
}

void strbuf_add_hex(struct strbuf *b, struct span bytes)
{
    for (size_t i = 0; i < bytes.len; i++) {
        uint8_t c = (uint8_t)bytes.p[i];
        strbuf_putc(b, hex_digit[c >> 4]);
        strbuf_putc(b, hex_digit[c & 15]);
    }
}

struct span strbuf_span(const struct strbuf *b)
{
    return (struct span){ b->p, b->len };
}

void strbuf_truncate(struct strbuf *b, size_t len)
{
    if (len < b->len) {
        b->len = len;
        b->p[len] = '\0';
    }
}
