/* Who may be tried: dead hops step back, live ones keep their sessions. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "policy/hop_health.h"

static const struct retry_rules rules = { 60, 600, 0 };
#define NO_JITTER 0x80000000u
#define SESSIONS 6

static uint16_t hop_of(unsigned i)
{
    char name[24];
    return hop_health_hash(name, (size_t)snprintf(name, sizeof name, "domain-%u.example", i));
}

static void fail_at(struct hop_health *h, uint16_t hop, int64_t now)
{
    hop_health_begin(h, hop);
    hop_health_end(h, hop, false, &rules, now, NO_JITTER);
}

static void one_failure_is_forgiven_then_it_backs_off(void **state)
{
    (void)state;
    struct hop_health h = { 0 };
    uint16_t hop = hop_of(1);
    assert_true(hop_health_fit(&h, hop, SESSIONS, 1000));
    fail_at(&h, hop, 1000);
    assert_true(hop_health_fit(&h, hop, SESSIONS, 1000));
    assert_int_equal(hop_health_not_before(&h, hop), 0);
    int64_t now = 1000, last_wait = 0;
    for (unsigned i = 0; i < 12; i++) {
        fail_at(&h, hop, now);
        int64_t until = hop_health_not_before(&h, hop), wait = until - now;
        assert_true(wait >= last_wait && wait <= 600);
        assert_in_range(wait, 60, 600);
        assert_false(hop_health_fit(&h, hop, SESSIONS, until - 1));
        assert_true(hop_health_fit(&h, hop, SESSIONS, until));
        assert_true(hop_health_fit(&h, hop_of(2), SESSIONS, now)); /* others don't wait */
        last_wait = wait;
        now = until;
    }
    assert_int_equal(last_wait, 600);
    hop_health_begin(&h, hop);
    hop_health_end(&h, hop, true, &rules, now, NO_JITTER);
    assert_true(hop_health_fit(&h, hop, SESSIONS, now));
    fail_at(&h, hop, now);
    assert_true(hop_health_fit(&h, hop, SESSIONS, now)); /* it begins anew */
}

static void sessions_are_shared(void **state)
{
    (void)state;
    struct hop_health h = { 0 };
    uint16_t good = hop_of(1), bad = hop_of(2);
    hop_health_begin(&h, good);
    assert_false(hop_health_fit(&h, good, SESSIONS, 1)); /* nobody knows yet whether it answers */
    hop_health_end(&h, good, true, &rules, 1, NO_JITTER);
    for (unsigned i = 0; i < SESSIONS - 1; i++) {
        assert_true(hop_health_fit(&h, good, SESSIONS, 1));
        hop_health_begin(&h, good);
    }
    assert_false(hop_health_fit(&h, good, SESSIONS, 1)); /* the last one is for others */
    assert_true(hop_health_fit(&h, bad, SESSIONS, 1));
    hop_health_end(&h, good, true, &rules, 1, NO_JITTER);
    assert_true(hop_health_fit(&h, good, SESSIONS, 1));
    fail_at(&h, bad, 1);
    hop_health_begin(&h, bad);
    assert_false(hop_health_fit(&h, bad, SESSIONS, 1)); /* one that failed gets one */
    assert_true(hop_health_fit(&h, good, 1, 1) == false);
    assert_true(hop_health_fit(&h, hop_of(3), 1, 1)); /* a box with one session uses it */
}

static void the_operator_ends_all_back_offs(void **state)
{
    (void)state;
    struct hop_health h = { 0 };
    for (unsigned i = 0; i < 5; i++) {
        fail_at(&h, hop_of(i), 100);
        fail_at(&h, hop_of(i), 100);
        assert_false(hop_health_fit(&h, hop_of(i), SESSIONS, 101));
    }
    hop_health_forgive(&h);
    for (unsigned i = 0; i < 5; i++)
        assert_true(hop_health_fit(&h, hop_of(i), SESSIONS, 101));
}

/* More hops than the table holds: the ones that matter stay, and counts never go wrong. */
static void a_full_table_forgets_the_good(void **state)
{
    (void)state;
    struct hop_health h = { 0 };
    uint16_t dead = hop_of(1000), busy = hop_of(1001);
    for (unsigned i = 0; i < 4; i++)
        fail_at(&h, dead, 100);
    hop_health_begin(&h, busy);
    for (unsigned i = 0; i < 500; i++) {
        hop_health_begin(&h, hop_of(i));
        hop_health_end(&h, hop_of(i), true, &rules, 100, NO_JITTER);
    }
    assert_false(hop_health_fit(&h, dead, SESSIONS, 101));
    assert_false(hop_health_fit(&h, busy, 2, 101));
    hop_health_end(&h, busy, true, &rules, 100, NO_JITTER);
    assert_true(hop_health_fit(&h, busy, 2, 101));
    for (unsigned i = 0; i < 500; i++)
        hop_health_begin(&h, hop_of(i)); /* more at work than fit: no harm */
    for (unsigned i = 0; i < 500; i++)
        hop_health_end(&h, hop_of(i), true, &rules, 100, NO_JITTER);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_failure_is_forgiven_then_it_backs_off),
        cmocka_unit_test(sessions_are_shared),
        cmocka_unit_test(the_operator_ends_all_back_offs),
        cmocka_unit_test(a_full_table_forgets_the_good),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
