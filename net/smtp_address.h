/* Mailbox addresses and the parameters of MAIL and RCPT (RFC 5321 4.1.2, RFC 6531). Pure, push-style, for server and settings. */
#ifndef NET_SMTP_ADDRESS_H
#define NET_SMTP_ADDRESS_H

#include "hal/base/domain.h"
#include "hal/base/rc.h"

#define SMTP_LOCAL_MAX 64
#define SMTP_PATH_MAX 320 /* local@domain without brackets, with room for NUL */

struct smtp_address {
    bool null;                          /* <> */
    bool utf8;                          /* holds non-ASCII: needs SMTPUTF8 */
    bool source_route;                  /* "@a,@b:" was there and was dropped */
    bool literal;                       /* domain is an address literal: [192.0.2.1], [IPv6:...] */
    char local[SMTP_LOCAL_MAX * 4 + 1]; /* as given (quotes kept), without route */
    char
        domain[DOMAIN_TEXT_MAX]; /* canonical (lower-case, no trailing dot, A-labels); literal with brackets; "" for <postmaster> */
    char full[SMTP_PATH_MAX];    /* local@domain as to be sent on, the domain as given but for a trailing dot */
};

/* Parses a path with its angle brackets (or, as some printers send it, without), and sets *rest to what follows ("" or
 * " PARAM=..."), a view of text. RC_INVALID, RC_TOO_LONG: *out is zeroed, a constant reason in *why. */
enum rc smtp_path_parse(struct span text, struct smtp_address *out, struct span *rest, const char **why) MUST_CHECK;
/* The local part holds %, ! or @ (quoted or not) that some server could route by: for relay checks. */
bool smtp_local_is_routing(const struct smtp_address *a);
bool smtp_local_is(const struct smtp_address *a, const char *name); /* case-insensitive, quotes ignored: postmaster, abuse */

/* Next " KEYWORD[=VALUE]" of *rest. False at the end; *bad set on a malformed one. */
bool smtp_param_next(struct span *rest, struct span *keyword, struct span *value, bool *bad);
/* xtext of RFC 3461 section 4, decoded. RC_INVALID, RC_TOO_LONG. */
enum rc xtext_decode(struct span text, struct strbuf *out) MUST_CHECK;
void xtext_encode(struct strbuf *out, struct span text);

#endif
