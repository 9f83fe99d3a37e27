/* The encoder of RFC 3492, for one label. Pure. */
#ifndef HAL_BASE_PUNYCODE_H
#define HAL_BASE_PUNYCODE_H

#include "hal/base/rc.h"
#include "hal/base/strbuf.h"

/* Appends the punycode of count code points (at most 63, mixed ASCII and others) to out, without "xn--".
 * RC_TOO_LONG: it does not fit in out or overflows. */
enum rc punycode_encode(const uint32_t *cp, size_t count, struct strbuf *out) MUST_CHECK;

#endif
