/* Text built in the caller's memory. Appends saturate: what does not fit is left out, overflow is set and stays set, and
 * must be checked before the text is used for anything but display. The text is always NUL-terminated within cap. */
#ifndef HAL_BASE_STRBUF_H
#define HAL_BASE_STRBUF_H

#include <stdarg.h>

#include "hal/base/packed_text.h"
#include "hal/base/span.h"

struct strbuf {
    char *p;
    size_t len;
    size_t cap; /* bytes at p, the NUL included; at least 1 */
    bool overflow;
};

/* A strbuf on an array: struct strbuf b = STRBUF(array); the array's contents are reset to "". */
#define STRBUF(array) strbuf_on((array), sizeof(array))

struct strbuf strbuf_on(char *memory, size_t cap);
void strbuf_copy(char *memory, size_t cap, const char *text); /* an array's text, cut to what fits */
void strbuf_clear(struct strbuf *b);                          /* also clears overflow */
void strbuf_add(struct strbuf *b, struct span s);
void strbuf_puts(struct strbuf *b, const char *text);
void strbuf_putc(struct strbuf *b, char c);
/* printf's %s %c %d %u %x %X and %% with the flags - and 0, a width, a precision of text (also *), l, ll and z; anything else in
 * a format is our mistake and stops the box. A result that does not fit is cut and overflow set. */
void strbuf_printf(struct strbuf *b, const char *format, ...);
#define strbuf_printf(b, ...) (strbuf_printf)(b, PACKED_FORMAT(__VA_ARGS__))
void strbuf_vprintf(struct strbuf *b, const char *format, va_list ap);
/* Adds s with every byte that is not printable ASCII, and the backslash, as \xHH: for text from a peer that will be
 * logged or shown. At most max bytes of output; a cut is marked by "...". */
void strbuf_add_printable(struct strbuf *b, struct span s, size_t max);
/* Adds s as a JSON string with its quotes; bytes that are not valid UTF-8 become U+FFFD. */
void strbuf_add_json(struct strbuf *b, struct span s);
void strbuf_add_hex(struct strbuf *b, struct span bytes); /* lower case */
struct span strbuf_span(const struct strbuf *b);
void strbuf_truncate(struct strbuf *b, size_t len); /* shortens only; overflow stays */

#endif
