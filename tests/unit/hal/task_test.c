#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "hal/base/strbuf.h"
#include "hal/board.h"
#include "hal/task.h"

/* --- doubles: a clock that the test moves, and a panic that can be expected --- */

static uint64_t now_us;

uint64_t clock_us(void)
{
    return now_us;
}

static void pass_ms(uint64_t ms)
{
    now_us += ms * 1000;
}

void board_panic(const char *why)
{
    mock_assert(0, why, __FILE__, __LINE__);
    __builtin_unreachable();
}

/* --- fixtures --- */

#define STACK_BYTES 16384
#define TASKS 4
static struct task task[TASKS];
static _Alignas(16) uint8_t stack[TASKS][STACK_BYTES];
static struct event event;
static char trace_memory[200];
static struct strbuf trace;

static void start(unsigned i, task_fn fn, void *arg)
{
    static const char *const names[TASKS] = { "zero", "one", "two", "three" };
    task_start(&task[i], names[i], stack[i], STACK_BYTES, fn, arg);
}

static void run_all(void)
{
    while (tasks_run())
        ;
}

static int fresh(void **state)
{
    (void)state;
    trace = STRBUF(trace_memory);
    event = (struct event){ NULL, false };
    return 0;
}

/* A test that leaves a task behind would disturb the next: all must have ended. */
static int all_ended(void **state)
{
    (void)state;
    for (unsigned i = 0; i < TASKS; i++)
        task_cancel(&task[i]);
    run_all();
    return task_first() == NULL ? 0 : -1;
}

static void say(const char *word)
{
    strbuf_puts(&trace, word);
}

/* --- bodies: each says its letter and what its waits came to --- */

static void wait_once(void *arg)
{
    say(arg);
    enum rc rc = task_wait(&event, deadline_in_ms(100));
    strbuf_printf(&trace, "%s=%s ", (char *)arg, rc_name(rc));
}

static void yield_thrice(void *arg)
{
    for (int i = 0; i < 3; i++) {
        say(arg);
        if (task_yield() != RC_OK)
            say("!");
    }
}

static void tasks_start_and_take_turns_in_order(void **state)
{
    (void)state;
    start(0, yield_thrice, "a");
    start(1, yield_thrice, "b");
    start(2, yield_thrice, "c");
    assert_string_equal(trace_memory, "");
    assert_true(tasks_run());
    assert_string_equal(trace_memory, "abc");
    run_all();
    assert_string_equal(trace_memory, "abcabcabc");
    assert_true(task_done(&task[0]) && task_done(&task[1]) && task_done(&task[2]));
    assert_false(tasks_run());
}

static void one_run_runs_each_ready_task_once(void **state)
{
    (void)state;
    start(0, yield_thrice, "a");
    assert_true(tasks_run());
    start(1, yield_thrice, "b");
    assert_true(tasks_run());
    assert_string_equal(trace_memory, "aab");
    run_all();
}

static void a_signal_wakes_every_waiter_in_order(void **state)
{
    (void)state;
    start(0, wait_once, "a");
    start(1, wait_once, "b");
    assert_false(tasks_run());
    assert_false(tasks_run());
    event_signal(&event);
    assert_false(event.set);
    run_all();
    assert_string_equal(trace_memory, "aba=ok b=ok ");
}

static void a_signal_without_waiter_is_kept_once(void **state)
{
    (void)state;
    event_signal(&event);
    event_signal(&event);
    start(0, wait_once, "a");
    start(1, wait_once, "b");
    run_all();
    assert_string_equal(trace_memory, "aa=ok b");
    pass_ms(100);
    run_all();
    assert_string_equal(trace_memory, "aa=ok bb=timeout ");
}

static void a_reset_event_forgets_its_signal(void **state)
{
    (void)state;
    event_signal(&event);
    event_reset(&event);
    start(0, wait_once, "a");
    run_all();
    assert_string_equal(trace_memory, "a");
}

static void a_wait_ends_at_its_deadline_not_before(void **state)
{
    (void)state;
    uint64_t began_ms = clock_ms();
    start(0, wait_once, "a");
    assert_true(tasks_next_deadline().at_ms == 0);
    run_all();
    assert_true(tasks_next_deadline().at_ms == began_ms + 100);
    pass_ms(99);
    run_all();
    assert_string_equal(trace_memory, "a");
    pass_ms(1);
    run_all();
    assert_string_equal(trace_memory, "aa=timeout ");
    assert_true(tasks_next_deadline().at_ms == UINT64_MAX);
}

