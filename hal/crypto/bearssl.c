/* The one file that includes BearSSL. */
#include <bearssl.h>

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
