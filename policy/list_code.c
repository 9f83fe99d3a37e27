/* The coder halves an interval for each bit: the lower part is 0, as big as 0 is likely. So the code of a key is a number that is smaller
 * than that of any greater key, which is what lets a search compare codes in place of names. */
#include "policy/list_code.h"

#include <string.h>

#include "hal/base/bytes.h"
#include "hal/base/domain.h"
#include "policy/list_shared.h"

#define BITS 12 /* of a probability */

/* 4096 / (1 + e^(w / 16)): how likely a 0 is at weight w, from -WEIGHT_MAX on. */
#define WEIGHT_MAX 127
static const uint16_t zero_likely[2 * WEIGHT_MAX + 1] = {
    4095, 4094, 4094, 4094, 4094, 4094, 4094, 4094, 4094, 4093, 4093, 4093, 4093, 4093, 4092, 4092, 4092, 4092, 4091, 4091,
    4091, 4091, 4090, 4090, 4089, 4089, 4089, 4088, 4088, 4087, 4086, 4086, 4085, 4085, 4084, 4083, 4082, 4081, 4080, 4079,
    4078, 4077, 4076, 4075, 4073, 4072, 4070, 4069, 4067, 4065, 4063, 4061, 4059, 4056, 4054, 4051, 4048, 4045, 4042, 4038,
    4035, 4031, 4027, 4022, 4018, 4013, 4007, 4002, 3996, 3990, 3983, 3976, 3968, 3960, 3952, 3943, 3934, 3924, 3913, 3902,
    3890, 3877, 3864, 3850, 3835, 3819, 3803, 3785, 3767, 3747, 3727, 3705, 3683, 3659, 3634, 3608, 3580, 3551, 3521, 3490,
    3457, 3422, 3386, 3349, 3310, 3269, 3227, 3184, 3139, 3092, 3044, 2994, 2943, 2891, 2837, 2782, 2726, 2668, 2609, 2550,
    2489, 2428, 2365, 2303, 2239, 2176, 2112, 2048, 1984, 1920, 1857, 1793, 1731, 1668, 1607, 1546, 1487, 1428, 1370, 1314,
    1259, 1205, 1153, 1102, 1052, 1004, 957,  912,  869,  827,  786,  747,  710,  674,  639,  606,  575,  545,  516,  488,
    462,  437,  413,  391,  369,  349,  329,  311,  293,  277,  261,  246,  232,  219,  206,  194,  183,  172,  162,  153,
    144,  136,  128,  120,  113,  106,  100,  94,   89,   83,   78,   74,   69,   65,   61,   58,   54,   51,   48,   45,
    42,   40,   37,   35,   33,   31,   29,   27,   26,   24,   23,   21,   20,   19,   18,   17,   16,   15,   14,   13,
    12,   11,   11,   10,   10,   9,    8,    8,    7,    7,    7,    6,    6,    5,    5,    5,    5,    4,    4,    4,
    4,    3,    3,    3,    3,    3,    2,    2,    2,    2,    2,    2,    2,    2,    1,
};

/* clang-format off */
const struct list_node list_tree[NODES] = {
    { 23, 1, 23 }, { 16, 2, 17 }, { 2, 3, 4 }, { 1, -1, -2 }, { 14, 5, 16 }, { 3, -3, 6 }, { 7, 7, 10 }, { 5, 8, 9 },
    { 4, -4, -5 }, { 6, -6, -7 }, { 10, 11, 13 }, { 8, -8, 12 }, { 9, -9, -10 }, { 11, -11, 14 }, { 12, -12, 15 }, { 13, -13, -14 },
    { 15, -15, -16 }, { 19, 18, 20 }, { 18, 19, -19 }, { 17, -17, -18 }, { 22, 21, -23 }, { 21, 22, -22 }, { 20, -20, -21 }, { 29, 24, 29 },
    { 27, 25, 28 }, { 26, 26, -27 }, { 25, 27, -26 }, { 24, -24, -25 }, { 28, -28, -29 }, { 33, 30, 33 }, { 32, 31, -33 }, { 31, 32, -32 },
    { 30, -30, -31 }, { 34, -34, 34 }, { 36, 35, 36 }, { 35, -35, -36 }, { 38, 37, 38 }, { 37, -37, -38 }, { 39, -39, -40 },
};
/* clang-format on */

