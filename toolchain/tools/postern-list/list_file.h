/* A list as a file, and how its entries are printed. */
#ifndef POSTERN_LIST_LIST_FILE_H
#define POSTERN_LIST_LIST_FILE_H

#include "toolchain/tools/common/list_writer.h"

struct loaded {
    struct byte_buffer file; /* the caller frees it */
    struct span bytes;
    struct reader reader;
    struct list list;
};

bool load(struct loaded *l, const char *path); /* false: said on stderr, nothing to free */
/* Calls each for every entry; true when the walk came to its end, else said on stderr. */
bool walk(const struct list *l, void (*each)(void *ctx, const char *name, const struct list_entry *e), void *ctx);
void print_time(const char *label, int64_t unix_s);
void print_entry(const char *prefix, const char *name, const struct list_entry *e);

/* A policy.json, with every fault said on stderr. */
enum rc read_source(const char *path, struct list_source *source) MUST_CHECK;

#endif
