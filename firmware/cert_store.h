/* What the box keeps of its dealings with a certificate authority, in the settings log:
 *
 *   acme/key      the account's key, P-256 in PEM; made once, for every authority that is ever asked
 *   acme/next     the key that an unfinished change of the account's key goes to
 *   acme/account  u32 CRC of acme.directory, then the account's URL
 *   acme/state    struct cert_state: u8 1, u8 failures, u8 hold, u8 flags, u32 jitter, i64 hold_until, window_start, window_end, look_at,
 *                 failed_at, then the words of the last failure (0..CERT_WHY_MAX - 1 bytes); integers little-endian
 *   acme/order    u32 what it was for, then the URL of an order that a failure has left unfinished
 *   acme/record   u32 CRC of acme.directory, then what a TXT record for dns-persist-01 has to say
 *   acme/page     u32 0, then the authority's page about its window for the certificate in use
 *   tls/next      the key that the next change of key will use, P-256 in PEM
 *
 * The pair in use is firmware/identity.h's. A key is on flash before anybody is told of it; it is never shown and never logged. */
#ifndef FIRMWARE_CERT_STORE_H
#define FIRMWARE_CERT_STORE_H

#include "hal/base/rc.h"
#include "hal/base/strbuf.h"
#include "policy/renewal.h"

#define CERT_WHY_MAX 160
#define CERT_ACCOUNT_MAX 256 /* with NUL */
#define CERT_NEXT_KEY "tls/next"
#define CERT_STATE_KEY "acme/state"

#define CERT_ASKED 1u                                 /* flags: the operator wants one now */
#define CERT_NEW_KEY 2u                               /* ... with the next key */
#define CERT_REVOKE 4u                                /* ... after the one in use has been revoked */
#define CERT_STOLEN 8u                                /* ... because somebody else may have its key */
#define CERT_ROLL_OVER 16u                            /* he wants another key for the account */
#define CERT_CLOSE 32u                                /* he wants the account closed */
#define CERT_OF_ACCOUNT (CERT_ROLL_OVER | CERT_CLOSE) /* no certificate comes of these */

/* As it lies on flash: every board is little-endian. */
struct cert_state {
    uint8_t version, failures, hold, flags;
    uint32_t jitter;
    int64_t hold_until, window_start, window_end;
    int64_t look_at; /* when the authority is asked for its window again */
    int64_t failed_at;
    char why[CERT_WHY_MAX];
};
#define CERT_STATE_VERSION 1

/* Zeroes and a fresh jitter when there is none, or none that can be read. */
void cert_store_load(struct cert_state *s);
enum rc cert_store_save(const struct cert_state *s) MUST_CHECK; /* Yields. */
struct span cert_store_record(const struct cert_state *s);      /* a view of *s: what is stored of it */

/* A key of the box by its name in the log, in PEM in the place of what *pem held; made and stored when there is none or it is damaged. Errors
 * of settings_log_put and x509_key_make. Yields. */
enum rc cert_store_account_key(struct strbuf *pem) MUST_CHECK;
enum rc cert_store_next_account_key(struct strbuf *pem) MUST_CHECK;
enum rc cert_store_next_key(struct strbuf *pem) MUST_CHECK;
/* The key of the pair in use. RC_NOT_FOUND; RC_INVALID: not one that can be asked for (an imported one of another kind). */
enum rc cert_store_current_key(struct strbuf *pem) MUST_CHECK;
/* SHA-256 of the next key's SubjectPublicKeyInfo: what a TLSA record 3 1 1 holds. RC_NOT_FOUND: none is made yet. */
enum rc cert_store_next_pin(uint8_t out[32]) MUST_CHECK;

/* The account at a directory, an unfinished order, what the DNS has to say, the page: each a URL or another such text, with the sum of what
 * it is for. RC_NOT_FOUND: none for that. */
#define CERT_ACCOUNT "acme/account"
#define CERT_ORDER "acme/order"
#define CERT_RECORD "acme/record"
#define CERT_PAGE "acme/page"
enum rc cert_store_url(const char *key, uint32_t what, struct strbuf *url) MUST_CHECK;
/* url empty: forgotten. Writes only what is new. Yields. */
enum rc cert_store_put_url(const char *key, uint32_t what, struct span url) MUST_CHECK;
/* The account's key is this one from now on, and a change of it finished; key empty: there is no account any more, nor what belonged to it.
 * All or nothing. Yields. */
enum rc cert_store_settle_account(struct span key) MUST_CHECK;
uint32_t cert_store_directory(void); /* what an account is for: CRC of acme.directory */

#endif