static uint8_t reversed(uint8_t byte)
{
    uint32_t b = byte;
    return (uint8_t)(((b * 0x0802u & 0x22110u) | (b * 0x8020u & 0x88440u)) * 0x10101u >> 16);
}

static void turn_round(uint8_t *b, size_t len)
{
    for (size_t i = 0; i < (len + 1) / 2; i++) {
        uint8_t first = reversed(b[i]);
        b[i] = reversed(b[len - 1 - i]);
        b[len - 1 - i] = first;
    }
}

static __attribute__((noinline)) uint8_t fetch(struct list_coder *c)
{
    if (c->at < c->have)
        return c->buffer[c->at++];
    uint32_t left = c->len - c->next, take = left < sizeof c->buffer ? left : (uint32_t)sizeof c->buffer;
    if (take == 0 || c->rc != RC_OK) {
        c->overrun += c->overrun < UINT8_MAX;
        return 0;
    }
    c->rc = reader_get(c->reader, c->from + (c->backwards ? left - take : c->next), c->buffer, take);
    if (c->rc != RC_OK)
        return 0;
    if (c->backwards)
        turn_round(c->buffer, take);
    c->next += take;
    c->have = (uint8_t)take;
    c->at = 1;
    return c->buffer[0];
}

#define STEP_BITS 16 /* that one bit read takes at most */

/* What changes with each bit, to be held in registers. */
struct interval {
    uint64_t code;
    uint32_t range, ahead;
};

struct window {
    uint64_t code, ahead;
};

static __attribute__((noinline)) struct window refill(struct list_coder *c, uint64_t code, uint32_t ahead)
{
    if (c->have - c->at >= 4) {
        unsigned bits = (32 - ahead) & 56;
        code |= (uint64_t)get_be32(c->buffer + c->at) >> (32 - bits) << (32 - ahead - bits);
        c->at = (uint8_t)(c->at + bits / 8);
        return (struct window){ code, ahead + bits };
    }
    for (; ahead <= 24; ahead += 8)
        code |= (uint64_t)fetch(c) << (24 - ahead);
    return (struct window){ code, ahead };
}

static inline struct interval interval_of(const struct list_coder *c)
{
    return (struct interval){ c->code, c->range, c->ahead };
}

static inline void keep(struct list_coder *c, const struct interval *v)
{
    c->code = v->code;
    c->range = v->range;
    c->ahead = (uint8_t)v->ahead;
}

static void start(struct list_coder *c, const struct reader *r, uint64_t from, uint32_t len)
{
    memset(c, 0, offsetof(struct list_coder, buffer));
    c->range = UINT32_MAX;
    c->reader = r;
    c->from = from;
    c->len = len;
    c->write = NULL;
    c->counts = NULL;
}

/* The first 32 bits, of which the line has had some, and those ahead. */
static void fill(struct list_coder *c, uint32_t prefix, unsigned bits)
{
    c->code = bits > 0 ? (uint64_t)prefix << (64 - bits) : 0;
    for (; bits < 32; bits += 8)
        c->code |= (uint64_t)fetch(c) << (56 - bits);
    struct window w = refill(c, c->code, bits - 32);
    c->code = w.code;
    c->ahead = (uint8_t)w.ahead;
}

void list_coder_read(struct list_coder *c, const struct reader *r, uint64_t from, uint32_t len, uint32_t prefix, unsigned bits)
{
    start(c, r, from, len);
    fill(c, prefix, bits);
}

void list_coder_read_back(struct list_coder *c, const struct reader *r, uint64_t from, uint32_t len)
{
    start(c, r, from, len);
    c->backwards = true;
    fill(c, 0, 0);
}

