/* Certificates on P-256, signed by themselves, for a server: the box's first one, before it has one from an authority, and those that an
 * authority looks for when it checks a name (tls-alpn-01). */
#include <string.h>

#include <mbedtls/asn1write.h>
#include <mbedtls/ecp.h>
#include <mbedtls/oid.h>
#include <mbedtls/platform_util.h>

#include "hal/base/datetime.h"
#include "hal/base/pem.h"
#include "hal/crypto/sha256.h"
#include "hal/random.h"
#include "net/tls_internal.h"

#define SERIAL_BYTES 16
#define SUBJECT_CN_MAX 64 /* RFC 5280 appendix A, ub-common-name */
/* Everything of the certificate but the names. */
#define CERT_DER_BASE 640
#define DAY_S 86400
#define ACME_FROM 1577836800 /* 2020-01-01: nobody looks at it */
#define ACME_DAYS 3650
#define ACME_IDENTIFIER_OID "\x2b\x06\x01\x05\x05\x07\x01\x1f" /* id-pe-acmeIdentifier */

/* What making one certificate needs at a time, from the identity arena. */
struct workshop {
    mbedtls_pk_context key;
    mbedtls_x509write_cert cert;
    mbedtls_x509_san_list *names;
    struct ip_addr_any address; /* the name, if it is one: then it is the only one */
    uint8_t *der;
    size_t der_bytes;
};

static int make_key(struct workshop *w)
{
    int error = mbedtls_pk_setup(&w->key, mbedtls_pk_info_from_type(MBEDTLS_PK_ECKEY));
    return error != 0 ? error : mbedtls_ecp_gen_key(MBEDTLS_ECP_DP_SECP256R1, mbedtls_pk_ec(w->key), tls_rng, NULL);
}

/* Not by mbedTLS's reader of names as text, which would be 1.6 KB for this one use. */
static bool set_common_name(mbedtls_asn1_named_data **dn, const char *cn)
{
    mbedtls_asn1_named_data *name = mbedtls_asn1_store_named_data(dn, MBEDTLS_OID_AT_CN, MBEDTLS_OID_SIZE(MBEDTLS_OID_AT_CN),
                                                                  (const unsigned char *)cn, strlen(cn));
    if (name != NULL)
        name->val.tag = MBEDTLS_ASN1_UTF8_STRING;
    return name != NULL;
}

static int set_names(struct workshop *w, const char *const *names, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        mbedtls_x509_subject_alternative_name *node = &w->names[i].node;
        node->type = MBEDTLS_X509_SAN_DNS_NAME;
        node->san.unstructured_name.tag = MBEDTLS_ASN1_IA5_STRING;
        node->san.unstructured_name.p = (unsigned char *)names[i];
        node->san.unstructured_name.len = strlen(names[i]);
        w->names[i].next = i > 0 ? &w->names[i - 1] : NULL; /* mbedTLS writes the last first */
    }
    if (w->address.family != IP_NONE) {
        w->names->node.type = MBEDTLS_X509_SAN_IP_ADDRESS;
        w->names->node.san.unstructured_name.p = w->address.b;
        w->names->node.san.unstructured_name.len = w->address.family == IP_V6 ? 16 : 4;
    }
    int error = mbedtls_x509write_crt_set_subject_alternative_name(&w->cert, &w->names[count - 1]);
    if (error != 0)
        return error;
    const char *cn = strlen(names[0]) > SUBJECT_CN_MAX ? "postern" : names[0];
    bool named = set_common_name(&w->cert.MBEDTLS_PRIVATE(subject), cn) && set_common_name(&w->cert.MBEDTLS_PRIVATE(issuer), cn);
    return named ? 0 : MBEDTLS_ERR_X509_ALLOC_FAILED;
}

static int set_validity(struct workshop *w, int64_t not_before, unsigned days)
{
    char text[2][16];
    int64_t when[2] = { not_before, not_before + (int64_t)days * DAY_S };
    for (int i = 0; i < 2; i++) {
        struct civil_time c;
        struct strbuf b = STRBUF(text[i]);
        civil_from_unix(when[i], &c);
        strbuf_printf(&b, "%04d%02d%02d%02d%02d%02d", c.year, c.month, c.day, c.hour, c.minute, c.second);
    }
    return mbedtls_x509write_crt_set_validity(&w->cert, text[0], text[1]);
}

static int set_extensions(struct workshop *w)
{
    mbedtls_asn1_sequence server_auth = { .buf = { .tag = MBEDTLS_ASN1_OID,
                                                   .len = MBEDTLS_OID_SIZE(MBEDTLS_OID_SERVER_AUTH),
                                                   .p = (unsigned char *)MBEDTLS_OID_SERVER_AUTH } };
    int error = mbedtls_x509write_crt_set_basic_constraints(&w->cert, 0, -1);
    if (error == 0)
        error = mbedtls_x509write_crt_set_key_usage(&w->cert, MBEDTLS_X509_KU_DIGITAL_SIGNATURE);
    return error != 0 ? error : mbedtls_x509write_crt_set_ext_key_usage(&w->cert, &server_auth);
}

static int set_serial(struct workshop *w)
{
    unsigned char serial[SERIAL_BYTES];
    random_bytes(serial, sizeof serial);
    serial[0] = (unsigned char)((serial[0] & 0x7f) | 0x40); /* positive, and of full length */
    return mbedtls_x509write_crt_set_serial_raw(&w->cert, serial, sizeof serial);
}

