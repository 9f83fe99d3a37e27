#include "hal/base/packed_text.h"

#include "hal/base/sanitize.h"

#if defined(ADDRESS_SANITIZER)
/* The linker's: where the section of texts begins and ends. What it holds may be read here alone, as on boards that pack. */
extern const char __start_packed_literals[] __attribute__((weak)), __stop_packed_literals[] __attribute__((weak));

__attribute__((constructor)) static void hide_texts(void)
{
    // cppcheck-suppress comparePointers // one section's ends
    ASAN_POISON_MEMORY_REGION(__start_packed_literals, (size_t)(__stop_packed_literals - __start_packed_literals));
}

static bool is_hidden(const char *text)
{
    return text >= __start_packed_literals && text < __stop_packed_literals;
}

UNCHECKED_ACCESS static char hidden_char(const char *text)
{
    return *text;
}
#else
static bool is_hidden(const char *text)
{
    (void)text;
    return false;
}

static char hidden_char(const char *text)
{
    return *text;
}
#endif

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
    if (r->plain != NULL) {
        const char *at = r->plain++;
        return is_hidden(at) ? hidden_char(at) : *at;
    }
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

static bool in_image(const char *text)
{
    return offset_of(text) < packed_texts.bytes;
}

bool text_is_packed(const char *text)
{
    return in_image(text) || is_hidden(text);
}

static uint32_t entry_of(size_t block)
{
    const uint8_t *e = byte_at(packed_texts.index_at + block * PACKED_TEXT_INDEX_BYTES);
    return e[0] | (uint32_t)e[1] << 8 | (uint32_t)e[2] << 16;
}

/* From the last symbol on that the index tells of. */
void text_open(struct text_reader *r, const char *text)
{
    *r = (struct text_reader){ .plain = text };
    if (!in_image(text))
        return;
    size_t block = offset_of(text) / PACKED_TEXT_BLOCK;
    if (offset_of(text) % PACKED_TEXT_BLOCK < entry_of(block) % PACKED_TEXT_SPAN)
        block--;
    uint32_t entry = entry_of(block);
    r->plain = NULL;
    r->bit = packed_texts.stream_at * 8u + entry / PACKED_TEXT_SPAN;
    for (size_t at = block * PACKED_TEXT_BLOCK + entry % PACKED_TEXT_SPAN; at < offset_of(text); at++)
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
