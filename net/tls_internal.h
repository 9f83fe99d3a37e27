/* What the files of the TLS floor share; not for anybody else. It includes mbedTLS.
 *
 * mbedTLS allocates through one pair of functions, our sessions from an arena each. So every call into mbedTLS runs
 * between tls_enter(session) and tls_leave(), and the BIO callbacks leave while they wait: "the running session" never
 * outlives a yield. Outside sessions the allocator is the identity arena (credentials, PSA's state). */
#ifndef NET_TLS_INTERNAL_H
#define NET_TLS_INTERNAL_H

#include <mbedtls/pk.h>
#include <mbedtls/ssl.h>
#include <mbedtls/x509_crt.h>

#include "net/tls.h"

#define TLS_DN_TEXT_MAX 100

/* What the walk over the peer's chain saw; tls_cause.c makes one cause of it. */
struct tls_chain_seen {
    unsigned length;      /* certificates in the path that was built, a held root included; 0: none shown */
    bool trusted;         /* the path ends in a root that we hold */
    bool top_self_issued; /* where the path ends, subject and issuer are the same */
    bool bad_signature;   /* a certificate was not signed by the key of the issuer that was sent */
    bool issuer_held;     /* where the path ends, a root of the issuer's name is held, but did not fit */
    unsigned lookups;     /* how often roots were asked for; the first is for the leaf */
    bool leaf_is_anchor;  /* the leaf itself is held as a root */
    bool name_matches;
    int fault_rank; /* of the certificate that the following describe */
    int64_t not_before, not_after;
    char subject[TLS_DN_TEXT_MAX]; /* printable */
    char issuer[TLS_DN_TEXT_MAX];
};

/* One server key as one session uses it: an RSA context caches blinding values, which must come from the session's arena
 * and not outlive it, so that a session works on a shallow copy whose caches are its own. */
struct tls_key_view {
    mbedtls_pk_context pk;
    mbedtls_rsa_context rsa;
    bool in_use;
};

#define TLS_PEEK_BYTES 48

struct tls_session {
    mbedtls_ssl_context ssl;
    mbedtls_ssl_config conf;
    struct tls_session *next; /* all sessions that hold memory */
    struct arena *arena;
    bool may_borrow;   /* a step of the handshake is under way */
    unsigned borrowed; /* blocks in the identity arena, see tls_settle */
    struct stream *stream;
    const struct stream_ops *inner;
    void *inner_ctx;
    const struct tls_params *params; /* NULL after the handshake */
    struct tls_credentials *credentials;
    struct tls_key_view key;
    struct deadline deadline; /* of the call in progress */
    bool no_wait;             /* BIO: answer WANT instead of waiting */
    bool got_data;            /* application bytes came */
    bool ended;               /* nothing more will come: end_rc says why */
    enum rc io_rc;            /* why the BIO below failed in this call */
    enum rc end_rc;
    int64_t now;
    unsigned arena_failures; /* of the arena, before */
    enum tls_cause late_cause;
    struct tls_chain_seen seen;
    size_t first_len; /* the peer's first bytes, kept to recognise what is not TLS */
    uint8_t first[TLS_PEEK_BYTES];
};

/* --- tls_platform.c */
void tls_enter(struct tls_session *t);
void tls_leave(void);
/* What one step of a handshake needs for a moment (a private key's operation, a chain's check) may exceed the session's arena:
 * then it comes from the room that the identity arena keeps for a change of identities. Nothing of it outlives a yield, so that
 * no session can keep it from another: called inside tls_enter before whatever may wait; false fails the session. */
bool tls_settle(struct tls_session *t);
bool tls_ready(void);
struct arena *tls_identity_arena(void);
void tls_session_link(struct tls_session *t);
void tls_session_unlink(struct tls_session *t);
int tls_rng(void *ctx, unsigned char *out, size_t len);

/* --- tls_config.c: suites, groups, versions, ALPN, certificate choice. mbedTLS error codes. */
int tls_configure(struct tls_session *t);
void tls_handshake_facts(struct tls_session *t, struct tls_facts *facts); /* version, suite, key_bits, alpn */

/* --- tls_verify.c: fills seen, and the leaf's facts */
void tls_verify_configure(struct tls_session *t); /* client */
void tls_verify_forget(struct tls_session *t);    /* what the keys of the peer's chain cache; inside tls_enter */

/* --- tls_cause.c */
void tls_chain_cause(const struct tls_session *t, struct tls_facts *facts);
void tls_failure_cause(const struct tls_session *t, int error, struct tls_facts *facts);
enum rc tls_failure_rc(const struct tls_session *t, const struct tls_facts *facts);

/* --- tls_credentials.c */
/* A pair that was made here: the key moves in, and der is one certificate. NULL: no memory; the key is then freed. */
struct tls_credentials *tls_credentials_adopt(mbedtls_pk_context *key, struct span der);
mbedtls_x509_crt *tls_credentials_chain(struct tls_credentials *c);
void tls_key_view_open(struct tls_key_view *v, struct tls_credentials *c);
void tls_key_view_forget(struct tls_key_view *v); /* the caches; inside tls_enter */
void tls_key_view_close(struct tls_key_view *v);  /* inside tls_enter */

#endif
