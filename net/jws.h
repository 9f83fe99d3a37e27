/* Signed requests as ACME wants them: JSON Web Signatures in their flattened form (RFC 7515 7.2.2), by ES256 with an account key, or by HS256
 * for external account binding; JSON Web Keys and their thumbprints (RFC 7517, RFC 7638). */
#ifndef NET_JWS_H
#define NET_JWS_H

#include "hal/base/rc.h"
#include "hal/base/strbuf.h"

#define JWK_MAX 128             /* bytes of a JWK, with NUL */
#define JWK_THUMBPRINT_CHARS 43 /* without NUL */
#define JWS_PROTECTED_MAX 1024  /* bytes of a protected header: kid, nonce and URL of 255 characters each, and 60 around them */

/* The public key of a P-256 key in PEM, in the very form that its thumbprint hashes. RC_UNSUPPORTED, RC_NO_MEMORY; RC_INVALID: no such key;
 * RC_FULL. On error *out is empty. */
enum rc jwk_write(struct span key_pem, struct strbuf *out) MUST_CHECK;
/* base64url of the JWK's SHA-256: the second half of a key authorization (RFC 8555 8.1). Errors as above. */
enum rc jwk_thumbprint(struct span key_pem, struct strbuf *out) MUST_CHECK;

struct jws_header {
    struct span kid;   /* the account's URL; empty: the JWK stands in its place (new accounts, RFC 8555 6.2) */
    struct span nonce; /* empty: none is written (the inner JWS of a key change) */
    struct span url;
};

/* The JWS of payload (empty: POST-as-GET), in the place of what out held. Every text of the header must be free of quotes, backslashes and
 * control bytes: RC_INVALID. scratch: JWS_PROTECTED_MAX bytes for the time of the call. RC_FULL: no room in either. On error *out is
 * empty. */
enum rc jws_sign(const struct jws_header *h, struct span key_pem, struct span payload, struct strbuf *scratch,
                 struct strbuf *out) MUST_CHECK;

/* The "externalAccountBinding" of a new account (RFC 8555 7.3.4): payload is the account's JWK, kid and mac_key came from the authority. */
enum rc jws_bind(struct span kid, struct span mac_key, struct span url, struct span jwk, struct strbuf *scratch,
                 struct strbuf *out) MUST_CHECK;

#endif
