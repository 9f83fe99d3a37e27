/* The peer's certificates: builds the path through mbedTLS with roots that are found on demand, and notes what it saw.
 * It never stops a handshake; tls_cause.c judges. */
#include <string.h>

#include <mbedtls/platform.h>

#include "net/tls_internal.h"
#include "net/x509_text.h"

#define FLAGS_TIME (MBEDTLS_X509_BADCERT_EXPIRED | MBEDTLS_X509_BADCERT_FUTURE)
/* mbedTLS's own look at the name falls back to the subject; ours does not. */
#define FLAGS_IGNORED (MBEDTLS_X509_BADCERT_NOT_TRUSTED | MBEDTLS_X509_BADCERT_CN_MISMATCH)

/* What public authorities have to keep to since 2014; older kinds are TLS_CAUSE_WEAK. */
static const mbedtls_x509_crt_profile profile = {
    MBEDTLS_X509_ID_FLAG(MBEDTLS_MD_SHA256) | MBEDTLS_X509_ID_FLAG(MBEDTLS_MD_SHA384) | MBEDTLS_X509_ID_FLAG(MBEDTLS_MD_SHA512),
    0xfffffff, /* any kind of key */
    MBEDTLS_X509_ID_FLAG(MBEDTLS_ECP_DP_SECP256R1) | MBEDTLS_X509_ID_FLAG(MBEDTLS_ECP_DP_SECP384R1) |
        MBEDTLS_X509_ID_FLAG(MBEDTLS_ECP_DP_SECP521R1),
    2048,
};

struct candidates {
    struct tls_session *session;
    const mbedtls_x509_crt *child;
    mbedtls_x509_crt *list;
    bool no_memory;
};

/* --- What an RSA key needs to verify
 *
 * mbedTLS finds R^2 mod N when a key is first used, in the midst of an exponentiation, and keeps it in the key: with 4096
 * bits that is the peak of a whole handshake, by 4 KiB. So it is made here, before there is anything else, and given back
 * when the walk has gone past the key. */

static mbedtls_mpi *montgomery_cache(const mbedtls_x509_crt *crt)
{
    if (!mbedtls_pk_can_do(&crt->pk, MBEDTLS_PK_RSA))
        return NULL;
    return &mbedtls_pk_rsa(crt->pk)->MBEDTLS_PRIVATE(RN);
}

/* As mbedtls_mpi_core_get_mont_r2_unsafe, which is not public. When memory runs out mbedTLS will find so by itself. */
static void make_montgomery_cache(const mbedtls_x509_crt *crt)
{
    mbedtls_mpi *rr = montgomery_cache(crt);
    if (rr == NULL || rr->MBEDTLS_PRIVATE(p) != NULL)
        return;
    const mbedtls_mpi *n = &mbedtls_pk_rsa(crt->pk)->MBEDTLS_PRIVATE(N);
    size_t limbs = n->MBEDTLS_PRIVATE(n);
    if (mbedtls_mpi_lset(rr, 1) != 0 || mbedtls_mpi_shift_l(rr, 2 * limbs * sizeof(mbedtls_mpi_uint) * 8) != 0 ||
        mbedtls_mpi_mod_mpi(rr, rr, n) != 0 || mbedtls_mpi_shrink(rr, limbs) != 0)
        mbedtls_mpi_free(rr);
}

/* child was an issuer until now; its own issuer is among the roots, or is sent behind it. */
static void prepare_issuers(const mbedtls_x509_crt *child, const mbedtls_x509_crt *issuers)
{
    mbedtls_mpi *done = montgomery_cache(child);
    if (done != NULL)
        mbedtls_mpi_free(done);
    for (; issuers != NULL; issuers = issuers->next)
        if (span_eq(span_bytes(issuers->subject_raw.p, issuers->subject_raw.len),
                    span_bytes(child->issuer_raw.p, child->issuer_raw.len)))
            make_montgomery_cache(issuers);
}

/* --- Roots */

/* One root from the store. What does not parse is passed over, as if the store did not have it. */
static bool give_root(void *ctx, struct span der)
{
    struct candidates *c = ctx;
    struct tls_chain_seen *seen = &c->session->seen;
    if (seen->lookups == 1 && span_eq(der, span_bytes(c->child->raw.p, c->child->raw.len)))
        seen->leaf_is_anchor = true;
    if (c->list == NULL) {
        c->list = mbedtls_calloc(1, sizeof *c->list);
        if (c->list == NULL) {
            c->no_memory = true;
            return false;
        }
        mbedtls_x509_crt_init(c->list);
    }
    unsigned failures = c->session->arena->failures;
    int error = mbedtls_x509_crt_parse_der(c->list, (const unsigned char *)der.p, der.len);
    c->no_memory = error != 0 && c->session->arena->failures != failures;
    return !c->no_memory;
}

