#include "hal/base/utf8.h"

/* Bytes that a lead byte announces, with the least code point that needs so many; 0 for a byte that cannot lead. */
static size_t sequence_length(uint8_t lead, uint32_t *least)
{
    *least = lead < 0x80 ? 0 : lead < 0xe0 ? 0x80 : lead < 0xf0 ? 0x800 : 0x10000;
    if (lead < 0x80)
        return 1;
    if (lead < 0xc2 || lead > 0xf4)
        return 0;
    return lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
}

size_t utf8_decode(struct span s, size_t at, uint32_t *cp)
{
    static const uint8_t lead_mask[] = { 0, 0x7f, 0x1f, 0x0f, 0x07 };
    if (at >= s.len)
        return 0;
    uint32_t least;
    uint8_t lead = (uint8_t)s.p[at];
    size_t len = sequence_length(lead, &least);
    if (len == 0 || len > s.len - at)
        return 0;
    uint32_t value = lead & lead_mask[len];
    for (size_t i = 1; i < len; i++) {
        uint8_t next = (uint8_t)s.p[at + i];
        if ((next & 0xc0) != 0x80)
            return 0;
        value = value << 6 | (next & 0x3f);
    }
    if (value < least || value > 0x10ffff || (value >= 0xd800 && value <= 0xdfff))
        return 0;
    *cp = value;
    return len;
}

bool utf8_valid(struct span s)
{
    uint32_t cp;
    for (size_t at = 0; at < s.len;) {
        size_t len = utf8_decode(s, at, &cp);
        if (len == 0)
            return false;
        at += len;
    }
    return true;
}