static void a_timed_out_waiter_leaves_the_event(void **state)
{
    (void)state;
    start(0, wait_once, "a");
    run_all();
    pass_ms(50);
    start(1, wait_once, "b");
    run_all();
    pass_ms(50);
    run_all();
    assert_ptr_equal(event.waiters, &task[1]);
    event_signal(&event);
    run_all();
    assert_string_equal(trace_memory, "aba=timeout b=ok ");
}

static void cancelling_ends_a_wait(void **state)
{
    (void)state;
    start(0, wait_once, "a");
    start(1, wait_once, "b");
    run_all();
    task_cancel(&task[0]);
    run_all();
    assert_string_equal(trace_memory, "aba=cancelled ");
    assert_ptr_equal(event.waiters, &task[1]);
}

static void cancelling_before_the_wait_ends_it_at_once(void **state)
{
    (void)state;
    start(0, wait_once, "a");
    task_cancel(&task[0]);
    event_signal(&event);
    run_all();
    assert_string_equal(trace_memory, "aa=cancelled ");
    assert_true(event.set);
}

static void cancelling_ends_yields_and_sleeps(void **state)
{
    (void)state;
    start(0, yield_thrice, "a");
    assert_true(tasks_run());
    task_cancel(&task[0]);
    run_all();
    assert_string_equal(trace_memory, "a!a!a!");
    task_cancel(&task[0]);
    assert_true(task_done(&task[0]));
}

static void sleep_then_say(void *arg)
{
    say(task_sleep_ms(20) == RC_OK ? arg : "!");
}

static void a_sleep_lasts_its_time(void **state)
{
    (void)state;
    start(0, sleep_then_say, "a");
    run_all();
    pass_ms(19);
    run_all();
    assert_string_equal(trace_memory, "");
    pass_ms(1);
    run_all();
    assert_string_equal(trace_memory, "a");
}

static void wait_always_once(void *arg)
{
    task_wait_always(&event);
    say(arg);
    if (task_wait(&event, deadline_never()) == RC_CANCELLED)
        say("!");
}

static void wait_always_withstands_cancelling(void **state)
{
    (void)state;
    start(0, wait_always_once, "a");
    run_all();
    task_cancel(&task[0]);
    run_all();
    assert_string_equal(trace_memory, "");
    assert_false(task_done(&task[0]));
    event_signal(&event);
    run_all();
    assert_string_equal(trace_memory, "a!");
}

static void signal_at_ten(void)
{
    pass_ms(1);
    if (clock_ms() % 10 == 0)
        event_signal(&event);
}

static void outside_tasks_a_wait_polls(void **state)
{
    (void)state;
    now_us = 1000;
    task_set_poll(signal_at_ten);
    assert_null(task_current());
    assert_int_equal(task_wait(&event, deadline_in_ms(5)), RC_TIMEOUT);
    assert_int_equal(clock_ms(), 6);
    assert_int_equal(task_wait(&event, deadline_in_ms(5)), RC_OK);
    assert_int_equal(clock_ms(), 10);
    task_wait_always(&event);
    assert_int_equal(clock_ms(), 20);
    assert_int_equal(task_sleep_ms(3), RC_OK);
    assert_int_equal(task_yield(), RC_OK);
    assert_int_equal(clock_ms(), 24);
    task_set_poll(NULL);
}

static void break_guard(void *arg)
{
    volatile uint8_t *low = arg;
    low[3] ^= 1;
}

static void a_broken_guard_word_stops_the_box(void **state)
{
    (void)state;
    start(0, break_guard, stack[0]);
    expect_assert_failure(tasks_run());
    assert_ptr_equal(task_current(), &task[0]);
    assert_string_equal(task_current()->name, "zero");
}

static void starting_a_live_task_stops_the_box(void **state)
{
    (void)state;
    start(0, wait_once, "a");
    expect_assert_failure(start(0, wait_once, "b"));
    expect_assert_failure(task_start(&task[1], "small", stack[1], TASK_STACK_MIN - 16, wait_once, "c"));
    expect_assert_failure(task_start(&task[1], "crooked", stack[1] + 8, 2048, wait_once, "c"));
}

