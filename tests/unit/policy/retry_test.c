/* policy/retry.c: the steps, their bounds, and what an unknown clock means. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "policy/retry.h"

static const uint32_t middle = UINT32_MAX / 2;

static void steps_grow_by_half_up_to_the_longest(void **state)
{
    (void)state;
    static const uint32_t expected[] = { 300, 450, 675, 1012, 1518, 2277, 3415, 5122, 7683, 11524, 14400, 14400, 14400 };
    for (unsigned i = 0; i < sizeof expected / sizeof expected[0]; i++)
        assert_int_equal(retry_delay_s(&retry_default, i + 1, middle), expected[i]);
    assert_int_equal(retry_delay_s(&retry_default, UINT32_MAX, middle), 14400);
    assert_int_equal(retry_delay_s(&retry_default, 0, middle), 300);
}

static void jitter_spreads_by_a_fifth_each_way(void **state)
{
    (void)state;
    assert_int_equal(retry_delay_s(&retry_default, 1, 0), 240);
    assert_int_equal(retry_delay_s(&retry_default, 1, UINT32_MAX), 360);
    assert_int_equal(retry_delay_s(&retry_default, 99, 0), 14400 - 2880);
    assert_int_equal(retry_delay_s(&retry_default, 99, UINT32_MAX), 14400 + 2880);
    uint32_t before = 0;
    for (uint64_t jitter = 0; jitter <= UINT32_MAX; jitter += 1u << 24) {
        uint32_t delay = retry_delay_s(&retry_default, 1, (uint32_t)jitter);
        assert_true(delay >= before);
        before = delay;
    }
}

static void odd_rules_do_no_harm(void **state)
{
    (void)state;
    struct retry_rules zero = { 0, 0, 0 }, one = { 1, 3600, 1 }, huge = { UINT32_MAX, UINT32_MAX, UINT32_MAX };
    assert_int_equal(retry_delay_s(&zero, 1000000, middle), 0);
    assert_int_equal(retry_delay_s(&one, 1000000, middle), 1);
    assert_int_equal(retry_delay_s(&huge, 5, UINT32_MAX), UINT32_MAX);
    assert_int_equal(retry_delay_s(&huge, 5, 0), UINT32_MAX - UINT32_MAX / 5);
}

static void life_ends_after_five_days(void **state)
{
    (void)state;
    const int64_t received = 1589995512, life = 5 * 86400;
    assert_false(retry_life_over(&retry_default, received, received));
    assert_false(retry_life_over(&retry_default, received, received + life - 1));
    assert_true(retry_life_over(&retry_default, received, received + life));
}

static void no_mail_ends_by_a_clock_that_cannot_be_right(void **state)
{
    (void)state;
    assert_false(retry_life_over(&retry_default, 1589995512, 0));
    assert_false(retry_life_over(&retry_default, 1589995512, -5));
    assert_false(retry_life_over(&retry_default, 1589995512, 1589995511));
    assert_false(retry_life_over(&retry_default, 0, 1589995512));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(steps_grow_by_half_up_to_the_longest),
        cmocka_unit_test(jitter_spreads_by_a_fifth_each_way),
        cmocka_unit_test(odd_rules_do_no_harm),
        cmocka_unit_test(life_ends_after_five_days),
        cmocka_unit_test(no_mail_ends_by_a_clock_that_cannot_be_right),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
