/* What the words at the end of RAM say after each way of ending. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* The posix board, which all tests are linked with, has these too. */
#define reset_reason arm_reset_reason
#define reset_now arm_reset_now
#include "boards/drivers/reset.c"

volatile struct retained retained_ram;
static jmp_buf after_reset;

void board_reset(void)
{
    longjmp(after_reset, 1);
}

static void end_by(enum reset_reason why)
{
    if (setjmp(after_reset) == 0)
        reset_now(why);
}

static int power_on(void **fixture)
{
    (void)fixture;
    retained_ram = (struct retained){ 0xdeadbeef, 0x12345678, 0x55aa55aa };
    return 0;
}

static void random_ram_is_power_on(void **fixture)
{
    (void)fixture;
    reset_reason_init(false);
    assert_int_equal(reset_reason(), RESET_POWER_ON);
    retained_ram = (struct retained){ 0 };
    reset_reason_infer();
    assert_int_equal(reset_reason(), RESET_POWER_ON);
    retained_ram = (struct retained){ MAGIC, STATE_CRASH, 0 };
    reset_reason_infer();
    assert_int_equal(reset_reason(), RESET_POWER_ON);
    retained_ram = (struct retained){ MAGIC, STATE_COUNT, ~(MAGIC ^ (uint32_t)STATE_COUNT) };
    reset_reason_infer();
    assert_int_equal(reset_reason(), RESET_POWER_ON);
}

static void own_resets_are_told_once(void **fixture)
{
    (void)fixture;
    static const enum reset_reason reasons[] = { RESET_REQUESTED, RESET_CRASH, RESET_WATCHDOG };
    for (unsigned i = 0; i < 3; i++) {
        reset_reason_init(false);
        reset_watchdog_runs();
        end_by(reasons[i]);
        reset_reason_infer();
        assert_int_equal(reset_reason(), reasons[i]);
        reset_reason_init(false); /* reset again by something else */
        assert_int_equal(reset_reason(), RESET_UNKNOWN);
    }
}

static void the_watchdogs_own_word_counts(void **fixture)
{
    (void)fixture;
    reset_reason_init(true); /* RAM lost, watchdog remembers */
    assert_int_equal(reset_reason(), RESET_WATCHDOG);
    reset_watchdog_runs();
    reset_reason_init(true);
    assert_int_equal(reset_reason(), RESET_WATCHDOG);
    reset_watchdog_runs();
    end_by(RESET_REQUESTED);
    reset_reason_init(true); /* what we did last is nearer */
    assert_int_equal(reset_reason(), RESET_REQUESTED);
}

static void without_its_word_a_watched_box_is_inferred(void **fixture)
{
    (void)fixture;
    reset_reason_infer();
    reset_watchdog_runs();
    reset_reason_infer();
    assert_int_equal(reset_reason(), RESET_WATCHDOG);
    reset_reason_infer(); /* reset before the watchdog ran */
    assert_int_equal(reset_reason(), RESET_UNKNOWN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(random_ram_is_power_on, power_on),
        cmocka_unit_test_setup(own_resets_are_told_once, power_on),
        cmocka_unit_test_setup(the_watchdogs_own_word_counts, power_on),
        cmocka_unit_test_setup(without_its_word_a_watched_box_is_inferred, power_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
