/* All rules of the keys section are checked when it is opened; what asks later relies on them. */
#include "policy/keyring.h"

#include <string.h>

#include "hal/base/bytes.h"
#include "hal/crypto/sha256.h"

#define ROLES_AT 16
#define ROLE_BYTES 4

static const uint8_t *byte_at(const struct keyring *k, size_t offset)
{
    return (const uint8_t *)k->bytes.p + offset;
}

const uint8_t *keyring_key(const struct keyring *k, unsigned n)
{
    return byte_at(k, KEYRING_HEADER_BYTES + (size_t)n * KEYRING_KEY_BYTES);
}

unsigned keyring_count(uint16_t keys)
{
    unsigned count = 0;
    for (; keys != 0; keys &= (uint16_t)(keys - 1))
        count++;
    return count;
}

/* Every key has one role, and a threshold can be reached. */
static bool take_roles(struct keyring *k)
{
    uint16_t taken = 0;
    for (unsigned n = 0; n < KEYRING_ROLES; n++) {
        const uint8_t *p = byte_at(k, ROLES_AT + n * ROLE_BYTES);
        uint16_t keys = get_le16(p + 2);
        if (p[1] != 0 || (keys & taken) != 0 || p[0] > keyring_count(keys) || (p[0] == 0) != (keys == 0))
            return false;
        taken |= keys;
        k->role[n].threshold = p[0];
        k->role[n].keys = keys;
    }
    return k->role[KEYRING_ROOT].threshold > 0 && taken == (1u << k->key_count) - 1;
}

static bool has_double(const struct keyring *k)
{
    for (unsigned n = 1; n < k->key_count; n++) {
        for (unsigned before = 0; before < n; before++) {
            if (memcmp(keyring_key(k, n), keyring_key(k, before), KEYRING_KEY_BYTES) == 0)
                return true;
        }
    }
    return false;
}

static bool take_all(struct keyring *k)
{
    if (k->bytes.len < KEYRING_HEADER_BYTES || memcmp(k->bytes.p, "PKEY", 4) != 0 || get_le16(byte_at(k, 4)) != KEYRING_FORMAT)
        return false;
    k->key_count = get_le16(byte_at(k, 6));
    k->version = get_le64(byte_at(k, 8));
    return k->version > 0 && k->key_count >= 1 && k->key_count <= KEYRING_KEYS_MAX && get_le32(byte_at(k, 28)) == 0 &&
           k->bytes.len == KEYRING_HEADER_BYTES + (size_t)k->key_count * KEYRING_KEY_BYTES && take_roles(k) && !has_double(k);
}

enum rc keyring_open(struct keyring *k, struct span bytes)
{
    *k = (struct keyring){ .bytes = bytes };
    if (take_all(k))
        return RC_OK;
    *k = (struct keyring){ .version = 0 };
    return RC_CORRUPT;
}

void keyring_key_id(const uint8_t key[KEYRING_KEY_BYTES], uint8_t out[32])
{
    struct sha256 h;
    sha256_init(&h);
    sha256_update(&h, SPAN("\x04"));
    sha256_update(&h, span_bytes(key, KEYRING_KEY_BYTES));
    sha256_final(&h, out);
}

const char *keyring_role_name(enum keyring_role role)
{
    static const char *const names[] = { "root", "list", "firmware" };
    return (unsigned)role < KEYRING_ROLES ? names[role] : "unknown";
}
