/* The container of lists, firmware and keyrings: kind, board, version, created, expires, and sections each with its SHA-256.
 * image_open checks structure and hashes nothing; signatures are checked above (firmware) before a slot is used.
 * The bytes are specified in policy/IMAGE.md. Pure: reads through a reader, no heap, no clock. */
#ifndef POLICY_IMAGE_H
#define POLICY_IMAGE_H

#include "hal/base/reader.h"

enum image_kind { IMAGE_LIST = 1, IMAGE_FIRMWARE = 2, IMAGE_KEYRING = 3 };
enum image_section { IMAGE_POLICIES = 1, IMAGE_ROOTS = 2, IMAGE_ANCHORS = 3, IMAGE_CODE = 4, IMAGE_KEYS = 5 };
#define IMAGE_SECTIONS_MAX 8

struct image_section_info {
    uint32_t type; /* enum image_section; unknown ones are kept and ignored */
    uint64_t offset, size_bytes;
    uint8_t sha256[32];
};

struct image {
    const struct reader *reader; /* must outlive the image */
    enum image_kind kind;
    char board[16]; /* "any" or a board's name */
    uint64_t version;
    int64_t created, expires; /* seconds since 1970; expires 0: never */
    uint64_t size_bytes;      /* whole image */
    unsigned section_count;
    struct image_section_info section[IMAGE_SECTIONS_MAX];
};

/* RC_NOT_FOUND: erased flash (no image); RC_CORRUPT: anything else that does not check; *out is then zeroed. */
enum rc image_open(struct image *out, const struct reader *r) MUST_CHECK;
/* The section as a reader of its own. RC_NOT_FOUND. */
enum rc image_section_reader(const struct image *i, enum image_section type, struct reader *out, struct reader_part *part) MUST_CHECK;
/* Hashes the section through a small buffer and compares. RC_CORRUPT when it differs, RC_IO. Long: calls pause (may be NULL) every few
 * KiB, which may yield. */
enum rc image_section_check(const struct image *i, enum image_section type, void (*pause)(void)) MUST_CHECK;

#endif