/* mbedTLS writes DER to the end of the buffer. */
static struct span written(const struct workshop *w, int len)
{
    return span_bytes(w->der + w->der_bytes - (size_t)len, (size_t)len);
}

static int write_texts(struct workshop *w, struct strbuf *key_pem, struct strbuf *cert_pem)
{
    int len = mbedtls_pk_write_key_der(&w->key, w->der, w->der_bytes);
    if (len < 0)
        return len;
    pem_write(key_pem, "EC PRIVATE KEY", written(w, len));
    mbedtls_platform_zeroize(w->der, w->der_bytes);
    len = mbedtls_x509write_crt_der(&w->cert, w->der, w->der_bytes, tls_rng, NULL);
    if (len < 0)
        return len;
    pem_write(cert_pem, "CERTIFICATE", written(w, len));
    return 0;
}

static int make_certificate(struct workshop *w, const char *const *names, unsigned name_count, int64_t not_before, unsigned days)
{
    int error = make_key(w);
    if (error != 0)
        return error;
    mbedtls_x509write_crt_set_version(&w->cert, MBEDTLS_X509_CRT_VERSION_3);
    mbedtls_x509write_crt_set_md_alg(&w->cert, MBEDTLS_MD_SHA256);
    mbedtls_x509write_crt_set_subject_key(&w->cert, &w->key);
    mbedtls_x509write_crt_set_issuer_key(&w->cert, &w->key);
    error = set_names(w, names, name_count);
    if (error == 0)
        error = set_validity(w, not_before, days);
    if (error == 0)
        error = set_extensions(w);
    return error != 0 ? error : set_serial(w);
}

static enum rc workshop_open(struct workshop *w, const char *const *names, unsigned count)
{
    memset(w, 0, sizeof *w);
    size_t name_bytes = 0;
    for (unsigned i = 0; i < count; i++) {
        bool address = count == 1 && ip_parse(span_of(names[i]), &w->address) == RC_OK;
        if (!address && !domain_is_hostname(span_of(names[i])))
            return RC_INVALID;
        name_bytes += strlen(names[i]) + 4;
    }
    w->der_bytes = CERT_DER_BASE + name_bytes;
    w->der = arena_calloc(tls_identity_arena(), 1, w->der_bytes);
    w->names = arena_calloc(tls_identity_arena(), count, sizeof *w->names);
    mbedtls_pk_init(&w->key);
    mbedtls_x509write_crt_init(&w->cert);
    return w->der != NULL && w->names != NULL ? RC_OK : RC_NO_MEMORY;
}

static void workshop_close(struct workshop *w)
{
    if (w->der != NULL)
        mbedtls_platform_zeroize(w->der, w->der_bytes);
    mbedtls_x509write_crt_free(&w->cert);
    mbedtls_pk_free(&w->key);
    arena_free(tls_identity_arena(), w->names);
    arena_free(tls_identity_arena(), w->der);
}

enum rc x509_self_signed(const char *const *names, unsigned name_count, int64_t not_before, unsigned days, struct strbuf *key_pem,
                         struct strbuf *cert_pem)
{
    struct workshop w;
    strbuf_clear(key_pem);
    strbuf_clear(cert_pem);
    if (!tls_ready())
        return RC_UNSUPPORTED;
    if (name_count == 0)
        return RC_INVALID;
    enum rc rc = workshop_open(&w, names, name_count);
    if (rc == RC_OK) {
        int error = make_certificate(&w, names, name_count, not_before, days);
        if (error == 0)
            error = write_texts(&w, key_pem, cert_pem);
        rc = error == 0 ? RC_OK : RC_NO_MEMORY; /* all else was checked before */
        if (error == 0 && (key_pem->overflow || cert_pem->overflow))
            rc = RC_FULL;
        workshop_close(&w);
    } else if (rc == RC_NO_MEMORY) {
        workshop_close(&w);
    }
    if (rc != RC_OK) {
        strbuf_clear(key_pem);
        strbuf_clear(cert_pem);
    }
    return rc;
}

static int add_acme_identifier(struct workshop *w, struct span key_authorization)
{
    uint8_t value[2 + SHA256_BYTES] = { MBEDTLS_ASN1_OCTET_STRING, SHA256_BYTES };
    sha256_of(key_authorization, value + 2);
    return mbedtls_x509write_crt_set_extension(&w->cert, ACME_IDENTIFIER_OID, sizeof ACME_IDENTIFIER_OID - 1, 1, value,
                                               sizeof value);
}

enum rc x509_acme_identifier(const char *identifier, struct span key_authorization, struct tls_credentials **out)
{
    struct workshop w;
    *out = NULL;
    if (!tls_ready())
        return RC_UNSUPPORTED;
    enum rc rc = workshop_open(&w, &identifier, 1);
    if (rc == RC_INVALID)
        return rc;
    int error = rc == RC_OK ? make_certificate(&w, &identifier, 1, ACME_FROM, ACME_DAYS) : -1;
    if (error == 0)
        error = add_acme_identifier(&w, key_authorization);
    if (error == 0)
        error = mbedtls_x509write_crt_der(&w.cert, w.der, w.der_bytes, tls_rng, NULL);
    if (error > 0)
        *out = tls_credentials_adopt(&w.key, written(&w, error));
    workshop_close(&w);
    return *out != NULL ? RC_OK : RC_NO_MEMORY; /* all else was checked before */
}
