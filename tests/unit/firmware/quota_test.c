/* Quotas: a burst, then the rate; each sender for itself. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "firmware/quota.h"

#define HOUR_MS 3600000u

static struct quota quota;

static int set_up(void **state)
{
    (void)state;
    quota = (struct quota){ 0 };
    return 0;
}

static unsigned pass_of(struct span who, unsigned n, uint32_t per_hour, uint64_t now_ms)
{
    unsigned passed = 0;
    while (n-- > 0)
        passed += quota_count(&quota, who, per_hour, now_ms);
    return passed;
}

static void a_burst_of_the_quota_passes_and_no_more(void **state)
{
    (void)state;
    assert_int_equal(pass_of(SPAN("user anna"), 15, 10, 5), 10);
    assert_int_equal(pass_of(SPAN("user bob"), 15, 10, 5), 10);
}

static void after_it_the_rate_passes(void **state)
{
    (void)state;
    pass_of(SPAN("user anna"), 10, 10, 0);
    assert_int_equal(pass_of(SPAN("user anna"), 1, 10, HOUR_MS / 10 - 1), 0);
    quota = (struct quota){ 0 };
    pass_of(SPAN("user anna"), 10, 10, 0);
    assert_int_equal(pass_of(SPAN("user anna"), 2, 10, HOUR_MS / 10), 1);
    assert_int_equal(pass_of(SPAN("user anna"), 20, 10, 100ull * HOUR_MS), 10);
}

static void zero_is_no_bound(void **state)
{
    (void)state;
    assert_int_equal(pass_of(SPAN("user anna"), 1000, 0, 0), 1000);
}

static void a_crowd_of_small_senders_does_not_hide_a_large_one(void **state)
{
    (void)state;
    pass_of(SPAN("user anna"), 10, 10, 0);
    for (unsigned i = 0; i < 3 * QUOTA_MAX; i++) {
        char who[2] = { 'x', (char)i };
        pass_of(span_bytes(who, sizeof who), 1, 10, 0);
    }
    assert_int_equal(pass_of(SPAN("user anna"), 1, 10, 0), 0);
}

static void a_flood_does_not_wrap_around_and_is_over_in_an_hour(void **state)
{
    (void)state;
    assert_int_equal(pass_of(SPAN("user anna"), 3000000, 100000, 0), 100000);
    assert_int_equal(pass_of(SPAN("user anna"), 1, 100000, HOUR_MS / 2), 0);
    assert_int_equal(pass_of(SPAN("user anna"), 1, 100000, HOUR_MS + HOUR_MS / 10), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_burst_of_the_quota_passes_and_no_more, set_up),
        cmocka_unit_test_setup(after_it_the_rate_passes, set_up),
        cmocka_unit_test_setup(zero_is_no_bound, set_up),
        cmocka_unit_test_setup(a_crowd_of_small_senders_does_not_hide_a_large_one, set_up),
        cmocka_unit_test_setup(a_flood_does_not_wrap_around_and_is_over_in_an_hour, set_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
