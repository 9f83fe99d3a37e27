/* Our own certificates and keys: parsed once into the identity arena, shared by sessions, counted. */
#include <string.h>

#include <mbedtls/oid.h>
#include <mbedtls/platform.h>

#include "hal/base/pem.h"
#include "net/tls_internal.h"
#include "net/x509_text.h"

struct tls_credentials {
    unsigned holders;
    mbedtls_x509_crt chain;
    mbedtls_pk_context key;
};

static void credentials_free(struct tls_credentials *c)
{
    mbedtls_x509_crt_free(&c->chain);
    mbedtls_pk_free(&c->key);
    arena_free(tls_identity_arena(), c);
}

void tls_credentials_hold(struct tls_credentials *c)
{
    c->holders++;
}

void tls_credentials_release(struct tls_credentials *c)
{
    if (c != NULL && --c->holders == 0)
        credentials_free(c);
}

/* --- Loading */

static enum rc out_of_memory(struct strbuf *why)
{
    strbuf_puts(why, PACKED("no memory for this certificate chain and key"));
    return RC_NO_MEMORY;
}

/* Decodes one PEM body and hands it to parse; 0, an mbedTLS error, or RC_NO_MEMORY / RC_INVALID in *rc. */
static enum rc with_der(struct span body, int (*parse)(void *ctx, const unsigned char *der, size_t len), void *ctx, int *error)
{
    size_t cap = PEM_DECODED_MAX(body.len), len;
    unsigned failures = tls_identity_arena()->failures;
    uint8_t *der = arena_calloc(tls_identity_arena(), 1, cap);
    if (der == NULL)
        return RC_NO_MEMORY;
    enum rc rc = pem_decode(body, der, cap, &len);
    *error = rc == RC_OK ? parse(ctx, der, len) : 0;
    mbedtls_platform_zeroize(der, cap);
    arena_free(tls_identity_arena(), der);
    if (*error != 0 && tls_identity_arena()->failures != failures)
        return RC_NO_MEMORY;
    return rc;
}

static int parse_certificate(void *ctx, const unsigned char *der, size_t len)
{
    return mbedtls_x509_crt_parse_der(ctx, der, len);
}

static enum rc load_chain(struct tls_credentials *c, struct span pem, struct strbuf *why)
{
    struct span label, body;
    unsigned number = 0;
    enum rc rc;
    while ((rc = pem_block(&pem, &label, &body)) == RC_OK) {
        int error = 0;
        if (!span_is(label, "CERTIFICATE"))
            continue;
        number++;
        rc = with_der(body, parse_certificate, &c->chain, &error);
        if (rc == RC_NO_MEMORY)
            return out_of_memory(why);
        if (rc != RC_OK || error != 0) {
            strbuf_printf(why, "certificate %u cannot be read", number);
            return RC_INVALID;
        }
    }
    if (rc != RC_NOT_FOUND)
        strbuf_puts(why, PACKED("a PEM block of the chain does not end"));
    else if (number == 0)
        strbuf_puts(why, PACKED("there is no certificate in the chain"));
    return rc == RC_NOT_FOUND && number > 0 ? RC_OK : RC_INVALID;
}

static int parse_key(void *ctx, const unsigned char *der, size_t len)
{
    return mbedtls_pk_parse_key(ctx, der, len, NULL, 0, tls_rng, NULL);
}

static bool is_key_label(struct span label)
{
    return span_is(label, "PRIVATE KEY") || span_is(label, "EC PRIVATE KEY") || span_is(label, "RSA PRIVATE KEY");
}

static enum rc load_key(struct tls_credentials *c, struct span pem, struct strbuf *why)
{
    struct span label, body;
    enum rc rc;
    do {
        rc = pem_block(&pem, &label, &body);
        if (rc != RC_OK) {
            strbuf_puts(why, rc == RC_NOT_FOUND ? PACKED("there is no private key")
                                                : PACKED("the private key's PEM block does not end"));
            return RC_INVALID;
        }
        if (span_is(label, "ENCRYPTED PRIVATE KEY")) {
            strbuf_puts(why, PACKED("the private key is encrypted; give it without a passphrase"));
            return RC_INVALID;
        }
    } while (!is_key_label(label));
    int error = 0;
    rc = with_der(body, parse_key, &c->key, &error);
    if (rc == RC_NO_MEMORY)
        return out_of_memory(why);
    if (rc == RC_OK && error == 0)
        return RC_OK;
    strbuf_puts(why, PACKED("the private key cannot be read; it must be RSA or ECDSA (P-256, P-384, P-521), not encrypted"));
    return RC_INVALID;
}

