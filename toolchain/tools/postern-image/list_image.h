/* Builds a list image: policies, CA roots, DNSSEC anchors; signed by the list keys of a folder. */
#ifndef TOOLS_LIST_IMAGE_H
#define TOOLS_LIST_IMAGE_H

#include <stdbool.h>

#include "toolchain/tools/common/byte_buffer.h"

struct list_image_options { /* paths; NULL: left out */
    const char *list;       /* made by postern-list compile */
    const char *roots;      /* PEM */
    const char *anchors;    /* DS records; NULL: those that IANA publishes */
    const char *board;      /* NULL: "any" */
    const char *keys;       /* folder; NULL: the default one */
    bool is_unsigned;
    uint64_t version;         /* 0: the list's timestamp, which only grows as the version must; 1 without a list */
    int64_t created, expires; /* 0: the list's */
};

/* RC_INVALID or RC_IO, and told: a fault of what is put in. */
enum rc list_image_make(const struct list_image_options *o, struct byte_buffer *out) MUST_CHECK;

/* What `data` and `list` have in common on the command line. */
// clang-format off
#define LIST_IMAGE_OPTIONS                                                      \
    { "list", required_argument, NULL, 'l' }, { "roots", required_argument, NULL, 'r' }, \
    { "anchors", required_argument, NULL, 'a' }, { "keys", required_argument, NULL, 'K' }, \
    { "unsigned", no_argument, NULL, 'u' }
// clang-format on
/* False: not one of them. */
bool list_image_option(struct list_image_options *o, int option, const char *value);

#endif
