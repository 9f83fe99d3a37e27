#include "hal/base/domain.h"

#include "hal/base/punycode.h"
#include "hal/base/utf8.h"

struct range {
    uint32_t from, to;
};

static bool in_ranges(uint32_t cp, const struct range *r, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (cp >= r[i].from && cp <= r[i].to)
            return true;
    return false;
}

/* Code points that IDNA allows in no label, or only after normalisation that we do not do: controls, blanks and general
 * punctuation (zero-width ones too), combining marks (a precomposed letter is what NFC asks for), ideographic full
 * stops, private use, variation selectors, compatibility and full-width forms. Refusing them is the clear error; encoding
 * them as they are would name another domain than the one meant. */
static bool is_forbidden(uint32_t cp)
{
    static const struct range forbidden[] = {
        { 0x80, 0xa9 },     { 0xab, 0xb6 },     { 0xb8, 0xb9 },     { 0xbb, 0xbf },     { 0xd7, 0xd7 },
        { 0xf7, 0xf7 },     { 0x300, 0x36f },   { 0x1680, 0x1680 }, { 0x2000, 0x2bff }, { 0x3000, 0x3004 },
        { 0xd800, 0xf8ff }, { 0xfb00, 0xfb06 }, { 0xfe00, 0xfe6f }, { 0xfeff, 0xffff }, { 0xe0000, 0x10ffff },
    };
    return in_ranges(cp, forbidden, sizeof forbidden / sizeof *forbidden);
}

/* Simple lower-casing in the scripts where a fixed distance or a pair tells it; others stay. */
static uint32_t lower_letter(uint32_t cp)
{
    static const struct {
        struct range upper;
        uint8_t distance;
    } shifted[] = {
        { { 'A', 'Z' }, 32 },     { { 0xc0, 0xde }, 32 },   { { 0x386, 0x386 }, 38 }, { { 0x388, 0x38a }, 37 },
        { { 0x38c, 0x38c }, 64 }, { { 0x38e, 0x38f }, 63 }, { { 0x391, 0x3ab }, 32 }, { { 0x400, 0x40f }, 80 },
        { { 0x410, 0x42f }, 32 }, { { 0x531, 0x556 }, 48 },
    };
    static const struct range even_upper[] = { { 0x100, 0x12f }, { 0x132, 0x137 }, { 0x14a, 0x177 },   { 0x460, 0x481 },
                                               { 0x48a, 0x4bf }, { 0x4d0, 0x52f }, { 0x1e00, 0x1e95 }, { 0x1ea0, 0x1eff } };
    static const struct range odd_upper[] = { { 0x139, 0x148 }, { 0x179, 0x17e }, { 0x4c1, 0x4ce } };
    for (size_t i = 0; i < sizeof shifted / sizeof *shifted; i++)
        if (in_ranges(cp, &shifted[i].upper, 1))
            return cp + shifted[i].distance;
    if (cp == 0x178)
        return 0xff;
    if (in_ranges(cp, even_upper, sizeof even_upper / sizeof *even_upper))
        return cp | 1;
    if (in_ranges(cp, odd_upper, sizeof odd_upper / sizeof *odd_upper))
        return cp + (cp & 1);
    return cp;
}

static bool is_name_char(uint32_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
}

/* Code points of one label, lower-cased and checked. *ascii tells whether all are ASCII. */
static enum rc label_points(struct span label, uint32_t *cp, size_t *count, bool *ascii)
{
    *count = 0;
    *ascii = true;
    for (size_t at = 0; at < label.len;) {
        uint32_t c;
        size_t len = utf8_decode(label, at, &c);
        if (len == 0)
            return RC_INVALID;
        if (*count == DOMAIN_LABEL_MAX)
            return RC_TOO_LONG;
        c = lower_letter(c);
        if (c < 0x80 ? !is_name_char(c) : is_forbidden(c))
            return RC_INVALID;
        *ascii = *ascii && c < 0x80;
        cp[(*count)++] = c;
        at += len;
    }
    return *count > 0 ? RC_OK : RC_INVALID;
}

static enum rc add_label(struct span label, struct strbuf *out)
{
    uint32_t cp[DOMAIN_LABEL_MAX];
    size_t count;
    bool ascii;
    enum rc rc = label_points(label, cp, &count, &ascii);
    if (rc != RC_OK)
        return rc;
    size_t start = out->len;
    if (ascii) {
        for (size_t i = 0; i < count; i++)
            strbuf_putc(out, (char)cp[i]);
    } else {
        strbuf_puts(out, "xn--");
        rc = punycode_encode(cp, count, out);
    }
    if (rc == RC_OK && (out->overflow || out->len - start > DOMAIN_LABEL_MAX))
        rc = RC_TOO_LONG;
    return rc;
}

enum rc domain_canonical(struct span text, struct strbuf *out)
{
    struct span label;
    bool more = true;
    enum rc rc = RC_OK;
    strbuf_clear(out);
    if (text.len > 1 && text.p[text.len - 1] == '.')
        text.len--;
    while (rc == RC_OK && span_split(&text, &more, '.', &label)) {
        if (out->len > 0)
            strbuf_putc(out, '.');
        rc = add_label(label, out);
    }
    if (rc == RC_OK && out->len > DOMAIN_MAX)
        rc = RC_TOO_LONG;
    if (rc != RC_OK)
        strbuf_clear(out);
    return rc;
}

static bool all_digits(struct span s)
{
    for (size_t i = 0; i < s.len; i++)
        if (s.p[i] < '0' || s.p[i] > '9')
            return false;
    return true;
}

bool domain_is_hostname(struct span text)
{
    char memory[DOMAIN_TEXT_MAX];
    struct strbuf name = STRBUF(memory);
    if (domain_canonical(text, &name) != RC_OK)
        return false;
    struct span rest = strbuf_span(&name), label = rest;
    for (bool more = true; span_split(&rest, &more, '.', &label);)
        if (label.p[0] == '-' || label.p[label.len - 1] == '-' || span_find(label, 0, '_') != SIZE_MAX)
            return false;
    return !all_digits(label);
}

bool domain_is_within(struct span name, struct span parent)
{
    if (parent.len == 0 || name.len < parent.len)
        return parent.len == 0;
    size_t at = name.len - parent.len;
    return span_eq(span_from(name, at), parent) && (at == 0 || name.p[at - 1] == '.');
}

unsigned domain_labels(struct span name)
{
    unsigned count = name.len > 0 ? 1 : 0;
    for (size_t i = 0; i < name.len; i++)
        count += name.p[i] == '.';
    return count;
}

bool domain_matches_pattern(struct span name, struct span pattern)
{
    if (span_starts(pattern, "*."))
        pattern = span_from(pattern, 1);
    if (!span_starts(pattern, "."))
        return name.len > 0 && span_eq(name, pattern);
    size_t dot = span_find(name, 0, '.');
    return pattern.len > 1 && dot != SIZE_MAX && dot > 0 && span_eq(span_from(name, dot), pattern);
}