/* The Certificate message of TLS 1.3 (RFC 8446 section 4.4.2): its header, the empty context and the list's length, and
 * around each certificate a length and its extensions' length. mbedTLS cannot write a message over more than one record. */
#define CERTIFICATE_MESSAGE_BYTES 8
#define CERTIFICATE_ENTRY_BYTES 5

static enum rc check_size(const struct tls_credentials *c, struct strbuf *why)
{
    size_t bytes = CERTIFICATE_MESSAGE_BYTES;
    for (const mbedtls_x509_crt *crt = &c->chain; crt != NULL; crt = crt->next)
        bytes += CERTIFICATE_ENTRY_BYTES + crt->raw.len;
    if (bytes <= MBEDTLS_SSL_OUT_CONTENT_LEN)
        return RC_OK;
    strbuf_printf(why, "the chain has %u bytes, %u is the most: leave out the root, or a root's cross-signed certificate",
                  (unsigned)bytes, MBEDTLS_SSL_OUT_CONTENT_LEN);
    return RC_INVALID;
}

static enum rc check_order(const struct tls_credentials *c, struct strbuf *why)
{
    unsigned number = 1;
    for (const mbedtls_x509_crt *crt = &c->chain; crt->next != NULL; crt = crt->next, number++) {
        struct span issuer = span_bytes(crt->issuer_raw.p, crt->issuer_raw.len);
        if (span_eq(issuer, span_bytes(crt->next->subject_raw.p, crt->next->subject_raw.len)))
            continue;
        strbuf_printf(why,
                      "certificate %u of the chain is not the issuer of certificate %u: the leaf comes first, then its issuers",
                      number + 1, number);
        return RC_INVALID;
    }
    return RC_OK;
}

/* A signature with a longer one needs more than a session's arena and what the identities can lend. */
#define KEY_BITS_MAX 4096

static enum rc check_key(struct tls_credentials *c, struct strbuf *why)
{
    unsigned failures = tls_identity_arena()->failures;
    size_t bits = mbedtls_pk_get_bitlen(&c->key);
    if (mbedtls_pk_get_type(&c->key) == MBEDTLS_PK_RSA && bits < 2048) {
        strbuf_printf(why, "an RSA key of %u bits is too weak; 2048 at least", (unsigned)bits);
        return RC_INVALID;
    }
    if (bits > KEY_BITS_MAX) {
        strbuf_printf(why, "a key of %u bits is more than this box has memory to sign with; %u at most", (unsigned)bits,
                      KEY_BITS_MAX);
        return RC_INVALID;
    }
    if (mbedtls_pk_check_pair(&c->chain.pk, &c->key, tls_rng, NULL) == 0)
        return RC_OK;
    if (tls_identity_arena()->failures != failures)
        return out_of_memory(why);
    strbuf_puts(why, PACKED("the private key does not belong to the first certificate"));
    return RC_INVALID;
}

enum rc tls_credentials_load(struct span pem_chain, struct span key_pem, struct tls_credentials **out, struct strbuf *why)
{
    *out = NULL;
    strbuf_clear(why);
    if (!tls_ready()) {
        strbuf_puts(why, PACKED("this box has no random numbers, so TLS is off"));
        return RC_UNSUPPORTED;
    }
    if (pem_chain.len > TLS_PEM_MAX || key_pem.len > TLS_PEM_MAX) {
        strbuf_printf(why, "more than %u bytes", TLS_PEM_MAX);
        return RC_INVALID;
    }
    struct tls_credentials *c = arena_calloc(tls_identity_arena(), 1, sizeof *c);
    if (c == NULL)
        return out_of_memory(why);
    c->holders = 1;
    mbedtls_x509_crt_init(&c->chain);
    mbedtls_pk_init(&c->key);
    enum rc rc = load_chain(c, pem_chain, why);
    if (rc == RC_OK)
        rc = load_key(c, key_pem, why);
    if (rc == RC_OK)
        rc = check_order(c, why);
    if (rc == RC_OK)
        rc = check_size(c, why);
    if (rc == RC_OK)
        rc = check_key(c, why);
    if (rc == RC_OK)
        *out = c;
    else
        credentials_free(c);
    return rc;
}

/* Whoever made the certificate knows what is critical in it. */
static int accept_extension(void *ctx, const mbedtls_x509_crt *crt, const mbedtls_x509_buf *oid, int critical,
                            const unsigned char *p, const unsigned char *end)
{
    (void)ctx, (void)crt, (void)oid, (void)critical, (void)p, (void)end;
    return 0;
}

