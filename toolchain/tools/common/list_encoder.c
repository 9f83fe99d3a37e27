#include "toolchain/tools/common/list_encoder.h"

#include <string.h>

/* --- the coder, the other way --- */

static void carry(struct byte_buffer *out)
{
    for (size_t i = out->len; i > 0 && ++out->p[i - 1] == 0;)
        i--;
}

static int put(struct list_coder *c, uint32_t bound, int bit)
{
    struct list_encoder *e = (struct list_encoder *)c; /* its first member */
    if (bit)
        c->code += bound;
    if (c->code > UINT32_MAX)
        carry(&e->out);
    c->code = (uint32_t)c->code;
    c->range = bit ? c->range - bound : bound;
    for (; c->range < LIST_CODER_LEAST; c->range <<= 8, c->code = (uint32_t)c->code << 8)
        byte_buffer_u8(&e->out, (uint8_t)(c->code >> 24));
    return bit;
}

void list_encoder_start(struct list_encoder *e, uint32_t *counts)
{
    memset(&e->coder, 0, sizeof e->coder);
    e->coder.range = UINT32_MAX;
    e->coder.write = put;
    e->coder.counts = counts;
    e->out.len = 0;
}

size_t list_encoder_end(struct list_encoder *e, size_t least)
{
    struct list_coder *c = &e->coder;
    size_t bits = e->out.len * 8;
    for (unsigned n = 0;; n++) {
        uint64_t tail = (uint64_t)UINT32_MAX >> n, start = (c->code + tail) & ~tail;
        if (start + tail >= c->code + c->range)
            continue;
        if (start > UINT32_MAX)
            carry(&e->out);
        for (unsigned shift = 32; shift > 0; shift -= 8)
            byte_buffer_u8(&e->out, (uint8_t)(start >> (shift - 8)));
        bits += n;
        return bits > least ? bits : least;
    }
}

void list_encoder_free(struct list_encoder *e)
{
    byte_buffer_free(&e->out);
}

/* --- bits --- */

void bit_buffer_add(struct bit_buffer *b, uint32_t value, unsigned count)
{
    while (count-- > 0) {
        if (b->used == 0)
            byte_buffer_u8(&b->bytes, 0);
        b->bytes.p[b->bytes.len - 1] |= (uint8_t)((value >> count & 1) << (7 - b->used));
        b->used = (b->used + 1) % 8;
    }
}

/* How many ones the exponential Golomb code begins with. */
static unsigned ones_of(uint32_t value, unsigned low_bits)
{
    unsigned ones = 0;
    for (uint32_t high = (value >> low_bits) + 1; high > 1; high /= 2)
        ones++;
    return ones;
}

void bit_buffer_golomb(struct bit_buffer *b, uint32_t value, unsigned low_bits)
{
    unsigned ones = ones_of(value, low_bits);
    for (unsigned i = 0; i < ones; i++)
        bit_buffer_add(b, 1, 1);
    bit_buffer_add(b, 0, 1);
    bit_buffer_add(b, (value >> low_bits) + 1, ones);
    bit_buffer_add(b, value, low_bits);
}

unsigned golomb_best(const uint32_t *values, size_t count, unsigned most)
{
    unsigned best = 0;
    size_t least = SIZE_MAX;
    for (unsigned low = 0; low <= most; low++) {
        size_t bits = 0;
        for (size_t i = 0; i < count; i++)
            bits += 2 * ones_of(values[i], low) + 1 + low;
        if (bits < least) {
            least = bits;
            best = low;
        }
    }
    return best;
}

static unsigned bit_at(const struct byte_buffer *b, size_t i)
{
    return i / 8 < b->len ? b->p[i / 8] >> (7 - i % 8) & 1 : 0;
}

/* --- blocks --- */

/* What stands in front of the blocks of a line. */
static void write_line(struct list_blocks *b)
{
    struct bit_buffer line = { .used = 0 };
    uint32_t gaps[LIST_LINE_BLOCKS] = { 0 }, more[LIST_LINE_BLOCKS], least = UINT8_MAX;
    for (size_t i = 0; i < b->held; i++)
        least = b->lengths[i] < least ? b->lengths[i] : least;
    for (size_t i = 0; i < b->held; i++) {
        gaps[i] = i > 0 ? b->prefixes[i] - b->prefixes[i - 1] : 0;
        more[i] = b->lengths[i] - least;
    }
    unsigned gap_bits = golomb_best(gaps + 1, b->held - 1, LIST_BITS_MAX), len_bits = golomb_best(more, b->held, 15);
    bit_buffer_add(&line, 0, 8);
    bit_buffer_add(&line, gap_bits, 5);
    bit_buffer_add(&line, len_bits, 4);
    bit_buffer_add(&line, least, 8);
    for (size_t i = 0; i < b->held; i++) {
        if (i > 0 && b->bits > 0)
            bit_buffer_golomb(&line, gaps[i], gap_bits);
        bit_buffer_golomb(&line, more[i], len_bits);
    }
    line.bytes.p[0] = (uint8_t)line.bytes.len;
    byte_buffer_add(&b->data, line.bytes.p, line.bytes.len);
    byte_buffer_free(&line.bytes);
}

void list_blocks_end(struct list_blocks *b)
{
    if (b->held == 0)
        return;
    byte_buffer_u32(&b->table, b->prefixes[0]);
    byte_buffer_u32(&b->table, (uint32_t)b->data.len);
    write_line(b);
    byte_buffer_add(&b->data, b->group.p, b->group.len);
    b->group.len = 0;
    b->held = 0;
}

static void count_block(struct list_blocks *b, uint32_t prefix, size_t start)
{
    b->prefixes[b->held] = prefix;
    b->lengths[b->held++] = (uint32_t)(b->group.len - start);
    b->count++;
    if (b->held == LIST_LINE_BLOCKS)
        list_blocks_end(b);
}

void list_blocks_add(struct list_blocks *b, const struct list_encoder *forwards, size_t bits, const struct list_encoder *backwards,
                     size_t back_bits)
{
    struct bit_buffer block = { .used = 0 };
    uint32_t prefix = 0;
    size_t start = b->group.len, total = bits - b->bits + back_bits;
    for (size_t i = 0; i < b->bits; i++)
        prefix = prefix << 1 | bit_at(&forwards->out, i);
    for (size_t i = b->bits; i < bits; i++)
        bit_buffer_add(&block, bit_at(&forwards->out, i), 1);
    for (; total % 8 != 0; total++)
        bit_buffer_add(&block, 0, 1);
    for (size_t i = back_bits; i > 0; i--)
        bit_buffer_add(&block, bit_at(&backwards->out, i - 1), 1);
    byte_buffer_add(&b->group, block.bytes.p, block.bytes.len);
    byte_buffer_free(&block.bytes);
    count_block(b, prefix, start);
}

void list_blocks_add_plain(struct list_blocks *b, const void *bytes, size_t len)
{
    size_t start = b->group.len;
    byte_buffer_add(&b->group, bytes, len);
    count_block(b, 0, start);
}

void list_blocks_free(struct list_blocks *b)
{
    byte_buffer_free(&b->table);
    byte_buffer_free(&b->data);
    byte_buffer_free(&b->group);
    memset(b, 0, sizeof *b);
}
