/* Whose signatures count: the public keys of each role and how many of them have to sign (section IMAGE_KEYS of a keyring image; the
 * bytes are in policy/IMAGE.md). A keyring is a view of its bytes, wherever they lie. Pure. */
#ifndef POLICY_KEYRING_H
#define POLICY_KEYRING_H

#include "hal/base/rc.h"
#include "hal/base/span.h"

/* Root keys sign keyrings, and nothing else; a key has one role. */
enum keyring_role { KEYRING_ROOT, KEYRING_LIST, KEYRING_FIRMWARE, KEYRING_ROLES };

/* Sizes of the format (IMAGE.md), shared with what writes it. */
#define KEYRING_FORMAT 1
#define KEYRING_HEADER_BYTES 32
#define KEYRING_KEY_BYTES 64 /* x and y of a point on P-256 */
#define KEYRING_KEYS_MAX 12
#define KEYRING_BYTES_MAX (KEYRING_HEADER_BYTES + KEYRING_KEYS_MAX * KEYRING_KEY_BYTES)

struct keyring {
    struct span bytes; /* must outlive the keyring */
    uint64_t version;
    unsigned key_count;
    struct {
        unsigned threshold; /* 0: nothing of this role is accepted; never 0 for KEYRING_ROOT */
        uint16_t keys;      /* bit n: key n has this role */
    } role[KEYRING_ROLES];
};

enum rc keyring_open(struct keyring *k, struct span bytes) MUST_CHECK; /* RC_CORRUPT; *k is then zeroed: it trusts nobody */
const uint8_t *keyring_key(const struct keyring *k, unsigned n);       /* KEYRING_KEY_BYTES; n below key_count */
unsigned keyring_count(uint16_t keys);                                 /* how many bits are set */
/* SHA-256 of the point 04 x y: what signatures and people call the key. */
void keyring_key_id(const uint8_t key[KEYRING_KEY_BYTES], uint8_t out[32]);
const char *keyring_role_name(enum keyring_role role); /* "root", "list", "firmware" */

#endif
