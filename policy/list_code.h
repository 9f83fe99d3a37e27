/* The bits of the list (policy/LIST.md): a binary range coder that keeps the order of what it codes, with frozen weights. It reads blocks
 * through the list's reader. The writer in toolchain/ brings its own `write` and goes through the same choices. No part of the outside of
 * policy/: for list*.c and the writer. */
#ifndef POLICY_LIST_CODE_H
#define POLICY_LIST_CODE_H

#include "hal/base/reader.h"
#include "policy/list_walk.h"

#define LIST_MODEL 2
#define LIST_WEIGHT_EVEN 0 /* both bits alike */

extern const int8_t list_weights[LIST_WEIGHTS];

/* Weights that lie in the image, for what differs from list to list. */
enum {
    OWN_SAME = 0,                   /* the policy of the entry before? */
    OWN_BUCKET = OWN_SAME + 1,      /* bits of the policy's number: are there more? */
    OWN_NUMBER = OWN_BUCKET + 24,   /* a number below 32, by the bits before */
    OWN_MODE = OWN_NUMBER + 32,     /* enforce? list_mode_weight */
    OWN_MORE = OWN_MODE + 10,       /* another pattern? By how many there are */
    OWN_NEXT = OWN_MORE + 4,        /* the pattern before, its last digit one up? By whether that was so before */
    OWN_SHARED = OWN_NEXT + 2,      /* begins as the pattern before? */
    OWN_DROPPED = OWN_SHARED + 1,   /* bits of how much less it shares: are there more? */
    OWN_RELATIVE = OWN_DROPPED + 8, /* stands before the domain? By what the one before does (3) */
    OWN_BARE = OWN_RELATIVE + 3,    /* nothing before the domain? */
    OWN_DASHED = OWN_BARE + 1,      /* begins with the domain as one label? */
    OWN_DOT = OWN_DASHED + 1, /* a suffix pattern? By whether it stands before the domain (2), and what the one before does (3) */
    OWN_KNOWN = OWN_DOT + 6,  /* begins with a known host? By whether it is the first pattern */
    OWN_KNOWN_BITS = OWN_KNOWN + 2, /* bits of that one's number: are there more? */
    LIST_OWN_WEIGHTS = OWN_KNOWN_BITS + 12
};

#define LIST_CODER_BUFFER 32

struct list_coder {
    uint32_t range;
    uint8_t ahead; /* reading: bits below the upper 32 of `code` */
    uint64_t code; /* reading: the upper 32 bits are the code less the interval's start. Writing: the low bits of that start */
    /* Reading: bytes from..from+len, forwards, or from the end backwards with the bits of each byte turned round. After the end come
     * zeros. */
    const struct reader *reader;
    uint64_t from;
    uint32_t len, next; /* next: bytes fetched into buffer and before */
    bool backwards;
    uint8_t at, have;
    uint8_t overrun; /* bytes taken past the end */
    enum rc rc;      /* of the reader; sticky, and the bits are zeros then */
    uint8_t buffer[LIST_CODER_BUFFER];
    /* For the tools, which write: what takes a bit. NULL for a reader. bound: the part of the range that stands for 0. */
    int (*write)(struct list_coder *c, uint32_t bound, int bit);
    uint32_t *counts; /* unless NULL: how often each bit of the image's own weights came; [2 * own + bit] */
};
#define LIST_CODER_LEAST (1u << 24) /* a range below it is shifted a byte up */

/* Begins a code whose first `bits` bits (0..31) are known: `prefix`. */
void list_coder_read(struct list_coder *c, const struct reader *r, uint64_t from, uint32_t len, uint32_t prefix, unsigned bits);
/* One that stands at the end of from..from+len and runs backwards. */
void list_coder_read_back(struct list_coder *c, const struct reader *r, uint64_t from, uint32_t len);
/* RC_OK, RC_IO, or RC_CORRUPT when more was read than there is. */
enum rc list_coder_check(const struct list_coder *c) MUST_CHECK;
/* What is wrong with what was read, unless the reader has failed: its zeros look like anything. */
static inline enum rc list_coder_told(const struct list_coder *c, enum rc rc)
{
    return c->rc == RC_OK ? rc : list_coder_check(c);
}

/* One bit with a probability: weight in sixteenths of a nat, positive for 1. */
int list_code_bit(struct list_coder *c, int weight, int bit);
/* Reads symbols up to END, which is left out, or as many as there is room for; x: what stands before them. How many. */
size_t list_read_symbols(struct list_coder *c, const struct list_context *x, bool pattern, uint8_t *out, size_t room);
/* Reads the first symbol that a key does not share, into key[len], and gives what then stands before the next one; what the key before has
 * there is `above`, and it is greater. RC_CORRUPT: there is no greater one, or the key gets longer than one can be. */
enum rc list_read_first(struct list_coder *c, struct list_context *x, uint8_t *key, size_t len, int above) MUST_CHECK;
/* Reads the rest of a key behind its first *len symbols, of DOMAIN_MAX + 1 that there is room for. RC_CORRUPT: it is too long. */
enum rc list_read_rest(struct list_coder *c, const struct list_context *x, uint8_t *key, size_t *len) MUST_CHECK;
/* The first 64 bits of the least and of the greatest code that begins with a key, or with so much of it as it takes to tell most others from
 * it: codes outside are those of other keys, and in the same order. */
#define LIST_STEPS 6
struct list_bracket {
    uint64_t low, high;
    /* The intervals of the key's first symbols: 1, 2, ... An array for each member: stack is short. */
    uint64_t step_low[LIST_STEPS];
    uint32_t step_range[LIST_STEPS];
    uint8_t step_left[LIST_STEPS]; /* bits of its low below its range */
    uint8_t steps;
};
void list_bracket(struct list_bracket *b, const uint8_t *key, size_t len);
/* A coder that has been started anew on a code whose first symbols are those of the bracket's key goes behind them. How many. */
size_t list_coder_skip(struct list_coder *c, const struct list_bracket *b);
/* list_walk.h's, as functions. */
int list_code_symbol(struct list_coder *c, const struct list_context *x, int above, int symbol);
size_t list_code_shared(struct list_coder *c, const uint8_t *key, size_t len, const struct list_shared *s, size_t shared);
/* A bit by the weights of the image. */
int list_code_own(struct list_coder *c, const int8_t *own, unsigned at, int bit);
/* A policy's number; own[] are the image's weights. */
uint32_t list_code_number(struct list_coder *c, const int8_t *own, uint32_t number);
/* The weight for an entry's mode. before: the mode of the entry before it when that has the same policy, else -1. */
static inline unsigned list_mode_weight(uint32_t number, int before)
{
    return before >= 0 ? OWN_MODE + (unsigned)before : OWN_MODE + 2 + list_at_most(number, 7);
}
/* A number in gamma code, 0..2^(most + 1) - 2, its length by own[at..at + most]. */
uint32_t list_code_gamma(struct list_coder *c, const int8_t *own, unsigned at, unsigned most, uint32_t number);
/* How many symbols of a pattern the next one does not share: at most LIST_DROPPED_MAX. */
#define LIST_DROPPED_MAX 510
static inline uint32_t list_code_dropped(struct list_coder *c, const int8_t *own, uint32_t number)
{
    return list_code_gamma(c, own, OWN_DROPPED, 8, number);
}
/* The number of a known host, of LIST_KNOWN_MAX. */
#define LIST_KNOWN_MAX 8191
static inline uint32_t list_code_known(struct list_coder *c, const int8_t *own, uint32_t number)
{
    return list_code_gamma(c, own, OWN_KNOWN_BITS, 12, number);
}

#endif