struct tls_credentials *tls_credentials_adopt(mbedtls_pk_context *key, struct span der)
{
    struct tls_credentials *c = arena_calloc(tls_identity_arena(), 1, sizeof *c);
    if (c == NULL) {
        mbedtls_pk_free(key);
        return NULL;
    }
    c->holders = 1;
    mbedtls_x509_crt_init(&c->chain);
    c->key = *key;
    mbedtls_pk_init(key);
    if (mbedtls_x509_crt_parse_der_with_ext_cb(&c->chain, (const unsigned char *)der.p, der.len, 1, accept_extension, NULL) == 0)
        return c;
    credentials_free(c);
    return NULL;
}

/* --- Asking */

bool tls_credentials_names(const struct tls_credentials *c, const char *host)
{
    return x509_names_host(&c->chain, host);
}

void tls_credentials_info(const struct tls_credentials *c, struct tls_leaf_info *out)
{
    memset(out, 0, sizeof *out);
    struct strbuf subject = STRBUF(out->subject), issuer = STRBUF(out->issuer), names = STRBUF(out->names);
    struct strbuf key_type = STRBUF(out->key_type);
    x509_dn_text(&subject, &c->chain.subject);
    x509_dn_text(&issuer, &c->chain.issuer);
    x509_names_text(&names, &c->chain);
    out->not_before = x509_unix_time(&c->chain.valid_from);
    out->not_after = x509_unix_time(&c->chain.valid_to);
    x509_fingerprints(&c->chain, out->sha256, out->spki_sha256);
    out->self_signed = x509_self_issued(&c->chain);
    for (const mbedtls_x509_crt *crt = &c->chain; crt != NULL; crt = crt->next)
        out->chain_length++;
    bool rsa = mbedtls_pk_get_type(&c->key) == MBEDTLS_PK_RSA;
    strbuf_printf(&key_type, "%s-%u", rsa ? "RSA" : "ECDSA P", (unsigned)mbedtls_pk_get_bitlen(&c->key));
}

static bool take_any_root(void *ctx, struct span der)
{
    (void)ctx, (void)der;
    return false; /* one is enough */
}

bool tls_credentials_lack(const struct tls_credentials *c, const struct tls_trust *trust, struct strbuf *issuer)
{
    const mbedtls_x509_crt *last = &c->chain;
    while (last->next != NULL)
        last = last->next;
    if (x509_self_issued(last) ||
        trust->find(trust->ctx, span_bytes(last->issuer_raw.p, last->issuer_raw.len), take_any_root, NULL) > 0)
        return false;
    x509_dn_text(issuer, &last->issuer);
    return true;
}

mbedtls_x509_crt *tls_credentials_chain(struct tls_credentials *c)
{
    return &c->chain;
}

/* --- One session's view of the key */

static void forget_caches(mbedtls_rsa_context *rsa)
{
    mbedtls_mpi_init(&rsa->MBEDTLS_PRIVATE(RN));
    mbedtls_mpi_init(&rsa->MBEDTLS_PRIVATE(RP));
    mbedtls_mpi_init(&rsa->MBEDTLS_PRIVATE(RQ));
    mbedtls_mpi_init(&rsa->MBEDTLS_PRIVATE(Vi));
    mbedtls_mpi_init(&rsa->MBEDTLS_PRIVATE(Vf));
}

void tls_key_view_open(struct tls_key_view *v, struct tls_credentials *c)
{
    v->pk = c->key;
    v->in_use = true;
    if (mbedtls_pk_get_type(&c->key) != MBEDTLS_PK_RSA)
        return;
    v->rsa = *mbedtls_pk_rsa(c->key);
    forget_caches(&v->rsa);
    v->pk.MBEDTLS_PRIVATE(pk_ctx) = &v->rsa;
}

void tls_key_view_forget(struct tls_key_view *v)
{
    if (!v->in_use)
        return;
    mbedtls_rsa_context *rsa = &v->rsa;
    mbedtls_mpi_free(&rsa->MBEDTLS_PRIVATE(RN));
    mbedtls_mpi_free(&rsa->MBEDTLS_PRIVATE(RP));
    mbedtls_mpi_free(&rsa->MBEDTLS_PRIVATE(RQ));
    mbedtls_mpi_free(&rsa->MBEDTLS_PRIVATE(Vi));
    mbedtls_mpi_free(&rsa->MBEDTLS_PRIVATE(Vf));
}

void tls_key_view_close(struct tls_key_view *v)
{
    tls_key_view_forget(v);
    memset(v, 0, sizeof *v);
}
