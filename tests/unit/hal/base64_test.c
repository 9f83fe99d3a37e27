#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "hal/base/base64.h"
#include "hal/base/crc32.h"

/* RFC 4648 section 10 */
static const char *const golden[][2] = {
    { "", "" },
    { "f", "Zg==" },
    { "fo", "Zm8=" },
    { "foo", "Zm9v" },
    { "foob", "Zm9vYg==" },
    { "fooba", "Zm9vYmE=" },
    { "foobar", "Zm9vYmFy" },
    { "\xfb\xff\xfe", "+//+" },
};

static void the_vectors_of_the_rfc_hold(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof golden / sizeof *golden; i++) {
        char memory[16];
        struct strbuf out = STRBUF(memory);
        uint8_t bytes[8];
        size_t len;
        base64_encode(&out, span_of(golden[i][0]));
        assert_string_equal(memory, golden[i][1]);
        assert_int_equal(base64_decode(span_of(golden[i][1]), bytes, sizeof bytes, &len), RC_OK);
        assert_int_equal(len, strlen(golden[i][0]));
        assert_memory_equal(bytes, golden[i][0], len);
    }
}

static void base64url_has_its_own_letters_and_no_padding(void **state)
{
    (void)state;
    char memory[16];
    struct strbuf out = STRBUF(memory);
    base64url_encode(&out, SPAN("\xfb\xff\xfe"
                                "fo"));
    assert_string_equal(memory, "-__-Zm8");
}

static void base64url_is_read_with_padding_or_without(void **state)
{
    (void)state;
    static const char *const good[][2] = { { "-__-Zm8", "\xfb\xff\xfe\x66\x6f" },
                                           { "-__-Zm8=", "\xfb\xff\xfe\x66\x6f" },
                                           { "+//+", "\xfb\xff\xfe" },
                                           { "Zg", "f" },
                                           { "Zg==", "f" },
                                           { "", "" } };
    static const char *const bad[] = { "Z", "Zg===", "=", "Zm9vY", "Zh", "Zm9", "Zg=a", "Zg==Zg", "Z g", "Zm8\n" };
    uint8_t bytes[8];
    size_t len;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        assert_int_equal(base64url_decode(span_of(good[i][0]), bytes, sizeof bytes, &len), RC_OK);
        assert_int_equal(len, strlen(good[i][1]));
        assert_memory_equal(bytes, good[i][1], len);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(base64url_decode(span_of(bad[i]), bytes, sizeof bytes, &len), RC_INVALID);
        assert_int_equal(len, 0);
    }
    assert_int_equal(base64url_decode(SPAN("Zm9v"), bytes, 2, &len), RC_TOO_LONG);
}

static void other_texts_are_refused(void **state)
{
    (void)state;
    static const char *const bad[] = { "Z",     "Zg",     "Zg=",  "Zg===", "====", "=g==", "Z===",    "Zg==Zg==",
                                       "Zm 8=", "Zm8=\n", "Zh==", "Zm9=",  "Zm-v", "Zm_v", "Z\xff==", "Zg=a" };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        uint8_t bytes[16];
        size_t len = 9;
        assert_int_equal(base64_decode(span_of(bad[i]), bytes, sizeof bytes, &len), RC_INVALID);
        assert_int_equal(len, 0);
    }
}

static void what_does_not_fit_is_told(void **state)
{
    (void)state;
    uint8_t bytes[3] = { 0, 0, 99 };
    size_t len = 9;
    assert_int_equal(base64_decode(SPAN("Zm9v"), bytes, 2, &len), RC_TOO_LONG);
    assert_int_equal(len, 0);
    assert_int_equal(bytes[2], 99);
    assert_int_equal(base64_decode(SPAN("Zm8="), bytes, 2, &len), RC_OK);
    assert_int_equal(bytes[2], 99);
    char memory[5];
    struct strbuf out = STRBUF(memory);
    base64_encode(&out, SPAN("foo"));
    assert_false(out.overflow);
    base64_encode(&out, SPAN("b"));
    assert_true(out.overflow);
    assert_string_equal(memory, "Zm9v");
}

static void crc32_is_the_one_of_zlib(void **state)
{
    (void)state;
    assert_int_equal(crc32_update(0, "123456789", 9), 0xcbf43926u);
    assert_int_equal(crc32_update(crc32_update(0, "1234", 4), "56789", 5), 0xcbf43926u);
    assert_int_equal(crc32_update(0, "", 0), 0);
    assert_int_equal(crc32_update(0, "\xff\xff\xff\xff", 4), 0xffffffffu);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_vectors_of_the_rfc_hold),
        cmocka_unit_test(base64url_has_its_own_letters_and_no_padding),
        cmocka_unit_test(base64url_is_read_with_padding_or_without),
        cmocka_unit_test(other_texts_are_refused),
        cmocka_unit_test(what_does_not_fit_is_told),
        cmocka_unit_test(crc32_is_the_one_of_zlib),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
