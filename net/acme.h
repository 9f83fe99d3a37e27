/* Certificates by ACME (RFC 8555), as the protocol reads: directory, account, order, authorizations, finalize, download. One dialogue at a time
 * over an HTTP client that verifies its server; no state outlives it but what the caller stores. All that the server says is foreign: URLs must be
 * https and canonical, JSON is checked whole, sizes are bounded.
 *
 * Calls come in the order below. Errors: RC_REFUSED: the server said no, a->problem has its type and a->why its words; what http_request gives;
 * RC_PROTOCOL: an answer that is none, a->why says what it lacks; RC_TIMEOUT: still pending after ACME_PATIENCE_MS. After an error the dialogue
 * may go on at the same call, later (a->retry_after_s, if not -1, says how much). All yield. */
#ifndef NET_ACME_H
#define NET_ACME_H

#include "hal/base/domain.h"
#include "net/http_client.h"
#include "net/jws.h"

#define ACME_URL_MAX 255
#define ACME_NONCE_MAX 255
#define ACME_BODY_BYTES 4096  /* of a JSON answer */
#define ACME_JWS_BYTES 4096   /* of a request */
#define ACME_PAYLOAD_MAX 1536 /* before it is signed: a CSR of 1 KiB in base64 */
#define ACME_TOKEN_MAX 128
#define ACME_NONCE_TRIES 10 /* a fresh nonce after each badNonce */
#define ACME_PATIENCE_MS 120000
#define ACME_AUTHORIZATIONS_MAX 16

struct acme {
    struct http_client *http;
    struct span account_key; /* PEM */
    /* Where the directory leads. Empty: not offered. */
    char new_nonce[ACME_URL_MAX + 1], new_account[ACME_URL_MAX + 1], new_order[ACME_URL_MAX + 1], revoke[ACME_URL_MAX + 1],
        renewal_info[ACME_URL_MAX + 1];
    bool binding_required;
    char account[ACME_URL_MAX + 1]; /* the "kid": to be stored, so that later dialogues need not ask */
    char order[ACME_URL_MAX + 1];
    char problem[80]; /* last part of the problem's type: "badNonce", "rateLimited" */
    char why[HTTP_WHY_MAX];
    int64_t retry_after_s;
    /* its own */
    char nonce[ACME_NONCE_MAX + 1], location[ACME_URL_MAX + 1], url[ACME_URL_MAX + 1];
    char *body, *jws;
    struct strbuf answer;
    char payload[ACME_PAYLOAD_MAX];
    struct {
        char url[ACME_URL_MAX + 1], authorization[ACME_URL_MAX + 1];
        char token[ACME_TOKEN_MAX + 1];
        char identifier[DOMAIN_TEXT_MAX];
        char key_authorization[ACME_TOKEN_MAX + JWK_THUMBPRINT_CHARS + 2];
    } challenge;
};

struct acme_binding {
    struct span kid, mac_key; /* mac_key: bytes, decoded */
};

/* One challenge that we can meet. */
struct acme_challenge {
    const char *type;       /* "http-01", "tls-alpn-01", "dns-01" */
    const char *identifier; /* host name or address */
    const char *token;
    const char *key_authorization;
};

struct acme_solver {
    const char *type; /* which challenges it meets */
    /* Makes the challenge ready to be checked; RC_OK, or an error that ends the dialogue. Then done is called, whatever came of it. */
    enum rc (*prepare)(void *ctx, const struct acme_challenge *c);
    void (*done)(void *ctx, const struct acme_challenge *c);
    void *ctx;
};

/* body: ACME_BODY_BYTES, jws: ACME_JWS_BYTES; they and all else given here outlive *a. Reads the directory. */
enum rc acme_open(struct acme *a, struct http_client *http, struct span directory_url, struct span account_key, char *body,
                  char *jws) MUST_CHECK;
/* Finds or makes the account; agrees to the terms. contact: a mail address, or empty. binding: NULL: none. */
enum rc acme_account(struct acme *a, struct span contact, const struct acme_binding *binding) MUST_CHECK;
/* Uses an account that an earlier dialogue has made. RC_INVALID: no such URL. */
enum rc acme_use_account(struct acme *a, struct span url) MUST_CHECK;
/* profile: empty: the server's own choice. */
enum rc acme_order(struct acme *a, const char *const *names, unsigned count, struct span profile) MUST_CHECK;
/* Meets what the order asks for, name by name. RC_UNSUPPORTED: a name for which the server offers no challenge of the solver's type. */
enum rc acme_authorize(struct acme *a, const struct acme_solver *solver) MUST_CHECK;
/* csr: DER for the very names of the order. Waits for the certificate and appends its chain in PEM, as sent. RC_FULL: no room for it. */
enum rc acme_finalize(struct acme *a, struct span csr, struct strbuf *chain) MUST_CHECK;

#endif
