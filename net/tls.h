/* TLS 1.2 and 1.3 with AEAD suites over a stream, server and client (mbedTLS inside; nobody outside net/tls*.c and net/x509*.c
 * sees it). Knows no policy: it always finishes a handshake that can be finished and says what was shown; the caller decides
 * from struct tls_facts whether that is enough before it sends a byte. */
#ifndef NET_TLS_H
#define NET_TLS_H

#include "hal/base/arena.h"
#include "hal/base/domain.h"
#include "net/stream.h"

/* Named causes, in the order in which they are tried; one place turns them into words (tls_cause_text). */
enum tls_cause {
    TLS_CAUSE_NONE = 0,
    TLS_CAUSE_SELF_SIGNED,          /* the leaf signed itself and is no known root */
    TLS_CAUSE_UNTRUSTED_ROOT,       /* a chain, but to a root that we don't hold */
    TLS_CAUSE_MISSING_INTERMEDIATE, /* the leaf's issuer was not sent and is no root that we hold */
    TLS_CAUSE_EXPIRED,
    TLS_CAUSE_NOT_YET_VALID,
    TLS_CAUSE_WRONG_NAME,      /* chain good, SAN does not name the host; the CN is never read */
    TLS_CAUSE_WEAK,            /* key or signature algorithm below our profile */
    TLS_CAUSE_BAD_CERTIFICATE, /* cannot be parsed, bad signature, wrong usage */
    TLS_CAUSE_NO_CERTIFICATE,
    TLS_CAUSE_CLOCK_UNKNOWN, /* validity cannot be judged: the box has no time */
    TLS_CAUSE_NO_COMMON_VERSION,
    TLS_CAUSE_NO_COMMON_SUITE,
    TLS_CAUSE_NOT_TLS,             /* the peer sent something else, e.g. plaintext */
    TLS_CAUSE_ALERT,               /* the peer sent another fatal alert: its number is in facts->alert */
    TLS_CAUSE_CLOSED,              /* the peer closed during the handshake */
    TLS_CAUSE_CLOSED_AFTER_TICKET, /* ...right after the handshake's last message or a session ticket */
    TLS_CAUSE_TIMEOUT,
    TLS_CAUSE_NO_MEMORY,
    TLS_CAUSE_NO_ENTROPY,
    TLS_CAUSE_PROTOCOL, /* the peer broke the protocol, or could not prove that it holds its key */
    TLS_CAUSE_INTERNAL,
    TLS_CAUSE_COUNT
};
const char *tls_cause_name(enum tls_cause c); /* greppable: "untrusted-root" */
const char *tls_cause_text(enum tls_cause c); /* for people, packed: "the certificate's root is not one that this box trusts" */

#define TLS_DETAIL_MAX 160
#define TLS_NAMES_MAX 200

struct tls_facts {
    bool established;     /* the handshake finished; the record layer protects what follows */
    bool chain_valid;     /* leads to a trusted root, in time, usable for a server */
    bool name_matches;    /* a SAN dNSName (RFC 6125, wildcard = one leftmost label) names params->server_name */
    enum tls_cause cause; /* why not established, or why chain_valid && name_matches does not hold; NONE when all is well */
    uint8_t alert;        /* with TLS_CAUSE_ALERT */
    char version[8];      /* "TLSv1.3" */
    char suite[48];       /* IANA name: TLS_AES_128_GCM_SHA256 */
    uint16_t key_bits;    /* of the symmetric cipher */
    char sni[DOMAIN_TEXT_MAX];
    char detail[TLS_DETAIL_MAX]; /* printable: subject/issuer/dates that explain the cause */
    char names[TLS_NAMES_MAX];   /* printable SAN dNSNames, comma-separated, cut with "..." */
    int64_t not_after;
    uint8_t leaf_sha256[32], spki_sha256[32]; /* zero when no certificate was shown */
    char alpn[16];
    uint64_t handshake_us;
};

/* Finds candidate roots. Calls back into: give(give_ctx, der) for each stored certificate whose subject is issuer_dn (DER Name),
 * in the same order each time, and stops when give says false. The bytes at der must then stay as they are until find is
 * called again (one static buffer does): the chain is verified against them without a yield. Returns the number given. Reads
 * flash; must not yield. */
struct tls_trust {
    unsigned (*find)(void *ctx, struct span issuer_dn, bool (*give)(void *give_ctx, struct span der), void *give_ctx);
    void *ctx;
};

/* A private key and the chain that goes with it, parsed once, shared by sessions, replaced while running. */
struct tls_credentials;
#define TLS_PEM_MAX 16384

