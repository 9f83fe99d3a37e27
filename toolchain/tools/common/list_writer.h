/* Writes the list section (policy/LIST.md) from domains and policies that were checked before. */
#ifndef TOOLS_LIST_WRITER_H
#define TOOLS_LIST_WRITER_H

#include "policy/list.h"
#include "toolchain/tools/common/byte_buffer.h"

#define BEFORE_COSTS_AT_MOST 32

struct list_source_domain {
    char *name; /* canonical */
    enum list_mode mode;
    char **mx; /* canonical patterns, 1..LIST_MX_MAX, LIST_MX_BYTES in all */
    unsigned mx_count;
};

struct list_source {
    int64_t timestamp, expires;
    char author[LIST_AUTHOR_MAX];
    const struct list *before;          /* as in struct list_input */
    struct list_source_domain *domains; /* list_write puts them into the list's order */
    size_t count;
};

/* The same entries from somewhere that need not hold them all: a file sorted outside of memory, say. */
struct list_input {
    int64_t timestamp, expires;
    const char *author;        /* shorter than LIST_AUTHOR_MAX, printable ASCII */
    const struct list *before; /* the list that this one follows, or NULL: see list_write_sorted */
    void *ctx;
    enum rc (*rewind)(void *ctx); /* to before the first; called before each pass over the entries, of which there are several */
    /* The next one, in the order of list_name_cmp. *out is a view until the next call. RC_NOT_FOUND at the end; anything else ends
     * list_write_sorted with that code. The entries must be the same in each pass. */
    enum rc (*next)(void *ctx, struct list_source_domain *out);
};

/* What can stay as it was in the list before stays: where blocks end, the numbers of policies, the image's own weights; unless the list gets
 * larger by that than one written anew by a part in BEFORE_COSTS_AT_MOST. In memory that grows with the image and the distinct policies, not
 * with the entries. RC_INVALID: entries not in order, or one name
 * twice. RC_TOO_LONG: more than the format can hold. The result is read back and compared with the input: RC_CORRUPT would be a fault of the writer. */
enum rc list_write_sorted(const struct list_input *in, struct byte_buffer *out) MUST_CHECK;
/* Sorts and writes entries that are in memory. RC_INVALID: a name comes twice. */
enum rc list_write(struct list_source *s, struct byte_buffer *out) MUST_CHECK;
/* Bytewise order of keys, as in the list: names from the TLD down. */
int list_name_cmp(const char *a, const char *b);
/* Whether an entry read from a list says what the domain does: mode, and patterns in their order. The name is not looked at. */
bool list_source_says(const struct list_source_domain *d, const struct list_entry *e);
void list_source_free(struct list_source *s);

#endif
