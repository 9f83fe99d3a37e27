/* Writes the list section (policy/LIST.md) from domains and policies that were checked before. */
#ifndef TOOLS_LIST_WRITER_H
#define TOOLS_LIST_WRITER_H

#include "policy/list.h"
#include "toolchain/tools/common/byte_buffer.h"

struct list_source_domain {
    char *name; /* canonical */
    enum list_mode mode;
    char **mx; /* canonical patterns, 1..LIST_MX_MAX, LIST_MX_BYTES in all */
    unsigned mx_count;
};

struct list_source {
    int64_t timestamp, expires;
    char author[LIST_AUTHOR_MAX];
    struct list_source_domain *domains; /* list_write puts them into the list's order */
    size_t count;
};

struct list_sizes { /* bytes of the parts, for people who compare encodings */
    size_t header, block_index, names, policy_index, policies, all;
};

/* RC_INVALID: a name comes twice. The result is read back and compared with the source: RC_CORRUPT would be a fault of the writer. sizes
 * may be NULL. */
enum rc list_write(struct list_source *s, struct byte_buffer *out, struct list_sizes *sizes) MUST_CHECK;
/* Bytewise order of keys, as in the list: names from the TLD down. */
int list_name_cmp(const char *a, const char *b);
void list_source_free(struct list_source *s);

#endif
