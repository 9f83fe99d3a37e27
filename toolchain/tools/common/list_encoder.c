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
    e->settled = bits;
    e->low = (uint32_t)c->code;
    for (unsigned n = 0;; n++) {
        uint64_t tail = (uint64_t)UINT32_MAX >> n, start = (c->code + tail) & ~tail;
        if (start + tail >= c->code + c->range)
            continue;
        if (start > UINT32_MAX) {
            carry(&e->out);
            e->settled = SIZE_MAX;
        }
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

static bool is_regular(const struct list_blocks *b)
{
    for (size_t i = 0; i < b->held; i++) {
        if (b->names[i] != b->usual)
            return false;
    }
    return b->held == LIST_LINE_BLOCKS;
}

/* How many blocks from this one on have as many names as usual. */
static void write_until_odd(const struct list_blocks *b, struct bit_buffer *line, size_t from)
{
    size_t n = 0;
    while (from + n < b->held && b->names[from + n] == b->usual)
        n++;
    bit_buffer_golomb(line, (uint32_t)n, LIST_ODD_BITS);
}

static void write_odd(const struct list_blocks *b, struct bit_buffer *line, size_t at)
{
    unsigned names = b->names[at], away = names > b->usual ? names - b->usual : b->usual - names;
    bit_buffer_golomb(line, 2 * away - (names > b->usual ? 2 : 1), 0);
    if (at + 1 < b->held)
        write_until_odd(b, line, at + 1);
}

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
    bool regular = is_regular(b);
    if (b->usual > 0)
        bit_buffer_add(&line, !regular, 1);
    if (b->usual > 0 && !regular) {
        bit_buffer_add(&line, (uint32_t)b->held - 1, 5);
        write_until_odd(b, &line, 0);
    }
    for (size_t i = 0; i < b->held; i++) {
        if (i > 0 && b->bits > 0)
            bit_buffer_golomb(&line, gaps[i], gap_bits);
        bit_buffer_golomb(&line, more[i], len_bits);
        if (b->names[i] != b->usual)
            write_odd(b, &line, i);
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

static void count_block(struct list_blocks *b, uint32_t prefix, size_t start, unsigned names)
{
    b->names[b->held] = names;
    b->prefixes[b->held] = prefix;
    b->lengths[b->held++] = (uint32_t)(b->group.len - start);
    if (b->held == LIST_LINE_BLOCKS)
        list_blocks_end(b);
}

/* Bits of a block: the first ones of its two codes, and what stands between them. */
struct meeting {
    const struct list_encoder *forwards, *backwards;
    size_t bits, back_bits;
    uint32_t between;
    unsigned between_bits;
};

#define SHARED_MOST 5 /* bits of each code that are tried */

static unsigned bits_to_try(const struct list_encoder *e, size_t bits, size_t least)
{
    if (e->settled == SIZE_MAX || bits <= e->settled || bits <= least)
        return 0;
    size_t loose = bits - (e->settled > least ? e->settled : least);
    return loose < SHARED_MOST ? (unsigned)loose : SHARED_MOST;
}

/* The 32 bits that end a code, when the other one, bits from..to, stands behind those of its own, the bits between being zeros. */
static uint32_t tail_of(const struct list_encoder *e, size_t bits, unsigned between, const struct list_encoder *other, size_t from,
                        size_t to)
{
    uint32_t tail = 0;
    for (size_t i = e->settled; i < e->settled + 32; i++) {
        size_t behind = i - bits - between; /* bits of the other, from its last one on */
        if (i < bits)
            tail = tail << 1 | bit_at(&e->out, i);
        else
            tail = tail << 1 | (i - bits >= between && behind < to - from ? bit_at(&other->out, to - 1 - behind) : 0);
    }
    return tail;
}

static uint32_t turned_round(uint32_t value, unsigned bits)
{
    uint32_t turned = 0;
    for (; bits > 0; bits--, value >>= 1)
        turned = turned << 1 | (value & 1);
    return turned;
}

/* A code means the same as long as its number lies in its interval: bits that both codes could end in are looked for which do for both, so
 * that the block takes a byte less. */
static bool share_bits(struct meeting *m, size_t prefix_bits)
{
    unsigned a = bits_to_try(m->forwards, m->bits, prefix_bits), z = bits_to_try(m->backwards, m->back_bits, 0);
    unsigned over = (unsigned)((m->bits - prefix_bits + m->back_bits + 7) % 8) + 1, count = a + z - over;
    if (a + z < over)
        return false;
    size_t bits = m->bits - a, back_bits = m->back_bits - z;
    size_t known = bits - m->forwards->settled, back_known = back_bits - m->backwards->settled;
    if (known + count > 32 || back_known + count > 32)
        return false;
    uint32_t tail = tail_of(m->forwards, bits, count, m->backwards, 0, back_bits);
    uint32_t back = tail_of(m->backwards, back_bits, count, m->forwards, prefix_bits, bits);
    unsigned shift = 32 - (unsigned)known - count, back_shift = 32 - (unsigned)back_known - count;
    for (uint32_t between = 0; between >> count == 0; between++) {
        uint32_t one = tail | (uint32_t)((uint64_t)between << shift);
        uint32_t other = back | (uint32_t)((uint64_t)turned_round(between, count) << back_shift);
        if (one - m->forwards->low < m->forwards->coder.range && one >= m->forwards->low &&
            other - m->backwards->low < m->backwards->coder.range && other >= m->backwards->low) {
            *m = (struct meeting){ m->forwards, m->backwards, bits, back_bits, between, count };
            return true;
        }
    }
    return false;
}

void list_blocks_add(struct list_blocks *b, const struct list_codes *codes, unsigned names)
{
    const struct byte_buffer *forwards = &codes->forwards->out, *backwards = &codes->backwards->out;
    struct meeting m = { codes->forwards, codes->backwards, codes->bits, codes->back_bits, 0, 0 };
    m.between_bits = (unsigned)(0 - (m.bits - b->bits + m.back_bits)) % 8;
    struct bit_buffer block = { .used = 0 };
    uint32_t prefix = 0;
    size_t start = b->group.len;
    if (m.back_bits > 0)
        (void)share_bits(&m, b->bits);
    for (size_t i = 0; i < b->bits; i++)
        prefix = prefix << 1 | bit_at(forwards, i);
    for (size_t i = b->bits; i < m.bits; i++)
        bit_buffer_add(&block, bit_at(forwards, i), 1);
    bit_buffer_add(&block, m.between, m.between_bits);
    for (size_t i = m.back_bits; i > 0; i--)
        bit_buffer_add(&block, bit_at(backwards, i - 1), 1);
    byte_buffer_add(&b->group, block.bytes.p, block.bytes.len);
    byte_buffer_free(&block.bytes);
    count_block(b, prefix, start, names);
}

void list_blocks_add_plain(struct list_blocks *b, const void *bytes, size_t len)
{
    size_t start = b->group.len;
    byte_buffer_add(&b->group, bytes, len);
    count_block(b, 0, start, 0);
}

void list_blocks_free(struct list_blocks *b)
{
    byte_buffer_free(&b->table);
    byte_buffer_free(&b->data);
    byte_buffer_free(&b->group);
    memset(b, 0, sizeof *b);
}
