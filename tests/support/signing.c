#include "tests/support/signing.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "hal/crypto/ecdsa.h"

void signing_private_key(unsigned n, uint8_t out[32])
{
    memset(out, (int)(0x10 + n), 32);
}

static void public_key(unsigned n, uint8_t out[KEYRING_KEY_BYTES])
{
    uint8_t private_key[32];
    signing_private_key(n, private_key);
    assert_true(ecdsa_p256_public(private_key, out));
}

void signing_key_id(unsigned n, uint8_t out[32])
{
    uint8_t key[KEYRING_KEY_BYTES];
    public_key(n, key);
    keyring_key_id(key, out);
}

struct keyring_source signing_keyring(uint64_t version)
{
    static const enum keyring_role roles[] = { KEYRING_ROOT, KEYRING_ROOT, KEYRING_ROOT,
                                               KEYRING_LIST, KEYRING_LIST, KEYRING_FIRMWARE };
    struct keyring_source s = { .version = version, .count = 6, .threshold = { 2, 1, 1 } };
    for (unsigned n = 0; n < s.count; n++) {
        s.key[n].role = roles[n];
        public_key(n + 1, s.key[n].public_xy);
    }
    return s;
}

void signing_add(unsigned key, struct byte_buffer *image)
{
    uint8_t private_key[32];
    signing_private_key(key, private_key);
    assert_int_equal(image_sign(image->p, image->len, private_key), RC_OK);
}

void signing_image(const struct image_source *s, const unsigned *keys, struct byte_buffer *out)
{
    byte_buffer_free(out);
    assert_int_equal(image_write(s, out), RC_OK);
    for (; *keys != 0; keys++)
        signing_add(*keys, out);
}

void signing_keyring_image(const struct keyring_source *s, const unsigned *keys, struct byte_buffer *out)
{
    struct byte_buffer section = { NULL, 0, 0 };
    assert_int_equal(keyring_write(s, &section), RC_OK);
    struct image_source_section sections[] = { { IMAGE_KEYS, byte_buffer_span(&section) } };
    struct image_source source = { .kind = IMAGE_KEYRING, .board = "any", .version = s->version, .sections = sections, .count = 1 };
    signing_image(&source, keys, out);
    byte_buffer_free(&section);
}
