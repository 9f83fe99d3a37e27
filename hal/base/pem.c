/* Finds armour lines, drops line ends and decodes with base64's own strictness. */
#include "hal/base/pem.h"

#include "hal/base/strbuf.h"

static size_t find_text(struct span in, size_t from, struct span what)
{
    for (size_t i = from; i + what.len <= in.len; i++)
        if (memcmp(in.p + i, what.p, what.len) == 0)
            return i;
    return SIZE_MAX;
}

static int sextet(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* Base64 with line ends and blanks inside; padding only at the end. */
static enum rc decode_lines(struct span text, uint8_t *out, size_t cap, size_t *len)
{
    uint32_t bits = 0;
    unsigned have = 0, padding = 0, digits = 0;
    *len = 0;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.p[i];
        if (c == '\r' || c == '\n' || c == ' ' || c == '\t')
            continue;
        int v = sextet(c);
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
        if (*len == cap)
            return RC_TOO_LONG;
        out[(*len)++] = (uint8_t)(bits >> have);
    }
    return digits % 4 || !digits ? RC_INVALID : RC_OK;
}

enum rc pem_next(struct span *rest, const char *label, uint8_t *out, size_t cap, size_t *len)
{
    char begin_memory[64], end_memory[64];
    struct strbuf begin = STRBUF(begin_memory), end = STRBUF(end_memory);
    strbuf_printf(&begin, "-----BEGIN %s-----", label);
    strbuf_printf(&end, "-----END %s-----", label);
    *len = 0;
    size_t start = find_text(*rest, 0, strbuf_span(&begin));
    if (start == SIZE_MAX)
        return RC_NOT_FOUND;
    size_t from = start + begin.len, to = find_text(*rest, from, strbuf_span(&end));
    if (to == SIZE_MAX)
        return RC_INVALID;
    struct span body = span_sub(*rest, from, to - from);
    *rest = span_from(*rest, to + end.len);
    return decode_lines(body, out, cap, len);
}
