/* SHA-1 for Mbed TLS: known by name, so that old roots can be read, and never computed. Whatever would need it fails. */
#include <mbedtls/error.h>
#include <mbedtls/platform_util.h>
#include <mbedtls/sha1.h>

#define REFUSED MBEDTLS_ERR_ERROR_GENERIC_ERROR

void mbedtls_sha1_init(mbedtls_sha1_context *ctx)
{
    ctx->unused = 0;
}

void mbedtls_sha1_free(mbedtls_sha1_context *ctx)
{
    (void)ctx;
}

void mbedtls_sha1_clone(mbedtls_sha1_context *dst, const mbedtls_sha1_context *src)
{
    *dst = *src;
}

int mbedtls_sha1_starts(mbedtls_sha1_context *ctx)
{
    (void)ctx;
    return REFUSED;
}

int mbedtls_sha1_update(mbedtls_sha1_context *ctx, const unsigned char *input, size_t len)
{
    (void)ctx;
    (void)input;
    (void)len;
    return REFUSED;
}

int mbedtls_sha1_finish(mbedtls_sha1_context *ctx, unsigned char output[20])
{
    (void)ctx;
    mbedtls_platform_zeroize(output, 20);
    return REFUSED;
}

int mbedtls_internal_sha1_process(mbedtls_sha1_context *ctx, const unsigned char data[64])
{
    (void)ctx;
    (void)data;
    return REFUSED;
}
