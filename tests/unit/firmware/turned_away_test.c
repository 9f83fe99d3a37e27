/* Who is remembered, for how long, and who is forgotten first. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "firmware/turned_away.h"

static struct turned_away away;

static struct ip_addr_any address(const char *text)
{
    struct ip_addr_any a;
    assert_int_equal(ip_parse(span_of(text), &a), RC_OK);
    return a;
}

static void remembered_for_its_time(void **state)
{
    (void)state;
    struct ip_addr_any one = address("192.0.2.1"), other = address("192.0.2.2");
    away = (struct turned_away){ .next = 0 };
    assert_false(turned_away_is(&away, &one, 0));
    turned_away_note(&away, &one, 5000);
    assert_true(turned_away_is(&away, &one, 5000));
    assert_true(turned_away_is(&away, &one, 5000 + TURNED_AWAY_S * 1000 - 1));
    assert_false(turned_away_is(&away, &one, 5000 + TURNED_AWAY_S * 1000));
    assert_false(turned_away_is(&away, &other, 5000));
}

static void ipv6_counts_by_network(void **state)
{
    (void)state;
    struct ip_addr_any one = address("2001:db8:1:2::1"), neighbour = address("2001:db8:1:2:ffff::9"),
                       other = address("2001:db8:1:3::1");
    away = (struct turned_away){ .next = 0 };
    turned_away_note(&away, &one, 0);
    assert_true(turned_away_is(&away, &neighbour, 0));
    assert_false(turned_away_is(&away, &other, 0));
}

static void the_oldest_is_forgotten_first(void **state)
{
    (void)state;
    struct ip_addr_any a = address("192.0.2.0");
    away = (struct turned_away){ .next = 0 };
    for (unsigned i = 0; i <= TURNED_AWAY_MAX; i++) {
        a.b[3] = (uint8_t)i;
        turned_away_note(&away, &a, 0);
    }
    a.b[3] = 0;
    assert_false(turned_away_is(&away, &a, 0));
    a.b[3] = 1;
    assert_true(turned_away_is(&away, &a, 0));
    a.b[3] = TURNED_AWAY_MAX;
    assert_true(turned_away_is(&away, &a, 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(remembered_for_its_time),
        cmocka_unit_test(ipv6_counts_by_network),
        cmocka_unit_test(the_oldest_is_forgotten_first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
