/* Certificates by ACME (RFC 8555, 8737, 8738, 9773, profiles, dns-persist-01), as the protocol reads: directory, account, order, authorizations,
 * finalize, download; and what an account needs besides. One dialogue at a time over an HTTP client that verifies its server; no state outlives
 * it but what the caller stores. All that the server says is foreign: URLs must be https and canonical, JSON is checked whole, sizes and times are
 * bounded.
 *
 * Whoever wants a certificate calls acme_open and acme_obtain. Errors of all calls: RC_REFUSED: the server said no, a->problem has its type and
 * a->why its words; what http_request gives; RC_PROTOCOL: an answer that is none, a->why says what it lacks; RC_TIMEOUT: still pending after
 * ACME_PATIENCE_MS, or a dialogue of more than ACME_DIALOGUE_MS; RC_TOO_LONG. a->step says where it ended. After an error the dialogue may go on
 * later, at earliest after a->retry_after_s if that is not -1. All but acme_renewal_id yield. */
#ifndef NET_ACME_H
#define NET_ACME_H

#include "net/http_client.h"
#include "net/jws.h"

#define ACME_URL_MAX 255
#define ACME_URLS_BYTES 1280 /* all URLs of a dialogue: ten of 120 characters */
#define ACME_NONCE_MAX 255
/* A request of 1 KiB of CSR twice in base64, and its scratch; JSON answers and chains may be so long. */
#define ACME_MEMORY_LEAST 6144
#define ACME_TOKEN_MAX 128
#define ACME_RECORD_MAX 511 /* of a TXT record: issuer, account */
#define ACME_WHY_MAX 256
#define ACME_TRIES 10      /* of one request: a fresh nonce after each badNonce, a short wait after 429 and 503 */
#define ACME_BUSY_MAX_S 20 /* a Retry-After of 429 or 503 that is waited for at once */
#define ACME_PATIENCE_MS 120000
#define ACME_DIALOGUE_MS (30u * 60 * 1000)
#define ACME_AUTHORIZATIONS_MAX 16
#define ACME_ALTERNATES_MAX 4
#define ACME_ID_MAX 96 /* of a certificate in renewalInfo: key identifier and serial of 20 bytes each are 55 characters */

/* What the server made us leave out of an order. */
enum { ACME_DROPPED_REPLACES = 1, ACME_DROPPED_PROFILE = 2, ACME_DROPPED_ISSUER = 4 };

struct acme {
    struct http_client *http;
    char why[ACME_WHY_MAX]; /* printable */
    char problem[40];       /* last part of the problem's type: "badNonce", "rateLimited"; empty: none */
    const char *step;       /* "directory", "account", "order", "authorization", "certificate", "renewal info", "revocation" */
    int64_t retry_after_s;  /* of the last answer, both forms; -1: none */
    bool binding_required;
    uint8_t dropped;   /* ACME_DROPPED_* of this dialogue's order */
    unsigned requests; /* sent, nonces included */
    /* its own */
    struct span account_key; /* PEM */
    char *memory;            /* the request's payload, then the request, and in its place the answer */
    size_t memory_bytes;
    struct strbuf answer;
    struct deadline end;
    const char *const *names;
    unsigned count;
    unsigned alternate, links; /* which Link of the answer is wanted, how many it has had */
    char nonce[ACME_NONCE_MAX + 1], token[ACME_TOKEN_MAX + 1], record[ACME_RECORD_MAX + 1];
    char urls[ACME_URLS_BYTES]; /* one behind the other, each with its NUL */
};

struct acme_binding {
    struct span kid, mac_key; /* mac_key: bytes, decoded */
};

/* One challenge that we can meet. */
struct acme_challenge {
    const char *type;                      /* "http-01", "tls-alpn-01", "dns-01", "dns-persist-01" */
    const char *identifier;                /* host name or address: one of the order's names, as the caller wrote it */
    const char *token, *key_authorization; /* http-01, tls-alpn-01 */
    const char *record_label, *record;     /* dns-*: the TXT record that RECORD_LABEL.IDENTIFIER must have; else NULL */
};

struct acme_solver {
    const char *type; /* which challenges it meets */
    /* Makes the challenge ready to be checked; RC_OK, or an error that ends the dialogue. Then done is called, whatever came of it. May yield,
     * and take as long as it likes. */
    enum rc (*prepare)(void *ctx, const struct acme_challenge *c);
    void (*done)(void *ctx, const struct acme_challenge *c);
    void *ctx;
};

