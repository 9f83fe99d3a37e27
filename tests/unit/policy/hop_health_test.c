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

static void answer_at(struct hop_health *h, uint16_t hop, int64_t now)
{
    hop_health_begin(h, hop);
    hop_health_end(h, hop, true, &rules, now, NO_JITTER);
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
        assert_true(i > 0 || wait == 66);                          /* the first one, as for a mail's first retry */
        last_wait = wait;
        now = until;
    }
    assert_int_equal(last_wait, 600);
    answer_at(&h, hop, last_wait);
    assert_int_equal(hop_health_not_before(&h, hop), 0); /* one success ends it all */
    assert_true(hop_health_fit(&h, hop, SESSIONS, last_wait));
    fail_at(&h, hop, now);
    assert_true(hop_health_fit(&h, hop, SESSIONS, now)); /* it begins anew */
}

/* It lives: three pauses of seconds, then it is as any other that does not answer. */
static void who_has_served_lately_has_short_pauses(void **state)
{
    (void)state;
    struct hop_health h = { 0 };
    uint16_t hop = hop_of(1);
    int64_t now = 100000;
    static const int64_t waits[] = { 0, 3, 6, 12, 66, 90 };
    assert_false(hop_health_serves(&h, hop, now));
    answer_at(&h, hop, now);
    assert_true(hop_health_serves(&h, hop, now));
    for (unsigned i = 0; i < sizeof waits / sizeof waits[0]; i++) {
        fail_at(&h, hop, now);
        assert_int_equal(hop_health_not_before(&h, hop), waits[i] ? now + waits[i] : 0);
        assert_int_equal(hop_health_serves(&h, hop, now), i < 4);
        assert_int_equal(hop_health_fit(&h, hop, SESSIONS, now), waits[i] == 0);
        now += waits[i];
    }
    answer_at(&h, hop, now);
    fail_at(&h, hop, now + HOP_HEALTH_LATELY_S + 32); /* that is long ago */
    fail_at(&h, hop, now + HOP_HEALTH_LATELY_S + 32);
    assert_int_equal(hop_health_not_before(&h, hop), now + HOP_HEALTH_LATELY_S + 32 + 66);
}

static void a_greeting_is_a_sign_of_life_once(void **state)
{
    (void)state;
    struct hop_health h = { 0 };
    uint16_t hop = hop_of(1);
    static const int64_t waits[] = { 0, 3, 6, 12, 66, 90 };
    int64_t now = 1000;
    for (unsigned i = 0; i < sizeof waits / sizeof waits[0]; i++) {
        hop_health_begin(&h, hop);
        hop_health_greeted(&h, hop, now);
        hop_health_end(&h, hop, false, &rules, now, NO_JITTER);
        assert_int_equal(hop_health_not_before(&h, hop), waits[i] ? now + waits[i] : 0);
        assert_int_equal(hop_health_pauses(&h, hop, now), waits[i] < 60);
        now += waits[i];
    }
    hop_health_begin(&h, hop_of(2));
    hop_health_greeted(&h, hop_of(2), now);
    hop_health_leave(&h, hop_of(2), now + RETRY_SOON_MOST_S + 1); /* alive, but all its hosts back off */
    assert_false(hop_health_pauses(&h, hop_of(2), now));
    assert_true(hop_health_pauses(&h, hop_of(2), now + 1));
}

static void who_turns_one_away_and_serves_others_has_his_share(void **state)
{
    (void)state;
    struct hop_health h = { 0 };
    uint16_t hop = hop_of(1);
    assert_false(hop_health_turned_away(&h, hop, 1, NO_JITTER)); /* nothing is known of it: a failure */
    answer_at(&h, hop, 1);
    for (unsigned i = 0; i < 5; i++)
        hop_health_begin(&h, hop);
    for (unsigned i = 0; i < 3; i++) /* all at one moment */
        assert_true(hop_health_turned_away(&h, hop, 1, NO_JITTER));
    assert_false(hop_health_failed(&h, hop));
    assert_int_equal(hop_health_not_before(&h, hop), 0);
    assert_false(hop_health_fit(&h, hop, SESSIONS, 1)); /* two are served, no more */
    for (unsigned i = 0; i < HOP_HEALTH_RISE; i++) {
        assert_int_equal(hop_health_fit(&h, hop, SESSIONS, 1), false);
        hop_health_end(&h, hop, true, &rules, 1, NO_JITTER);
        assert_int_equal(hop_health_fit(&h, hop, SESSIONS, 1), true);
        hop_health_begin(&h, hop);
    }
    assert_true(hop_health_fit(&h, hop, SESSIONS, 1)); /* one more may be tried */
    hop_health_begin(&h, hop);
    assert_false(hop_health_fit(&h, hop, SESSIONS, 1));
    assert_true(hop_health_turned_away(&h, hop, 1, NO_JITTER));
    assert_false(hop_health_fit(&h, hop, SESSIONS, 1));
    assert_true(hop_health_fit(&h, hop_of(2), SESSIONS, 1));
}

