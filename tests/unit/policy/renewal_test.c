/* policy/renewal.c: the day by window and by life, what holds it off, what a clock that jumps does; and two years with authorities that fail. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "policy/renewal.h"
#include "tests/support/unpacked.h"

#define DAY 86400
#define NOW 1780315200 /* 2026-06-01T12:00:00Z */
#define SHORT_LIFE (160 * 3600)

static const uint32_t middle = UINT32_MAX / 2;

static struct renewal_facts life_of(int64_t seconds)
{
    return (struct renewal_facts){ .have = true, .not_before = NOW, .not_after = NOW + seconds, .jitter = 0 };
}

static struct renewal_plan plan(const struct renewal_facts *f, int64_t now)
{
    struct renewal_plan p;
    renewal_plan(f, now, &p);
    return p;
}

static void none_is_asked_for_at_once(void **state)
{
    (void)state;
    struct renewal_facts f = { 0 };
    struct renewal_plan p = plan(&f, NOW);
    assert_true(p.at == NOW && p.reason == RENEWAL_FIRST && p.hold == RENEWAL_HOLD_NONE);
}

static void a_third_of_life_or_half_of_a_short_one(void **state)
{
    (void)state;
    struct renewal_facts f = life_of(90 * DAY);
    assert_true(plan(&f, NOW).at == NOW + 60 * DAY && plan(&f, NOW).reason == RENEWAL_THIRD);
    f.jitter = UINT32_MAX;
    assert_in_range(plan(&f, NOW).at, NOW + 57 * DAY, NOW + 57 * DAY + 1);
    f = life_of(SHORT_LIFE);
    assert_true(plan(&f, NOW).at == NOW + 80 * 3600 && plan(&f, NOW).reason == RENEWAL_HALF);
    f = life_of(10 * DAY);
    assert_int_equal(plan(&f, NOW).reason, RENEWAL_THIRD);
    f = life_of(10 * DAY - 1);
    assert_int_equal(plan(&f, NOW).reason, RENEWAL_HALF);
}

static void a_point_in_the_window(void **state)
{
    (void)state;
    struct renewal_facts f = life_of(90 * DAY);
    f.window_start = NOW + 20 * DAY;
    f.window_end = NOW + 22 * DAY;
    assert_true(plan(&f, NOW).at == NOW + 20 * DAY && plan(&f, NOW).reason == RENEWAL_WINDOW);
    f.jitter = middle;
    assert_in_range(plan(&f, NOW).at, NOW + 21 * DAY - 1, NOW + 21 * DAY);
    f.jitter = UINT32_MAX;
    assert_in_range(plan(&f, NOW).at, NOW + 22 * DAY - 1, NOW + 22 * DAY);
    f.window_start = NOW - 5 * DAY; /* past: at once */
    f.window_end = NOW - 4 * DAY;
    assert_true(plan(&f, NOW + DAY).at <= NOW + DAY);
}

static void windows_that_make_no_sense(void **state)
{
    (void)state;
    static const struct {
        int64_t start, end;
        enum renewal_reason reason;
    } cases[] = { { NOW + 10, NOW + 10, RENEWAL_THIRD },
                  { NOW + 20, NOW + 10, RENEWAL_THIRD },
                  { NOW + 91 * DAY, NOW + 92 * DAY, RENEWAL_THIRD },
                  { 0, NOW + DAY, RENEWAL_THIRD },
                  { -5, NOW + DAY, RENEWAL_THIRD },
                  { NOW + 89 * DAY, INT64_MAX, RENEWAL_WINDOW },
                  { 1, INT64_MAX, RENEWAL_WINDOW } };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        for (uint64_t jitter = 0; jitter <= UINT32_MAX; jitter += UINT32_MAX / 3) {
            struct renewal_facts f = life_of(90 * DAY);
            f.window_start = cases[i].start;
            f.window_end = cases[i].end;
            f.jitter = (uint32_t)jitter;
            assert_int_equal(plan(&f, NOW).reason, cases[i].reason);
            assert_true(plan(&f, NOW).at <= NOW + 90 * DAY - 90 * DAY / 4); /* never in the last quarter */
        }
}