/* memory: of at least ACME_MEMORY_LEAST bytes; it and all else given here and below outlive *a. Reads the directory. */
enum rc acme_open(struct acme *a, struct http_client *http, struct span directory_url, struct span account_key, char *memory,
                  size_t bytes) MUST_CHECK;

/* What is wanted. Whatever is empty or NULL is left out. */
struct acme_wish {
    struct span account; /* its URL, from an earlier dialogue; else it is found or made */
    struct span contact; /* a mail address, for a new account */
    const struct acme_binding *binding;
    struct span order;        /* URL of an earlier dialogue's order for the same names and key that is not finished */
    const char *const *names; /* 1 to X509_CSR_NAMES_MAX host names and addresses */
    unsigned count;
    struct span key;               /* the certificate's, PEM */
    struct span profile, replaces; /* replaces: acme_renewal_id of the certificate that this one follows */
    struct span issuer;            /* common name; the chain whose last certificate has this issuer is taken where there is one */
    const struct acme_solver *solvers;
    unsigned solver_count; /* the first one whose type the server offers for a name meets it */
};
/* From account to chain. An account that the server has lost is made anew; an order is tried without `replaces` after any error about it, without
 * profile if the server does not know it (a->dropped), anew if the one named is gone. Whatever comes of it, acme_account_url and acme_order_url
 * are then to be stored: the latter is empty, or an order that can be gone on with. *chain: PEM, certificates only, leaf first; lies in the memory
 * until the next call. What it holds is for the caller to check. RC_UNSUPPORTED: a name for which the server offers no challenge that a solver
 * meets. */
enum rc acme_obtain(struct acme *a, const struct acme_wish *w, struct span *chain) MUST_CHECK;
/* Views until the next call; empty: none. */
struct span acme_account_url(const struct acme *a);
struct span acme_order_url(const struct acme *a);

/* The steps of acme_obtain. acme_account finds or makes the account and agrees to the terms; with only_existing RC_REFUSED (accountDoesNotExist)
 * when there is none of that key. acme_use_account names one that is stored, for what is asked in its name: RC_INVALID: no such URL. */
enum rc acme_account(struct acme *a, struct span contact, const struct acme_binding *binding, bool only_existing) MUST_CHECK;
enum rc acme_use_account(struct acme *a, struct span url) MUST_CHECK;
enum rc acme_order(struct acme *a, const struct acme_wish *w) MUST_CHECK;
enum rc acme_authorize(struct acme *a, const struct acme_solver *solvers, unsigned count) MUST_CHECK;
enum rc acme_finalize(struct acme *a, struct span key, struct span issuer, struct span *chain) MUST_CHECK;

/* The last refusal says nothing about what was asked: no answer, too many requests, or a fault of the server's. */
bool acme_is_busy(const struct acme *a);

/* Another key for the account (RFC 8555 7.3.5). RC_OK: new_key, which must outlive *a, is the account's from now on. After a lost answer
 * nobody knows which one is: acme_account with only_existing, with either key, finds out. */
enum rc acme_change_key(struct acme *a, struct span new_key) MUST_CHECK;
/* The account is closed for ever. */
enum rc acme_deactivate(struct acme *a) MUST_CHECK;
/* The first certificate of chain_pem, which lies outside of the memory. reason: of RFC 5280 5.3.1, 0, 1, 3, 4 or 5. By the account, or with
 * key not empty by the certificate's key; RC_OK also if it was revoked before. RC_UNSUPPORTED: the server offers no revocation. */
enum rc acme_revoke(struct acme *a, struct span chain_pem, unsigned reason, struct span key) MUST_CHECK;

/* When to renew, as the server suggests (RFC 9773). */
struct acme_renewal {
    int64_t start, end;                 /* unix time, end > start */
    uint32_t again_s;                   /* when to ask again: Retry-After, 1 minute to 1 day; 6 hours if there is none */
    char explanation[ACME_URL_MAX + 1]; /* a page for people, https and canonical; empty: none */
};
/* The identifier for renewalInfo and `replaces` of a certificate in DER: RC_INVALID: it is none or has no key identifier of its issuer. Does not
 * yield. *out holds only it then. */
enum rc acme_renewal_id(struct span der, struct strbuf *out) MUST_CHECK;
/* RC_UNSUPPORTED: the server offers none. */
enum rc acme_renewal_info(struct acme *a, struct span id, struct acme_renewal *out) MUST_CHECK;

#endif
