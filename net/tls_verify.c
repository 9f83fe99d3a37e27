/* The peer's certificates: builds the path through mbedTLS with roots that are found on demand, and notes what it saw.
 * It never stops a handshake; tls_cause.c judges. */
#include <string.h>

#include <mbedtls/platform.h>

#include "net/tls_internal.h"
#include "net/x509_text.h"

#define SCORE_BEST 4
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

/* Looking for the one root that is taken for a certificate: parsed where it lies, so that the search ends at it. Where the
 * first is not plainly the right one all are looked at, and then the best is fetched again. */
struct root_search {
    struct tls_session *session;
    const mbedtls_x509_crt *child;
    mbedtls_x509_crt *crt;
    unsigned given;
    unsigned best; /* number of the best one, from 1; 0: none */
    int best_score;
    unsigned wanted; /* 0: look at all; else stop at this one */
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

/* As mbedtls_mpi_core_get_mont_r2_unsafe, but limb by limb: dividing a number of twice the length takes twice the room.
 * When memory runs out mbedTLS will find so by itself. */
static void make_montgomery_cache(const mbedtls_x509_crt *crt)
{
    mbedtls_mpi *rr = montgomery_cache(crt);
    if (rr == NULL || rr->MBEDTLS_PRIVATE(p) != NULL)
        return;
    const mbedtls_mpi *n = &mbedtls_pk_rsa(crt->pk)->MBEDTLS_PRIVATE(N);
    size_t limbs = n->MBEDTLS_PRIVATE(n);
    int error = mbedtls_mpi_lset(rr, 1);
    for (size_t i = 0; i < 2 * limbs && error == 0; i++) {
        error = mbedtls_mpi_shift_l(rr, sizeof(mbedtls_mpi_uint) * 8);
        if (error == 0)
            error = mbedtls_mpi_mod_mpi(rr, rr, n);
    }
    if (error != 0)
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

void tls_verify_forget(struct tls_session *t)
{
    const mbedtls_ssl_session *session = t->ssl.MBEDTLS_PRIVATE(session_negotiate);
    const mbedtls_x509_crt *crt = session != NULL ? session->MBEDTLS_PRIVATE(peer_cert) : NULL;
    for (; crt != NULL; crt = crt->next) {
        mbedtls_mpi *cache = montgomery_cache(crt);
        if (cache != NULL)
            mbedtls_mpi_free(cache);
    }
}

/* --- Roots */

static void drop_root(struct root_search *f)
{
    if (f->crt == NULL)
        return;
    mbedtls_x509_crt_free(f->crt);
    mbedtls_free(f->crt);
    f->crt = NULL;
}

static bool in_time(const mbedtls_x509_crt *crt, int64_t now)
{
    return now >= x509_unix_time(&crt->valid_from) && now <= x509_unix_time(&crt->valid_to);
}

static bool signed_by(const mbedtls_x509_crt *child, mbedtls_x509_crt *issuer)
{
    unsigned char hash[MBEDTLS_MD_MAX_SIZE];
    mbedtls_md_type_t md = child->MBEDTLS_PRIVATE(sig_md);
    const mbedtls_md_info_t *info = mbedtls_md_info_from_type(md);
    const mbedtls_x509_buf *sig = &child->MBEDTLS_PRIVATE(sig);
    make_montgomery_cache(issuer);
    return info != NULL && mbedtls_md(info, child->tbs.p, child->tbs.len, hash) == 0 &&
           mbedtls_pk_can_do(&issuer->pk, child->MBEDTLS_PRIVATE(sig_pk)) &&
           mbedtls_pk_verify_ext(child->MBEDTLS_PRIVATE(sig_pk), child->MBEDTLS_PRIVATE(sig_opts), &issuer->pk, md, hash,
                                 mbedtls_md_get_size(info), sig->p, sig->len) == 0;
}

/* Of several roots of one name the one whose key signed, by the identifiers that both name (RFC 5280 section 4.2.1.1) or, where
 * they don't, by trying; then one in time. */
static int score(const struct root_search *f)
{
    const mbedtls_x509_buf *wants = &f->child->authority_key_id.keyIdentifier, *has = &f->crt->subject_key_id;
    bool key_fits = wants->len > 0 && has->len > 0 ? span_eq(span_bytes(wants->p, wants->len), span_bytes(has->p, has->len))
                                                   : signed_by(f->child, f->crt);
    return 1 + 2 * key_fits + in_time(f->crt, f->session->now);
}

/* One root from the store. What does not parse is passed over, as if the store did not have it. */
static bool give_root(void *ctx, struct span der)
{
    struct root_search *f = ctx;
    f->given++;
    if (f->wanted != 0 && f->given != f->wanted)
        return true;
    if (f->session->seen.lookups == 1 && span_eq(der, span_bytes(f->child->raw.p, f->child->raw.len)))
        f->session->seen.leaf_is_anchor = true;
    drop_root(f);
    unsigned failures = f->session->arena->failures;
    f->crt = mbedtls_calloc(1, sizeof *f->crt);
    if (f->crt != NULL)
        mbedtls_x509_crt_init(f->crt);
    if (f->crt == NULL || mbedtls_x509_crt_parse_der_nocopy(f->crt, (const unsigned char *)der.p, der.len) != 0)
        drop_root(f);
    int its_score = f->crt != NULL ? score(f) : 0;
    if (its_score > f->best_score) {
        f->best_score = its_score;
        f->best = f->given;
    }
    f->no_memory = f->session->arena->failures != failures;
    if (f->no_memory || f->given == f->wanted || its_score == SCORE_BEST)
        return false;
    drop_root(f); /* the store goes on and overwrites it */
    return true;
}

static void search_roots(struct root_search *f)
{
    const struct tls_trust *trust = f->session->params->trust;
    struct span issuer = span_bytes(f->child->issuer_raw.p, f->child->issuer_raw.len);
    f->given = 0;
    (void)trust->find(trust->ctx, issuer, give_root, f);
}

/* mbedTLS looks for an issuer only behind a certificate, but servers send them in any order (RFC 8446 section 4.4.2 wants us
 * to bear it): each issuer moves to behind what it issued. The list is the session's own. */
static void order_chain(mbedtls_x509_crt *leaf)
{
    for (mbedtls_x509_crt *crt = leaf; crt != NULL; crt = crt->next) {
        struct span issuer = span_bytes(crt->issuer_raw.p, crt->issuer_raw.len);
        mbedtls_x509_crt **at = &crt->next;
        while (*at != NULL && !span_eq(issuer, span_bytes((*at)->subject_raw.p, (*at)->subject_raw.len)))
            at = &(*at)->next;
        mbedtls_x509_crt *found = *at;
        if (found == NULL)
            continue;
        *at = found->next;
        found->next = crt->next;
        crt->next = found;
    }
}

/* mbedTLS asks for the roots that may have signed child, and frees them. */
static int find_roots(void *ctx, const mbedtls_x509_crt *child, mbedtls_x509_crt **out)
{
    struct tls_session *t = ctx;
    struct root_search f = { .session = t, .child = child };
    if (t->seen.lookups++ == 0)
        order_chain((mbedtls_x509_crt *)child);
    if (t->params->trust != NULL)
        search_roots(&f);
    if (f.best != 0 && f.crt == NULL && !f.no_memory) {
        f.wanted = f.best;
        search_roots(&f);
    }
    *out = NULL;
    if (f.no_memory) {
        drop_root(&f);
        return MBEDTLS_ERR_X509_ALLOC_FAILED;
    }
    prepare_issuers(child, f.crt != NULL ? f.crt : child->next);
    t->seen.issuer_held = f.crt != NULL;
    *out = f.crt;
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
    } else if (not_trusted && !(*flags & MBEDTLS_X509_BADCERT_BAD_MD)) {
        seen->bad_signature = true; /* one by SHA-1 is not looked at: that is weak, and as little good */
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
