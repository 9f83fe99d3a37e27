/* The one file that includes BearSSL. */
#include <bearssl.h>

#include "hal/crypto/ecdsa.h"
#include "hal/crypto/sha256.h"

_Static_assert(sizeof(br_sha256_context) <= sizeof(struct sha256), "struct sha256 is too small");

static br_sha256_context *inner(struct sha256 *h)
{
    return (br_sha256_context *)(void *)h->opaque;
}

void sha256_init(struct sha256 *h)
{
    br_sha256_init(inner(h));
}

void sha256_update(struct sha256 *h, struct span bytes)
{
    br_sha256_update(inner(h), bytes.p, bytes.len);
}

void sha256_final(const struct sha256 *h, uint8_t out[SHA256_BYTES])
{
    br_sha256_out((const br_sha256_context *)(const void *)h->opaque, out);
}

void sha256_of(struct span bytes, uint8_t out[SHA256_BYTES])
{
    struct sha256 h;
    sha256_init(&h);
    sha256_update(&h, bytes);
    sha256_final(&h, out);
}

void hmac_sha256(struct span key, struct span bytes, uint8_t out[SHA256_BYTES])
{
    br_hmac_key_context prepared;
    br_hmac_context hmac;
    br_hmac_key_init(&prepared, &br_sha256_vtable, key.p, key.len);
    br_hmac_init(&hmac, &prepared, SHA256_BYTES);
    br_hmac_update(&hmac, bytes.p, bytes.len);
    br_hmac_out(&hmac, out);
}

bool secret_eq(const void *a, const void *b, size_t len)
{
    const volatile uint8_t *x = a, *y = b;
    uint8_t difference = 0;
    for (size_t i = 0; i < len; i++)
        difference |= x[i] ^ y[i];
    return difference == 0;
}

/* prime_i31 takes 5.7 KB of code, 28 M instructions and 3.6 KB of stack a verification on Cortex-M7; p256_m31 would take 9.3 KB, 11.6 M and
 * 2.1 KB. Signatures are seldom checked, and P-384, which DNSSEC wants too, comes with the former for nothing. */
bool ecdsa_p256_verify(const uint8_t public_xy[P256_PUBLIC_BYTES], const uint8_t hash[32],
                       const uint8_t signature[P256_SIGNATURE_BYTES])
{
    uint8_t point[1 + P256_PUBLIC_BYTES] = { 0x04 };
    memcpy(point + 1, public_xy, P256_PUBLIC_BYTES);
    br_ec_public_key key = { BR_EC_secp256r1, point, sizeof point };
    return br_ecdsa_i31_vrfy_raw(&br_ec_prime_i31, hash, 32, &key, signature, P256_SIGNATURE_BYTES) == 1;
}

bool ecdsa_p256_sign(const uint8_t private_key[P256_PRIVATE_BYTES], const uint8_t hash[32], uint8_t signature[P256_SIGNATURE_BYTES])
{
    uint8_t x[P256_PRIVATE_BYTES];
    memcpy(x, private_key, sizeof x);
    br_ec_private_key key = { BR_EC_secp256r1, x, sizeof x };
    size_t len = br_ecdsa_i31_sign_raw(&br_ec_prime_i31, &br_sha256_vtable, hash, &key, signature);
    return len == P256_SIGNATURE_BYTES;
}

bool ecdsa_p256_public(const uint8_t private_key[P256_PRIVATE_BYTES], uint8_t public_xy[P256_PUBLIC_BYTES])
{
    static const uint8_t zero[P256_PRIVATE_BYTES];
    size_t order_len;
    const uint8_t *order = br_ec_prime_i31.order(BR_EC_secp256r1, &order_len);
    if (memcmp(private_key, zero, sizeof zero) == 0 || memcmp(private_key, order, order_len) >= 0)
        return false;
    uint8_t x[P256_PRIVATE_BYTES], point[BR_EC_KBUF_PUB_MAX_SIZE];
    memcpy(x, private_key, sizeof x);
    br_ec_private_key key = { BR_EC_secp256r1, x, sizeof x };
    if (br_ec_compute_pub(&br_ec_prime_i31, NULL, point, &key) != 1 + P256_PUBLIC_BYTES)
        return false;
    memcpy(public_xy, point + 1, P256_PUBLIC_BYTES);
    return true;
}
