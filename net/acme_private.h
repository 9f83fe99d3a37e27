/* What the files of the ACME dialogue share: its URLs, answers and signed requests. */
#ifndef NET_ACME_PRIVATE_H
#define NET_ACME_PRIVATE_H

#include "net/acme.h"
#include "net/json_view.h"

/* A dialogue's URLs: checked, https, canonical; empty: none. First what a directory has, in the order of acme.c's names; the one that an
 * answer's head may set comes last, so that setting it moves no other. */
enum acme_url {
    ACME_NEW_NONCE,
    ACME_NEW_ACCOUNT,
    ACME_NEW_ORDER,
    ACME_REVOKE_CERT,
    ACME_RENEWAL_INFO,
    ACME_KEY_CHANGE,
    ACME_ACCOUNT,
    ACME_ORDER,
    ACME_AUTHORIZATION,
    ACME_CHALLENGE,
    ACME_WORK,     /* finalize, certificate, one renewalInfo */
    ACME_LOCATION, /* of the last answer: Location, or the alternate that was asked for */
    ACME_URLS
};
const char *acme_url(const struct acme *a, enum acme_url i);
/* RC_TOO_LONG: no room for it; it is then empty. */
enum rc acme_set_url(struct acme *a, enum acme_url i, struct span canonical); /* clearing one succeeds */
/* The URL that v is. RC_PROTOCOL with words that name it, RC_TOO_LONG. */
enum rc acme_take_url_text(struct acme *a, const struct json_view *v, const char *name, enum acme_url i) MUST_CHECK;
/* The same for a member of an answer. RC_OK also when there is none, unless required. */
enum rc acme_take_url(struct acme *a, const struct json_view *object, const char *name, bool required, enum acme_url i) MUST_CHECK;

enum rc acme_say(struct acme *a, enum rc rc, const char *words);
enum rc acme_lacks(struct acme *a, const char *what); /* RC_PROTOCOL */
/* Adds the words of a problem document (RFC 9457, RFC 8555 6.7) to a->why, and takes its type. */
void acme_add_problem(struct acme *a, const struct json_view *problem);
bool acme_problem_is(const struct acme *a, const char *type);

/* An unsigned request. *out is a view of the answer. */
enum rc acme_get(struct acme *a, struct span url, struct json_view *out) MUST_CHECK;
/* Where a payload is built: the memory's beginning. */
struct strbuf acme_payload(struct acme *a);
/* A signed request (RFC 8555 6.2) in the account's name, or with key not empty in that key's own; payload NULL: POST-as-GET. The answer lies behind
 * the payload; out: NULL if it need not be JSON. */
enum rc acme_post(struct acme *a, enum acme_url i, const struct strbuf *payload, struct span key, struct json_view *out) MUST_CHECK;
static inline enum rc acme_fetch(struct acme *a, enum acme_url i, struct json_view *out)
{
    return acme_post(a, i, NULL, SPAN(""), out);
}
/* The address that the last answer gave becomes this one. */
enum rc acme_keep_location(struct acme *a, enum acme_url i) MUST_CHECK;
/* Asks for an order or authorization until it is valid (or ready); ACME_ANSWERED: *out is the answer to the first question, and it is to be valid.
 * RC_REFUSED: it never will be. */
enum acme_wait { ACME_UNTIL_VALID, ACME_UNTIL_READY, ACME_ANSWERED };
enum rc acme_wait_for(struct acme *a, enum acme_url i, enum acme_wait wait, struct json_view *out) MUST_CHECK;

#endif
