/* Texts for people, which an image may hold packed, in half the room. PACKED and PACKED_FORMAT put literals into a section of their own. On boards
 * that pack, the linker gives it addresses where nothing is (PACKED_TEXTS_AT), and toolchain/pack-texts replaces what it held by struct
 * packed_texts; on the others it is ordinary memory, which nobody may touch under the address sanitizer. So a text's pointer may be passed on,
 * kept and compared with NULL, but only strbuf reads what it points at: as a format, as what %s takes, and by strbuf_puts. Whoever else looks
 * there stops the box. */
#ifndef HAL_BASE_PACKED_TEXT_H
#define HAL_BASE_PACKED_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A table of texts: static const char words[][60] PACKED_TABLE = { [ONE] = "...", ... }; a row is a text, and its filling costs nothing. */
#define PACKED_TABLE __attribute__((section("packed_literals")))
/* A literal's text. Short ones gain nothing: they stay where they are, and equal ones are one. */
#define PACKED(literal)                                                  \
    (__extension__({                                                     \
        static const char text_of_literal[] PACKED_TABLE = literal;      \
        sizeof(literal) > PACKED_TEXT_SHORT ? text_of_literal : literal; \
    }))
#define PACKED_TEXT_SHORT 6

/* The arguments of a function that formats, from its format on, which must be a literal: say("%u", 1) is (say)(PACKED_FORMAT("%u", 1)). The
 * compiler compares format and arguments here, so that the function itself needs no attribute. */
#define PACKED_FORMAT(format, ...) ((void)sizeof(format_check(format, ##__VA_ARGS__)), PACKED(format)), ##__VA_ARGS__
int format_check(const char *format, ...) __attribute__((format(printf, 1, 2))); /* never called */

/* --- packed texts, as toolchain/pack-texts writes them --- */

#define PACKED_TEXTS_AT 0x90000000u /* as in the boards' linker scripts */
#define PACKED_TEXT_BLOCK 256       /* unpacked bytes between two entries of the index */
#define PACKED_TEXT_SPAN 64
#define PACKED_TEXT_INDEX_BYTES 3 /* of an entry */
#define PACKED_TEXT_DEPTH 16      /* symbols that may wait for their turn */
#define PACKED_TEXT_CHARACTER 0xff

/* All texts one after the other, each with its NUL, as symbols in canonical Huffman codes, highest bit first. A symbol is a character or
 * two symbols, at most PACKED_TEXT_SPAN characters. The index has three bytes for each block, whose first symbol begins in it at
 * entry % PACKED_TEXT_SPAN, and in the codes at bit entry / PACKED_TEXT_SPAN; in a short last block none may
 * begin, which then says PACKED_TEXT_SPAN - 1. Little-endian, no padding. */
struct packed_texts {
    uint32_t bytes;      /* of the texts as they were; 0: nothing is packed */
    uint16_t index_at;   /* from the start of this struct: where the index lies */
    uint16_t stream_at;  /* the same of the codes */
    uint16_t codes[16];  /* [n]: symbols with a code of n bits */
    uint8_t symbol[][3]; /* by code. { low byte of the left one, of the right one, their high bits: left | right << 4 }, or
                            { character, 0, PACKED_TEXT_CHARACTER } */
};
extern const struct packed_texts packed_texts; /* the board's */

/* --- reading, for strbuf --- */

struct text_reader {
    const char *plain; /* what comes next of a text that is not packed */
    uint32_t bit;      /* of a packed one, from the start of packed_texts */
    unsigned waiting;
    uint16_t symbol[PACKED_TEXT_DEPTH];
};

bool text_is_packed(const char *text);
void text_open(struct text_reader *r, const char *text);
/* The next character; not to be called again after the NUL. */
char text_next(struct text_reader *r);
/* Characters before the NUL, at most max: a text that is not packed needs none then. */
size_t text_length(const char *text, size_t max);

#endif