static void use_stack(void *arg)
{
    volatile uint8_t block[4000];
    for (size_t i = 0; i < sizeof block; i++)
        block[i] = (uint8_t)i;
    (void)arg;
}

static void idle(void *arg)
{
    (void)arg;
}

static void the_high_water_mark_is_found(void **state)
{
    (void)state;
    start(0, idle, NULL);
    run_all();
    size_t little = task_stack_used(&task[0]);
    start(0, use_stack, NULL);
    run_all();
    size_t much = task_stack_used(&task[0]);
    assert_in_range(little, 1, 1500);
    assert_in_range(much, 4000, 6500);
}

static void keep_context(void *arg)
{
    task_set_context(arg);
    if (task_yield() == RC_OK && task_context() == arg)
        say(arg);
}

static void each_task_has_its_context(void **state)
{
    (void)state;
    int outside;
    task_set_context(&outside);
    start(0, keep_context, "a");
    start(1, keep_context, "b");
    run_all();
    assert_string_equal(trace_memory, "ab");
    assert_ptr_equal(task_context(), &outside);
    task_set_context(NULL);
}

static void work_5ms(void *arg)
{
    (void)arg;
    pass_ms(5);
    (void)!task_yield();
    pass_ms(2);
}

static void tasks_are_listed_and_their_time_counted(void **state)
{
    (void)state;
    start(0, work_5ms, NULL);
    start(1, wait_once, "a");
    assert_ptr_equal(task_first(), &task[0]);
    assert_ptr_equal(task_next(task_first()), &task[1]);
    assert_null(task_next(&task[1]));
    run_all();
    assert_ptr_equal(task_first(), &task[1]);
    assert_true(task[0].cpu_us == 7000);
    assert_true(task[1].cpu_us == 0);
}

static unsigned woken;
static void start_another(void *arg)
{
    (void)arg;
    start(1, yield_thrice, "b");
    event_signal(&event);
    woken++;
}

static void a_task_may_start_and_signal_others(void **state)
{
    (void)state;
    start(2, wait_once, "w");
    start(0, start_another, NULL);
    run_all();
    assert_int_equal(woken, 1);
    assert_string_equal(trace_memory, "wbw=ok bb");
}

static void deadlines_saturate(void **state)
{
    (void)state;
    now_us = 5000;
    assert_true(deadline_in_ms(UINT64_MAX).at_ms == UINT64_MAX);
    assert_true(deadline_in_ms(UINT64_MAX - 1).at_ms == UINT64_MAX);
    assert_true(deadline_in_ms(7).at_ms == 12);
    assert_false(deadline_passed(deadline_never()));
    assert_true(deadline_passed((struct deadline){ 5 }));
    assert_false(deadline_passed((struct deadline){ 6 }));
    assert_true(deadline_left_ms((struct deadline){ 9 }) == 4);
    assert_true(deadline_left_ms((struct deadline){ 1 }) == 0);
    assert_true(deadline_left_ms(deadline_never()) == UINT64_MAX);
    assert_true(deadline_earlier(deadline_never(), deadline_in_ms(1)).at_ms == 6);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, fresh, all_ended)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(tasks_start_and_take_turns_in_order),
        TEST(one_run_runs_each_ready_task_once),
        TEST(a_signal_wakes_every_waiter_in_order),
        TEST(a_signal_without_waiter_is_kept_once),
        TEST(a_reset_event_forgets_its_signal),
        TEST(a_wait_ends_at_its_deadline_not_before),
        TEST(a_timed_out_waiter_leaves_the_event),
        TEST(cancelling_ends_a_wait),
        TEST(cancelling_before_the_wait_ends_it_at_once),
        TEST(cancelling_ends_yields_and_sleeps),
        TEST(a_sleep_lasts_its_time),
        TEST(wait_always_withstands_cancelling),
        TEST(outside_tasks_a_wait_polls),
        TEST(starting_a_live_task_stops_the_box),
        TEST(the_high_water_mark_is_found),
        TEST(each_task_has_its_context),
        TEST(tasks_are_listed_and_their_time_counted),
        TEST(a_task_may_start_and_signal_others),
        TEST(deadlines_saturate),
        /* Last: the kernel is not usable after it. */
        cmocka_unit_test_setup(a_broken_guard_word_stops_the_box, fresh),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
