#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "hal/flash.h"
#include "tests/support/flash_sim.h"

#define BLOCK 4096u

static struct task task;
static _Alignas(16) uint8_t stack[16384];
static enum rc got;

static int fresh(void **state)
{
    (void)state;
    flash_sim_init(4 * BLOCK, BLOCK, 4);
    got = RC_COUNT;
    return 0;
}

static int gone(void **state)
{
    (void)state;
    flash_sim_free();
    return task_done(&task) ? 0 : -1;
}

static void run_all(void)
{
    while (tasks_run())
        ;
}

static void erase(void *arg)
{
    (void)arg;
    got = flash_erase(BLOCK);
}

static void program(void *arg)
{
    uint8_t data[8] = "payload"; /* on this stack, as the operation is */
    got = flash_program(BLOCK, data, sizeof data);
    (void)arg;
}

static void a_task_gets_the_operation_s_result(void **state)
{
    (void)state;
    flash_sim_fail(FLASH_ERASE, 1);
    task_start(&task, "erase", stack, sizeof stack, erase, NULL);
    run_all();
    assert_int_equal(got, RC_COUNT);
    flash_poll();
    run_all();
    assert_int_equal(got, RC_IO);
    task_start(&task, "erase", stack, sizeof stack, erase, NULL);
    run_all();
    flash_poll();
    run_all();
    assert_int_equal(got, RC_OK);
}

/* The operation and its data lie on the task's stack: it must not unwind before the device is done with them. */
static void cancelling_does_not_end_the_wait(void **state)
{
    (void)state;
    flash_sim_slow(3);
    task_start(&task, "program", stack, sizeof stack, program, NULL);
    run_all();
    task_cancel(&task);
    for (unsigned i = 0; i < 2; i++) {
        flash_poll();
        run_all();
        assert_false(task_done(&task));
    }
    flash_poll();
    run_all();
    assert_true(task_done(&task));
    assert_int_equal(got, RC_OK);
    assert_memory_equal(flash_sim_bytes() + BLOCK, "payload", 8);
}

static void at_boot_the_poll_hook_drives_the_device(void **state)
{
    (void)state;
    task_set_poll(flash_poll);
    assert_int_equal(flash_program(0, "boot", 4), RC_OK);
    assert_int_equal(flash_sync(), RC_OK);
    assert_int_equal(flash_program(2, "boot", 4), RC_INVALID);
    assert_true(flash_sim_count(FLASH_SYNC) == 1);
    task_set_poll(NULL);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, fresh, gone)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_task_gets_the_operation_s_result),
        TEST(cancelling_does_not_end_the_wait),
        TEST(at_boot_the_poll_hook_drives_the_device),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
