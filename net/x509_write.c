/* Certificate requests (RFC 2986), and certificates signed by their own key (RFC 5280): the box's first one, before it has one from an
 * authority, and those that an authority looks for when it checks a name (tls-alpn-01). P-256 alone, so that all but names, key, times and
 * serial is fixed bytes: mbedTLS's writers are 5 KB larger. */
#include <string.h>

#include "hal/base/datetime.h"
#include "hal/base/pem.h"
#include "hal/crypto/sha256.h"
#include "hal/random.h"
#include "net/der_writer.h"
#include "net/x509_internal.h"

#define SEQUENCE 0x30
#define SERIAL_BYTES 16
#define SUBJECT_CN_MAX 64  /* RFC 5280 appendix A, ub-common-name */
#define CERT_DER_BASE 560  /* everything of a certificate but the names */
#define SIGNATURE_BYTES 90 /* its algorithm, and the BIT STRING with two INTEGERs */
#define DAY_S 86400
#define ACME_FROM 1577836800 /* 2020-01-01: nobody looks at it */
#define ACME_DAYS 3650

#define ECDSA_WITH_SHA256 SPAN("\x30\x0a\x06\x08\x2a\x86\x48\xce\x3d\x04\x03\x02")

/* --- parts --- */

static bool names_are_sound(const char *const *names, unsigned count, size_t *bytes)
{
    struct ip_addr_any ip;
    *bytes = 0;
    for (unsigned i = 0; i < count; i++) {
        struct span name = span_of(names[i]);
        if (!domain_is_hostname(name) && ip_parse(name, &ip) != RC_OK)
            return false;
        *bytes += (name.len < 16 ? 16 : name.len) + 4;
    }
    return count > 0;
}

/* The extension subjectAltName; at the least of one name. */
static void put_names(struct der_writer *w, const char *const *names, unsigned count)
{
    const uint8_t *end = w->at;
    while (count-- > 0) {
        struct ip_addr_any ip;
        if (ip_parse(span_of(names[count]), &ip) == RC_OK)
            der_element(w, 0x87, span_bytes(ip.b, ip.family == IP_V6 ? 16 : 4));
        else
            der_element(w, 0x82, span_of(names[count]));
    }
    der_wrap(w, SEQUENCE, end);
    der_wrap(w, 0x04, end);
    der_put(w, SPAN("\x06\x03\x55\x1d\x11"));
    der_wrap(w, SEQUENCE, end);
}

static enum rc put_key(struct der_writer *w, const mbedtls_pk_context *pk)
{
    struct x509_point p;
    enum rc rc = x509_pk_point(pk, &p);
    der_put(w, span_bytes(p.y, sizeof p.y));
    der_put(w, span_bytes(p.x, sizeof p.x));
    der_put(w,
            SPAN("\x30\x59\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07\x03\x42\x00\x04"));
    return rc;
}

/* SEQUENCE { what is written so far up to end, algorithm, signature }: it moves to make room. */
static enum rc sign(struct der_writer *w, const mbedtls_pk_context *pk, const uint8_t *end)
{
    uint8_t hash[SHA256_BYTES], signature[64], memory[SIGNATURE_BYTES];
    struct der_writer tail = der_writer_on(memory, sizeof memory);
    const uint8_t *tail_end = tail.at;
    if (w->overflow)
        return RC_FULL;
    struct span body = span_bytes(w->at, (size_t)(end - w->at));
    sha256_of(body, hash);
    enum rc rc = x509_pk_sign(pk, hash, signature);
    if (rc != RC_OK)
        return rc;
    der_unsigned(&tail, span_bytes(signature + 32, 32));
    der_unsigned(&tail, span_bytes(signature, 32));
    der_wrap(&tail, SEQUENCE, tail_end);
    der_put(&tail, SPAN("\0"));
    der_wrap(&tail, 0x03, tail_end);
    der_put(&tail, ECDSA_WITH_SHA256);
    size_t len = (size_t)(tail_end - tail.at);
    if (len > (size_t)(w->at - w->start))
        return RC_FULL;
    w->at -= len;
    memmove(w->at, body.p, body.len);
    memcpy(w->at + body.len, tail.at, len);
    der_wrap(w, SEQUENCE, end);
    return w->overflow ? RC_FULL : RC_OK;
}

