/* PBKDF2 (RFC 8018 5.2) with HMAC-SHA-256, one block of 32 bytes: a slow hash for passwords, done in slices, so that the caller may yield
 * between them. An iteration is two compressions of SHA-256. */
#ifndef HAL_CRYPTO_PBKDF2_H
#define HAL_CRYPTO_PBKDF2_H

#include "hal/crypto/sha256.h"

struct pbkdf2 { /* on the caller's stack; holds what is as good as the password until pbkdf2_wipe */
    struct sha256 inner, outer;
    uint8_t u[SHA256_BYTES], result[SHA256_BYTES];
    uint32_t left; /* iterations to go */
};

/* iterations: 1 and up. password and salt are not kept. */
void pbkdf2_start(struct pbkdf2 *p, struct span password, struct span salt, uint32_t iterations);
/* Does at most n iterations. True when none is left: p->result is the hash. */
bool pbkdf2_go_on(struct pbkdf2 *p, uint32_t n);
void pbkdf2_wipe(struct pbkdf2 *p);

#endif
