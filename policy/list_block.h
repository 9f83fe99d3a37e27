/* Keys, blocks and the way through one (policy/LIST.md). No part of the outside of policy/: for list*.c. */
#ifndef POLICY_LIST_BLOCK_H
#define POLICY_LIST_BLOCK_H

#include "policy/list.h"
#include "policy/list_policy.h"

#define LIST_GROUP 16 /* blocks that one line of a directory leads to */
#define LIST_WIDTH_MAX 24

/* reader_get, but a range outside the image is the image's fault: RC_CORRUPT. A device that fails stays RC_IO. */
enum rc list_get(const struct list *l, uint64_t offset, void *out, size_t len) MUST_CHECK;

/* A name's labels from the TLD down, in symbols; that of the dot between them sorts below every character of a label. */
struct list_key {
    size_t len;
    uint8_t symbol[DOMAIN_MAX];
};
/* False: no name of a list. */
bool list_key_of_domain(struct list_key *k, struct span domain);
/* Into DOMAIN_TEXT_MAX bytes. */
void list_key_to_domain(char *out, const struct list_key *k);
int list_key_cmp(const struct list_key *a, const struct list_key *b);

uint64_t list_directory_bytes(const struct list_directory *d);
/* Offset and length of a block, which then lies within the data. RC_CORRUPT, RC_IO. */
enum rc list_find_place(const struct list *l, const struct list_directory *d, uint32_t block, uint64_t *from,
                        uint32_t *len) MUST_CHECK;
uint32_t list_names_in_block(const struct list *l, uint32_t block);
/* The last block whose first name is not after *wanted; RC_NOT_FOUND when all are. RC_CORRUPT, RC_IO. */
enum rc list_find_block(const struct list *l, const struct list_key *wanted, uint32_t *block) MUST_CHECK;

/* The way through one block of names. */
struct list_walk {
    struct list_coder coder;
    struct list_shared shared;
    uint64_t from; /* the block */
    uint32_t len;
    uint32_t number; /* the entry's policy: 0 its own, else its place in the table and 1 */
    uint8_t mode;    /* enum list_mode */
    uint32_t own;    /* policies of their own that stand before this one in the block */
    bool first;
};
enum rc list_walk_start(struct list_walk *w, const struct list *l, uint32_t block) MUST_CHECK;
/* The next entry in three steps: how much its name shares with *k, the name before; the rest of the name, into *k; its policy. */
size_t list_walk_shared_with(struct list_walk *w, const struct list_key *k);
enum rc list_walk_name(struct list_walk *w, struct list_key *k, size_t shared) MUST_CHECK;
enum rc list_walk_policy(struct list_walk *w, const struct list *l) MUST_CHECK;

/* Where a policy stands: after `skip` others in a block's bytes. */
struct list_policy_place {
    uint64_t from;
    uint32_t len, skip;
    bool backwards; /* a policy of its own: at the end of its name's block */
    enum list_mode mode;
};
enum rc list_place_of_policy(const struct list_walk *w, const struct list *l, struct list_policy_place *p) MUST_CHECK;
enum rc list_get_policy(const struct list *l, const struct list_policy_place *p, struct span domain,
                        struct list_entry *out) MUST_CHECK;

#endif
