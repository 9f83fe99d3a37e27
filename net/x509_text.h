/* What people read of a certificate, and dates. Only for net/tls*.c and net/x509*.c: it includes mbedTLS. */
#ifndef NET_X509_TEXT_H
#define NET_X509_TEXT_H

#include <mbedtls/x509_crt.h>

#include "hal/base/strbuf.h"

/* Common name, organisation and unit of a Name, printable: "CN=R11, O=Let's Encrypt"; "(empty)" if it has none of them. */
void x509_dn_text(struct strbuf *out, const mbedtls_x509_name *name);
/* The certificate's dNSNames and IP addresses, printable, comma-separated; what does not fit is marked by "...". */
void x509_names_text(struct strbuf *out, const mbedtls_x509_crt *crt);
int64_t x509_unix_time(const mbedtls_x509_time *t);
bool x509_self_issued(const mbedtls_x509_crt *crt);
/* A SAN of crt names host: a dNSName by tls_name_matches, or an iPAddress if host is an address. The subject is never read. */
bool x509_names_host(const mbedtls_x509_crt *crt, const char *host);
/* SHA-256 of the certificate and of its SubjectPublicKeyInfo. */
void x509_fingerprints(const mbedtls_x509_crt *crt, uint8_t cert[32], uint8_t spki[32]);

#endif
