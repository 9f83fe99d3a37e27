/* Passwords as they are kept: "pbkdf2-sha256:ITERATIONS:SALT:HASH", salt and hash in base64. Slow on purpose; the slowness is cut into
 * slices of PASSWORD_SLICE_MS, between which others run. */
#ifndef FIRMWARE_PASSWORD_H
#define FIRMWARE_PASSWORD_H

#include "hal/base/rc.h"
#include "hal/base/strbuf.h"

/* About 100 million instructions: a login costs a Cortex-M7 at 400 MHz about a quarter of a second, and a thief of the flash as much for each guess. */
#define PASSWORD_ITERATIONS 20000
#define PASSWORD_ITERATIONS_MAX 1000000
#define PASSWORD_MIN 8
#define PASSWORD_MAX 128
#define PASSWORD_TEXT_MAX 96 /* of what is kept, NUL included */
#define PASSWORD_SLICE_MS 5

/* Whether text is in the kept form, each part within its bounds. */
bool password_is_kept_form(struct span text);
/* Writes the kept form of password under a fresh random salt. Yields. RC_INVALID: shorter than PASSWORD_MIN or longer than PASSWORD_MAX
 * bytes; RC_UNSUPPORTED: the board gives no random numbers; RC_CANCELLED. */
enum rc password_keep(struct span password, struct strbuf *out) MUST_CHECK;
/* Whether password is the one that kept was made from, compared in a time that does not tell how much of it was right. Yields.
 * RC_REFUSED: it is not; RC_INVALID: kept is not in the kept form; RC_CANCELLED. */
enum rc password_check(struct span password, struct span kept) MUST_CHECK;
/* Takes as long as password_check of a fresh kept form: for names that nobody has. */
enum rc password_check_nobody(struct span password) MUST_CHECK;

#endif
