/* How names become bits: the order of the decisions and what each is predicted from (policy/LIST.md). Reading, writing and the training of
 * the frozen weights go through these same functions, so that they cannot differ; each brings its own list_decide. No part of the outside
 * of policy/: for list*.c, the writer in toolchain/ and its trainer. */
#ifndef POLICY_LIST_WALK_H
#define POLICY_LIST_WALK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A key is a name from the TLD down, in symbols. Their order is the order of the list. */
enum { SYMBOL_END = 0, SYMBOL_DOT = 1, SYMBOL_DIGIT_0 = 3, SYMBOLS = 40 };
#define LIST_ALPHABET "\0,-0123456789_abcdefghijklmnopqrstuvwxyz"

enum {
    NODES = SYMBOLS - 1, /* of the tree of symbols */
    PLACES = 5,          /* characters into a label, the last for all more */
    KINDS = 4,           /* TLD, second label, further ones; labels of a policy's pattern */
    KIND_PATTERN = 3,
    HASHED = 1024,
    /* Weights of a symbol's node: by the symbol before, by the two and three before, by its place. */
    W_ORDER_1 = 0,
    W_ORDER_2 = W_ORDER_1 + SYMBOLS * NODES,
    W_ORDER_3 = W_ORDER_2 + HASHED,
    W_PLACE = W_ORDER_3 + HASHED,
    /* Shared with the name before: less than the last one shared? */
    W_LESS_AT = W_PLACE + KINDS * PLACES * NODES,
    W_LESS_SYMBOL = W_LESS_AT + 24,
    W_LESS_REST = W_LESS_SYMBOL + SYMBOLS * 3,
    W_LESS_TREND = W_LESS_REST + 16,
    /* Going down: is it here? */
    W_DOWN_STEPS = W_LESS_TREND + 3,
    W_DOWN_SYMBOL = W_DOWN_STEPS + 8,
    W_DOWN_AT = W_DOWN_SYMBOL + SYMBOLS * 2,
    W_DOWN_NEXT = W_DOWN_AT + 24,
    /* Going up: is it here? */
    W_UP_STEPS = W_DOWN_NEXT + SYMBOLS,
    W_UP_SYMBOL = W_UP_STEPS + 3 * 12,
    W_UP_AT = W_UP_SYMBOL + SYMBOLS * 4,
    W_UP_REST = W_UP_AT + 24,
    LIST_WEIGHTS = W_UP_REST + 16
};

/* The tree of symbols: a node parts what is below its middle from the rest. Children are nodes, or ~symbol. */
struct list_node {
    int8_t middle, below, rest;
};
extern const struct list_node list_tree[NODES];

/* What stands before a symbol. */
struct list_context {
    uint32_t before; /* the three symbols before, the nearest in the low byte; 0 at the start of a key */
    unsigned kind, place;
};

static inline unsigned list_at_most(size_t value, unsigned most)
{
    return value < most ? (unsigned)value : most;
}

static inline void list_context_add(struct list_context *x, unsigned symbol)
{
    x->before = (x->before << 8 | symbol) & 0xffffff;
    x->place += x->place < PLACES - 1;
    if (symbol != SYMBOL_DOT)
        return;
    x->place = 0;
    x->kind += x->kind < KIND_PATTERN - 1;
}

/* In a pattern, from the third label on, it is the pattern's kind. */
static inline void list_pattern_context_add(struct list_context *x, unsigned symbol)
{
    list_context_add(x, symbol);
    x->kind += x->kind == KIND_PATTERN - 1;
}

static inline struct list_context list_context_at(const uint8_t *key, size_t len)
{
    struct list_context x = { .kind = 0 };
    for (size_t i = 0; i < len; i++)
        list_context_add(&x, key[i]);
    return x;
}

/* Where the weights of a symbol's nodes begin: those of nodes lie side by side, or are spread over a table by exclusive or. */
struct list_rows {
    unsigned order_1, order_2, order_3, place;
};

static inline struct list_rows list_rows_of(const struct list_context *x)
{
    return (struct list_rows){ W_ORDER_1 + (x->before & 0xff) * NODES, (x->before & 0xffff) * 0x9e3779b1u >> 22,
                               x->before * 0x85ebca6bu >> 22, W_PLACE + (x->kind * PLACES + x->place) * NODES };
}

/* How much is shared, as it was with the two names before this one. */
struct list_shared {
    size_t last;
    unsigned trend; /* 0: less than before, 1: as much, 2: more */
};

static inline void list_shared_add(struct list_shared *s, size_t shared)
{
    s->trend = shared > s->last ? 2 : shared == s->last;
    s->last = shared;
}

#endif
