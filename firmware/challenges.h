/* What the box shows to a certificate authority that checks its names: a small table, written by the ACME errand, from which ports 80
 * (http-01, RFC 8555 section 8.3) and 443 (tls-alpn-01, RFC 8737) are answered. */
#ifndef FIRMWARE_CHALLENGES_H
#define FIRMWARE_CHALLENGES_H

#include "hal/base/rc.h"
#include "net/tls.h"

#define CHALLENGES_MAX 2 /* names are authorised one after the other */

/* type: "http-01" or "tls-alpn-01"; identifier: a host name in canonical form, or an address as ip_format writes it. Takes the place of
 * an entry of the same type and identifier. All texts stay the caller's and must last, unchanged, until challenges_clear: nothing is
 * copied. RC_UNSUPPORTED: another type; RC_INVALID: an empty text; RC_FULL. */
enum rc challenges_put(const char *type, const char *identifier, const char *token, const char *key_authorization) MUST_CHECK;
/* Empties the table. */
void challenges_clear(void);

/* The key authorization of an http-01 challenge with this very token for this host (any case, without port and brackets). The empty
 * span: none. A view until challenges_clear. */
struct span challenges_http(struct span host, struct span token);
/* For who offers acme-tls/1 and this SNI (any case; for an address its reverse name, RFC 8738 section 6): the certificate of that name's
 * tls-alpn-01 challenge, which the caller then holds. NULL: none, or no memory. Made when first asked for, which holds the CPU for one
 * slice. */
struct tls_credentials *challenges_tls_alpn(struct span sni);

#endif
