/* The box's random generator: seeded from hal/entropy.h at start, forward-secure (ChaCha20 or HMAC-DRBG, see random.c).
 * Ports, ids, jitter, nonces and, through mbedTLS, keys all come from here. Never yields. */
#ifndef HAL_RANDOM_H
#define HAL_RANDOM_H

#include <stddef.h>
#include <stdbool.h>
#include <stdint.h>

#include "hal/base/rc.h"

/* Seeds from the board. On error random_ready() stays false, random_bytes gives bytes fit for jitter only (from the
 * clock), and TLS must stay off. */
enum rc random_init(void) MUST_CHECK;
bool random_ready(void);
void random_bytes(void *out, size_t len);
uint32_t random_u32(void);
uint32_t random_below(uint32_t bound); /* uniform in 0..bound-1; bound >= 1 */

#endif
