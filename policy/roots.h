/* CA roots in flash (section IMAGE_ROOTS): name, key, validity and key identifier of each, found by their subject on demand, and given as
 * certificates that say no more than that: whoever builds paths takes certificates only. policy/IMAGE.md gives the bytes. Pure. */
#ifndef POLICY_ROOTS_H
#define POLICY_ROOTS_H

#include "hal/base/reader.h"

#define ROOT_DER_MAX 3072 /* what a root and the certificate made of it take together */

/* Sizes of the format (IMAGE.md), shared with what writes it. */
#define ROOTS_FORMAT 2
#define ROOTS_HEADER_BYTES 20
#define ROOTS_LINE_BYTES 12 /* one certificate's line in the index */
#define ROOTS_MAX 1024
#define ROOT_HEAD_BYTES 2
#define ROOT_KEY_ID_MAX 64
#define ROOT_NO_PATH_LENGTH 0xff

struct roots {
    const struct reader *reader;
    uint32_t count;
};

enum rc roots_open(struct roots *r, const struct reader *reader) MUST_CHECK; /* RC_CORRUPT, RC_IO; *r is then zeroed */
/* Makes a certificate of the next root whose subject (DER Name) is subject_dn in der: version 3, self-issued, a CA, with a signature that is
 * none; all else is the root's own. Start with *cursor = 0. RC_OK with *len; RC_NOT_FOUND: no
 * (more); RC_CORRUPT, RC_IO, RC_TOO_LONG (over cap; ROOT_DER_MAX always does). After an error the search is over. der may be written to
 * whatever the answer. */
enum rc roots_find(const struct roots *r, struct span subject_dn, uint32_t *cursor, uint8_t *der, size_t cap,
                   size_t *len) MUST_CHECK;

#endif
