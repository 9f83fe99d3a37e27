/* SHA-256 (FIPS 180-4) and HMAC-SHA-256 (RFC 2104) for what is trusted at rest: images, pins, ids. Never yields: hash long
 * things in pieces and yield between them. */
#ifndef HAL_CRYPTO_SHA256_H
#define HAL_CRYPTO_SHA256_H

#include "hal/base/span.h"

#define SHA256_BYTES 32

struct sha256 { /* on the caller's stack; copy it to fork a hash */
    uint64_t opaque[16];
};

void sha256_init(struct sha256 *h);
void sha256_update(struct sha256 *h, struct span bytes);
void sha256_final(const struct sha256 *h, uint8_t out[SHA256_BYTES]); /* h may go on being updated */
void sha256_of(struct span bytes, uint8_t out[SHA256_BYTES]);
void hmac_sha256(struct span key, struct span bytes, uint8_t out[SHA256_BYTES]);
/* Compares secrets of len bytes in a time that depends on len alone. */
bool secret_eq(const void *a, const void *b, size_t len);

#endif
