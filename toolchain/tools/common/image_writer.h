/* Writes the container of policy/IMAGE.md and signs it; writes the roots, keys and anchors sections. */
#ifndef TOOLS_IMAGE_WRITER_H
#define TOOLS_IMAGE_WRITER_H

#include "hal/base/strbuf.h"
#include "policy/image.h"
#include "policy/keyring.h"
#include "toolchain/tools/common/byte_buffer.h"

struct image_source_section {
    enum image_section type;
    struct span bytes;
};

struct image_source {
    enum image_kind kind;
    const char *board; /* 1..15 printable characters */
    uint64_t version;
    int64_t created, expires;
    const struct image_source_section *sections;
    unsigned count;      /* 1..IMAGE_SECTIONS_MAX */
    unsigned signatures; /* that there is to be room for; 0: IMAGE_SIGNATURES_MAX */
};

/* An image with no signatures. RC_INVALID: a member is out of its range or a type comes twice. */
enum rc image_write(const struct image_source *s, struct byte_buffer *out) MUST_CHECK;

/* Adds a signature in the room of an image that begins at bytes and is whole. The same key and image always give the same bytes.
 * RC_INVALID: no image, or the key is none; RC_BUSY: this key has signed it already; RC_FULL: no room. Nothing changed then. */
enum rc image_sign(uint8_t *bytes, size_t len, const uint8_t private_key[32]) MUST_CHECK;

struct keyring_source {
    uint64_t version;
    struct keyring_source_key {
        enum keyring_role role;
        uint8_t public_xy[KEYRING_KEY_BYTES];
    } key[KEYRING_KEYS_MAX];
    unsigned count;
    unsigned threshold[KEYRING_ROLES];
};
/* The keys section. RC_INVALID: what keyring_open refuses. */
enum rc keyring_write(const struct keyring_source *s, struct byte_buffer *out) MUST_CHECK;

/* The roots section from a file of PEM certificates; the same certificate twice counts once. RC_INVALID with the reason in why: not PEM,
 * not a certificate, one over ROOT_DER_MAX, none or over ROOTS_MAX. */
enum rc roots_write(struct span pem, struct byte_buffer *out, unsigned *count, struct strbuf *why) MUST_CHECK;

/* The anchors section from DS records of the root zone, one a line; text empty: those that IANA publishes, which this tool knows. RC_INVALID
 * with the reason in why. */
enum rc anchors_write(struct span text, struct byte_buffer *out, struct strbuf *why) MUST_CHECK;

#endif
