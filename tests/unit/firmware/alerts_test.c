/* More alerts than there are places for texts: none is lost, and places come back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "firmware/alerts.h"

static int clear_all(void **state)
{
    (void)state;
    for (unsigned a = 0; a < ALERT_COUNT; a++)
        alert_clear((enum alert)a);
    return 0;
}

static void an_alert_has_its_text_until_it_is_over(void **state)
{
    (void)state;
    assert_null(alert_text(ALERT_DNS));
    alert_raise(ALERT_DNS, "no %s", "answer");
    alert_raise(ALERT_QUOTA, "held");
    assert_string_equal(alert_text(ALERT_DNS), "no answer");
    const char *seen = alert_text(ALERT_DNS);
    alert_clear(ALERT_QUOTA);
    alert_raise(ALERT_CERT, "another");
    assert_string_equal(seen, "no answer"); /* a view stays while others change */
    alert_raise(ALERT_DNS, "no answer at all");
    assert_string_equal(alert_text(ALERT_DNS), "no answer at all");
    assert_int_equal(alerts_up(), 2);
    alert_clear(ALERT_DNS);
    alert_clear(ALERT_DNS);
    assert_null(alert_text(ALERT_DNS));
    assert_string_equal(alert_text(ALERT_CERT), "another");
}

static void every_alert_has_a_name_of_its_own(void **state)
{
    (void)state;
    for (unsigned a = 0; a < ALERT_COUNT; a++)
        for (unsigned b = 0; b < a; b++)
            assert_string_not_equal(alert_name((enum alert)a), alert_name((enum alert)b));
}

static void with_all_up_the_last_ones_show_their_names(void **state)
{
    (void)state;
    for (unsigned a = 0; a < ALERT_COUNT; a++)
        alert_raise((enum alert)a, "text %u", a);
    assert_int_equal(alerts_up(), ALERT_COUNT);
    assert_string_equal(alert_text((enum alert)(ALERT_TEXTS_MAX - 1)), "text 11");
    enum alert last = (enum alert)(ALERT_COUNT - 1);
    assert_string_equal(alert_text(last), alert_name(last));
    alert_clear((enum alert)3);
    alert_raise(last, "now there is room");
    assert_string_equal(alert_text(last), "now there is room");
    alert_raise((enum alert)3, "none for this one");
    assert_string_equal(alert_text((enum alert)3), alert_name((enum alert)3));
    assert_string_equal(alert_text((enum alert)4), "text 4");
}

static void a_text_that_is_too_long_is_cut(void **state)
{
    (void)state;
    alert_raise(ALERT_DNS, "%0300u", 7u);
    assert_int_equal(strlen(alert_text(ALERT_DNS)), ALERT_TEXT_MAX - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(an_alert_has_its_text_until_it_is_over, clear_all),
        cmocka_unit_test_teardown(every_alert_has_a_name_of_its_own, clear_all),
        cmocka_unit_test_teardown(with_all_up_the_last_ones_show_their_names, clear_all),
        cmocka_unit_test_teardown(a_text_that_is_too_long_is_cut, clear_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
