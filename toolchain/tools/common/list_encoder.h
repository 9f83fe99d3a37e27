/* Writes codes that policy/list_code.h reads, and the blocks and directories that they stand in (policy/LIST.md). Bits are packed from the high
 * ones of a byte on. */
#ifndef TOOLS_LIST_ENCODER_H
#define TOOLS_LIST_ENCODER_H

#include "policy/list_block.h"
#include "toolchain/tools/common/byte_buffer.h"

struct list_encoder {
    struct list_coder coder; /* what list_code_bit and the others take */
    struct byte_buffer out;
    size_t settled; /* bits of `out` that no end can change; SIZE_MAX when it has. Set when it is ended, as is: */
    uint32_t low;   /* where the coder's range begins, behind those bits */
};

/* Starts anew; the memory stays. Zeroed: a new one. counts: as in struct list_coder. */
void list_encoder_start(struct list_encoder *e, uint32_t *counts);
/* Ends the code with the fewest bits that mean the same whatever follows, at least `least`. How many there are in out, with zeros up to a byte. */
size_t list_encoder_end(struct list_encoder *e, size_t least);
void list_encoder_free(struct list_encoder *e);

struct bit_buffer {
    struct byte_buffer bytes;
    unsigned used; /* bits of the last byte; 0: all */
};
void bit_buffer_add(struct bit_buffer *b, uint32_t value, unsigned count);
/* In the exponential Golomb code. */
void bit_buffer_golomb(struct bit_buffer *b, uint32_t value, unsigned low_bits);
/* The number of low bits, at most `most`, with which that of all these numbers is shortest. */
unsigned golomb_best(const uint32_t *values, size_t count, unsigned most);

/* The blocks of one part, and what leads to them. */
struct list_blocks {
    unsigned bits;            /* of each block's code that stand in its line */
    unsigned usual;           /* names of a block, in most cases; 0: blocks have none, they are of policies */
    struct byte_buffer table; /* as in the image */
    struct byte_buffer data;  /* lines and blocks, as in the image once list_blocks_end was called */
    struct byte_buffer group; /* the blocks of the line at hand */
    uint32_t prefixes[LIST_LINE_BLOCKS], lengths[LIST_LINE_BLOCKS];
    unsigned names[LIST_LINE_BLOCKS];
    size_t held;
};
/* A block of two ended codes with so many names, the second one backwards from its end; it may have no bits. */
struct list_codes {
    const struct list_encoder *forwards, *backwards;
    size_t bits, back_bits;
};
void list_blocks_add(struct list_blocks *b, const struct list_codes *codes, unsigned names);
/* A block of bytes as they are. */
void list_blocks_add_plain(struct list_blocks *b, const void *bytes, size_t len);
/* Ends the line at hand; a full one has ended by itself. */
void list_blocks_end(struct list_blocks *b);
void list_blocks_free(struct list_blocks *b);

#endif
