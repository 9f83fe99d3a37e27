/* Keys, blocks and the way through one (policy/LIST.md). No part of the outside of policy/: for list*.c. */
#ifndef POLICY_LIST_BLOCK_H
#define POLICY_LIST_BLOCK_H

#include "policy/list.h"
#include "policy/list_policy.h"

#define LIST_LINE_BLOCKS 32 /* that one line of a directory leads to */
#define LIST_TABLE_BYTES 8  /* of a line in the directory's table */
#define LIST_LINE_MAX 192   /* bytes of a line */
#define LIST_BITS_MAX 31
#define LIST_PLAIN_MAX 1024

/* reader_get, but a range outside the image is the image's fault: RC_CORRUPT. A device that fails stays RC_IO. */
enum rc list_get(const struct list *l, uint64_t offset, void *out, size_t len) MUST_CHECK;

/* A name's labels from the TLD down, in symbols; that of the dot between them sorts below every character of a label. */
struct list_key {
    size_t len;
    uint8_t symbol[DOMAIN_MAX + 1]; /* room for one more, which list_read_rest takes to see that a name is too long */
};
/* False: no name of a list. */
bool list_key_of_domain(struct list_key *k, struct span domain);
/* Into DOMAIN_TEXT_MAX bytes. */
void list_key_to_domain(char *out, const struct list_key *k);
int list_key_cmp(const struct list_key *a, const struct list_key *b);

/* A block: where it lies, and the bits that its code begins with. */
struct list_place {
    uint64_t from;
    uint32_t len, prefix;
};

uint64_t list_directory_bytes(const struct list_directory *d);
/* The place of a block, which then lies within the data. RC_CORRUPT, RC_IO. */
enum rc list_find_place(const struct list *l, const struct list_directory *d, uint32_t block, struct list_place *out) MUST_CHECK;
/* The prefix of the first block of a line. RC_CORRUPT, RC_IO. */
enum rc list_line_prefix(const struct list *l, const struct list_directory *d, uint32_t line, uint32_t *prefix) MUST_CHECK;

/* The way through the blocks of a line. */
struct list_line {
    uint64_t end; /* of what the line leads to */
    struct list_place place;
    uint32_t left; /* blocks behind the one at place */
    unsigned bit, bits, gap_bits, len_bits, least;
    bool first, prefixed;
    uint8_t bytes[LIST_LINE_MAX + 4];
};
enum rc list_line_start(struct list_line *line, const struct list *l, const struct list_directory *d, uint32_t number) MUST_CHECK;
/* The next block into line->place, the first one first. RC_NOT_FOUND: there is none. RC_CORRUPT. */
enum rc list_line_next(struct list_line *line) MUST_CHECK;

uint32_t list_names_in_block(const struct list *l, uint32_t block);
/* The last block whose first name is not after *wanted; RC_NOT_FOUND when all are. RC_CORRUPT, RC_IO. */
enum rc list_find_block(const struct list *l, const struct list_key *wanted, uint32_t *block, struct list_place *place) MUST_CHECK;

/* The way through the names of one block. */
struct list_walk {
    struct list_coder coder;
    struct list_shared shared;
    bool first;
};
void list_walk_start(struct list_walk *w, const struct list *l, const struct list_place *p);
/* The next name in two steps: how much it shares with *k, the one before, and, unless it is the block's first, one symbol more, into *k, whose
 * length is then that of both; the rest of it. RC_CORRUPT. */
enum rc list_walk_next(struct list_walk *w, struct list_key *k, size_t *shared) MUST_CHECK;
enum rc list_walk_rest(struct list_walk *w, struct list_key *k) MUST_CHECK;
static inline enum rc list_walk_name(struct list_walk *w, struct list_key *k)
{
    size_t shared;
    enum rc rc = list_walk_next(w, k, &shared);
    return rc == RC_OK ? list_walk_rest(w, k) : rc;
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

/* The entry of a domain that is the index-th of `count` in its block. RC_CORRUPT, RC_IO. */
enum rc list_get_entry(const struct list *l, const struct list_place *p, uint32_t index, uint32_t count, struct span domain,
                       struct list_entry *out) MUST_CHECK;

#endif