enum rc list_coder_check(const struct list_coder *c)
{
    if (c->rc != RC_OK)
        return c->rc == RC_INVALID ? RC_CORRUPT : c->rc;
    return c->overrun * 8 > c->ahead + 32 ? RC_CORRUPT : RC_OK;
}

static inline __attribute__((always_inline)) uint32_t bound_of(uint32_t range, int weight)
{
    if ((unsigned)(weight + WEIGHT_MAX) > 2 * WEIGHT_MAX)
        weight = weight < 0 ? -WEIGHT_MAX : WEIGHT_MAX;
    return (range >> BITS) * zero_likely[weight + WEIGHT_MAX];
}

/* Settled bits go out by arithmetic, as a jump here could not be foreseen. */
static inline __attribute__((always_inline)) void settle(struct list_coder *c, struct interval *v)
{
    unsigned shift = (unsigned)__builtin_clz(v->range) & 24;
    v->range <<= shift;
    v->code <<= shift;
    v->ahead -= shift;
    if (__builtin_expect(v->ahead < STEP_BITS, 0)) {
        struct window w = refill(c, v->code, v->ahead);
        v->code = w.code;
        v->ahead = (uint32_t)w.ahead;
    }
}

int list_code_bit(struct list_coder *c, int weight, int bit)
{
    if (c->write != NULL)
        return c->write(c, bound_of(c->range, weight), bit);
    struct interval v = interval_of(c);
    uint32_t bound = bound_of(v.range, weight);
    bit = v.code >> 32 >= bound;
    v.code -= bit ? (uint64_t)bound << 32 : 0;
    v.range = bit ? v.range - bound : bound;
    settle(c, &v);
    keep(c, &v);
    return bit;
}

static inline int list_decide(struct list_coder *c, const uint16_t *at, unsigned count, int bit)
{
    int sum = 0;
    for (unsigned i = 0; i < count; i++)
        sum += list_weights[at[i]];
    return list_code_bit(c, sum, bit);
}

static inline __attribute__((always_inline)) int weight_of(const struct list_rows *rows, unsigned i)
{
    return list_weights[rows->order_1 + i] + list_weights[rows->place + i] + list_weights[W_ORDER_2 + (rows->order_2 ^ i)] +
           list_weights[W_ORDER_3 + (rows->order_3 ^ i)];
}

int list_code_symbol(struct list_coder *c, const struct list_context *x, int above, int symbol)
{
    struct list_rows rows = list_rows_of(x);
    int node = 0;
    while (node >= 0) {
        const struct list_node *n = &list_tree[node];
        if (n->middle - 1 <= above || list_code_bit(c, weight_of(&rows, (unsigned)node), symbol >= n->middle))
            node = n->rest;
        else
            node = n->below;
    }
    return ~node;
}

size_t list_read_symbols(struct list_coder *c, const struct list_context *x, bool pattern, uint8_t *out, size_t room)
{
    struct interval v = interval_of(c);
    struct list_context at_hand = *x;
    size_t n = 0;
    for (; n < room; n++) {
        struct list_rows rows = list_rows_of(&at_hand);
        int node = 0;
        do {
            const struct list_node *at = &list_tree[node];
            uint32_t bound = bound_of(v.range, weight_of(&rows, (unsigned)node));
            if ((uint32_t)(v.code >> 32) < bound) {
                v.range = bound;
                node = at->below;
            } else {
                v.range -= bound;
                v.code -= (uint64_t)bound << 32;
                node = at->rest;
            }
            settle(c, &v);
        } while (node >= 0);
        if (~node == SYMBOL_END)
            break;
        out[n] = (uint8_t)~node;
        if (pattern)
            list_pattern_context_add(&at_hand, (unsigned)~node);
        else
            list_context_add(&at_hand, (unsigned)~node);
    }
    keep(c, &v);
    return n;
}

enum rc list_read_first(struct list_coder *c, struct list_context *x, uint8_t *key, size_t len, int above)
{
    *x = list_context_at(key, len);
    if (above >= SYMBOLS - 1 || len >= DOMAIN_MAX)
        return RC_CORRUPT;
    key[len] = (uint8_t)list_code_symbol(c, x, above, -1);
    list_context_add(x, key[len]);
    return RC_OK;
}

