/* How the number of symbols that two names share becomes bits (policy/LIST.md): the way to it from what the names before have shared. Reading,
 * writing and the training of the weights go through these same functions; each brings its own list_decide. No part of the outside of
 * policy/: for list_code.c and the trainer in toolchain/. */
#ifndef POLICY_LIST_SHARED_H
#define POLICY_LIST_SHARED_H

#include "policy/list_walk.h"

struct list_coder;
/* Codes one bit with the sum of the weights at[]: a writer codes `bit` and returns it, a reader ignores it and returns what it has read. */
static inline int list_decide(struct list_coder *c, const uint16_t *at, unsigned count, int bit);

static inline unsigned list_symbol_at(const uint8_t *key, size_t len, size_t i)
{
    return i < len ? key[i] : SYMBOL_END;
}

static inline size_t list_walk_down(struct list_coder *c, const uint8_t *key, size_t len, size_t from, size_t shared)
{
    for (size_t i = from - 1; i > 0; i--) {
        unsigned starts = key[i - 1] == SYMBOL_DOT;
        uint16_t at[] = { (uint16_t)(W_DOWN_STEPS + list_at_most(from - 1 - i, 7)), (uint16_t)(W_DOWN_SYMBOL + key[i] * 2 + starts),
                          (uint16_t)(W_DOWN_AT + list_at_most(i, 23)), (uint16_t)(W_DOWN_NEXT + list_symbol_at(key, len, i + 1)) };
        if (list_decide(c, at, 4, shared == i))
            return i;
    }
    return 0;
}

static inline size_t list_walk_up(struct list_coder *c, const uint8_t *key, size_t len, size_t from, unsigned trend, size_t shared)
{
    for (size_t i = from; i < len; i++) {
        unsigned steps = list_at_most(i - from, 11), starts = i > 0 && key[i - 1] == SYMBOL_DOT;
        uint16_t at[] = { (uint16_t)(W_UP_STEPS + trend * 12 + steps),
                          (uint16_t)(W_UP_SYMBOL + key[i] * 4 + starts + (steps > 0 ? 2 : 0)),
                          (uint16_t)(W_UP_AT + list_at_most(i, 23)), (uint16_t)(W_UP_REST + list_at_most(len - i, 15)) };
        if (list_decide(c, at, 4, shared == i))
            return i;
    }
    return len;
}

/* How many symbols the next key shares with this one: 0..len. A reader passes any shared. */
static inline size_t list_walk_shared(struct list_coder *c, const uint8_t *key, size_t len, const struct list_shared *s,
                                      size_t shared)
{
    size_t last = s->last < len ? s->last : len;
    unsigned starts = last == 0 ? 2 : key[last - 1] == SYMBOL_DOT;
    uint16_t at[] = { (uint16_t)(W_LESS_AT + list_at_most(last, 23)),
                      (uint16_t)(W_LESS_SYMBOL + list_symbol_at(key, len, last) * 3 + starts),
                      (uint16_t)(W_LESS_REST + list_at_most(len - last, 15)), (uint16_t)(W_LESS_TREND + s->trend) };
    if (last > 0 && list_decide(c, at, 4, shared < last))
        return list_walk_down(c, key, len, last, shared);
    return list_walk_up(c, key, len, last, s->trend, shared);
}

#endif
