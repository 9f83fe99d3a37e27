/* CA roots in flash (section IMAGE_ROOTS): whole certificates in DER, found by their subject on demand. policy/IMAGE.md gives the
 * bytes. Pure. */
#ifndef POLICY_ROOTS_H
#define POLICY_ROOTS_H

#include "hal/base/reader.h"

#define ROOT_DER_MAX 3072

/* Sizes of the format (IMAGE.md), shared with what writes it. */
#define ROOTS_FORMAT 1
#define ROOTS_HEADER_BYTES 20
#define ROOTS_LINE_BYTES 12 /* one certificate's line in the index */
#define ROOTS_MAX 1024

struct roots {
    const struct reader *reader;
    uint32_t count;
};

enum rc roots_open(struct roots *r, const struct reader *reader) MUST_CHECK; /* RC_CORRUPT, RC_IO; *r is then zeroed */
/* Copies the next certificate whose subject (DER Name) is subject_dn to der. Start with *cursor = 0. RC_OK with *len; RC_NOT_FOUND: no
 * (more); RC_CORRUPT, RC_IO, RC_TOO_LONG (over cap; ROOT_DER_MAX always does). After an error the search is over. der may be written to
 * whatever the answer. */
enum rc roots_find(const struct roots *r, struct span subject_dn, uint32_t *cursor, uint8_t *der, size_t cap,
                   size_t *len) MUST_CHECK;

#endif