static void who_turns_all_away_has_a_pause(void **state)
{
    (void)state;
    struct hop_health h = { 0 };
    uint16_t hop = hop_of(1);
    int64_t now = 5000;
    answer_at(&h, hop, now);
    static const int64_t waits[] = { 3, 6, 12 };
    for (unsigned i = 0; i < 3; i++) {
        hop_health_begin(&h, hop);
        assert_true(hop_health_turned_away(&h, hop, now, NO_JITTER));
        assert_int_equal(hop_health_not_before(&h, hop), now + waits[i]);
        assert_false(hop_health_fit(&h, hop, SESSIONS, now));
        now += waits[i];
        assert_true(hop_health_fit(&h, hop, SESSIONS, now));
        hop_health_begin(&h, hop);
        assert_false(hop_health_fit(&h, hop, SESSIONS, now)); /* one tries */
        hop_health_leave(&h, hop, 0);
    }
    hop_health_begin(&h, hop);
    assert_false(hop_health_turned_away(&h, hop, now, NO_JITTER));
    hop_health_end(&h, hop, false, &rules, now, NO_JITTER);
    fail_at(&h, hop, now);
    assert_int_equal(hop_health_not_before(&h, hop), now + 66);
    assert_false(hop_health_turned_away(&h, hop, now, NO_JITTER));
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
    for (unsigned i = 0; i < 500; i++)
        answer_at(&h, hop_of(i), 100);
    assert_false(hop_health_fit(&h, dead, SESSIONS, 101));
    assert_false(hop_health_fit(&h, busy, 2, 101));
    hop_health_end(&h, busy, true, &rules, 100, NO_JITTER);
    assert_true(hop_health_fit(&h, busy, 2, 101));
    for (unsigned i = 0; i < 500; i++)
        hop_health_begin(&h, hop_of(i)); /* more at work than fit: no harm */
    for (unsigned i = 0; i < 500; i++)
        hop_health_end(&h, hop_of(i), true, &rules, 100, NO_JITTER);
}

static void a_session_may_end_without_news(void **state)
{
    (void)state;
    struct hop_health h = { 0 };
    uint16_t hop = hop_of(1);
    hop_health_begin(&h, hop);
    hop_health_leave(&h, hop, 0);
    assert_true(hop_health_fit(&h, hop, SESSIONS, 1000)); /* its place is free again, and it has not failed */
    assert_false(hop_health_failed(&h, hop));
    hop_health_begin(&h, hop);
    hop_health_leave(&h, hop, 1500);
    assert_int_equal(hop_health_not_before(&h, hop), 1500);
    assert_false(hop_health_fit(&h, hop, SESSIONS, 1499));
    assert_true(hop_health_fit(&h, hop, SESSIONS, 1500));
    assert_false(hop_health_failed(&h, hop));
    hop_health_begin(&h, hop);
    hop_health_leave(&h, hop, 0);
    assert_int_equal(hop_health_not_before(&h, hop), 1500); /* nothing new: it stays */
    hop_health_leave(&h, hop, 0);                           /* more ends than beginnings: counted from none */
    assert_true(hop_health_fit(&h, hop, SESSIONS, 1500));
    hop_health_end(&h, hop, true, &rules, 1500, NO_JITTER);
    assert_true(hop_health_fit(&h, hop, 1, 1500)); /* a box with one session, and a hop that answers */
    for (unsigned i = 0; i < 256; i++)
        hop_health_begin(&h, hop);
    assert_false(hop_health_fit(&h, hop, SESSIONS, 1500)); /* the count saturates */
}

/* A hop that answered and then fails loses its sessions at once, and its failures are counted to the end. */
static void what_failed_last_is_not_proven(void **state)
{
    (void)state;
    struct hop_health h = { 0 };
    uint16_t hop = hop_of(1);
    answer_at(&h, hop, 1);
    hop_health_begin(&h, hop);
    hop_health_begin(&h, hop);
    assert_true(hop_health_fit(&h, hop, SESSIONS, 1));
    hop_health_end(&h, hop, false, &rules, 1, NO_JITTER);
    assert_false(hop_health_fit(&h, hop, SESSIONS, 1)); /* one is still at work, and no more than one may be */
    assert_true(hop_health_failed(&h, hop));
    for (unsigned i = 0; i < 300; i++) {
        fail_at(&h, hop, 1);
        assert_true(hop_health_failed(&h, hop)); /* the count saturates */
        assert_true(hop_health_not_before(&h, hop) > 1);
    }
    hop_health_forgive(&h);
    assert_int_equal(hop_health_not_before(&h, hop), 0);
    assert_true(hop_health_failed(&h, hop)); /* forgiven, not forgotten */
    fail_at(&h, hop, 5000);
    assert_int_equal(hop_health_not_before(&h, hop), 5600);
}

