/* The ChaCha20 block function (RFC 8439 section 2.3): what hal/random.c stretches its key with. Pure. */
#ifndef HAL_CRYPTO_CHACHA20_H
#define HAL_CRYPTO_CHACHA20_H

#include <stdint.h>

#define CHACHA20_KEY_BYTES 32
#define CHACHA20_NONCE_BYTES 12
#define CHACHA20_BLOCK_BYTES 64

/* One block of key stream for this counter. Time and memory access don't depend on the key. */
void chacha20_block(const uint8_t key[CHACHA20_KEY_BYTES], const uint8_t nonce[CHACHA20_NONCE_BYTES], uint32_t counter,
                    uint8_t out[CHACHA20_BLOCK_BYTES]);

#endif
