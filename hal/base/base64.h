/* Base64 (RFC 4648 section 4) and base64url without padding (section 5). */
#ifndef HAL_BASE_BASE64_H
#define HAL_BASE_BASE64_H

#include "hal/base/rc.h"
#include "hal/base/strbuf.h"

void base64_encode(struct strbuf *out, struct span bytes);
void base64url_encode(struct strbuf *out, struct span bytes);
/* Strict: no blanks, right padding. RC_INVALID, or RC_TOO_LONG when cap is too small; *len is then 0. */
enum rc base64_decode(struct span text, uint8_t *out, size_t cap, size_t *len) MUST_CHECK;
/* base64url with right padding or with none; the standard alphabet's characters are taken, too. Errors as above. */
enum rc base64url_decode(struct span text, uint8_t *out, size_t cap, size_t *len) MUST_CHECK;
/* The value of one character of the standard alphabet, 0..63; -1 for any other, the padding too. */
int base64_sextet(char c);

#endif
