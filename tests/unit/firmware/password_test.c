/* The kept form of passwords: made, checked, refused when damaged. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "firmware/password.h"
#include "hal/random.h"

static char kept_memory[PASSWORD_TEXT_MAX];
static struct strbuf kept;

static int set_up(void **state)
{
    (void)state;
    kept = STRBUF(kept_memory);
    assert_int_equal(random_init(), RC_OK);
    return 0;
}

static void what_was_kept_is_recognised(void **state)
{
    (void)state;
    assert_int_equal(password_keep(SPAN("correct horse"), &kept), RC_OK);
    assert_true(password_is_kept_form(strbuf_span(&kept)));
    assert_null(strstr(kept_memory, "horse"));
    assert_int_equal(password_check(SPAN("correct horse"), strbuf_span(&kept)), RC_OK);
    assert_int_equal(password_check(SPAN("correct horsf"), strbuf_span(&kept)), RC_REFUSED);
    assert_int_equal(password_check(SPAN("correct hors"), strbuf_span(&kept)), RC_REFUSED);
    assert_int_equal(password_check(SPAN(""), strbuf_span(&kept)), RC_REFUSED);
}

static void the_same_password_is_kept_differently_each_time(void **state)
{
    (void)state;
    char again[PASSWORD_TEXT_MAX];
    struct strbuf other = STRBUF(again);
    assert_int_equal(password_keep(SPAN("correct horse"), &kept), RC_OK);
    assert_int_equal(password_keep(SPAN("correct horse"), &other), RC_OK);
    assert_string_not_equal(kept_memory, again);
}

static void too_short_and_too_long_are_refused(void **state)
{
    (void)state;
    char longest[PASSWORD_MAX + 1];
    memset(longest, 'x', sizeof longest);
    assert_int_equal(password_keep(SPAN("seven77"), &kept), RC_INVALID);
    assert_int_equal(password_keep(span_bytes(longest, sizeof longest), &kept), RC_INVALID);
    assert_int_equal(password_keep(span_bytes(longest, PASSWORD_MAX), &kept), RC_OK);
}

/* Python: hashlib.pbkdf2_hmac("sha256", b"correct horse", b"0123456789abcdef", 1000) */
#define FOREIGN "pbkdf2-sha256:1000:MDEyMzQ1Njc4OWFiY2RlZg==:"
#define FOREIGN_HASH "cBg8D2DungRB9k76szThf5ehfyBz991ay6PT8Srwk4M="

static void a_hash_made_elsewhere_is_read(void **state)
{
    (void)state;
    assert_int_equal(password_check(SPAN("correct horse"), SPAN(FOREIGN FOREIGN_HASH)), RC_OK);
}

static void damaged_forms_are_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "x",
        "pbkdf2-sha256",
        "pbkdf2-sha256:",
        "pbkdf2-sha256:1000:",
        FOREIGN,
        "pbkdf2-sha1:1000:MDEy:" FOREIGN_HASH,
        "pbkdf2-sha256:0:MDEy:" FOREIGN_HASH,
        "pbkdf2-sha256:1000001:MDEy:" FOREIGN_HASH,
        "pbkdf2-sha256:-1:MDEy:" FOREIGN_HASH,
        "pbkdf2-sha256:1000::" FOREIGN_HASH,
        "pbkdf2-sha256:1000:MDE:" FOREIGN_HASH,
        FOREIGN "MDEy",
        FOREIGN FOREIGN_HASH ":",
        FOREIGN FOREIGN_HASH ":x",
    };
    for (unsigned i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_false(password_is_kept_form(span_of(bad[i])));
        assert_int_equal(password_check(SPAN("correct horse"), span_of(bad[i])), RC_INVALID);
    }
}

static void nobody_has_no_password(void **state)
{
    (void)state;
    assert_int_equal(password_check_nobody(SPAN("")), RC_REFUSED);
    assert_int_equal(password_check_nobody(SPAN("correct horse")), RC_REFUSED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(what_was_kept_is_recognised, set_up),
        cmocka_unit_test_setup(the_same_password_is_kept_differently_each_time, set_up),
        cmocka_unit_test_setup(too_short_and_too_long_are_refused, set_up),
        cmocka_unit_test(a_hash_made_elsewhere_is_read),
        cmocka_unit_test(damaged_forms_are_refused),
        cmocka_unit_test(nobody_has_no_password),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
