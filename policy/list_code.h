/* The bits of the list (policy/LIST.md): a binary range coder that keeps the order of what it codes, with frozen weights. It reads blocks
 * through the list's reader; the writer in toolchain/ uses it the other way, as does a search, which codes its name to compare it with
 * blocks that it then need not decode. No part of the outside of policy/: for list*.c and the writer. */
#ifndef POLICY_LIST_CODE_H
#define POLICY_LIST_CODE_H

#include "hal/base/reader.h"
#include "policy/list_walk.h"

#define LIST_MODEL 1
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
    LIST_OWN_WEIGHTS = OWN_DOT + 6
};

#define LIST_CODER_BUFFER 32

struct list_coder {
    uint32_t range;
    uint32_t value; /* reading: the code less the interval's start. Writing: the low bits of that start */
    /* Reading: bytes from..from+len, forwards or from the end backwards. What comes after the end are zeros. */
    const struct reader *reader;
    uint64_t from;
    uint32_t len, next; /* next: bytes fetched into buffer and before */
    bool backwards;
    uint8_t at, have;
    uint8_t overrun; /* bytes read past the end; a whole block needs CODER_LEAD at most */
    enum rc rc;      /* of the reader; sticky, and the bits are zeros then */
    uint8_t buffer[LIST_CODER_BUFFER];
    /* Writing: NULL for a reader. What does not fit is left out: the first bytes of a code say where it stands. */
    uint8_t *out;
    size_t out_len, out_cap;
    uint32_t *counts; /* unless NULL: how often each bit of the image's own weights came; [2 * own + bit] */
};
#define CODER_LEAD 4

void list_coder_read(struct list_coder *c, const struct reader *r, uint64_t from, uint32_t len, bool backwards);
void list_coder_write(struct list_coder *c, uint8_t *out, size_t cap);
/* The fewest bytes that stand for what was written whatever bytes follow them; all of it is then in out. */
void list_coder_flush(struct list_coder *c);
/* RC_OK, RC_IO, or RC_CORRUPT when more was read than there is. */
enum rc list_coder_check(const struct list_coder *c) MUST_CHECK;

/* One bit with a probability: weight in sixteenths of a nat, positive for 1. */
int list_code_bit(struct list_coder *c, int weight, int bit);
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
/* How many symbols of a pattern the next one does not share: gamma code, at most LIST_DROPPED_MAX. */
#define LIST_DROPPED_MAX 510
uint32_t list_code_dropped(struct list_coder *c, const int8_t *own, uint32_t number);

#endif
