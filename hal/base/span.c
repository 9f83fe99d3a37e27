#include "hal/base/span.h"

#include <string.h>

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c;
}

struct span span_of(const char *cstr)
{
    return (struct span){ cstr, cstr ? strlen(cstr) : 0 };
}

struct span span_bytes(const void *p, size_t len)
{
    return (struct span){ p, len };
}

bool span_eq(struct span a, struct span b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.p, b.p, a.len) == 0);
}

bool span_eq_nocase(struct span a, struct span b)
{
    if (a.len != b.len)
        return false;
    for (size_t i = 0; i < a.len; i++)
        if (lower(a.p[i]) != lower(b.p[i]))
            return false;
    return true;
}

bool span_is(struct span a, const char *cstr)
{
    return span_eq(a, span_of(cstr));
}

bool span_is_nocase(struct span a, const char *cstr)
{
    return span_eq_nocase(a, span_of(cstr));
}

bool span_starts(struct span a, const char *prefix)
{
    struct span p = span_of(prefix);
    return a.len >= p.len && span_eq(span_sub(a, 0, p.len), p);
}

bool span_starts_nocase(struct span a, const char *prefix)
{
    struct span p = span_of(prefix);
    return a.len >= p.len && span_eq_nocase(span_sub(a, 0, p.len), p);
}

bool span_ends_nocase(struct span a, const char *suffix)
{
    struct span s = span_of(suffix);
    return a.len >= s.len && span_eq_nocase(span_from(a, a.len - s.len), s);
}

int span_cmp(struct span a, struct span b)
{
    size_t least = a.len < b.len ? a.len : b.len;
    int order = least == 0 ? 0 : memcmp(a.p, b.p, least);
    if (order != 0)
        return order;
    return (a.len > b.len) - (a.len < b.len);
}

struct span span_sub(struct span a, size_t from, size_t len)
{
    if (from >= a.len)
        return (struct span){ a.len ? a.p + a.len : a.p, 0 };
    if (len > a.len - from)
        len = a.len - from;
    return (struct span){ a.p + from, len };
}

struct span span_from(struct span a, size_t from)
{
    return span_sub(a, from, SIZE_MAX);
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

struct span span_trim(struct span a)
{
    while (a.len > 0 && is_blank(a.p[a.len - 1]))
        a.len--;
    while (a.len > 0 && is_blank(a.p[0])) {
        a.p++;
        a.len--;
    }
    return a;
}

size_t span_find(struct span a, size_t from, char c)
{
    if (from >= a.len)
        return SIZE_MAX;
    const char *hit = memchr(a.p + from, (unsigned char)c, a.len - from);
    return hit ? (size_t)(hit - a.p) : SIZE_MAX;
}

size_t span_find_last(struct span a, char c)
{
    for (size_t i = a.len; i > 0; i--)
        if (a.p[i - 1] == c)
            return i - 1;
    return SIZE_MAX;
}

bool span_split(struct span *rest, bool *more, char sep, struct span *item)
{
    if (!*more)
        return false;
    size_t at = span_find(*rest, 0, sep);
    *more = at != SIZE_MAX;
    *item = span_sub(*rest, 0, at);
    *rest = span_from(*rest, *more ? at + 1 : rest->len);
    return true;
}

bool span_to_u64(struct span a, uint64_t *out)
{
    uint64_t value = 0;
    if (a.len == 0)
        return false;
    for (size_t i = 0; i < a.len; i++) {
        if (a.p[i] < '0' || a.p[i] > '9')
            return false;
        unsigned digit = (unsigned)(a.p[i] - '0');
        if (value > (UINT64_MAX - digit) / 10)
            return false;
        value = value * 10 + digit;
    }
    *out = value;
    return true;
}

bool span_to_u32(struct span a, uint32_t *out)
{
    uint64_t value;
    if (!span_to_u64(a, &value) || value > UINT32_MAX)
        return false;
    *out = (uint32_t)value;
    return true;
}