static void drop_list(mbedtls_x509_crt *list)
{
    if (list == NULL)
        return;
    mbedtls_x509_crt_free(list);
    mbedtls_free(list);
}

/* mbedTLS asks for the roots that may have signed child, and frees the list. */
static int find_roots(void *ctx, const mbedtls_x509_crt *child, mbedtls_x509_crt **out)
{
    struct tls_session *t = ctx;
    struct candidates c = { .session = t, .child = child };
    const struct tls_trust *trust = t->params->trust;
    *out = NULL;
    t->seen.lookups++;
    t->seen.issuer_held = false;
    if (trust != NULL)
        (void)trust->find(trust->ctx, span_bytes(child->issuer_raw.p, child->issuer_raw.len), give_root, &c);
    if (c.no_memory || (c.list != NULL && c.list->version == 0)) {
        drop_list(c.list);
        c.list = NULL;
    }
    if (c.no_memory)
        return MBEDTLS_ERR_X509_ALLOC_FAILED;
    prepare_issuers(child, c.list != NULL ? c.list : child->next);
    t->seen.issuer_held = c.list != NULL;
    *out = c.list;
    return 0;
}

/* Trust beats time beats the rest, and of two alike the one nearer to the leaf is told. */
static int fault_rank(uint32_t flags, bool clock_known)
{
    if (flags & MBEDTLS_X509_BADCERT_NOT_TRUSTED)
        return 3;
    if ((flags & FLAGS_TIME) && clock_known)
        return 2;
    return flags & ~(uint32_t)(FLAGS_TIME | FLAGS_IGNORED) ? 1 : 0;
}

static void describe(struct tls_chain_seen *seen, const mbedtls_x509_crt *crt)
{
    struct strbuf subject = STRBUF(seen->subject), issuer = STRBUF(seen->issuer);
    x509_dn_text(&subject, &crt->subject);
    x509_dn_text(&issuer, &crt->issuer);
    seen->not_before = x509_unix_time(&crt->valid_from);
    seen->not_after = x509_unix_time(&crt->valid_to);
}

/* All that is ever wanted of the leaf: its bytes are gone when the next record comes. */
static void note_leaf(struct tls_session *t, const mbedtls_x509_crt *leaf)
{
    struct tls_facts *facts = t->params->facts;
    struct strbuf names = STRBUF(facts->names);
    x509_names_text(&names, leaf);
    facts->not_after = x509_unix_time(&leaf->valid_to);
    x509_fingerprints(leaf, facts->leaf_sha256, facts->spki_sha256);
    if (t->params->server_name != NULL)
        t->seen.name_matches = x509_names_host(leaf, t->params->server_name);
    if (t->seen.fault_rank == 0)
        describe(&t->seen, leaf);
}

/* Called for each certificate of the path from its end down to the leaf (depth 0). NOT_TRUSTED at the end means that no
 * issuer was found there; further down, that the issuer's key did not sign. */
static int note_certificate(void *ctx, mbedtls_x509_crt *crt, int depth, uint32_t *flags)
{
    struct tls_session *t = ctx;
    struct tls_chain_seen *seen = &t->seen;
    if (t->arena->failures != t->arena_failures)
        return MBEDTLS_ERR_X509_ALLOC_FAILED; /* mbedTLS takes a signature that it had no room to check for a bad one */
    bool not_trusted = *flags & MBEDTLS_X509_BADCERT_NOT_TRUSTED;
    if (seen->length == 0) {
        seen->length = (unsigned)depth + 1;
        seen->trusted = !not_trusted || seen->leaf_is_anchor;
        seen->top_self_issued = x509_self_issued(crt);
    } else if (not_trusted) {
        seen->bad_signature = true;
    }
    int rank = fault_rank(*flags, t->now != 0);
    if (rank > 0 && rank >= seen->fault_rank) {
        seen->fault_rank = rank;
        describe(seen, crt);
    }
    if (depth == 0)
        note_leaf(t, crt);
    return 0;
}

void tls_verify_configure(struct tls_session *t)
{
    mbedtls_ssl_conf_authmode(&t->conf, MBEDTLS_SSL_VERIFY_OPTIONAL);
    mbedtls_ssl_conf_cert_profile(&t->conf, &profile);
    mbedtls_ssl_conf_ca_cb(&t->conf, find_roots, t);
    mbedtls_ssl_conf_verify(&t->conf, note_certificate, t);
}
