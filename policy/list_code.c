/* The coder halves an interval for each bit: the lower part is 0, as big as 0 is likely. So the code of a key is a number that is smaller
 * than that of any greater key, which is what lets a search compare codes in place of names. */
#include "policy/list_code.h"

#include "policy/list_shared.h"

#define BITS 12 /* of a probability */
#define LEAST_RANGE (1u << 24)

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

static uint8_t next_byte(struct list_coder *c)
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
    for (uint32_t i = 0; c->backwards && i < take / 2; i++) {
        uint8_t swapped = c->buffer[i];
        c->buffer[i] = c->buffer[take - 1 - i];
        c->buffer[take - 1 - i] = swapped;
    }
    c->next += take;
    c->have = (uint8_t)take;
    c->at = 1;
    return c->buffer[0];
}

void list_coder_read(struct list_coder *c, const struct reader *r, uint64_t from, uint32_t len, bool backwards)
{
    c->range = UINT32_MAX;
    c->value = 0;
    c->reader = r;
    c->from = from;
    c->len = len;
    c->next = 0;
    c->backwards = backwards;
    c->at = c->have = c->overrun = 0;
    c->rc = RC_OK;
    c->out = NULL;
    c->counts = NULL;
    for (unsigned i = 0; i < CODER_LEAD; i++)
        c->value = c->value << 8 | next_byte(c);
}

enum rc list_coder_check(const struct list_coder *c)
{
    if (c->rc != RC_OK)
        return c->rc == RC_INVALID ? RC_CORRUPT : c->rc;
    return c->overrun > CODER_LEAD ? RC_CORRUPT : RC_OK;
}

void list_coder_write(struct list_coder *c, uint8_t *out, size_t cap)
{
    *c = (struct list_coder){ .range = UINT32_MAX, .out = out, .out_cap = cap };
}

static void carry(struct list_coder *c);

static void put(struct list_coder *c)
{
    if (c->out_len < c->out_cap)
        c->out[c->out_len++] = (uint8_t)(c->value >> 24);
    c->value <<= 8;
}

void list_coder_flush(struct list_coder *c)
{
    for (unsigned bytes = 0; bytes <= CODER_LEAD; bytes++) {
        uint64_t tail = bytes < CODER_LEAD ? UINT32_MAX >> 8 * bytes : 0;
        uint64_t start = ((uint64_t)c->value + tail) & ~tail;
        if (start + tail >= (uint64_t)c->value + c->range)
            continue;
        if (start > UINT32_MAX)
            carry(c);
        c->value = (uint32_t)start;
        while (bytes-- > 0)
            put(c);
        return;
    }
}

/* The interval has become small: a byte of it is settled. */
static __attribute__((noinline)) uint32_t shift(struct list_coder *c, uint32_t value)
{
    if (c->out == NULL)
        return value << 8 | next_byte(c);
    c->value = value;
    put(c);
    return c->value;
}

static void carry(struct list_coder *c)
{
    for (size_t i = c->out_len; i > 0 && ++c->out[i - 1] == 0;)
        i--;
}

/* The interval is kept in registers over the bits of a symbol: reading a list is this, over and over. */
struct interval {
    uint32_t range, value;
};

static inline __attribute__((always_inline)) int code_bit(struct list_coder *c, struct interval *v, int weight, int bit)
{
    weight = weight > WEIGHT_MAX ? WEIGHT_MAX : weight < -WEIGHT_MAX ? -WEIGHT_MAX : weight;
    uint32_t bound = (v->range >> BITS) * zero_likely[weight + WEIGHT_MAX];
    if (c->out == NULL) {
        bit = v->value >= bound;
        v->value -= bit ? bound : 0;
    } else if (bit) {
        v->value += bound;
        if (v->value < bound)
            carry(c);
    }
    v->range = bit ? v->range - bound : bound;
    while (v->range < LEAST_RANGE) {
        v->range <<= 8;
        v->value = shift(c, v->value);
    }
    return bit;
}

int list_code_bit(struct list_coder *c, int weight, int bit)
{
    struct interval v = { c->range, c->value };
    bit = code_bit(c, &v, weight, bit);
    c->range = v.range;
    c->value = v.value;
    return bit;
}

static inline int list_decide(struct list_coder *c, const uint16_t *at, unsigned count, int bit)
{
    int sum = 0;
    for (unsigned i = 0; i < count; i++)
        sum += list_weights[at[i]];
    return list_code_bit(c, sum, bit);
}

int list_code_symbol(struct list_coder *c, const struct list_context *x, int above, int symbol)
{
    struct list_rows rows = list_rows_of(x);
    const int8_t *order_1 = list_weights + rows.order_1, *place = list_weights + rows.place;
    struct interval v = { c->range, c->value };
    int node = 0;
    while (node >= 0) {
        const struct list_node *n = &list_tree[node];
        unsigned i = (unsigned)node;
        int rest = n->middle - 1 <= above;
        if (!rest) {
            int weight = order_1[i] + place[i] + list_weights[W_ORDER_2 + (rows.order_2 ^ i)] +
                         list_weights[W_ORDER_3 + (rows.order_3 ^ i)];
            rest = code_bit(c, &v, weight, symbol >= n->middle);
        }
        node = rest ? n->rest : n->below;
    }
    c->range = v.range;
    c->value = v.value;
    return ~node;
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

uint32_t list_code_dropped(struct list_coder *c, const int8_t *own, uint32_t number)
{
    unsigned bits = 0;
    while (bits < 8 && list_code_own(c, own, OWN_DROPPED + bits, (number + 1) >> (bits + 1) != 0))
        bits++;
    uint32_t value = 1;
    for (unsigned i = bits; i > 0; i--)
        value = value << 1 | (uint32_t)list_code_bit(c, LIST_WEIGHT_EVEN, (number + 1) >> (i - 1) & 1);
    return value - 1;
}