static void back_off_steps(void **state)
{
    (void)state;
    static const uint32_t expected[] = { 60, 600, 6000, DAY, DAY };
    for (unsigned i = 0; i < 5; i++) {
        assert_int_equal(renewal_back_off_s(i + 1, 0, 0), expected[i]);
        assert_int_equal(renewal_back_off_s(i + 1, 45 * DAY, 0), expected[i]);
        assert_in_range(renewal_back_off_s(i + 1, 0, UINT32_MAX), expected[i] * 3 / 4, expected[i] * 3 / 4 + 1);
    }
    assert_int_equal(renewal_back_off_s(UINT32_MAX, SHORT_LIFE, 0), SHORT_LIFE / 16);
    assert_int_equal(renewal_back_off_s(9, 3600, 0), 6000);
    assert_int_equal(renewal_back_off_s(0, 3600, 0), 60);
}

static void what_holds_and_what_overrules_it(void **state)
{
    (void)state;
    static const struct {
        enum renewal_hold hold;
        bool asked, changed, holds;
    } cases[] = { { RENEWAL_HOLD_FAILED, false, false, true }, { RENEWAL_HOLD_FAILED, true, false, true },
                  { RENEWAL_HOLD_FAILED, false, true, true },  { RENEWAL_HOLD_FRESH, false, false, true },
                  { RENEWAL_HOLD_FRESH, true, false, false },  { RENEWAL_HOLD_FRESH, false, true, false },
                  { RENEWAL_HOLD_SERVER, true, true, true },   { RENEWAL_HOLD_NONE, false, false, false } };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct renewal_facts f = life_of(-DAY); /* over: due */
        f.not_before = NOW - 90 * DAY;
        f.asked = cases[i].asked;
        f.changed = cases[i].changed;
        f.hold = cases[i].hold;
        f.hold_until = NOW + 3600;
        struct renewal_plan p = plan(&f, NOW);
        assert_true((p.at > NOW) == cases[i].holds && (p.hold == f.hold) == (cases[i].holds || !f.hold));
        assert_true(plan(&f, NOW + 3600).at <= NOW + 3600); /* it is over */
        f.hold_until = NOW + 9 * DAY;                       /* no hold is that long: the clock was set back */
        assert_true(plan(&f, NOW).at <= NOW);
    }
    struct renewal_facts f = { .hold = RENEWAL_HOLD_SERVER, .hold_until = NOW + RENEWAL_RETRY_AFTER_MAX_S };
    assert_true(plan(&f, NOW).at == f.hold_until);
}

/* Before its notBefore, or without any clock, no certificate can be judged: the time is asked for. */
static void a_clock_that_cannot_be_right(void **state)
{
    (void)state;
    struct renewal_facts f = life_of(90 * DAY);
    f.hold = RENEWAL_HOLD_FAILED;
    f.hold_until = NOW + 60;
    static const int64_t clocks[] = { 0, -1, 1, NOW - 2 * DAY };
    for (unsigned i = 0; i < 4; i++)
        assert_true(plan(&f, clocks[i]).reason == RENEWAL_NO_CLOCK && plan(&f, clocks[i]).at <= clocks[i]);
    assert_int_equal(plan(&f, NOW - 3600).reason, RENEWAL_THIRD); /* a little slow only */
    assert_int_equal(plan(&f, NOW + 4000LL * DAY).reason, RENEWAL_EXPIRED);
}

static void what_is_never_asked_for_twice_in_a_row(void **state)
{
    (void)state;
    assert_int_equal(renewal_fresh_s(45 * DAY), DAY);
    assert_int_equal(renewal_fresh_s(SHORT_LIFE), SHORT_LIFE / 8);
    assert_int_equal(renewal_fresh_s(renewal_life_s(NOW, NOW - 5)), 6000);
    assert_int_equal(renewal_life_s(0, INT64_MAX), INT32_MAX);
    struct renewal_facts f = life_of(45 * DAY);
    int64_t forged = NOW + 3650LL * DAY; /* every certificate is over by that clock */
    f.hold = RENEWAL_HOLD_FRESH;
    f.hold_until = forged + renewal_fresh_s(45 * DAY);
    assert_true(plan(&f, forged).at == forged + DAY && plan(&f, forged).hold == RENEWAL_HOLD_FRESH);
}

