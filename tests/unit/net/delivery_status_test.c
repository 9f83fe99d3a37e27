/* net/delivery_status.c: scope and permanence, step by step and failure by failure. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "net/delivery_status.h"

static void replies(void **state)
{
    (void)state;
    static const struct {
        const char *step;
        uint16_t code;
        enum delivery_result result;
        enum delivery_scope scope;
    } cases[] = {
        { "greeting", 220, DELIVERY_DONE, SCOPE_HOST },
        { "greeting", 554, DELIVERY_WAIT, SCOPE_HOST },
        { "EHLO", 550, DELIVERY_WAIT, SCOPE_HOST },
        { "AUTH", 535, DELIVERY_WAIT, SCOPE_HOST },
        { "STARTTLS", 454, DELIVERY_WAIT, SCOPE_HOST },
        { "MAIL", 250, DELIVERY_DONE, SCOPE_MESSAGE },
        { "MAIL", 550, DELIVERY_BOUNCE, SCOPE_MESSAGE },
        { "MAIL", 451, DELIVERY_WAIT, SCOPE_MESSAGE },
        { "MAIL", 421, DELIVERY_WAIT, SCOPE_HOST },
        { "RCPT", 251, DELIVERY_DONE, SCOPE_RECIPIENT },
        { "RCPT", 550, DELIVERY_BOUNCE, SCOPE_RECIPIENT },
        { "RCPT", 450, DELIVERY_WAIT, SCOPE_RECIPIENT },
        { "RCPT", 552, DELIVERY_WAIT, SCOPE_RECIPIENT },
        { "RCPT", 421, DELIVERY_WAIT, SCOPE_HOST },
        { "DATA", 354, DELIVERY_DONE, SCOPE_MESSAGE },
        { "DATA", 554, DELIVERY_BOUNCE, SCOPE_MESSAGE },
        { "BDAT", 552, DELIVERY_BOUNCE, SCOPE_MESSAGE },
        { "end of data", 250, DELIVERY_DONE, SCOPE_MESSAGE },
        { "end of data", 554, DELIVERY_BOUNCE, SCOPE_MESSAGE },
        { "end of data", 451, DELIVERY_WAIT, SCOPE_MESSAGE },
        { "end of data", 421, DELIVERY_WAIT, SCOPE_HOST },
    };
    static const uint8_t none[3];
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct delivery_status s;
        delivery_status_from_reply(&s, cases[i].step, cases[i].code, none, SPAN("x"));
        if (s.result != cases[i].result || s.scope != cases[i].scope)
            fail_msg("%s %u: result %d scope %d", cases[i].step, cases[i].code, s.result, s.scope);
        assert_int_equal(s.code, cases[i].code);
    }
}

static void words_of_a_reply(void **state)
{
    (void)state;
    static const uint8_t enhanced[3] = { 5, 1, 1 };
    struct delivery_status s;
    delivery_status_from_reply(&s, "RCPT", 550, enhanced, SPAN("no\r\n\x1b such \xff"));
    assert_string_equal(s.text, "at RCPT the server said: 550 5.1.1 no??? such ?");
    assert_memory_equal(s.enhanced, enhanced, 3);
    static char big[1000];
    memset(big, 'a', sizeof big);
    delivery_status_from_reply(&s, "RCPT", 550, enhanced, span_bytes(big, sizeof big));
    assert_int_equal(strlen(s.text), DELIVERY_TEXT_MAX - 1);
}

static void failures(void **state)
{
    (void)state;
    for (unsigned rc = RC_OK + 1; rc < RC_COUNT; rc++) {
        struct delivery_status s;
        delivery_status_from_rc(&s, "MAIL", (enum rc)rc);
        assert_int_equal(s.result, rc == RC_INVALID ? DELIVERY_BOUNCE : DELIVERY_WAIT);
        assert_int_equal(s.enhanced[0], rc == RC_INVALID ? 5 : 4);
        assert_int_equal(s.code, 0);
        assert_non_null(strstr(s.text, rc_name((enum rc)rc)));
        assert_memory_equal(s.text, "MAIL: ", 6);
        size_t words = strlen(s.text) - strlen(rc_name((enum rc)rc)) - strlen("MAIL:  ()");
        assert_in_range(words, 5, 49); /* no code without words, and a row of their table ends in NUL */
    }
    struct delivery_status s;
    delivery_status_from_rc(&s, "MAIL", RC_RESET);
    assert_int_equal(s.scope, SCOPE_HOST);
    delivery_status_from_rc(&s, "MAIL", RC_NO_MEMORY);
    assert_int_equal(s.scope, SCOPE_DOMAIN);
    delivery_status_from_rc(&s, "MAIL", (enum rc)1000);
    assert_int_equal(s.result, DELIVERY_WAIT);
}

static void our_own(void **state)
{
    (void)state;
    struct delivery_status s;
    delivery_status_set(&s, DELIVERY_BOUNCE, SCOPE_DOMAIN, 556, "5.1.10", "%s takes no\nmail", "d.test");
    assert_string_equal(s.text, "d.test takes no?mail");
    assert_int_equal(s.enhanced[2], 10);
    assert_int_equal(s.code, 556);
    static const char *const bad[] = { "", "5.1", "5.1.x", "5.1.999", "x" };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        delivery_status_set(&s, DELIVERY_WAIT, SCOPE_HOST, 0, bad[i], "x");
        assert_int_equal(s.enhanced[0] | s.enhanced[1] | s.enhanced[2], 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(replies),
        cmocka_unit_test(words_of_a_reply),
        cmocka_unit_test(failures),
        cmocka_unit_test(our_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
