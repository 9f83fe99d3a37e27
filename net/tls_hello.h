/* What a TLS client asks for in its first message (RFC 8446 section 4.1.2; server_name by RFC 6066 section 3, ALPN by RFC 7301): looked at
 * where it lies, before anybody answers, to see whom the connection is for. Pure. The message may be split over records as it likes. */
#ifndef NET_TLS_HELLO_H
#define NET_TLS_HELLO_H

#include "hal/base/domain.h"

struct tls_hello {
    char sni[DOMAIN_TEXT_MAX]; /* in lower case, without a trailing dot; "": none, or no name */
    bool acme_tls;             /* ALPN offers "acme-tls/1" and nothing else (RFC 8737 section 3) */
};

/* bytes: what the client has sent so far, from the first. RC_OK: its hello is whole; RC_NOT_FOUND: more is to come, and *out has what was
 * seen; RC_PROTOCOL: no client hello; *out is then zeroed. */
enum rc tls_hello_look(struct span bytes, struct tls_hello *out) MUST_CHECK;

#endif
