/* Random bytes from the board. */
#ifndef HAL_ENTROPY_H
#define HAL_ENTROPY_H

#include <stddef.h>

#include "hal/base/rc.h"

/* Fills out with len bytes of full entropy from the hardware source. RC_UNSUPPORTED: the board has none; RC_IO: the source
 * failed or stalled (bounded busy-wait). On error out is zeroed. Never yields. */
enum rc entropy_read(void *out, size_t len) MUST_CHECK;

#endif
