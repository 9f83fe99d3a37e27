/* Where DNSSEC's chains of trust begin (section IMAGE_ANCHORS): the root zone's key signing keys as DS records (RFC 4034 section 5.1).
 * policy/IMAGE.md gives the bytes. Pure. */
#ifndef POLICY_ANCHORS_H
#define POLICY_ANCHORS_H

#include "hal/base/reader.h"

/* Sizes of the format (IMAGE.md), shared with what writes it. */
#define ANCHORS_FORMAT 1
#define ANCHORS_HEADER_BYTES 8
#define ANCHOR_BYTES 36
#define ANCHORS_MAX 8 /* of one zone: one or two, while keys change */
#define ANCHOR_SHA256 2

struct anchor {
    uint16_t key_tag;
    uint8_t algorithm, digest_type; /* as in the DS record; the type is ANCHOR_SHA256 */
    uint8_t digest[32];             /* of the owner (one zero byte) and the DNSKEY's RDATA */
};

struct anchors {
    const struct reader *reader; /* must outlive it */
    unsigned count;              /* 1..ANCHORS_MAX */
};

enum rc anchors_open(struct anchors *a, const struct reader *r) MUST_CHECK; /* RC_CORRUPT, RC_IO; *a is then zeroed */
/* RC_NOT_FOUND past the last, RC_CORRUPT, RC_IO. */
enum rc anchors_get(const struct anchors *a, unsigned n, struct anchor *out) MUST_CHECK;

#endif
