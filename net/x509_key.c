#include "net/x509_key.h"

#include <string.h>

#include <mbedtls/ecdsa.h>
#include <mbedtls/platform_util.h>
#include <mbedtls/x509_csr.h>

#include "hal/base/pem.h"
#include "net/tls_internal.h"

#define KEY_DER_MAX 160
#define POINT_BYTES 65 /* 04, x, y */

static enum rc rc_of(int error)
{
    return error == 0                                                                      ? RC_OK
           : error == MBEDTLS_ERR_MPI_ALLOC_FAILED || error == MBEDTLS_ERR_PK_ALLOC_FAILED ? RC_NO_MEMORY
                                                                                           : RC_INVALID;
}

/* Opens the text as a private key on P-256; *pk is to be freed whatever comes. */
static enum rc open_key(struct span key_pem, mbedtls_pk_context *pk)
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

static enum rc write_key(mbedtls_pk_context *pk, struct strbuf *key_pem)
{
    uint8_t der[KEY_DER_MAX];
    int len = mbedtls_pk_write_key_der(pk, der, sizeof der);
    if (len > 0) /* mbedTLS writes to the end of the buffer */
        pem_write(key_pem, "EC PRIVATE KEY", span_bytes(der + sizeof der - (size_t)len, (size_t)len));
    mbedtls_platform_zeroize(der, sizeof der);
    return len < 0 ? rc_of(len) : key_pem->overflow ? RC_FULL : RC_OK;
}

enum rc x509_key_make(struct strbuf *key_pem)
{
    mbedtls_pk_context pk;
    mbedtls_pk_init(&pk);
    strbuf_clear(key_pem);
    if (!tls_ready())
        return RC_UNSUPPORTED;
    int error = mbedtls_pk_setup(&pk, mbedtls_pk_info_from_type(MBEDTLS_PK_ECKEY));
    if (error == 0)
        error = mbedtls_ecp_gen_key(MBEDTLS_ECP_DP_SECP256R1, mbedtls_pk_ec(pk), tls_rng, NULL);
    enum rc rc = error == 0 ? write_key(&pk, key_pem) : RC_NO_MEMORY;
    mbedtls_pk_free(&pk);
    if (rc != RC_OK)
        strbuf_clear(key_pem);
    return rc;
}

enum rc x509_key_point(struct span key_pem, struct x509_point *out)
{
    mbedtls_pk_context pk;
    uint8_t point[POINT_BYTES];
    size_t len = 0;
    enum rc rc = open_key(key_pem, &pk);
    if (rc == RC_OK)
        rc = rc_of(mbedtls_ecp_write_public_key(mbedtls_pk_ec(pk), MBEDTLS_ECP_PF_UNCOMPRESSED, &len, point, sizeof point));
    mbedtls_pk_free(&pk);
    if (rc != RC_OK || len != sizeof point)
        return rc != RC_OK ? rc : RC_INVALID;
    memcpy(out->x, point + 1, sizeof out->x);
    memcpy(out->y, point + 33, sizeof out->y);
    return RC_OK;
}

static int sign(mbedtls_ecp_keypair *key, const uint8_t hash[32], uint8_t signature[64])
{
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
    return error;
}

enum rc x509_key_sign(struct span key_pem, const uint8_t hash[32], uint8_t signature[64])
{
    mbedtls_pk_context pk;
    enum rc rc = open_key(key_pem, &pk);
    if (rc == RC_OK && sign(mbedtls_pk_ec(pk), hash, signature) != 0)
        rc = RC_NO_MEMORY; /* all else was checked */
    mbedtls_pk_free(&pk);
    return rc;
}

/* --- requests --- */

#define CSR_DER_BASE 320 /* all but the names */

struct request {
    mbedtls_pk_context key;
    mbedtls_x509write_csr csr;
    mbedtls_x509_san_list san[X509_CSR_NAMES_MAX];
    struct ip_addr_any address[X509_CSR_NAMES_MAX];
};

static enum rc take_names(struct request *q, const char *const *names, unsigned count, size_t *bytes)
{
    if (count == 0 || count > X509_CSR_NAMES_MAX)
        return RC_INVALID;
    *bytes = CSR_DER_BASE;
    for (unsigned i = 0; i < count; i++) {
        mbedtls_x509_subject_alternative_name *node = &q->san[i].node;
        struct ip_addr_any *a = &q->address[i];
        bool address = ip_parse(span_of(names[i]), a) == RC_OK;
        if (!address && !domain_is_hostname(span_of(names[i])))
            return RC_INVALID;
        node->type = address ? MBEDTLS_X509_SAN_IP_ADDRESS : MBEDTLS_X509_SAN_DNS_NAME;
        node->san.unstructured_name.p = address ? a->b : (unsigned char *)names[i];
        node->san.unstructured_name.len = !address ? strlen(names[i]) : a->family == IP_V6 ? 16 : 4;
        q->san[i].next = i > 0 ? &q->san[i - 1] : NULL; /* mbedTLS writes the last first */
        *bytes += node->san.unstructured_name.len + 4;
    }
    return RC_OK;
}

static enum rc write_request(struct request *q, unsigned count, size_t bytes, struct strbuf *out)
{
    uint8_t *der = arena_calloc(tls_identity_arena(), 1, bytes);
    if (der == NULL)
        return RC_NO_MEMORY;
    mbedtls_x509write_csr_set_md_alg(&q->csr, MBEDTLS_MD_SHA256);
    mbedtls_x509write_csr_set_key(&q->csr, &q->key);
    int len = mbedtls_x509write_csr_set_subject_alternative_name(&q->csr, &q->san[count - 1]);
    if (len == 0)
        len = mbedtls_x509write_csr_der(&q->csr, der, bytes, tls_rng, NULL);
    enum rc rc = len < 0 ? RC_NO_MEMORY : (size_t)len > out->cap - 1 - out->len ? RC_FULL : RC_OK;
    if (rc == RC_OK)
        strbuf_add(out, span_bytes(der + bytes - (size_t)len, (size_t)len));
    arena_free(tls_identity_arena(), der);
    return rc;
}

enum rc x509_csr(struct span key_pem, const char *const *names, unsigned count, struct strbuf *der)
{
    struct request *q = arena_calloc(tls_identity_arena(), 1, sizeof *q);
    size_t bytes;
    if (q == NULL)
        return RC_NO_MEMORY;
    mbedtls_x509write_csr_init(&q->csr);
    enum rc rc = open_key(key_pem, &q->key);
    if (rc == RC_OK)
        rc = take_names(q, names, count, &bytes);
    if (rc == RC_OK)
        rc = write_request(q, count, bytes, der);
    mbedtls_x509write_csr_free(&q->csr);
    mbedtls_pk_free(&q->key);
    arena_free(tls_identity_arena(), q);
    return rc;
}