enum rc list_read_rest(struct list_coder *c, const struct list_context *x, uint8_t *key, size_t *len)
{
    *len += list_read_symbols(c, x, false, key + *len, DOMAIN_MAX + 1 - *len);
    return *len <= DOMAIN_MAX ? RC_OK : RC_CORRUPT;
}

void list_bracket(struct list_bracket *b, const uint8_t *key, size_t len)
{
    struct list_context x = { .kind = 0 };
    uint64_t low = 0;
    uint32_t range = UINT32_MAX;
    unsigned left = 32; /* bits of `low` below the range */
    b->steps = 0;
    for (size_t i = 0; i <= len; i++) {
        int symbol = i < len ? key[i] : SYMBOL_END, node = 0;
        struct list_rows rows = list_rows_of(&x);
        do {
            const struct list_node *n = &list_tree[node];
            uint32_t bound = bound_of(range, weight_of(&rows, (unsigned)node));
            uint32_t rest = 0u - (symbol >= n->middle);
            low += (uint64_t)(bound & rest) << left;
            range = bound + ((range - bound - bound) & rest);
            node = n->below ^ ((n->below ^ n->rest) & (int)rest);
            unsigned shift = (unsigned)__builtin_clz(range) & 24;
            if (shift > left)
                goto narrow;
            range <<= shift;
            left -= shift;
        } while (node >= 0);
        list_context_add(&x, (unsigned)symbol);
        if (left >= 8 && b->steps < LIST_STEPS && i < len) {
            b->step_low[b->steps] = low;
            b->step_range[b->steps] = range;
            b->step_left[b->steps++] = (uint8_t)left;
        }
    }
narrow:
    b->low = low;
    b->high = low + ((uint64_t)range << left) - 1;
}

size_t list_coder_skip(struct list_coder *c, const struct list_bracket *b)
{
    for (unsigned i = b->steps; i > 0; i--) {
        uint64_t above = c->code - b->step_low[i - 1];
        unsigned left = b->step_left[i - 1];
        if (above >= (uint64_t)b->step_range[i - 1] << left)
            continue;
        struct window w = refill(c, above << (32 - left), c->ahead + left - 32u);
        c->range = b->step_range[i - 1];
        c->code = w.code;
        c->ahead = (uint8_t)w.ahead;
        return i;
    }
    return 0;
}

size_t list_code_shared(struct list_coder *c, const uint8_t *key, size_t len, const struct list_shared *s, size_t shared)
{
    return list_walk_shared(c, key, len, s, shared);
}

int list_code_own(struct list_coder *c, const int8_t *own, unsigned at, int bit)
{
    bit = list_code_bit(c, own[at], bit);
    if (c->counts != NULL)
        c->counts[2 * at + (unsigned)bit]++;
    return bit;
}

uint32_t list_code_number(struct list_coder *c, const int8_t *own, uint32_t number)
{
    unsigned bits = 0;
    while (bits < 24 && list_code_own(c, own, OWN_BUCKET + bits, number >> bits != 0))
        bits++;
    uint32_t value = bits > 0;
    for (unsigned i = bits; i > 1; i--) {
        int bit = number >> (i - 2) & 1;
        bit = value < 32 / 2 ? list_code_own(c, own, OWN_NUMBER + value, bit) : list_code_bit(c, LIST_WEIGHT_EVEN, bit);
        value = value << 1 | (uint32_t)bit;
    }
    return value;
}

uint32_t list_code_gamma(struct list_coder *c, const int8_t *own, unsigned at, unsigned most, uint32_t number)
{
    unsigned bits = 0;
    while (bits < most && list_code_own(c, own, at + bits, (number + 1) >> (bits + 1) != 0))
        bits++;
    uint32_t value = 1;
    for (unsigned i = bits; i > 0; i--)
        value = value << 1 | (uint32_t)list_code_bit(c, LIST_WEIGHT_EVEN, (number + 1) >> (i - 1) & 1);
    return value - 1;
}
