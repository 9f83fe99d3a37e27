/* PEM blocks (RFC 7468) as bytes. Pure. */
#ifndef HAL_BASE_PEM_H
#define HAL_BASE_PEM_H

#include "hal/base/rc.h"
#include "hal/base/span.h"

/* The next block with the given label ("CERTIFICATE") of *rest, decoded into out; *rest moves behind it. Text around blocks and blocks with
 * other labels are passed over. RC_NOT_FOUND: no more; RC_INVALID: a block that does not end or does not decode; RC_TOO_LONG. */
enum rc pem_next(struct span *rest, const char *label, uint8_t *out, size_t cap, size_t *len) MUST_CHECK;

#endif
