/* Keys of the box's own on P-256, as PEM texts: made, named, signed with (JWS ES256, RFC 7518 3.4), and asked to be certified (PKCS#10). Each
 * call holds the CPU for one slice and keeps nothing. RC_UNSUPPORTED without entropy, RC_NO_MEMORY; RC_INVALID: the text is no such key. */
#ifndef NET_X509_KEY_H
#define NET_X509_KEY_H

#include "hal/base/ipaddr.h"
#include "hal/base/rc.h"
#include "hal/base/strbuf.h"

#define X509_KEY_PEM_MAX 320 /* with NUL */

struct x509_point {
    uint8_t x[32], y[32];
};

/* A new key. RC_FULL: no room; *key_pem is then empty. */
enum rc x509_key_make(struct strbuf *key_pem) MUST_CHECK;
enum rc x509_key_point(struct span key_pem, struct x509_point *out) MUST_CHECK;
/* ECDSA over a SHA-256 hash, r and s; the same each time (RFC 6979). */
enum rc x509_key_sign(struct span key_pem, const uint8_t hash[32], uint8_t signature[64]) MUST_CHECK;

/* A certificate request (RFC 2986) for these host names and addresses, with no subject: what a certificate names stands in its SAN. DER is
 * appended to *der. RC_INVALID: no names, or one that is neither; RC_FULL: no room, nothing is appended. */
#define X509_CSR_NAMES_MAX 16
enum rc x509_csr(struct span key_pem, const char *const *names, unsigned count, struct strbuf *der) MUST_CHECK;

#endif
