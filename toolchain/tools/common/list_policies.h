/* The policies of a list that is being written, each once: without their mode and relative to their domain, so that one serves many. */
#ifndef TOOLS_LIST_POLICIES_H
#define TOOLS_LIST_POLICIES_H

#include "policy/list_policy.h"
#include "toolchain/tools/common/list_known.h"
#include "toolchain/tools/common/list_writer.h"

struct policy_record {
    uint8_t *text; /* patterns as policy/list_policy.h stores them */
    uint32_t len;
    uint32_t uses;
    uint32_t number;         /* 0: used once, and written beside its name. Else its place in the table, and 1 */
    uint32_t next_same_hash; /* index + 1; 0: none */
};

struct policies { /* zeroed: none */
    struct policy_record *records;
    size_t count, cap;
    uint32_t *hash_heads; /* index + 1 of the first record with that hash */
    size_t hash_size;
    struct policy_record **by_number; /* those of the table */
    size_t shared;                    /* how many */
    size_t seeded;                    /* the first records have been in the table of the list before, in its order */
    size_t own;                       /* policies that are not in the table */
    struct known_hosts hosts;
};

void policies_count(struct policies *p, const struct list_source_domain *d);
/* Puts in the table of the list before, whose numbers stay; before anything is counted. RC_CORRUPT: it is damaged. */
enum rc policies_seed(struct policies *p, const struct list *before) MUST_CHECK;
/* After all are counted: numbers those that are used more than once, the most used first. Behind a list before they take places that nobody
 * uses any more, and places behind its last if they are used often enough: a place there moves all known hosts. */
void policies_number(struct policies *p);
const struct policy_record *policies_find(const struct policies *p, const struct list_source_domain *d);
void policies_free(struct policies *p);

/* Chooses what many patterns begin with, when all policies are counted. */
void policies_choose_hosts(struct policies *p);
/* In place of that: those of the list before, with their numbers. RC_CORRUPT: it is damaged. */
enum rc policies_keep_hosts(struct policies *p, const struct list *before) MUST_CHECK;

/* Writes a policy so that list_policy_read reads it. */
void policy_record_code(struct list_coder *c, const int8_t *own, const struct known_hosts *hosts, const struct policy_record *r);

#endif
