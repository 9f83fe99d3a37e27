/* ECDSA on P-256 over SHA-256 (FIPS 186-5, RFC 6979) for what is trusted at rest: images, keyrings, zones. Points are x and y, signatures
 * r and s, big-endian and of fixed length, as in DNSSEC (RFC 6605). No heap; holds the CPU for one slice (a verification is 28 million
 * instructions on 32 bits, and takes 3.6 KB of stack). */
#ifndef HAL_CRYPTO_ECDSA_H
#define HAL_CRYPTO_ECDSA_H

#include <stdbool.h>
#include <stdint.h>

#define P256_PRIVATE_BYTES 32
#define P256_PUBLIC_BYTES 64
#define P256_SIGNATURE_BYTES 64

/* False also for a point that is not on the curve and for r or s out of range. */
bool ecdsa_p256_verify(const uint8_t public_xy[P256_PUBLIC_BYTES], const uint8_t hash[32],
                       const uint8_t signature[P256_SIGNATURE_BYTES]);

/* For host tools; no firmware signs with these. The same key and hash always give the same signature (RFC 6979). False: the key is not
 * in 1..n-1. */
bool ecdsa_p256_sign(const uint8_t private_key[P256_PRIVATE_BYTES], const uint8_t hash[32],
                     uint8_t signature[P256_SIGNATURE_BYTES]);
bool ecdsa_p256_public(const uint8_t private_key[P256_PRIVATE_BYTES], uint8_t public_xy[P256_PUBLIC_BYTES]);

#endif
