/* Where the blocks and lines of a list end: at even steps, or where those of the list before did, so that what did not change stays the same
 * bytes and deltas are small. */
#ifndef TOOLS_LIST_PLAN_H
#define TOOLS_LIST_PLAN_H

#include "policy/list.h"
#include "toolchain/tools/common/byte_buffer.h"

struct list_plan {                    /* zeroed: no blocks */
    struct byte_buffer blocks, lines; /* a byte for each: its names, its blocks */
    size_t domains;
};
void list_plan_free(struct list_plan *p);
/* Full lines of blocks of `usual` names. */
void list_plan_evenly(struct list_plan *p, size_t domains, unsigned usual);

/* Follows the list before while the new one's names come by in their order: each goes into the block where it would have stood. Blocks that get
 * larger than by half are split, and so are lines of more than LIST_LINE_BLOCKS. */
struct list_follower {
    const struct list *before;
    struct list_iterator it; /* at the first name of the block after the one at hand */
    bool more;               /* there is one */
    uint32_t block;          /* after the one at hand, as list_find_place counts */
    bool last;               /* the block at hand is the last of its line */
    size_t held;             /* names in the block at hand */
    struct byte_buffer line; /* names of the blocks of the line at hand */
};
/* RC_CORRUPT: the list before is damaged. list_follower_end frees what it holds. */
enum rc list_follower_start(struct list_follower *f, const struct list *before) MUST_CHECK;
enum rc list_follower_add(struct list_follower *f, struct list_plan *p, const char *name) MUST_CHECK;
void list_follower_end(struct list_follower *f, struct list_plan *p);

#endif
