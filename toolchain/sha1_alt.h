/* Mbed TLS asks for this with MBEDTLS_SHA1_ALT: the state of a SHA-1 that net/tls_sha1.c never computes. */
#ifndef POSTERN_SHA1_ALT_H
#define POSTERN_SHA1_ALT_H

typedef struct mbedtls_sha1_context {
    unsigned char unused;
} mbedtls_sha1_context;

#endif
