/* The alerts about the spool: what wears out on the flash is told before there is nothing left. */
#include "tests/unit/firmware/spool_mail.h"

#include "firmware/alerts.h"
#include "firmware/spool_watch.h"
#include "hal/base/log.h"

static char logged[LOG_TEXT_MAX];

static void keep_alert(enum log_level level, enum log_area area, const char *event, const char *text)
{
    (void)area;
    if (level == LOG_ALERT && strcmp(event, "alert") == 0)
        snprintf(logged, sizeof logged, "%s", text);
}

/* Mail comes and goes until so many segments have failed for good. */
static void wear_out(unsigned segments)
{
    struct spool_info info;
    flash_sim_failures_last(true);
    for (uint32_t i = 0; spool_info(&info), info.blocks_bad < segments; i++) {
        assert_in_range(i, 0, 400);
        flash_sim_fail(FLASH_PROGRAM, 5);
        settle(must_put(i, 1, 20000), 1);
        idle();
    }
    flash_sim_fail(FLASH_PROGRAM, 0);
    assert_int_equal(info.blocks_bad, segments);
}

static void an_eighth_of_worn_segments_is_an_alert(void **state)
{
    (void)state;
    log_set_sink(keep_alert);
    wear_out(SEGMENTS / 8 - 1);
    spool_watch();
    assert_null(alert_text(ALERT_FLASH));
    wear_out(SEGMENTS / 8);
    for (unsigned boots = 0; boots < 2; boots++) {
        alert_clear(ALERT_FLASH);
        spool_watch();
        assert_string_equal(alert_text(ALERT_FLASH), "2 of the spool's 16 segments are worn out: the flash is near its end");
        assert_string_equal(logged, "name=flash text=\"2 of the spool's 16 segments are worn out: the flash is near its end\"");
        logged[0] = '\0';
        reboot(1);
    }
    log_set_sink(NULL);
    alert_clear(ALERT_FLASH);
}

/* Of the smallest spool an eighth is less than one segment: none is none. */
static void a_small_spool_without_worn_segments_is_well(void **state)
{
    (void)state;
    assert_int_equal(spool_open(0, 6 * SEGMENT), RC_OK);
    spool_watch();
    assert_null(alert_text(ALERT_FLASH));
    wear_out(1);
    spool_watch();
    assert_non_null(alert_text(ALERT_FLASH));
    alert_clear(ALERT_FLASH);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
        TEST(an_eighth_of_worn_segments_is_an_alert),
        TEST(a_small_spool_without_worn_segments_is_well),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
