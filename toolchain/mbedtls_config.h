/* Mbed TLS 3.6 as Postern uses it: TLS 1.2 and 1.3 with AEAD suites, client and server, X.509 reading and writing.
 * One configuration for all boards. Whoever links it supplies, in net/tls*.c:
 *   mbedtls_platform_set_calloc_free()  called first, with allocators on the running session's arena
 *   mbedtls_platform_set_time()         called first, with the wall clock
 *   mbedtls_platform_gmtime_r()         defined: civil time from hal/base/datetime.h
 *   mbedtls_ms_time()                   defined: monotonic milliseconds
 *   mbedtls_psa_external_get_random()   defined: hal/random.h, the only generator of the box */
#ifndef POSTERN_MBEDTLS_CONFIG_H
#define POSTERN_MBEDTLS_CONFIG_H

/* --- Platform: no heap, clock, files or entropy of its own ------------------------------------------------------------ */
#define MBEDTLS_HAVE_ASM
#define MBEDTLS_PLATFORM_C
#define MBEDTLS_PLATFORM_MEMORY           /* every allocation goes to an arena with a cap */
#define MBEDTLS_PLATFORM_NO_STD_FUNCTIONS /* until set, calloc answers NULL: nothing can reach a libc heap */
#define MBEDTLS_PLATFORM_SNPRINTF_MACRO snprintf
#define MBEDTLS_PLATFORM_STD_MEM_HDR <stdio.h> /* declares that snprintf */
#define MBEDTLS_HAVE_TIME
#define MBEDTLS_HAVE_TIME_DATE /* validity of certificates is judged */
#define MBEDTLS_PLATFORM_TIME_ALT
#define MBEDTLS_PLATFORM_GMTIME_R_ALT
#define MBEDTLS_PLATFORM_MS_TIME_ALT
#define MBEDTLS_DEPRECATED_REMOVED

/* --- Symmetric: AEAD only ---------------------------------------------------------------------------------------------- */
#define MBEDTLS_CIPHER_C
#define MBEDTLS_AES_C
#define MBEDTLS_AES_ROM_TABLES          /* 8 KiB of RAM saved */
#define MBEDTLS_AES_FEWER_TABLES        /* 3 KiB less: ARM rotates for nothing, x86 has AES-NI */
#define MBEDTLS_BLOCK_CIPHER_NO_DECRYPT /* GCM needs only the one direction: 6 KB of tables and code less */
#define MBEDTLS_GCM_C
#define MBEDTLS_CHACHA20_C
#define MBEDTLS_POLY1305_C
#define MBEDTLS_CHACHAPOLY_C
#if defined(__x86_64__)
#define MBEDTLS_AESNI_C /* GCM 2.6 times faster on the posix board, found at run time */
#endif

/* --- Hashes -------------------------------------------------------------------------------------------------------------- */
#define MBEDTLS_MD_C
/* Roots of Mozilla's store are still self-signed with SHA-1: it has to be known by name for them to be read. Nothing is ever verified with
 * it, so net/tls_sha1.c refuses to compute it. */
#define MBEDTLS_SHA1_C
#define MBEDTLS_SHA1_ALT
#define MBEDTLS_SHA224_C /* SHA-256's small sister: PSA derives one from the other */
#define MBEDTLS_SHA256_C
#define MBEDTLS_SHA256_SMALLER /* -1.2 KB, as below */
#define MBEDTLS_SHA384_C
#define MBEDTLS_SHA512_C
#define MBEDTLS_SHA512_SMALLER /* -1.8 KB; only transcripts and certificates are hashed with it */
#define MBEDTLS_HKDF_C         /* TLS 1.3 */
#define MBEDTLS_HMAC_DRBG_C    /* deterministic ECDSA */

