#include "hal/task.h"

#include <string.h>

#include "hal/base/sanitize.h"
#include "hal/base/strbuf.h"
#include "hal/board.h"
#include "hal/task_switch.h"

#define GUARD_WORDS 4u
#define GUARD_PATTERN 0x50535452u
#define FILL_PATTERN 0xa5a5a5a5u

static struct task *current;     /* NULL while the main loop runs */
static struct task *known_first; /* in order of start */
static struct task *ready_first, *ready_last;
static void *main_sp;
static void *main_context;
static void (*poll_hook)(void);

#if defined(ADDRESS_SANITIZER)
/* The address sanitizer keeps bounds of the running stack and must be told of each switch. */
static void *main_fiber;
static const void *main_stack;
static size_t main_stack_bytes;

static void fiber_stack_reused(void *stack, size_t bytes)
{
    __asan_unpoison_memory_region(stack, bytes);
}

static void fiber_leave_main(const struct task *to)
{
    __sanitizer_start_switch_fiber(&main_fiber, to->stack, to->stack_bytes);
}

static void fiber_arrive_main(void)
{
    __sanitizer_finish_switch_fiber(main_fiber, NULL, NULL);
}

static void fiber_leave_task(struct task *t, bool for_good)
{
    __sanitizer_start_switch_fiber(for_good ? NULL : &t->sanitizer, main_stack, main_stack_bytes);
}

static void fiber_arrive_task(struct task *t)
{
    __sanitizer_finish_switch_fiber(t->sanitizer, &main_stack, &main_stack_bytes);
}
#else
static void fiber_stack_reused(void *stack, size_t bytes)
{
    (void)stack, (void)bytes;
}
static void fiber_leave_main(const struct task *to)
{
    (void)to;
}
static void fiber_arrive_main(void)
{
}
static void fiber_leave_task(struct task *t, bool for_good)
{
    (void)t, (void)for_good;
}
static void fiber_arrive_task(struct task *t)
{
    (void)t;
}
#endif

static void panic_about(const struct task *t, const char *what)
{
    static char text[80];
    struct strbuf why = STRBUF(text);
    strbuf_printf(&why, "task %s: %s", t->name, what);
    board_panic(text);
}

/* --- stacks: guard words at the low end, a fill pattern above them --- */

UNCHECKED_ACCESS static void stack_paint(const struct task *t)
{
    uint32_t *word = (uint32_t *)(void *)t->stack;
    for (size_t i = 0; i < t->stack_bytes / 4; i++)
        word[i] = i < GUARD_WORDS ? GUARD_PATTERN : FILL_PATTERN;
}

UNCHECKED_ACCESS static void stack_check(const struct task *t)
{
    const uint32_t *word = (const uint32_t *)(const void *)t->stack;
    for (size_t i = 0; i < GUARD_WORDS; i++)
        if (word[i] != GUARD_PATTERN)
            panic_about(t, "stack overflow");
}

UNCHECKED_ACCESS size_t task_stack_used(const struct task *t)
{
    const uint32_t *word = (const uint32_t *)(const void *)t->stack;
    size_t i = GUARD_WORDS;
    while (i < t->stack_bytes / 4 && word[i] == FILL_PATTERN)
        i++;
    return t->stack_bytes - i * 4;
}

/* --- queues --- */

static void make_ready(struct task *t, enum rc why)
{
    t->state = TASK_READY;
    t->wake_rc = why;
    t->waiting_on = NULL;
    t->next_ready = NULL;
    if (ready_last != NULL)
        ready_last->next_ready = t;
    else
        ready_first = t;
    ready_last = t;
}

static struct task *take_ready(void)
{
    struct task *t = ready_first;
    ready_first = t->next_ready;
    if (ready_first == NULL)
        ready_last = NULL;
    t->next_ready = NULL;
    return t;
}

static void known_add(struct task *t)
{
    struct task **link = &known_first;
    while (*link != NULL)
        link = &(*link)->next_known;
    *link = t;
}

static void known_remove(struct task *t)
{
    struct task **link = &known_first;
    while (*link != t)
        link = &(*link)->next_known;
    *link = t->next_known;
}

static void waiters_add(struct event *e, struct task *t)
{
    struct task **link = &e->waiters;
    while (*link != NULL)
        link = &(*link)->next_waiter;
    t->next_waiter = NULL;
    *link = t;
}

static void waiters_remove(struct event *e, struct task *t)
{
    struct task **link = &e->waiters;
    while (*link != t)
        link = &(*link)->next_waiter;
    *link = t->next_waiter;
}

/* Ends the wait of a task before its event came. */
static void wake(struct task *t, enum rc why)
{
    if (t->waiting_on != NULL)
        waiters_remove(t->waiting_on, t);
    make_ready(t, why);
}

/* --- switching --- */

static void leave_task(struct task *t, bool for_good)
{
    fiber_leave_task(t, for_good);
    task_switch(&t->sp, main_sp);
    fiber_arrive_task(t);
}

static void task_entry(void)
{
    struct task *t = current;
    fiber_arrive_task(t);
    t->fn(t->arg);
    t->state = TASK_DONE;
    leave_task(t, true);
    __builtin_unreachable();
}

