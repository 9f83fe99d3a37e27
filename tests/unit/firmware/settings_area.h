/* What the settings log's unit tests share: an area of two small halves. */
#ifndef TESTS_UNIT_FIRMWARE_SETTINGS_AREA_H
#define TESTS_UNIT_FIRMWARE_SETTINGS_AREA_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "firmware/settings_log.h"
#include "hal/task.h"
#include "tests/support/flash_sim.h"

#define BLOCK 4096u
#define AREA (4 * BLOCK)

static inline void open_log(void)
{
    assert_int_equal(settings_log_open(0, AREA), RC_OK);
}

static inline int set_up(void **state)
{
    (void)state;
    flash_sim_init(AREA, BLOCK, 4);
    task_set_poll(flash_poll);
    open_log();
    return 0;
}

static inline int tear_down(void **state)
{
    (void)state;
    assert_int_equal(flash_sim_violations(), 0);
    flash_sim_free();
    return 0;
}

static inline bool holds(const char *key, const char *value)
{
    char got[SETTINGS_LOG_VALUE_MAX];
    size_t len = 0;
    enum rc rc = settings_log_get(span_of(key), got, sizeof got, &len);
    return value ? rc == RC_OK && span_is(span_bytes(got, len), value) : rc == RC_NOT_FOUND;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

#endif
