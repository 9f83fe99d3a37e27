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
    static const uint32_t expected[] = { 330, 450, 675, 1012, 1518, 2277, 3415, 5122, 7683, 11524, 14400, 14400, 14400 };
    for (unsigned i = 0; i < sizeof expected / sizeof expected[0]; i++)
        assert_int_equal(retry_delay_s(&retry_default, i + 1, middle), expected[i]);
    assert_int_equal(retry_delay_s(&retry_default, UINT32_MAX, middle), 14400);
    assert_int_equal(retry_delay_s(&retry_default, 0, middle), 330);
}

static void jitter_spreads_by_a_fifth_each_way(void **state)
{
    (void)state;
    assert_int_equal(retry_delay_s(&retry_default, 1, 0), 300); /* greylisting: never early */
    assert_int_equal(retry_delay_s(&retry_default, 1, UINT32_MAX), 360);
    assert_int_equal(retry_delay_s(&retry_default, 2, 0), 360);
    assert_int_equal(retry_delay_s(&retry_default, 2, UINT32_MAX), 540);
    assert_int_equal(retry_delay_s(&retry_default, 99, 0), 14400 - 2880);
    assert_int_equal(retry_delay_s(&retry_default, 99, UINT32_MAX), 14400 + 2880);
    uint32_t before = 0;
    for (uint64_t jitter = 0; jitter <= UINT32_MAX; jitter += 1u << 24) {
        uint32_t delay = retry_delay_s(&retry_default, 1, (uint32_t)jitter);
        assert_true(delay >= before);
        before = delay;
    }
}

static void a_hiccup_costs_seconds_three_times(void **state)
{
    (void)state;
    static const uint32_t least[] = { 0, 2, 4, 8, 0, 0 };
    for (unsigned i = 0; i < sizeof least / sizeof least[0]; i++) {
        assert_int_equal(retry_soon_s(i, 0), least[i]);
        assert_int_equal(retry_soon_s(i, UINT32_MAX), 2 * least[i]);
        assert_true(retry_soon_s(i, UINT32_MAX) <= RETRY_SOON_MOST_S);
    }
    assert_int_equal(retry_soon_s(UINT32_MAX, middle), 0);
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
    assert_false(retry_life_over(&retry_default, received, received, 100));
    assert_false(retry_life_over(&retry_default, received, received + life - 1, 100));
    assert_true(retry_life_over(&retry_default, received, received + life, 100));
}

static void no_mail_ends_by_a_clock_that_cannot_be_right(void **state)
{
    (void)state;
    static const struct {
        int64_t received, now;
    } cases[] = { { 1589995512, 0 }, { 1589995512, -5 }, { 1589995512, 1589995511 }, { 0, 1589995512 } };
    unsigned whole = retry_tries_within(&retry_default, 5 * 86400);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_false(retry_life_over(&retry_default, cases[i].received, cases[i].now, whole - 1));
        assert_true(retry_life_over(&retry_default, cases[i].received, cases[i].now, whole));
    }
}

static void a_clock_that_jumps_ends_no_young_mail(void **state)
{
    (void)state;
    const int64_t received = 1589995512, in_thirty_years = received + 30LL * 365 * 86400;
    unsigned half = retry_tries_within(&retry_default, 5 * 86400 / 2);
    assert_false(retry_life_over(&retry_default, received, in_thirty_years, 1));
    assert_false(retry_life_over(&retry_default, received, in_thirty_years, half - 1));
    assert_true(retry_life_over(&retry_default, received, in_thirty_years, half));
}

static void tries_within_a_time(void **state)
{
    (void)state;
    const struct retry_rules day = { 3600, 86400, 86400 }, flat = { 600, 300, 0 }, none = { 0, 0, 0 };
    assert_int_equal(retry_tries_within(&day, 3599), 0);
    assert_int_equal(retry_tries_within(&day, 3600), 1);
    assert_int_equal(retry_tries_within(&day, 3600 + 5399), 1);
    assert_int_equal(retry_tries_within(&day, 3600 + 5400), 2);
    assert_int_equal(retry_tries_within(&flat, 3000), 10);
    assert_in_range(retry_tries_within(&none, 1), 1000, 100000);
    assert_in_range(retry_tries_within(&retry_default, 5 * 86400), 30, 45);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(steps_grow_by_half_up_to_the_longest),
        cmocka_unit_test(jitter_spreads_by_a_fifth_each_way),
        cmocka_unit_test(a_hiccup_costs_seconds_three_times),
        cmocka_unit_test(odd_rules_do_no_harm),
        cmocka_unit_test(life_ends_after_five_days),
        cmocka_unit_test(no_mail_ends_by_a_clock_that_cannot_be_right),
        cmocka_unit_test(a_clock_that_jumps_ends_no_young_mail),
        cmocka_unit_test(tries_within_a_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