/* --- requests --- */

static enum rc write_request(struct der_writer *w, const mbedtls_pk_context *pk, const char *const *names, unsigned count)
{
    const uint8_t *end = w->at;
    put_names(w, names, count);
    der_wrap(w, SEQUENCE, end);
    der_wrap(w, 0x31, end);
    der_put(w, SPAN("\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x09\x0e")); /* extensionRequest */
    der_wrap(w, SEQUENCE, end);
    der_wrap(w, 0xa0, end);
    enum rc rc = put_key(w, pk);
    der_put(w, SPAN("\x02\x01\x00\x30\x00")); /* version, no subject */
    der_wrap(w, SEQUENCE, end);
    return rc == RC_OK ? sign(w, pk, end) : rc;
}

enum rc x509_csr(struct span key_pem, const char *const *names, unsigned count, struct strbuf *der)
{
    mbedtls_pk_context pk;
    struct der_writer w = der_writer_on(der->p + der->len, der->cap - 1 - der->len);
    const uint8_t *end = w.at;
    size_t bytes;
    if (count > X509_CSR_NAMES_MAX || !names_are_sound(names, count, &bytes))
        return RC_INVALID;
    enum rc rc = x509_pk_open(&pk, key_pem);
    if (rc == RC_OK)
        rc = write_request(&w, &pk, names, count);
    mbedtls_pk_free(&pk);
    if (rc == RC_OK) {
        size_t len = (size_t)(end - w.at);
        memmove(der->p + der->len, w.at, len);
        der->len += len;
    }
    der->p[der->len] = '\0';
    return rc;
}

/* --- certificates --- */

struct certificate {
    mbedtls_pk_context key;
    const char *const *names;
    unsigned count;
    int64_t not_before, not_after;
    struct span extension; /* one more, whole */
    uint8_t *der;
    size_t der_bytes;
};

static void put_time(struct der_writer *w, int64_t when)
{
    char memory[20];
    struct strbuf b = STRBUF(memory);
    struct civil_time c;
    civil_from_unix(when, &c);
    strbuf_printf(&b, "%04d%02d%02d%02d%02d%02dZ", c.year, c.month, c.day, c.hour, c.minute, c.second);
    bool general = c.year >= 2050; /* RFC 5280 4.1.2.5; otherwise two digits for the year */
    der_element(w, general ? 0x18 : 0x17, span_from(strbuf_span(&b), general ? 0 : 2));
}

static void put_common_name(struct der_writer *w, struct span cn)
{
    const uint8_t *end = w->at;
    der_element(w, 0x0c, cn.len > SUBJECT_CN_MAX ? SPAN("postern") : cn);
    der_put(w, SPAN("\x06\x03\x55\x04\x03"));
    der_wrap(w, SEQUENCE, end);
    der_wrap(w, 0x31, end);
    der_wrap(w, SEQUENCE, end);
}

static void put_extensions(struct der_writer *w, const struct certificate *c)
{
    const uint8_t *end = w->at;
    der_put(w, c->extension);
    der_put(
        w,
        SPAN("\x30\x13\x06\x03\x55\x1d\x25\x04\x0c\x30\x0a\x06\x08\x2b\x06\x01\x05\x05\x07\x03\x01")); /* extKeyUsage: serverAuth */
    der_put(w, SPAN("\x30\x0e\x06\x03\x55\x1d\x0f\x01\x01\xff\x04\x04\x03\x02\x07\x80")); /* keyUsage: digitalSignature */
    der_put(w, SPAN("\x30\x09\x06\x03\x55\x1d\x13\x04\x02\x30\x00"));                     /* basicConstraints: no CA */
    put_names(w, c->names, c->count);
    der_wrap(w, SEQUENCE, end);
    der_wrap(w, 0xa3, end);
}

