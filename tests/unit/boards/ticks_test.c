#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "boards/drivers/ticks.c"

static const uint32_t rates[] = { 1000001, 25000000, 62500000, 1000000000, 4294967295u };

static void follows_the_exact_time(void **fixture)
{
    (void)fixture;
    for (unsigned r = 0; r < sizeof rates / sizeof rates[0]; r++) {
        const uint64_t start = 123456789;
        struct ticks t;
        ticks_init(&t, rates[r], start);
        uint64_t last = 0;
        uint64_t step = 1;
        for (uint64_t ticks = 0; ticks < 400000ull * rates[r]; ticks += step) {
            uint64_t exact = (uint64_t)((unsigned __int128)ticks * 1000000 / rates[r]);
            uint64_t us = ticks_to_us(&t, start + ticks);
            assert_true(us >= last);
            assert_true(us <= exact && exact - us <= 1);
            last = us;
            step = step * 5 / 4 + 1;
        }
    }
}

static void never_goes_back_from_tick_to_tick(void **fixture)
{
    (void)fixture;
    struct ticks t;
    ticks_init(&t, 62500000, 0);
    uint64_t last = 0;
    for (uint64_t second = 1; second < 100; second += 7)
        for (uint64_t at = second * 62500000 - 200; at < second * 62500000 + 200; at++) {
            uint64_t us = ticks_to_us(&t, at);
            assert_true(us >= last);
            last = us;
        }
}

static void sleeps_are_not_too_short(void **fixture)
{
    (void)fixture;
    for (unsigned r = 0; r < sizeof rates / sizeof rates[0]; r++)
        for (uint64_t us = 0; us <= 3600000000u; us = us * 3 + 1) {
            struct ticks t;
            ticks_init(&t, rates[r], 0);
            assert_true((unsigned __int128)ticks_of_us(&t, us) * 1000000 >= (unsigned __int128)us * rates[r]);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(follows_the_exact_time),
        cmocka_unit_test(never_goes_back_from_tick_to_tick),
        cmocka_unit_test(sleeps_are_not_too_short),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
