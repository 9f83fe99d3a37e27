#include "hal/base/pem.h"

#include "hal/base/base64.h"

#define LINE_BYTES 48 /* 64 characters */

static bool take_line(struct span *rest, struct span *line)
{
    if (rest->len == 0)
        return false;
    size_t end = span_find(*rest, 0, '\n');
    *line = span_sub(*rest, 0, end);
    *rest = end == SIZE_MAX ? (struct span){ 0 } : span_from(*rest, end + 1);
    while (line->len > 0 && (line->p[line->len - 1] == '\r' || line->p[line->len - 1] == ' '))
        line->len--;
    return true;
}

/* "-----BEGIN X-----" with word "BEGIN": true and label X. */
static bool boundary(struct span line, const char *word, struct span *label)
{
    const struct span dashes = SPAN("-----");
    struct span w = span_of(word);
    if (line.len < 2 * dashes.len + w.len + 1 || !span_eq(span_sub(line, 0, dashes.len), dashes))
        return false;
    if (!span_eq(span_sub(line, dashes.len, w.len), w) || line.p[dashes.len + w.len] != ' ')
        return false;
    if (!span_eq(span_from(line, line.len - dashes.len), dashes))
        return false;
    size_t from = dashes.len + w.len + 1;
    *label = span_sub(line, from, line.len - dashes.len - from);
    return true;
}

enum rc pem_block(struct span *rest, struct span *label, struct span *body)
{
    struct span line, end_label;
    do {
        if (!take_line(rest, &line))
            return RC_NOT_FOUND;
    } while (!boundary(line, "BEGIN", label));
    const char *start = rest->p;
    while (take_line(rest, &line)) {
        if (boundary(line, "END", &end_label)) {
            *body = span_bytes(start, (size_t)(line.p - start));
            return span_eq(*label, end_label) ? RC_OK : RC_INVALID;
        }
        if (boundary(line, "BEGIN", &end_label))
            return RC_INVALID;
    }
    return RC_INVALID;
}

/* Line ends and blanks may stand anywhere; padding only at the end. */
enum rc pem_decode(struct span body, uint8_t *out, size_t cap, size_t *len)
{
    uint32_t bits = 0;
    unsigned have = 0, padding = 0, digits = 0;
    size_t n = 0;
    *len = 0;
    for (size_t i = 0; i < body.len; i++) {
        char c = body.p[i];
        if (c == '\r' || c == '\n' || c == ' ' || c == '\t')
            continue;
        int v = base64_sextet(c);
        padding += c == '=';
        if ((v < 0 && c != '=') || (v >= 0 && padding) || padding > 2)
            return RC_INVALID;
        digits++;
        if (v < 0)
            continue;
        bits = bits << 6 | (uint32_t)v;
        have += 6;
        if (have < 8)
            continue;
        have -= 8;
        if (n == cap)
            return RC_TOO_LONG;
        out[n++] = (uint8_t)(bits >> have);
    }
    if (digits % 4 != 0 || digits == 0)
        return RC_INVALID;
    *len = n;
    return RC_OK;
}

enum rc pem_next(struct span *rest, const char *label, uint8_t *out, size_t cap, size_t *len)
{
    struct span found, body;
    *len = 0;
    do {
        enum rc rc = pem_block(rest, &found, &body);
        if (rc != RC_OK)
            return rc;
    } while (!span_is(found, label));
    return pem_decode(body, out, cap, len);
}

struct span pem_section(struct span text, const char *label_end)
{
    struct span rest = text, label, body, found = { 0 };
    while (pem_block(&rest, &label, &body) == RC_OK) {
        if (!span_ends_nocase(label, label_end))
            continue;
        const char *start = found.len ? found.p : label.p - (sizeof "-----BEGIN " - 1);
        const char *end = rest.p ? rest.p : text.p + text.len;
        found = span_bytes(start, (size_t)(end - start));
    }
    return found;
}

void pem_write(struct strbuf *out, const char *label, struct span bytes)
{
    strbuf_printf(out, "-----BEGIN %s-----\n", label);
    for (size_t at = 0; at < bytes.len; at += LINE_BYTES) {
        base64_encode(out, span_sub(bytes, at, LINE_BYTES));
        strbuf_putc(out, '\n');
    }
    strbuf_printf(out, "-----END %s-----\n", label);
}
