#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "hal/base/strbuf.h"
#include "hal/crypto/sha256.h"

static void assert_digest(const uint8_t digest[SHA256_BYTES], const char *hex)
{
    char memory[65];
    struct strbuf text = STRBUF(memory);
    strbuf_add_hex(&text, span_bytes(digest, SHA256_BYTES));
    assert_string_equal(memory, hex);
}

/* FIPS 180-4 examples */
static void hashes_are_those_of_the_standard(void **state)
{
    (void)state;
    uint8_t digest[SHA256_BYTES];
    sha256_of(SPAN("abc"), digest);
    assert_digest(digest, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    sha256_of(SPAN(""), digest);
    assert_digest(digest, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

static void pieces_hash_like_the_whole_and_final_does_not_end(void **state)
{
    (void)state;
    struct sha256 h;
    uint8_t digest[SHA256_BYTES];
    sha256_init(&h);
    sha256_update(&h, SPAN("a"));
    sha256_final(&h, digest);
    assert_digest(digest, "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb");
    sha256_update(&h, SPAN("bc"));
    sha256_final(&h, digest);
    assert_digest(digest, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

/* RFC 4231 test case 2, and 6 with its key longer than a block */
static void hmacs_are_those_of_the_rfc(void **state)
{
    (void)state;
    uint8_t digest[SHA256_BYTES], key[131];
    hmac_sha256(SPAN("Jefe"), SPAN("what do ya want for nothing?"), digest);
    assert_digest(digest, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    for (unsigned i = 0; i < sizeof key; i++)
        key[i] = 0xaa;
    hmac_sha256(span_bytes(key, sizeof key), SPAN("Test Using Larger Than Block-Size Key - Hash Key First"), digest);
    assert_digest(digest, "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
}

static void secrets_compare(void **state)
{
    (void)state;
    assert_true(secret_eq("same", "same", 4));
    assert_false(secret_eq("same", "some", 4));
    assert_false(secret_eq("same", "samf", 4));
    assert_true(secret_eq("a", "b", 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hashes_are_those_of_the_standard),
        cmocka_unit_test(pieces_hash_like_the_whole_and_final_does_not_end),
        cmocka_unit_test(hmacs_are_those_of_the_rfc),
        cmocka_unit_test(secrets_compare),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
