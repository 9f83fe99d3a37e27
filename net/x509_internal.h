/* Keys on P-256 as mbedTLS holds them; for net/x509_*.c alone. */
#ifndef NET_X509_INTERNAL_H
#define NET_X509_INTERNAL_H

#include "net/tls_internal.h"
#include "net/x509_key.h"

/* *pk is to be freed whatever comes. RC_UNSUPPORTED, RC_NO_MEMORY, RC_INVALID as in net/x509_key.h. */
enum rc x509_pk_make(mbedtls_pk_context *pk) MUST_CHECK;
enum rc x509_pk_open(mbedtls_pk_context *pk, struct span key_pem) MUST_CHECK;
/* The rest is for a key that one of these has given. */
enum rc x509_pk_point(const mbedtls_pk_context *pk, struct x509_point *out) MUST_CHECK;
enum rc x509_pk_sign(const mbedtls_pk_context *pk, const uint8_t hash[32], uint8_t signature[64]) MUST_CHECK;
/* RC_FULL: no room; *key_pem is then empty. */
enum rc x509_pk_write(const mbedtls_pk_context *pk, struct strbuf *key_pem) MUST_CHECK;

#endif
