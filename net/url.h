/* Absolute http and https URLs, a strict subset of RFC 3986: no user part, no fragment, percent escapes whole, no byte outside its
 * grammar (blanks, controls, quotes, backslashes). Pure.
 * The canonical form: scheme and host in lower case, the host's U-labels as A-labels, an address as ip_format writes it (IPv6 in
 * brackets), the scheme's own port left out, a path of at least "/". Path and query keep their bytes. */
#ifndef NET_URL_H
#define NET_URL_H

#include "hal/base/rc.h"
#include "hal/base/strbuf.h"

#define URL_MAX 511 /* characters of a canonical URL; ACME's and lists' are below 200 */
#define URL_TEXT_MAX (URL_MAX + 1)

struct url {
    bool https;
    bool host_is_address;
    uint16_t port;
    struct span host;      /* without brackets */
    struct span authority; /* for the Host field: host in brackets if need be, :port if it was written */
    struct span origin;    /* scheme://authority: equal for two canonical URLs when one connection serves both */
    struct span target;    /* path and query, for the request line; empty when text has none */
};

/* Views into text. RC_INVALID; RC_TOO_LONG: over URL_MAX; *out is then zeroed. */
enum rc url_parse(struct span text, struct url *out) MUST_CHECK;
/* The canonical form of text, in the place of what out held. RC_INVALID, RC_TOO_LONG (also: over out's room); out is then empty. text must
 * not lie in out. */
enum rc url_canonical(struct span text, struct strbuf *out) MUST_CHECK;
/* What a Location of reference means at base, which is canonical (RFC 3986 5.2, RFC 9110 10.2.2); dots in its path are worked off, its
 * fragment falls away. Otherwise as url_canonical. */
enum rc url_resolve(struct span base, struct span reference, struct strbuf *out) MUST_CHECK;

#endif