static void health_is_told_in_time(void **state)
{
    (void)state;
    int64_t end = NOW + 40 * DAY;
    assert_int_equal(renewal_health(NOW, end, NOW + 30 * DAY - 1), RENEWAL_FINE);
    assert_int_equal(renewal_health(NOW, end, NOW + 30 * DAY), RENEWAL_LATE);
    assert_int_equal(renewal_health(NOW, end, end), RENEWAL_OVER);
    assert_int_equal(renewal_health(NOW, end, 0), RENEWAL_FINE);
}

/* --- two years --- */

static uint32_t dice_state;

static uint32_t dice(void)
{
    dice_state ^= dice_state << 13;
    dice_state ^= dice_state >> 17;
    dice_state ^= dice_state << 5;
    return dice_state;
}

struct years {
    int64_t life_s, outage_s;
    bool windows, asks_to_wait;
    unsigned gap_days; /* between two outages: a day, and up to so many more */
    bool worst;        /* each begins just as the box comes */
};

struct tally {
    unsigned orders, issued, failed, most_in_3_h, most_in_week, failed_in_hour;
    int64_t least_left_s, lapsed_s, back_after_s;
};

/* The most events of the list within any window of seconds. */
static unsigned most_within(const int64_t *at, unsigned count, int64_t seconds)
{
    unsigned most = 0, from = 0;
    for (unsigned i = 0; i < count; i++) {
        while (at[i] - at[from] >= seconds)
            from++;
        most = i - from + 1 > most ? i - from + 1 : most;
    }
    return most;
}

static void take_certificate(const struct years *y, struct renewal_facts *f, int64_t now)
{
    *f = (struct renewal_facts){ .have = true, .not_before = now - 3600, .not_after = now - 3600 + y->life_s, .jitter = dice() };
    f->hold = RENEWAL_HOLD_FRESH;
    f->hold_until = now + renewal_fresh_s((uint32_t)y->life_s);
    if (y->windows) {
        f->window_start = f->not_after - y->life_s / 2;
        f->window_end = f->window_start + y->life_s / 12;
    }
}

/* A box whose only events are its tries, as the firmware makes them: plan, wait, try. */
static struct tally live(const struct years *y, uint32_t seed)
{
    static int64_t orders[20000], issued[2000], failed[20000];
    struct renewal_facts f = { 0 };
    struct tally t = { .least_left_s = INT64_MAX };
    int64_t now = NOW, outage_from = NOW + 20 * DAY, outage_to = outage_from + y->outage_s;
    unsigned failures = 0;
    dice_state = seed * 2654435761u + 1;
    while (now < NOW + 731LL * DAY) {
        struct renewal_plan p;
        renewal_plan(&f, now, &p);
        if (p.at > now) {
            now = p.at;
            continue;
        }
        if (y->worst && f.have && now > outage_to + y->gap_days * (int64_t)DAY && failures == 0) {
            outage_from = now;
            outage_to = now + y->outage_s;
        } else if (!y->worst && now > outage_to) {
            outage_from = outage_to + DAY + (int64_t)(dice() % (y->gap_days * DAY));
            outage_to = outage_from + (int64_t)(dice() % (uint32_t)y->outage_s);
        }
        orders[t.orders++] = now;
        if (now >= outage_from && now < outage_to) {
            failed[t.failed++] = now;
            f.hold = y->asks_to_wait && failures % 2 ? RENEWAL_HOLD_SERVER : RENEWAL_HOLD_FAILED;
            f.hold_until = now + renewal_back_off_s(++failures, f.have ? (uint32_t)y->life_s : 0, dice());
            continue;
        }
        if (f.have) {
            int64_t left = f.not_after - now;
            t.least_left_s = left < t.least_left_s ? left : t.least_left_s;
            t.lapsed_s += left < 0 ? -left : 0;
            if (failures > 0 && now - outage_to > t.back_after_s)
                t.back_after_s = now - outage_to;
        }
        issued[t.issued++] = now;
        failures = 0;
        take_certificate(y, &f, now);
        now += 60;
    }
    t.most_in_3_h = most_within(orders, t.orders, 3 * 3600);
    t.most_in_week = most_within(issued, t.issued, 7 * DAY);
    t.failed_in_hour = most_within(failed, t.failed, 3600);
    return t;
}

