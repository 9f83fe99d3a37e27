/* RFC 7914 section 11 has PBKDF2-HMAC-SHA-256; the last hash is from Python's hashlib. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "hal/base/strbuf.h"
#include "hal/crypto/pbkdf2.h"

static void assert_hash(struct span password, struct span salt, uint32_t iterations, uint32_t slice, const char *hex)
{
    struct pbkdf2 p;
    char memory[65];
    struct strbuf text = STRBUF(memory);
    pbkdf2_start(&p, password, salt, iterations);
    while (!pbkdf2_go_on(&p, slice)) {
    }
    strbuf_add_hex(&text, span_bytes(p.result, sizeof p.result));
    assert_string_equal(memory, hex);
}

static void hashes_are_those_of_the_rfc(void **state)
{
    (void)state;
    assert_hash(SPAN("passwd"), SPAN("salt"), 1, 1, "55ac046e56e3089fec1691c22544b605f94185216dde0465e68b9d57c20dacbc");
    assert_hash(SPAN("Password"), SPAN("NaCl"), 80000, 1000, "4ddcd8f60b98be21830cee5ef22701f9641a4418d04c0414aeff08876b34ab56");
}

static void slices_do_not_matter_and_a_long_password_is_hashed_first(void **state)
{
    (void)state;
    char password[100];
    memset(password, 'k', sizeof password);
    for (uint32_t slice = 1; slice < 5000; slice += 499)
        assert_hash(span_bytes(password, sizeof password), SPAN("salt"), 4097, slice,
                    "99087ba044bd2ef5ce7e4549aecf5f101d2d8b91e40f53d08aed1ae93bad9fe6");
}

static void nothing_is_left_after_wiping(void **state)
{
    (void)state;
    static const struct pbkdf2 zero;
    struct pbkdf2 p;
    memset(&p, 0, sizeof p);
    pbkdf2_start(&p, SPAN("passwd"), SPAN("salt"), 2);
    pbkdf2_wipe(&p);
    assert_memory_equal(&p, &zero, sizeof p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hashes_are_those_of_the_rfc),
        cmocka_unit_test(slices_do_not_matter_and_a_long_password_is_hashed_first),
        cmocka_unit_test(nothing_is_left_after_wiping),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