/* From the end: extensions, key, subject, validity, issuer, algorithm, serial, version 3. */
static enum rc write_certificate(struct certificate *c, struct span *out)
{
    struct der_writer w = der_writer_on(c->der, c->der_bytes);
    const uint8_t *end = w.at;
    uint8_t serial[SERIAL_BYTES];
    struct span cn = span_of(c->names[0]);
    put_extensions(&w, c);
    enum rc rc = put_key(&w, &c->key);
    put_common_name(&w, cn);
    const uint8_t *validity_end = w.at;
    put_time(&w, c->not_after);
    put_time(&w, c->not_before);
    der_wrap(&w, SEQUENCE, validity_end);
    put_common_name(&w, cn);
    der_put(&w, ECDSA_WITH_SHA256);
    random_bytes(serial, sizeof serial);
    serial[0] = (uint8_t)((serial[0] & 0x7f) | 0x40); /* positive, and of full length */
    der_unsigned(&w, span_bytes(serial, sizeof serial));
    der_put(&w, SPAN("\xa0\x03\x02\x01\x02"));
    der_wrap(&w, SEQUENCE, end);
    if (rc == RC_OK)
        rc = sign(&w, &c->key, end);
    *out = span_bytes(w.at, (size_t)(end - w.at));
    return rc;
}

/* Whatever comes, close_certificate follows. */
static enum rc make_certificate(struct certificate *c, struct span *der)
{
    size_t names_bytes;
    mbedtls_pk_init(&c->key);
    if (!names_are_sound(c->names, c->count, &names_bytes))
        return RC_INVALID;
    enum rc rc = x509_pk_make(&c->key);
    if (rc != RC_OK)
        return rc;
    c->der_bytes = CERT_DER_BASE + names_bytes;
    c->der = arena_calloc(tls_identity_arena(), 1, c->der_bytes);
    return c->der != NULL ? write_certificate(c, der) : RC_NO_MEMORY;
}

static void close_certificate(struct certificate *c)
{
    mbedtls_pk_free(&c->key);
    arena_free(tls_identity_arena(), c->der);
}

enum rc x509_self_signed(const char *const *names, unsigned name_count, int64_t not_before, unsigned days, struct strbuf *key_pem,
                         struct strbuf *cert_pem)
{
    struct certificate c = {
        .names = names, .count = name_count, .not_before = not_before, .not_after = not_before + (int64_t)days * DAY_S
    };
    struct span der;
    strbuf_clear(key_pem);
    strbuf_clear(cert_pem);
    enum rc rc = make_certificate(&c, &der);
    if (rc == RC_OK)
        rc = x509_pk_write(&c.key, key_pem);
    if (rc == RC_OK)
        pem_write(cert_pem, "CERTIFICATE", der);
    close_certificate(&c);
    if (rc == RC_OK && cert_pem->overflow)
        rc = RC_FULL;
    if (rc != RC_OK) {
        strbuf_clear(key_pem);
        strbuf_clear(cert_pem);
    }
    return rc;
}

enum rc x509_acme_identifier(const char *identifier, struct span key_authorization, struct tls_credentials **out)
{
    /* id-pe-acmeIdentifier, critical, and in its OCTET STRING another with the hash */
    uint8_t extension[19 + SHA256_BYTES] = "\x30\x31\x06\x08\x2b\x06\x01\x05\x05\x07\x01\x1f\x01\x01\xff\x04\x22\x04\x20";
    struct certificate c = { .names = &identifier,
                             .count = 1,
                             .not_before = ACME_FROM,
                             .not_after = ACME_FROM + (int64_t)ACME_DAYS * DAY_S,
                             .extension = span_bytes(extension, sizeof extension) };
    struct span der;
    *out = NULL;
    sha256_of(key_authorization, extension + sizeof extension - SHA256_BYTES);
    enum rc rc = make_certificate(&c, &der);
    if (rc == RC_OK && (*out = tls_credentials_adopt(&c.key, der)) == NULL)
        rc = RC_NO_MEMORY;
    close_certificate(&c);
    return rc;
}