/* pem_chain: leaf first, then intermediates; key_pem: PKCS#8, SEC1 or PKCS#1, unencrypted; RSA of 2048 to 4096 bits. Checked: key fits leaf, order of the
 * chain, that it fits one handshake message of ours (4 KiB). The result is held by the caller until tls_credentials_release; sessions hold it longer by themselves.
 * RC_INVALID with the reason in why; RC_NO_MEMORY. */
enum rc tls_credentials_load(struct span pem_chain, struct span key_pem, struct tls_credentials **out,
                             struct strbuf *why) MUST_CHECK;
void tls_credentials_hold(struct tls_credentials *c);
void tls_credentials_release(struct tls_credentials *c); /* NULL allowed */
/* Facts about the leaf for `cert info` and to choose by name. */
bool tls_credentials_names(const struct tls_credentials *c, const char *host);
struct tls_leaf_info {
    char subject[128], issuer[128], names[TLS_NAMES_MAX];
    int64_t not_before, not_after;
    uint8_t sha256[32], spki_sha256[32];
    bool self_signed;
    unsigned chain_length;
    char key_type[16];
};
void tls_credentials_info(const struct tls_credentials *c, struct tls_leaf_info *out);
/* True if who holds trust's roots could not follow the chain: its last certificate is none's own and no root has signed it. That signer's
 * name is appended to *issuer, printable. Reads flash (trust->find). */
bool tls_credentials_lack(const struct tls_credentials *c, const struct tls_trust *trust, struct strbuf *issuer);

enum tls_role { TLS_CLIENT, TLS_SERVER };

/* What the session learnt after its handshake: TLS_CAUSE_CLOSED_AFTER_TICKET when the peer went away before its first
 * application byte, TLS_CAUSE_ALERT when it sent a fatal alert; else TLS_CAUSE_NONE. For when a read on s has failed. */
enum tls_cause tls_late_cause(const struct stream *s);

struct tls_params {
    enum tls_role role;
    const char *server_name; /* client: SNI, and the name to look for in the SAN; NULL: neither (name_matches stays false) */
    /* server: the credentials for an SNI (NULL: client sent none). Never NULL, held by the callee for us. */
    struct tls_credentials *(*select)(void *ctx, const char *sni);
    void *select_ctx;
    const struct tls_trust *trust; /* client; NULL: no roots */
    int64_t now;                   /* wall clock for validity; 0: unknown */
    const char *alpn[3];           /* NULL-terminated; may be empty */
    bool tls13_only;               /* else 1.2 and up */
    struct arena *arena;           /* this session's TLS memory, given back on close; must outlive the stream */
    struct tls_facts *facts;       /* out; filled also on failure, not touched after the handshake */
};

enum rc tls_init(void) MUST_CHECK; /* once, after random_init and task setup; RC_UNSUPPORTED without entropy */
/* The memory that all credentials share (and x509_self_signed works in): for status and to size it. */
const struct arena *tls_identity_memory(void);
/* Memory for one session's struct tls_session and its buffers comes from params->arena. Called by stream_starttls. What a session
 * holds at most while it waits (arena.held_bytes), on 32 bits: a server 26.4 KiB; a client 29.9 KiB for a chain of three RSA-4096
 * certificates; afterwards 25. Each SAN of the peer's takes 32 bytes more. 64 bits: a tenth more. What one step of a handshake needs
 * beyond the arena it borrows from the identities' memory until the step ends; without room there the handshake fails with
 * TLS_CAUSE_NO_MEMORY. */
#define TLS_ARENA_BYTES (40u * 1024)

/* Makes a P-256 key and a self-signed certificate for names (first is also shown as subject; dNSName SANs), valid from
 * not_before for days. PEM texts into the buffers, empty on error: RC_INVALID: no names, or one that is no host name; RC_FULL: a
 * buffer is too small; RC_NO_MEMORY; RC_UNSUPPORTED without entropy. Holds the CPU for one slice. */
enum rc x509_self_signed(const char *const *names, unsigned name_count, int64_t not_before, unsigned days, struct strbuf *key_pem,
                         struct strbuf *cert_pem) MUST_CHECK;
/* What tls-alpn-01 shows (RFC 8737 section 3, RFC 8738 for addresses): a new P-256 key and a self-signed certificate whose only name is the
 * identifier, a host name or an address, and whose critical acmeIdentifier is the SHA-256 of the key authorization. The caller holds
 * *out. RC_INVALID: the identifier is neither; RC_NO_MEMORY; RC_UNSUPPORTED. Holds the CPU for one slice. */
enum rc x509_acme_identifier(const char *identifier, struct span key_authorization, struct tls_credentials **out) MUST_CHECK;

#endif
