/* Reads a STARTTLS Everywhere policy.json (version 0.1) as published: aliases, suffix patterns, timestamps as RFC 3339 text or as seconds
 * since 1970. Names are folded to their canonical form (lower case, A-labels). Every fault is told, with the line, the domain and the rule.
 * A file of any size: the domains are sorted outside of memory, the aliases are held (at most POLICY_ALIASES_MAX; about 5 MB), and of
 * the text one value at a time. */
#ifndef TOOLS_POLICY_JSON_H
#define TOOLS_POLICY_JSON_H

#include "toolchain/tools/common/external_sort.h"
#include "toolchain/tools/common/policy_rules.h"

#define POLICY_ALIASES_MAX 4096 /* defined or referred to */

struct policy_alias {
    char *name;
    unsigned line; /* of its definition; 0: only referred to */
    bool good;
    struct policy policy;
    size_t next_same_hash; /* index + 1 */
};

struct policy_json {
    int64_t timestamp, expires;
    char author[LIST_AUTHOR_MAX];
    size_t count;                  /* domains */
    struct policy_alias **aliases; /* in the order in which they are met */
    size_t alias_count;
    size_t alias_heads[256]; /* by hash: index + 1 */
    struct external_sort *sorted;
    /* The entry that policy_json_next gave. */
    unsigned line;
    const struct policy_alias *alias; /* NULL: a policy of its own */
    char name[DOMAIN_TEXT_MAX];
    struct policy policy;
};

/* From a file that is open for reading. tick (may be NULL) is called now and then with the bytes read so far.
 * RC_INVALID: report->errors is over 0; RC_IO: the same, or said on stderr (temporary files). Then *out needs no policy_json_close. */
enum rc policy_json_open(struct policy_json *out, FILE *file, struct policy_report *report,
                         void (*tick)(uint64_t bytes)) MUST_CHECK;
void policy_json_close(struct policy_json *p);
/* To before the first entry; also as list_input.rewind with p as ctx. RC_IO. */
enum rc policy_json_rewind(void *p) MUST_CHECK;
/* The next entry in the list's order, views until the next call; also as list_input.next. RC_NOT_FOUND at the end, RC_IO. */
enum rc policy_json_next(void *p, struct list_source_domain *out) MUST_CHECK;

#endif
