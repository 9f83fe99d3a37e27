#include <string.h>

#include <mbedtls/ecdsa.h>
#include <mbedtls/platform_util.h>

#include "hal/base/pem.h"
#include "net/der_writer.h"
#include "net/x509_internal.h"

#define KEY_DER_MAX 160
#define POINT_BYTES 65 /* 04, x, y */

static enum rc rc_of(int error)
{
    return error == 0                                                                      ? RC_OK
           : error == MBEDTLS_ERR_MPI_ALLOC_FAILED || error == MBEDTLS_ERR_PK_ALLOC_FAILED ? RC_NO_MEMORY
                                                                                           : RC_INVALID;
}

enum rc x509_pk_open(mbedtls_pk_context *pk, struct span key_pem)
{
    uint8_t der[KEY_DER_MAX];
    struct span label, body;
    size_t len = 0;
    mbedtls_pk_init(pk);
    if (!tls_ready())
        return RC_UNSUPPORTED;
    if (pem_block(&key_pem, &label, &body) != RC_OK || pem_decode(body, der, sizeof der, &len) != RC_OK)
        return RC_INVALID;
    int error = mbedtls_pk_parse_key(pk, der, len, NULL, 0, tls_rng, NULL);
    mbedtls_platform_zeroize(der, sizeof der);
    if (error != 0)
        return rc_of(error);
    bool good = mbedtls_pk_get_type(pk) == MBEDTLS_PK_ECKEY &&
                mbedtls_ecp_keypair_get_group_id(mbedtls_pk_ec(*pk)) == MBEDTLS_ECP_DP_SECP256R1;
    return good ? RC_OK : RC_INVALID;
}

enum rc x509_pk_make(mbedtls_pk_context *pk)
{
    mbedtls_pk_init(pk);
    if (!tls_ready())
        return RC_UNSUPPORTED;
    int error = mbedtls_pk_setup(pk, mbedtls_pk_info_from_type(MBEDTLS_PK_ECKEY));
    if (error == 0)
        error = mbedtls_ecp_gen_key(MBEDTLS_ECP_DP_SECP256R1, mbedtls_pk_ec(*pk), tls_rng, NULL);
    return error == 0 ? RC_OK : RC_NO_MEMORY;
}

static enum rc write_point(const mbedtls_pk_context *pk, uint8_t point[POINT_BYTES])
{
    size_t len = 0;
    int error = mbedtls_ecp_write_public_key(mbedtls_pk_ec(*pk), MBEDTLS_ECP_PF_UNCOMPRESSED, &len, point, POINT_BYTES);
    return error == 0 && len != POINT_BYTES ? RC_INVALID : rc_of(error);
}

enum rc x509_pk_point(const mbedtls_pk_context *pk, struct x509_point *out)
{
    uint8_t point[POINT_BYTES];
    enum rc rc = write_point(pk, point);
    if (rc != RC_OK)
        return rc;
    memcpy(out->x, point + 1, sizeof out->x);
    memcpy(out->y, point + 33, sizeof out->y);
    return RC_OK;
}

enum rc x509_pk_sign(const mbedtls_pk_context *pk, const uint8_t hash[32], uint8_t signature[64])
{
    mbedtls_ecp_keypair *key = mbedtls_pk_ec(*pk);
    mbedtls_mpi r, s;
    mbedtls_mpi_init(&r);
    mbedtls_mpi_init(&s);
    int error = mbedtls_ecdsa_sign_det_ext(&key->MBEDTLS_PRIVATE(grp), &r, &s, &key->MBEDTLS_PRIVATE(d), hash, 32,
                                           MBEDTLS_MD_SHA256, tls_rng, NULL);
    if (error == 0)
        error = mbedtls_mpi_write_binary(&r, signature, 32);
    if (error == 0)
        error = mbedtls_mpi_write_binary(&s, signature + 32, 32);
    mbedtls_mpi_free(&r);
    mbedtls_mpi_free(&s);
    return error == 0 ? RC_OK : RC_NO_MEMORY; /* all else was checked */
}

/* ECPrivateKey (RFC 5915): version, key, [0] the curve, [1] the point. */
enum rc x509_pk_write(const mbedtls_pk_context *pk, struct strbuf *key_pem)
{
    uint8_t der[KEY_DER_MAX], d[32], bits[1 + POINT_BYTES] = { 0 };
    struct der_writer w = der_writer_on(der, sizeof der);
    const uint8_t *end = w.at;
    strbuf_clear(key_pem);
    enum rc rc = write_point(pk, bits + 1);
    if (rc == RC_OK)
        rc = rc_of(mbedtls_mpi_write_binary(&mbedtls_pk_ec(*pk)->MBEDTLS_PRIVATE(d), d, sizeof d));
    if (rc == RC_OK) {
        der_element(&w, 0x03, span_bytes(bits, sizeof bits));
        der_wrap(&w, 0xa1, end);
        der_put(&w, SPAN("\xa0\x0a\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07")); /* prime256v1 */
        der_element(&w, 0x04, span_bytes(d, sizeof d));
        der_put(&w, SPAN("\x02\x01\x01"));
        der_wrap(&w, 0x30, end);
        pem_write(key_pem, "EC PRIVATE KEY", span_bytes(w.at, (size_t)(end - w.at)));
    }
    mbedtls_platform_zeroize(der, sizeof der);
    mbedtls_platform_zeroize(d, sizeof d);
    if (rc == RC_OK && key_pem->overflow)
        rc = RC_FULL;
    if (rc != RC_OK)
        strbuf_clear(key_pem);
    return rc;
}

/* --- by their texts --- */

enum rc x509_key_make(struct strbuf *key_pem)
{
    mbedtls_pk_context pk;
    strbuf_clear(key_pem);
    enum rc rc = x509_pk_make(&pk);
    if (rc == RC_OK)
        rc = x509_pk_write(&pk, key_pem);
    mbedtls_pk_free(&pk);
    return rc;
}

enum rc x509_key_point(struct span key_pem, struct x509_point *out)
{
    mbedtls_pk_context pk;
    enum rc rc = x509_pk_open(&pk, key_pem);
    if (rc == RC_OK)
        rc = x509_pk_point(&pk, out);
    mbedtls_pk_free(&pk);
    return rc;
}

enum rc x509_key_sign(struct span key_pem, const uint8_t hash[32], uint8_t signature[64])
{
    mbedtls_pk_context pk;
    enum rc rc = x509_pk_open(&pk, key_pem);
    if (rc == RC_OK)
        rc = x509_pk_sign(&pk, hash, signature);
    mbedtls_pk_free(&pk);
    return rc;
}
