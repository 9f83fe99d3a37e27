/* Keys, blocks and the way through one (policy/LIST.md). No part of the outside of policy/: for list*.c. */
#ifndef POLICY_LIST_BLOCK_H
#define POLICY_LIST_BLOCK_H

#include "policy/list.h"
#include "policy/list_policy.h"

#define LIST_LINE_BLOCKS 32 /* that one line of a directory leads to */
#define LIST_TABLE_BYTES 8  /* of a line in the directory's table */
#define LIST_LINE_MAX 192   /* bytes of a line */
#define LIST_BITS_MAX 31
#define LIST_ODD_BITS 3 /* low bits of the code that tells how far it is to a block with another number of names */
#define LIST_PLAIN_MAX 1024

/* reader_get, but a range outside the image is the image's fault: RC_CORRUPT. A device that fails stays RC_IO. */
enum rc list_get(const struct list *l, uint64_t offset, void *out, size_t len) MUST_CHECK;

/* A name's labels from the TLD down, in symbols; that of the dot between them sorts below every character of a label. */
struct list_key {
    size_t len;
    uint8_t symbol[DOMAIN_MAX];
};
/* False: no name of a list. */
bool list_key_of_domain(struct list_key *k, struct span domain);
/* The name, of as many characters, into the bytes that stand before `end`. */
void list_key_text(char *end, const uint8_t *symbol, size_t len);
int list_key_cmp(const struct list_key *a, const struct list_key *b);

/* A block: where it lies, the bits that its code begins with, and how many names it has (1..255). */
struct list_place {
    uint64_t from;
    uint32_t len, prefix;
    uint8_t names;
    bool last; /* of its line */
};

uint64_t list_directory_bytes(const struct list_directory *d);
/* The place of a block, which then lies within the data. A line has LIST_LINE_BLOCKS numbers, also where it has fewer blocks.
 * RC_CORRUPT, RC_IO. */
enum rc list_find_place(const struct list *l, const struct list_directory *d, uint32_t block, struct list_place *out) MUST_CHECK;
/* The prefix of the first block of a line. RC_CORRUPT, RC_IO. */
enum rc list_line_prefix(const struct list *l, const struct list_directory *d, uint32_t line, uint32_t *prefix) MUST_CHECK;

/* Goes through a line until a block's prefix is over `high`, and gives the block before it. The first *n blocks are taken whatever their
 * prefixes are; *n grows with those whose prefixes are below `low`. RC_BUSY: the prefix of the next one, *next unless NULL, lies between
 * the two. RC_CORRUPT, RC_IO. */
struct list_range {
    uint32_t low, high;
};
enum rc list_line_find(const struct list *l, const struct list_directory *d, uint32_t line, struct list_range wanted, uint32_t *n,
                       struct list_place *place, struct list_place *next) MUST_CHECK;

/* The last block whose first name is not after *wanted, whose bracket goes into *code; RC_NOT_FOUND when all are. RC_CORRUPT, RC_IO. */
enum rc list_find_block(const struct list *l, const struct list_key *wanted, struct list_bracket *code, uint32_t *block,
                        struct list_place *place) MUST_CHECK;

/* The way through the names of one block. */
struct list_walk {
    struct list_coder coder;
    struct list_shared shared;
    bool first;
    uint8_t *symbol; /* the name's key, in the caller's LIST_KEY_BYTES */
    size_t len;
    struct list_context before_rest;
};
#define LIST_KEY_BYTES (DOMAIN_MAX + 1) /* one more than a key can have, to see that it is too long */
void list_walk_start(struct list_walk *w, const struct list *l, const struct list_place *p, uint8_t *memory);
/* The next name in two steps: how much it shares with the one before, and one symbol more; the rest of it. Of the first name of a block the
 * first step reads nothing: what is there by then are symbols that list_coder_skip has gone behind. RC_CORRUPT. */
enum rc list_walk_next(struct list_walk *w, size_t *shared) MUST_CHECK;
enum rc list_walk_rest(struct list_walk *w) MUST_CHECK;
static inline enum rc list_walk_name(struct list_walk *w)
{
    size_t shared;
    enum rc rc = list_walk_next(w, &shared);
    return rc == RC_OK ? list_walk_rest(w) : rc;
}

/* The way through the policies of a block's names, which stand behind the names, backwards. */
struct list_choice {
    struct list_coder coder;
    uint32_t number; /* the entry's policy: 0 its own, else its place in the table and 1 */
    uint32_t own;    /* policies of their own among those so far, the entry's left out */
    uint8_t mode;    /* enum list_mode */
    bool first;
};
void list_choice_start(struct list_choice *c, const struct list *l, const struct list_place *p);
enum rc list_choice_next(struct list_choice *c, const struct list *l) MUST_CHECK;

/* The entry of a domain that is the index-th of its block. RC_CORRUPT, RC_IO. */
enum rc list_get_entry(const struct list *l, const struct list_place *p, uint32_t index, struct span domain,
                       struct list_entry *out) MUST_CHECK;
/* A policy of the table, 1..l->shared, with its patterns as they are stored: relative to a domain. RC_CORRUPT, RC_IO. */
enum rc list_shared_policy(const struct list *l, uint32_t number, struct list_entry *out) MUST_CHECK;

#endif
