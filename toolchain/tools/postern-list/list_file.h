/* Lists as files, in each of their forms: what compile writes, a list image that holds it, or a policy.json. */
#ifndef POSTERN_LIST_LIST_FILE_H
#define POSTERN_LIST_LIST_FILE_H

#include "toolchain/tools/common/policy_json.h"

struct loaded {
    struct byte_buffer file; /* the caller frees it */
    struct span bytes;       /* the list's section within */
    struct reader reader;
    struct list list;
};

/* Any of the forms; a policy.json is compiled in memory first. false: said on stderr, nothing to free. */
bool load(struct loaded *l, const char *path);
/* A policy.json from a file that is open, with every fault said on stderr; name is for the messages. RC_INVALID, RC_IO. */
enum rc read_policies(FILE *file, const char *name, bool lenient, void (*tick)(uint64_t bytes), struct policy_json *out) MUST_CHECK;
struct list_input policies_as_input(struct policy_json *p);
/* Opened for reading; "-" is the standard input. NULL: said on stderr. */
FILE *open_input(const char *path);

/* Calls each for every entry; true when the walk came to its end, else said on stderr. */
bool walk(const struct list *l, void (*each)(void *ctx, const char *name, const struct list_entry *e), void *ctx);
void print_time(const char *label, int64_t unix_s);
void print_entry(const char *prefix, const char *name, const struct list_entry *e);

#endif