/* --- Public keys ------------------------------------------------------------------------------------------------------- */
#define MBEDTLS_BIGNUM_C
#define MBEDTLS_ECP_C
#define MBEDTLS_ECP_DP_SECP256R1_ENABLED
#define MBEDTLS_ECP_DP_SECP384R1_ENABLED
#define MBEDTLS_ECP_DP_SECP521R1_ENABLED /* rare in peers' certificates, but 2 KB beat sending in plaintext */
#define MBEDTLS_ECP_DP_CURVE25519_ENABLED
#define MBEDTLS_ECP_NIST_OPTIM
#define MBEDTLS_ECDH_C
#define MBEDTLS_ECDSA_C
#define MBEDTLS_ECDSA_DETERMINISTIC /* a signature never depends on the generator's health */
#define MBEDTLS_RSA_C
#define MBEDTLS_PKCS1_V15
#define MBEDTLS_PKCS1_V21
#define MBEDTLS_OID_C
#define MBEDTLS_ASN1_PARSE_C
#define MBEDTLS_ASN1_WRITE_C
#define MBEDTLS_PK_C
#define MBEDTLS_PK_PARSE_C
#define MBEDTLS_PK_PARSE_EC_COMPRESSED

/* --- PSA: TLS 1.3's key schedule runs on it ------------------------------------------------------------------------------ */
#define MBEDTLS_PSA_CRYPTO_C
#define MBEDTLS_PSA_CRYPTO_CONFIG
#define MBEDTLS_PSA_CRYPTO_CONFIG_FILE "psa_config.h"
#define MBEDTLS_PSA_CRYPTO_EXTERNAL_RNG /* one generator on the box, hal/random.h */
/* PSA_KEY_STORE_DYNAMIC stays off: its slots would be cut from one session's arena and used by another's. 32 static
 * slots do for 24 handshakes at once, each holds one while it waits. */
#define MBEDTLS_PSA_KEY_SLOT_COUNT 32

/* --- X.509 --------------------------------------------------------------------------------------------------------------- */
#define MBEDTLS_X509_USE_C
#define MBEDTLS_X509_CRT_PARSE_C
#define MBEDTLS_X509_RSASSA_PSS_SUPPORT           /* RSA peers over TLS 1.3 */
#define MBEDTLS_X509_TRUSTED_CERTIFICATE_CALLBACK /* roots are found in flash on demand */
#define MBEDTLS_X509_REMOVE_INFO                  /* what people read is written by net/x509*.c */

/* --- TLS ----------------------------------------------------------------------------------------------------------------- */
#define MBEDTLS_SSL_TLS_C
#define MBEDTLS_SSL_CLI_C
#define MBEDTLS_SSL_SRV_C
#define MBEDTLS_SSL_PROTO_TLS1_2
#define MBEDTLS_SSL_PROTO_TLS1_3
#define MBEDTLS_SSL_TLS1_3_KEY_EXCHANGE_MODE_EPHEMERAL_ENABLED
#define MBEDTLS_SSL_TLS1_3_COMPATIBILITY_MODE
#define MBEDTLS_KEY_EXCHANGE_ECDHE_RSA_ENABLED
#define MBEDTLS_KEY_EXCHANGE_ECDHE_ECDSA_ENABLED
/* The same nine that net/tls_config.c orders: without this, mbedTLS keeps a list of all that it has ever known. */
#define MBEDTLS_SSL_CIPHERSUITES                                                                                   \
    MBEDTLS_TLS1_3_CHACHA20_POLY1305_SHA256, MBEDTLS_TLS1_3_AES_128_GCM_SHA256, MBEDTLS_TLS1_3_AES_256_GCM_SHA384, \
        MBEDTLS_TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, MBEDTLS_TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,    \
        MBEDTLS_TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, MBEDTLS_TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,      \
        MBEDTLS_TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, MBEDTLS_TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384
#define MBEDTLS_SSL_EXTENDED_MASTER_SECRET
#define MBEDTLS_SSL_KEEP_PEER_CERTIFICATE /* TLS 1.3 needs it; causes of failure are named from it */
#define MBEDTLS_SSL_SERVER_NAME_INDICATION
#define MBEDTLS_SSL_ALPN
#define MBEDTLS_SSL_ALL_ALERT_MESSAGES
/* Session tickets stay off: sent on port 25 they made large senders drop the connection. A client ignores a peer's.
 * Renegotiation stays off. MAX_FRAGMENT_LENGTH and VARIABLE_BUFFER_LENGTH stay off: with IN > OUT the shrunken input
 * buffer would refuse a peer's 16 KiB record. */
#define MBEDTLS_SSL_IN_CONTENT_LEN 16384 /* peers send full records and there is no way to forbid it */
#define MBEDTLS_SSL_OUT_CONTENT_LEN 4096

#endif
