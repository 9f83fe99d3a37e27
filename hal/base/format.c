/* printf's formats as far as we use them, into a strbuf: an eighth of libc's size, and of its stack. */
#include <stdint.h>

#include "hal/base/strbuf.h"

#define DIGITS_MAX 20 /* of UINT64_MAX */
#define SMALL 0x20    /* what makes a letter small; each digit has it */

struct conversion {
    bool left, zeros;
    size_t width, precision;
    unsigned longs, base;
    char small; /* SMALL or 0 */
};

static void pad(struct strbuf *b, char with, size_t have, size_t want)
{
    for (; have < want; have++)
        strbuf_putc(b, with);
}

static void put_text(struct strbuf *b, const struct conversion *c, const char *text)
{
    if (text == NULL)
        text = "(null)";
    size_t len = text_length(text, c->precision);
    if (!c->left)
        pad(b, ' ', len, c->width);
    if (text_is_packed(text)) {
        struct text_reader r;
        text_open(&r, text);
        for (size_t i = 0; i < len; i++)
            strbuf_putc(b, text_next(&r));
    } else {
        strbuf_add(b, span_bytes(text, len));
    }
    if (c->left)
        pad(b, ' ', len, c->width);
}

static void put_number(struct strbuf *b, const struct conversion *c, uint64_t value, bool negative)
{
    char memory[DIGITS_MAX + 1], *p = memory + sizeof memory;
    do
        *--p = "0123456789ABCDEF"[value % c->base] | c->small;
    while ((value /= c->base) != 0);
    size_t len = (size_t)(memory + sizeof memory - p), sign = negative;
    if (!c->left && !c->zeros)
        pad(b, ' ', len + sign, c->width);
    if (negative)
        strbuf_putc(b, '-');
    if (c->zeros)
        pad(b, '0', len + sign, c->width);
    strbuf_add(b, span_bytes(p, len));
    if (c->left)
        pad(b, ' ', len + sign, c->width);
}

static size_t read_number(struct text_reader *format, char *next)
{
    size_t n = 0;
    for (; *next >= '0' && *next <= '9'; *next = text_next(format))
        n = n * 10 + (size_t)(*next - '0');
    return n;
}

struct arguments {
    va_list ap; /* in a struct, for some ABIs make it an array */
};

/* From behind the % to the letter. */
static char read_conversion(struct text_reader *format, struct arguments *a, struct conversion *c)
{
    char next = text_next(format);
    *c = (struct conversion){ .precision = SIZE_MAX };
    for (; next == '-' || next == '0'; next = text_next(format)) {
        c->left |= next == '-';
        c->zeros |= next == '0';
    }
    c->width = read_number(format, &next);
    if (next == '.') {
        next = text_next(format);
        if (next == '*') {
            int given = va_arg(a->ap, int);
            c->precision = given < 0 ? SIZE_MAX : (size_t)given;
            next = text_next(format);
        } else {
            c->precision = read_number(format, &next);
        }
    }
    for (; next == 'l'; next = text_next(format))
        c->longs++;
    if (next == 'z') {
        c->longs = sizeof(size_t) == sizeof(int) ? 0 : 1;
        next = text_next(format);
    }
    return next;
}

static uint64_t next_unsigned(struct arguments *a, unsigned longs)
{
    return longs == 0 ? va_arg(a->ap, unsigned) : longs == 1 ? va_arg(a->ap, unsigned long) : va_arg(a->ap, unsigned long long);
}

static int64_t next_signed(struct arguments *a, unsigned longs)
{
    return longs == 0 ? va_arg(a->ap, int) : longs == 1 ? va_arg(a->ap, long) : va_arg(a->ap, long long);
}

static void convert(struct strbuf *b, struct conversion *c, char letter, struct arguments *a)
{
    char one[2] = { 0 };
    int64_t value;
    c->base = letter == 'x' || letter == 'X' ? 16 : 10;
    c->small = letter == 'x' ? SMALL : 0;
    switch (letter) {
    case 's':
        put_text(b, c, va_arg(a->ap, const char *));
        return;
    case 'c':
        one[0] = (char)va_arg(a->ap, int);
        put_text(b, c, one);
        return;
    case 'd':
        value = next_signed(a, c->longs);
        put_number(b, c, value < 0 ? -(uint64_t)value : (uint64_t)value, value < 0);
        return;
    case 'u':
    case 'x':
    case 'X':
        put_number(b, c, next_unsigned(a, c->longs), false);
        return;
    case '%':
        strbuf_putc(b, '%');
        return;
    default:
        __builtin_trap(); /* no format of ours */
    }
}

void strbuf_vprintf(struct strbuf *b, const char *format, va_list ap)
{
    struct arguments a;
    struct text_reader text;
    va_copy(a.ap, ap);
    text_open(&text, format);
    for (char next = text_next(&text); next != '\0'; next = text_next(&text)) {
        if (next != '%') {
            strbuf_putc(b, next);
            continue;
        }
        struct conversion c;
        char letter = read_conversion(&text, &a, &c);
        convert(b, &c, letter, &a);
    }
    va_end(a.ap);
}
