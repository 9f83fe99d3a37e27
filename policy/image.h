/* The container of lists, firmware and keyrings: kind, board, version, created, expires, and sections each with its SHA-256.
 * image_open checks structure and hashes nothing; signatures are checked above (firmware) before a slot is used.
 * The bytes are specified in policy/IMAGE.md. Pure: reads through a reader, no heap, no clock. */
#ifndef POLICY_IMAGE_H
#define POLICY_IMAGE_H

#include "hal/base/reader.h"

enum image_kind { IMAGE_LIST = 1, IMAGE_FIRMWARE = 2, IMAGE_KEYRING = 3, IMAGE_DELTA = 4 };
enum image_section { IMAGE_POLICIES = 1, IMAGE_ROOTS = 2, IMAGE_ANCHORS = 3, IMAGE_CODE = 4, IMAGE_KEYS = 5, IMAGE_PATCH = 6 };
#define IMAGE_SECTIONS_MAX 8

/* Sizes of the format (IMAGE.md), shared with what writes it. */
#define IMAGE_FORMAT 1
#define IMAGE_MANIFEST_BYTES 64 /* before the sections' lines */
#define IMAGE_SECTION_BYTES 56  /* one section's line */
#define IMAGE_SIGNATURE_HEAD_BYTES 16
#define IMAGE_SIGNATURE_BYTES 104 /* one signature */
#define IMAGE_SIGNATURES_MAX 8
#define IMAGE_SIGNATURE_ROOM_MAX (IMAGE_SIGNATURE_HEAD_BYTES + IMAGE_SIGNATURES_MAX * IMAGE_SIGNATURE_BYTES)

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
    uint32_t signature_room_bytes, signature_count;
    unsigned section_count;
    struct image_section_info section[IMAGE_SECTIONS_MAX];
};

enum image_algorithm { IMAGE_ECDSA_P256_SHA256 = 1 };

struct image_signature {
    uint32_t algorithm;    /* enum image_algorithm; an unknown one proves nothing */
    uint8_t key_id[32];    /* SHA-256 of the public key's point, 0x04 x y */
    uint8_t signature[64]; /* r, s, big-endian */
};

/* RC_NOT_FOUND: erased flash (no image); RC_CORRUPT: anything else that does not check; RC_IO. *out is then zeroed.
 * r may be larger than the image (a whole slot). */
enum rc image_open(struct image *out, const struct reader *r) MUST_CHECK;
/* The section as a reader of its own. RC_NOT_FOUND. */
enum rc image_section_reader(const struct image *i, enum image_section type, struct reader *out,
                             struct reader_part *part) MUST_CHECK;
/* Hashes the section through a small buffer and compares. RC_NOT_FOUND, RC_CORRUPT when it differs, RC_IO. Long: calls pause (may be NULL) every few
 * KiB, which may yield. */
enum rc image_section_check(const struct image *i, enum image_section type, void (*pause)(void)) MUST_CHECK;

/* What a signature signs: the SHA-256 of the manifest with its sections' lines, whose hashes bind every byte that follows. RC_IO. */
enum rc image_manifest_hash(const struct image *i, uint8_t out[32]) MUST_CHECK;
/* The n-th signature as it is written; nothing is verified here. RC_NOT_FOUND past the last, RC_IO. */
enum rc image_signature(const struct image *i, unsigned n, struct image_signature *out) MUST_CHECK;

#endif