static void run(struct task *t)
{
    stack_check(t);
    uint64_t start_us = clock_us();
    t->state = TASK_RUNNING;
    current = t;
    fiber_leave_main(t);
    task_switch(&main_sp, t->sp);
    fiber_arrive_main();
    stack_check(t);
    current = NULL;
    t->cpu_us += clock_us() - start_us;
    if (t->state == TASK_DONE)
        known_remove(t);
}

static void wake_expired(void)
{
    uint64_t now_ms = clock_ms();
    for (struct task *t = known_first; t != NULL; t = t->next_known)
        if (t->state == TASK_WAITING && t->wake.at_ms <= now_ms)
            wake(t, RC_TIMEOUT);
}

bool tasks_run(void)
{
    if (current != NULL)
        panic_about(current, "tasks_run inside a task");
    wake_expired();
    struct task *last = ready_last;
    for (struct task *t = NULL; t != last;) {
        t = take_ready();
        run(t);
    }
    return ready_first != NULL;
}

struct deadline tasks_next_deadline(void)
{
    struct deadline next = { ready_first != NULL ? 0 : UINT64_MAX };
    for (const struct task *t = known_first; t != NULL; t = t->next_known)
        if (t->state == TASK_WAITING)
            next = deadline_earlier(next, t->wake);
    return next;
}

void task_start(struct task *t, const char *name, void *stack, size_t stack_bytes, task_fn fn, void *arg)
{
    if (!task_done(t))
        panic_about(t, "started while it runs");
    memset(t, 0, sizeof *t);
    t->name = name;
    t->stack = stack;
    t->stack_bytes = stack_bytes / 16 * 16;
    t->fn = fn;
    t->arg = arg;
    if ((uintptr_t)stack % 16 != 0 || stack_bytes < TASK_STACK_MIN)
        panic_about(t, "stack too small or not aligned");
    fiber_stack_reused(stack, t->stack_bytes);
    stack_paint(t);
    t->sp = task_switch_prepare(stack, t->stack_bytes, task_entry);
    known_add(t);
    make_ready(t, RC_OK);
}

/* --- waiting --- */

/* Waits in the current task; e may be NULL. Does not look at cancelled: the callers differ in that. */
static enum rc block(struct event *e, struct deadline d)
{
    struct task *t = current;
    t->state = TASK_WAITING;
    t->wake = d;
    t->waiting_on = e;
    if (e != NULL)
        waiters_add(e, t);
    leave_task(t, false);
    return t->wake_rc;
}

static bool take_signal(struct event *e)
{
    bool was_set = e->set;
    e->set = false;
    return was_set;
}

static enum rc spin(struct event *e, struct deadline d)
{
    while (!take_signal(e)) {
        if (deadline_passed(d))
            return RC_TIMEOUT;
        if (poll_hook != NULL)
            poll_hook();
    }
    return RC_OK;
}

enum rc task_wait(struct event *e, struct deadline d)
{
    if (current == NULL)
        return spin(e, d);
    if (current->cancelled)
        return RC_CANCELLED;
    if (take_signal(e))
        return RC_OK;
    return deadline_passed(d) ? RC_TIMEOUT : block(e, d);
}

void task_wait_always(struct event *e)
{
    enum rc rc = RC_CANCELLED;
    while (rc != RC_OK) {
        if (current == NULL)
            rc = spin(e, deadline_never());
        else
            rc = take_signal(e) ? RC_OK : block(e, deadline_never());
    }
}

enum rc task_sleep_ms(uint32_t ms)
{
    struct event never = { NULL, false };
    enum rc rc = task_wait(&never, deadline_in_ms(ms));
    return rc == RC_TIMEOUT ? RC_OK : rc;
}

enum rc task_yield(void)
{
    struct task *t = current;
    if (t == NULL) {
        if (poll_hook != NULL)
            poll_hook();
        return RC_OK;
    }
    if (t->cancelled)
        return RC_CANCELLED;
    make_ready(t, RC_OK);
    leave_task(t, false);
    return t->cancelled ? RC_CANCELLED : RC_OK;
}

void task_cancel(struct task *t)
{
    if (task_done(t) || t->cancelled)
        return;
    t->cancelled = true;
    if (t->state == TASK_WAITING)
        wake(t, RC_CANCELLED);
}

void event_signal(struct event *e)
{
    struct task *t = e->waiters;
    e->waiters = NULL;
    e->set = t == NULL;
    while (t != NULL) {
        struct task *next = t->next_waiter;
        make_ready(t, RC_OK);
        t = next;
    }
}

void event_reset(struct event *e)
{
    e->set = false;
}

/* --- what is known of tasks --- */

bool task_done(const struct task *t)
{
    return t->state == TASK_UNUSED || t->state == TASK_DONE;
}

struct task *task_current(void)
{
    return current;
}

void task_set_context(void *context)
{
    *(current != NULL ? &current->context : &main_context) = context;
}

void *task_context(void)
{
    return current != NULL ? current->context : main_context;
}

void task_set_poll(void (*poll)(void))
{
    poll_hook = poll;
}

const struct task *task_first(void)
{
    return known_first;
}

const struct task *task_next(const struct task *t)
{
    return t->next_known;
}
