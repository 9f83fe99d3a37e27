#include "hal/base/packed_text.h"

static const uint8_t *byte_at(uint32_t offset)
{
    return (const uint8_t *)&packed_texts + offset;
}

static unsigned next_symbol(struct text_reader *r)
{
    unsigned code = 0, first = 0, symbol = 0;
    for (const uint16_t *codes = &packed_texts.codes[1];; codes++) {
        code |= (unsigned)*byte_at(r->bit / 8) >> (7 - r->bit % 8) & 1;
        r->bit++;
        if (code - first < *codes)
            return symbol + code - first;
        symbol += *codes;
        first = (first + *codes) * 2;
        code *= 2;
    }
}

char text_next(struct text_reader *r)
{
    if (r->plain != NULL)
        return *r->plain++;
    unsigned symbol = r->waiting > 0 ? r->symbol[--r->waiting] : next_symbol(r);
    for (;;) {
        const uint8_t *s = packed_texts.symbol[symbol];
        if (s[2] == PACKED_TEXT_CHARACTER)
            return (char)s[0];
        r->symbol[r->waiting++] = (uint16_t)(s[1] | (s[2] >> 4) << 8);
        symbol = s[0] | (s[2] & 15u) << 8;
    }
}

static size_t offset_of(const char *text)
{
    return (uintptr_t)text - PACKED_TEXTS_AT;
}

bool text_is_packed(const char *text)
{
    return offset_of(text) < packed_texts.bytes;
}

/* From the first text of its block on, as the index has no more. */
void text_open(struct text_reader *r, const char *text)
{
    *r = (struct text_reader){ .plain = text };
    if (!text_is_packed(text))
        return;
    const uint8_t *entry = byte_at(packed_texts.index_at + offset_of(text) / PACKED_TEXT_BLOCK * sizeof(struct packed_text_entry));
    r->plain = NULL;
    r->bit = (entry[1] | (uint32_t)entry[2] << 8) * 8;
    for (size_t skip = offset_of(text) % PACKED_TEXT_BLOCK - entry[0]; skip > 0; skip--)
        (void)text_next(r);
}

size_t text_length(const char *text, size_t max)
{
    struct text_reader r;
    size_t len = 0;
    text_open(&r, text);
    while (len < max && text_next(&r) != '\0')
        len++;
    return len;
}
