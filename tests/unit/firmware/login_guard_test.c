/* Failed logins: waits that grow, addresses that are shut out, and who is forgotten first. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "firmware/login_guard.h"

#define T0 1000000u

static struct login_guard guard;

static struct ip_addr_any address(const char *text)
{
    struct ip_addr_any a;
    assert_int_equal(ip_parse(span_of(text), &a), RC_OK);
    return a;
}

static int set_up(void **state)
{
    (void)state;
    guard = (struct login_guard){ 0 };
    return 0;
}

static void fail_times(const struct ip_addr_any *a, unsigned n, uint64_t now_ms)
{
    while (n-- > 0)
        login_guard_failed(&guard, a, now_ms);
}

static void waits_double_up_to_their_bound(void **state)
{
    (void)state;
    const struct ip_addr_any a = address("192.0.2.1");
    const uint32_t want[] = { 1000, 2000, 4000, 4000, 4000, 4000, 4000 };
    for (unsigned i = 0; i < 7; i++)
        assert_int_equal(login_guard_failed(&guard, &a, T0), want[i]);
}

static void too_many_failures_shut_one_address_out_for_a_while(void **state)
{
    (void)state;
    const struct ip_addr_any a = address("192.0.2.1"), other = address("192.0.2.2");
    fail_times(&a, LOGIN_FAILURES_MAX - 1, T0);
    assert_int_equal(login_guard_shut_out_ms(&guard, &a, T0), 0);
    fail_times(&a, 1, T0 + 5);
    assert_int_equal(login_guard_shut_out_ms(&guard, &a, T0 + 5), LOGIN_SHUT_OUT_MS);
    assert_int_equal(login_guard_shut_out_ms(&guard, &a, T0 + 4 + LOGIN_SHUT_OUT_MS), 1);
    assert_int_equal(login_guard_shut_out_ms(&guard, &a, T0 + 5 + LOGIN_SHUT_OUT_MS), 0);
    assert_int_equal(login_guard_shut_out_ms(&guard, &other, T0 + 5), 0);
    assert_int_equal(login_guard_failed(&guard, &a, T0 + 5 + LOGIN_SHUT_OUT_MS), 1000);
}

static void a_success_forgives(void **state)
{
    (void)state;
    const struct ip_addr_any a = address("192.0.2.1");
    fail_times(&a, LOGIN_FAILURES_MAX, T0);
    login_guard_succeeded(&guard, &a);
    assert_int_equal(login_guard_shut_out_ms(&guard, &a, T0), 0);
    assert_int_equal(login_guard_failed(&guard, &a, T0), 1000);
}

static void ipv6_counts_by_network(void **state)
{
    (void)state;
    const struct ip_addr_any a = address("2001:db8:1:2::1"), neighbour = address("2001:db8:1:2:ffff::9"),
                             other = address("2001:db8:1:3::1");
    fail_times(&a, LOGIN_FAILURES_MAX, T0);
    assert_true(login_guard_shut_out_ms(&guard, &neighbour, T0) > 0);
    assert_int_equal(login_guard_shut_out_ms(&guard, &other, T0), 0);
}

static void the_oldest_is_forgotten_first(void **state)
{
    (void)state;
    struct ip_addr_any a = address("192.0.2.0");
    for (unsigned i = 0; i <= LOGIN_GUARD_MAX; i++) {
        a.b[3] = (uint8_t)i;
        fail_times(&a, LOGIN_FAILURES_MAX, T0 + i);
    }
    for (unsigned i = 0; i <= LOGIN_GUARD_MAX; i++) {
        a.b[3] = (uint8_t)i;
        assert_int_equal(login_guard_shut_out_ms(&guard, &a, T0 + 99) > 0, i > 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(waits_double_up_to_their_bound, set_up),
        cmocka_unit_test_setup(too_many_failures_shut_one_address_out_for_a_while, set_up),
        cmocka_unit_test_setup(a_success_forgives, set_up),
        cmocka_unit_test_setup(ipv6_counts_by_network, set_up),
        cmocka_unit_test_setup(the_oldest_is_forgotten_first, set_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
