/* Signing keys as PEM files: private ones in PKCS#8 or SEC1 (as OpenSSL writes them, unencrypted), public ones as SubjectPublicKeyInfo. P-256
 * only. Each fault is told on stderr, with the path. */
#ifndef TOOLS_SIGNING_KEY_H
#define TOOLS_SIGNING_KEY_H

#include "hal/base/rc.h"
#include "policy/keyring.h"

struct signing_key {
    bool has_private;
    uint8_t private_key[32];
    uint8_t public_xy[KEYRING_KEY_BYTES];
    uint8_t id[32];
};

/* RC_IO; RC_INVALID: no such key, or one whose halves do not belong together. */
enum rc signing_key_read(const char *path, struct signing_key *out) MUST_CHECK;
/* Makes a key and a file that only its owner can read; a file that is there is never written over. random_init must have been called. RC_IO. */
enum rc signing_key_make(const char *path, struct signing_key *out) MUST_CHECK;
void signing_key_wipe(struct signing_key *k);

#endif
