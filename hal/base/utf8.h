/* UTF-8 (RFC 3629), strict: no overlong forms, no surrogates, nothing above U+10FFFF. Pure. */
#ifndef HAL_BASE_UTF8_H
#define HAL_BASE_UTF8_H

#include "hal/base/span.h"

/* Bytes of the code point that begins at s.p[at], and the code point in *cp; 0 when what stands there is not valid. */
size_t utf8_decode(struct span s, size_t at, uint32_t *cp);
bool utf8_valid(struct span s);

#endif