static void two_sessions_leave_one_for_others(void **state)
{
    (void)state;
    struct hop_health h = { 0 };
    uint16_t hop = hop_of(1);
    answer_at(&h, hop, 1);
    hop_health_begin(&h, hop);
    assert_false(hop_health_fit(&h, hop, 2, 1));
    assert_true(hop_health_fit(&h, hop, 3, 1));
}

/* Half of the sessions may wait as long as they like for hops that say nothing: the others don't. */
static void half_of_the_sessions_hurry(void **state)
{
    (void)state;
    struct hop_health h = { 0 };
    for (unsigned i = 1; i <= SESSIONS; i++) {
        hop_health_begin(&h, hop_of(i));
        assert_int_equal(hop_health_hurries(&h, hop_of(i), SESSIONS), i > SESSIONS / 2);
    }
    hop_health_end(&h, hop_of(1), true, &rules, 1000, NO_JITTER);
    hop_health_begin(&h, hop_of(1));
    assert_false(hop_health_hurries(&h, hop_of(1), SESSIONS)); /* it has answered */
    assert_true(hop_health_hurries(&h, hop_of(2), SESSIONS));
    hop_health_end(&h, hop_of(2), false, &rules, 1000, NO_JITTER);
    hop_health_leave(&h, hop_of(3), 0);
    assert_false(hop_health_hurries(&h, hop_of(4), SESSIONS));
    assert_true(hop_health_hurries(&h, hop_of(4), 2)); /* of two, the second one */
}

/* In a full table one that failed goes before one that failed more often, and before any that is at work. */
static void a_full_table_keeps_the_worst(void **state)
{
    (void)state;
    struct hop_health h = { 0 };
    for (unsigned i = 0; i < HOP_HEALTH_ENTRIES; i++)
        for (unsigned n = 0; n < (i == 7 ? 2 : 3); n++)
            fail_at(&h, hop_of(i), i == 50 ? 90 : 100);
    fail_at(&h, hop_of(500), 100);
    assert_false(hop_health_failed(&h, hop_of(7)));
    assert_true(hop_health_failed(&h, hop_of(500)));
    for (unsigned n = 0; n < 3; n++)
        fail_at(&h, hop_of(500), 100);
    fail_at(&h, hop_of(501), 100); /* all have failed as often: the one whose wait ends first */
    for (unsigned i = 0; i < HOP_HEALTH_ENTRIES; i++)
        assert_true(i == 7 || i == 50 || hop_health_not_before(&h, hop_of(i)) > 100);
    assert_false(hop_health_failed(&h, hop_of(50)));
}

static void names_and_hashes(void **state)
{
    (void)state;
    assert_int_equal(hop_health_hash("example.org", 11), hop_health_hash("example.orgx", 11));
    assert_int_not_equal(hop_health_hash("example.org", 11), hop_health_hash("example.com", 11));
    struct hop_health h = { 0 };
    hop_health_begin(&h, hop_of(1));
    assert_true(hop_health_fit(&h, 0, SESSIONS, 1)); /* 0 is no hop: it never finds an unused entry */
    assert_false(hop_health_failed(&h, 0));
    for (unsigned i = 0; i < 200000; i++)
        assert_int_not_equal(hop_of(i), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_failure_is_forgiven_then_it_backs_off),
        cmocka_unit_test(who_has_served_lately_has_short_pauses),
        cmocka_unit_test(a_greeting_is_a_sign_of_life_once),
        cmocka_unit_test(who_turns_one_away_and_serves_others_has_his_share),
        cmocka_unit_test(who_turns_all_away_has_a_pause),
        cmocka_unit_test(sessions_are_shared),
        cmocka_unit_test(the_operator_ends_all_back_offs),
        cmocka_unit_test(a_full_table_forgets_the_good),
        cmocka_unit_test(a_session_may_end_without_news),
        cmocka_unit_test(what_failed_last_is_not_proven),
        cmocka_unit_test(two_sessions_leave_one_for_others),
        cmocka_unit_test(half_of_the_sessions_hurry),
        cmocka_unit_test(a_full_table_keeps_the_worst),
        cmocka_unit_test(names_and_hashes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
