/* Sorts records that do not fit in memory: runs of EXTERNAL_SORT_MEMORY bytes go to temporary files, sorted, and are merged while they are
 * read. Records with the same key keep the order in which they came. The files have no name (in $TMPDIR, else /var/tmp), so nothing is left
 * behind however the tool ends. */
#ifndef TOOLS_EXTERNAL_SORT_H
#define TOOLS_EXTERNAL_SORT_H

#include "toolchain/tools/common/byte_buffer.h"

#define EXTERNAL_SORT_MEMORY (16u << 20) /* bytes of records held, and as much again at most for their order */
#define EXTERNAL_SORT_RUNS 16            /* files at once: when there are so many they are merged into one */
#define SORT_KEY_MAX 255
#define SORT_VALUE_MAX 4096

struct sort_record { /* views, good until the next call */
    struct span key, value;
};

struct external_sort;
struct external_sort *external_sort_new(size_t memory_bytes); /* never NULL; memory_bytes over SORT_KEY_MAX + SORT_VALUE_MAX + 4 */
void external_sort_free(struct external_sort *s);             /* NULL is fine */

/* RC_IO everywhere: the temporary file could not be made, written or read; said on stderr. */
enum rc external_sort_add(struct external_sort *s, struct span key, struct span value) MUST_CHECK;
/* Begins the reading, from the first record; also to read them again. Nothing may be added after it. */
enum rc external_sort_rewind(struct external_sort *s) MUST_CHECK;
/* The next record, bytewise by key. RC_NOT_FOUND: no more. */
enum rc external_sort_next(struct external_sort *s, struct sort_record *out) MUST_CHECK;

/* A file without a name, for reading and writing, deleted when it is closed. NULL: said on stderr. */
FILE *temporary_file(void);

#endif
