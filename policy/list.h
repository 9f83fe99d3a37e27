/* The preload list as it lies in flash (section IMAGE_POLICIES): exact, ordered from the TLD, enumerable, looked up in place.
 * policy/LIST.md gives every byte. Pure: no heap, at most 1 KiB of stack, every read bounded by the image; a damaged image gives
 * RC_CORRUPT, never a crash or a hang. The meaning of entries is that of STARTTLS Everywhere's policy.json 0.1. */
#ifndef POLICY_LIST_H
#define POLICY_LIST_H

#include "hal/base/domain.h"
#include "hal/base/reader.h"

enum list_mode { LIST_TESTING = 0, LIST_ENFORCE = 1 };

#define LIST_MX_MAX 32     /* patterns of one policy */
#define LIST_MX_BYTES 1024 /* their text together, NULs included */
#define LIST_AUTHOR_MAX 96

#define LIST_HEADER_BYTES 56
#define LIST_OWN_MAX 107 /* weights that the image brings for its own, in six bits each */
#define LIST_OWN_BYTES ((LIST_OWN_MAX * 6 + 7) / 8)

struct list_info {
    int64_t timestamp, expires; /* seconds since 1970 */
    uint32_t domains, enforce, testing, policies;
    char author[LIST_AUTHOR_MAX];
};

struct list {
    const struct reader *reader; /* must outlive the list */
    struct list_info info;
    /* What follows is the format's own, checked by list_open. */
    struct list_directory {
        uint64_t at, data;          /* offsets in the image: of the lines' table, and of what it leads to */
        uint32_t data_bytes, count; /* count: blocks, if all lines are full */
        uint8_t bits;               /* how many bits of a block's code stand in its line, in place of the block */
        uint8_t usual;              /* names in a block that is not said to have others */
    } names, policies;
    uint32_t shared; /* policies in the table; the others stand beside their name */
    uint16_t plain;  /* of them in plain text, one a block */
    uint16_t known;  /* hosts that patterns begin with, one a block */
    uint8_t policies_a_block;
    int8_t weights[LIST_OWN_MAX];
};

struct list_entry {
    enum list_mode mode;
    unsigned mx_count;
    size_t text_len;
    char text[LIST_MX_BYTES]; /* patterns, each NUL-terminated: "mx.example.com" or ".example.com" (exactly one more label) */
};

enum rc list_open(struct list *l, const struct reader *r) MUST_CHECK; /* RC_CORRUPT */
/* domain canonical. RC_OK and *out; RC_NOT_FOUND; RC_CORRUPT. */
enum rc list_find(const struct list *l, struct span domain, struct list_entry *out) MUST_CHECK;
/* The i-th pattern of an entry, as a C string; NULL past the end. */
const char *list_entry_mx(const struct list_entry *e, unsigned i);
bool list_entry_allows(const struct list_entry *e, struct span mx_host);

#define LIST_ITERATOR_WORDS 9
/* Walks the list in its order. Start with list_iterate; each list_next gives one domain (canonical text, in it->name) and its entry.
 * RC_NOT_FOUND at the end, RC_CORRUPT. */
struct list_iterator {
    const struct list *list;
    uint32_t position; /* names given */
    uint32_t private_words[LIST_ITERATOR_WORDS];
    char name[DOMAIN_TEXT_MAX];
};
void list_iterate(struct list_iterator *it, const struct list *l);
enum rc list_next(struct list_iterator *it, struct list_entry *out) MUST_CHECK;

/* Walks those names only that match a text. Yields nothing and never takes longer than LIST_SEARCH_STEP names: a box that has other work
 * does it between two calls. */
enum list_match {
    LIST_CONTAINING, /* the text stands anywhere in the name */
    LIST_STARTING,   /* the name begins with the text, as written: "mail" gives mail.example.com */
    LIST_WITHIN,     /* the text is a domain: it and all below it, found without walking what stands before */
};
#define LIST_SEARCH_STEP 256

struct list_search {
    struct list_iterator it; /* it.name: the name found */
    enum list_match match;
    bool found;
    uint32_t first; /* names of the block where the walk began */
    size_t text_len;
    char text[DOMAIN_TEXT_MAX];
};
/* The text is taken in lower case; one that cannot occur in a name matches nothing. RC_INVALID: it is empty or longer than a name.
 * LIST_WITHIN reads the list: RC_CORRUPT, RC_IO. */
enum rc list_search(struct list_search *s, const struct list *l, enum list_match match, struct span text) MUST_CHECK;
/* RC_OK: s->it.name and *out are a name that matches. RC_BUSY: LIST_SEARCH_STEP names went by without one, call again. RC_NOT_FOUND: no
 * more. RC_CORRUPT, RC_IO. */
enum rc list_search_next(struct list_search *s, struct list_entry *out) MUST_CHECK;

#endif
