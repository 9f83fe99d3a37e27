/* hal/crypto/ecdsa.h against RFC 6979's examples, signatures of OpenSSL, and what must not pass: tests/vectors/ecdsa/p256.txt. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "hal/crypto/ecdsa.h"
#include "hal/crypto/sha256.h"
#include "toolchain/tools/common/byte_buffer.h"

#define FILE_NAME "tests/vectors/ecdsa/p256.txt"

static const uint8_t rfc6979_key[32] = { 0xc9, 0xaf, 0xa9, 0xd8, 0x45, 0xba, 0x75, 0x16, 0x6b, 0x5c, 0x21,
                                         0x57, 0x67, 0xb1, 0xd6, 0x93, 0x4e, 0x50, 0xc3, 0xdb, 0x36, 0xe8,
                                         0x9b, 0x12, 0x7b, 0x8a, 0x62, 0x2b, 0x12, 0x0f, 0x67, 0x21 };

struct vector {
    bool good;
    uint8_t key[64], hash[32], signature[64];
};

static void take_hex(struct span text, uint8_t *out, size_t len)
{
    assert_int_equal(text.len, 2 * len);
    for (size_t i = 0; i < 2 * len; i++) {
        const char *digits = "0123456789abcdef", *d = strchr(digits, text.p[i]);
        assert_non_null(d);
        out[i / 2] = (uint8_t)(out[i / 2] << 4 | (d - digits));
    }
}

static bool next_vector(struct span *rest, bool *more, struct vector *v)
{
    struct span line, word;
    while (span_split(rest, more, '\n', &line)) {
        bool words = true;
        if (line.len == 0 || line.p[0] == '#')
            continue;
        assert_true(span_split(&line, &words, ' ', &word));
        v->good = span_is(word, "good");
        assert_true(v->good || span_is(word, "bad"));
        assert_true(span_split(&line, &words, ' ', &word));
        take_hex(word, v->key, sizeof v->key);
        assert_true(span_split(&line, &words, ' ', &word));
        take_hex(word, v->hash, sizeof v->hash);
        assert_true(span_split(&line, &words, ' ', &word));
        take_hex(word, v->signature, sizeof v->signature);
        return true;
    }
    return false;
}

static void each_vector_is_judged_right(void **state)
{
    (void)state;
    struct byte_buffer text = { NULL, 0, 0 };
    struct vector v;
    unsigned good = 0, bad = 0;
    assert_int_equal(file_read(FILE_NAME, &text), RC_OK);
    struct span rest = byte_buffer_span(&text);
    for (bool more = true; next_vector(&rest, &more, &v);) {
        if (ecdsa_p256_verify(v.key, v.hash, v.signature) != v.good)
            fail_msg("vector %u is judged wrong", good + bad + 1);
        good += v.good;
        bad += !v.good;
    }
    assert_in_range(good, 15, 100);
    assert_in_range(bad, 15, 100);
    byte_buffer_free(&text);
}

static void every_flipped_bit_is_seen(void **state)
{
    (void)state;
    struct byte_buffer text = { NULL, 0, 0 };
    struct vector v;
    bool more = true;
    assert_int_equal(file_read(FILE_NAME, &text), RC_OK);
    struct span rest = byte_buffer_span(&text);
    assert_true(next_vector(&rest, &more, &v) && v.good);
    uint8_t *parts[] = { v.key, v.hash, v.signature };
    const size_t sizes[] = { sizeof v.key, sizeof v.hash, sizeof v.signature };
    for (unsigned part = 0; part < 3; part++) {
        for (size_t bit = 0; bit < 8 * sizes[part]; bit += 3) {
            parts[part][bit / 8] ^= (uint8_t)(1u << bit % 8);
            assert_false(ecdsa_p256_verify(v.key, v.hash, v.signature));
            parts[part][bit / 8] ^= (uint8_t)(1u << bit % 8);
        }
    }
    assert_true(ecdsa_p256_verify(v.key, v.hash, v.signature));
    byte_buffer_free(&text);
}

/* The first two vectors are the RFC's: the key is known, and the signature has to be theirs to the last bit. */
static void signing_is_rfc_6979(void **state)
{
    (void)state;
    struct byte_buffer text = { NULL, 0, 0 };
    bool more = true;
    assert_int_equal(file_read(FILE_NAME, &text), RC_OK);
    struct span rest = byte_buffer_span(&text);
    static const char *const messages[] = { "sample", "test" };
    for (unsigned i = 0; i < 2; i++) {
        struct vector v;
        uint8_t made[64], hash[32];
        assert_true(next_vector(&rest, &more, &v));
        sha256_of(span_of(messages[i]), hash);
        assert_memory_equal(hash, v.hash, sizeof hash);
        assert_true(ecdsa_p256_sign(rfc6979_key, hash, made));
        assert_memory_equal(made, v.signature, sizeof made);
        assert_true(ecdsa_p256_public(rfc6979_key, made));
        assert_memory_equal(made, v.key, sizeof made);
    }
    byte_buffer_free(&text);
}

static void keys_out_of_range_are_none(void **state)
{
    (void)state;
    uint8_t key[32] = { 0 }, out[64];
    assert_false(ecdsa_p256_public(key, out));
    assert_false(ecdsa_p256_sign(key, key, out));
    memset(key, 0xff, sizeof key);
    assert_false(ecdsa_p256_public(key, out));
    assert_false(ecdsa_p256_sign(key, key, out));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_vector_is_judged_right),
        cmocka_unit_test(every_flipped_bit_is_seen),
        cmocka_unit_test(signing_is_rfc_6979),
        cmocka_unit_test(keys_out_of_range_are_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