/* The limits are Let's Encrypt's: 300 orders of an account in 3 hours, 5 certificates for the same names in a week, 5 failed authorizations of a
 * name in an hour. An outage may take what is left of a short life at its renewal, less one wait: a week is longer than that life. */
static void two_years_without_a_lapse(void **state)
{
    (void)state;
    static const struct years cases[] = {
        { 45 * DAY, 7 * DAY, false, false, 10, false },    { 45 * DAY, 7 * DAY, true, false, 3, false },
        { 45 * DAY, 7 * DAY, false, false, 1, true },      { 45 * DAY, 7 * DAY, true, true, 1, true },
        { 90 * DAY, 7 * DAY, false, true, 2, false },      { 398 * DAY, 7 * DAY, false, false, 5, false },
        { SHORT_LIFE, 60 * 3600, false, false, 2, false }, { SHORT_LIFE, 48 * 3600, true, false, 1, true },
        { SHORT_LIFE, 60 * 3600, false, true, 1, true },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        for (uint32_t seed = 1; seed <= 50; seed++) {
            struct tally t = live(&cases[i], seed);
            assert_true(t.lapsed_s == 0 && t.least_left_s > 0);
            assert_true(t.most_in_3_h <= 10 && t.most_in_week <= 4 && t.failed_in_hour <= 4);
            assert_true((int64_t)t.issued <= 731LL * DAY / (cases[i].life_s * 2 / 5) + 2);
        }
}

/* What no schedule can bridge is at least over soon after the authority is back, without a storm. */
static void a_week_is_more_than_a_short_life(void **state)
{
    (void)state;
    const struct years y = { SHORT_LIFE, 7 * DAY, false, false, 10, true };
    for (uint32_t seed = 1; seed <= 50; seed++) {
        struct tally t = live(&y, seed);
        assert_true(t.back_after_s <= SHORT_LIFE / 16 && t.most_in_3_h <= 10 && t.most_in_week <= 4);
    }
}

static void every_reason_has_words(void **state)
{
    (void)state;
    for (unsigned r = 0; r < RENEWAL_REASONS; r++)
        assert_in_range(strlen(unpacked(renewal_reason_text((enum renewal_reason)r))), 5, 49); /* a row of its table ends in NUL */
    for (unsigned h = RENEWAL_HOLD_NONE; h <= RENEWAL_HOLD_FRESH; h++)
        assert_in_range(strlen(unpacked(renewal_hold_text((enum renewal_hold)h))), h == RENEWAL_HOLD_NONE ? 0 : 5, 49);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(none_is_asked_for_at_once),
        cmocka_unit_test(a_third_of_life_or_half_of_a_short_one),
        cmocka_unit_test(a_point_in_the_window),
        cmocka_unit_test(windows_that_make_no_sense),
        cmocka_unit_test(back_off_steps),
        cmocka_unit_test(what_holds_and_what_overrules_it),
        cmocka_unit_test(a_clock_that_cannot_be_right),
        cmocka_unit_test(what_is_never_asked_for_twice_in_a_row),
        cmocka_unit_test(health_is_told_in_time),
        cmocka_unit_test(two_years_without_a_lapse),
        cmocka_unit_test(a_week_is_more_than_a_short_life),
        cmocka_unit_test(every_reason_has_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
