/* Cooperative tasks: each session is sequential code on a small static stack of its own.
 *
 * A task yields only in task_wait and what is marked "Yields". Nothing shared may be half-updated across a yield. Nothing
 * here is called from an interrupt: handlers only end the processor's sleep, and the main loop polls the devices.
 * Cancelling is an error return from task_wait, never a killed stack: the task unwinds by itself.
 * Each stack has guard words at its low end, checked at every switch; a broken one stops the box with the task's name
 * (board_panic). The high-water mark is found by the fill pattern. */
#ifndef HAL_TASK_H
#define HAL_TASK_H

#include <stddef.h>

#include "hal/clock.h"

struct task;

/* Something one or more tasks wait for. A signal with nobody waiting is kept until the next wait (it does not count). */
struct event {
    struct task *waiters;
    bool set;
};

typedef void (*task_fn)(void *arg);

enum task_state { TASK_UNUSED = 0, TASK_READY, TASK_RUNNING, TASK_WAITING, TASK_DONE };

struct task {
    void *sp; /* saved stack pointer while not running; switch.S knows this is the first field */
    enum task_state state;
    bool cancelled;
    enum rc wake_rc;
    const char *name;
    uint8_t *stack;
    size_t stack_bytes;
    struct deadline wake;
    struct event *waiting_on;
    struct task *next_waiter;
    struct task *next_ready;
    struct task *next_known; /* list of all started tasks that are not done */
    task_fn fn;
    void *arg;
    void *context;   /* free for the owner of the task: the session that runs in it (task_context) */
    uint64_t cpu_us; /* time spent running */
    void *sanitizer; /* fiber state of the address sanitizer builds; NULL elsewhere */
};

/* Starts fn(arg) on the given stack; runs at the next tasks_run. *t and the stack belong to the kernel until the task is
 * done. name: a constant. stack aligned to 16, at least 1 KiB. *t may be reused once task_done(t). */
void task_start(struct task *t, const char *name, void *stack, size_t stack_bytes, task_fn fn, void *arg);

/* Waits until e is signalled (RC_OK), d passes (RC_TIMEOUT) or the task is cancelled (RC_CANCELLED, also at once when it
 * already was). Outside any task (boot, tests, host tools) it spins on the poll hook instead. Yields. */
enum rc task_wait(struct event *e, struct deadline d) MUST_CHECK;
/* As task_wait with no deadline, and cancelling does not end it: only for what always completes, like a flash
 * operation whose buffer lies on this stack. Yields. */
void task_wait_always(struct event *e);
enum rc task_sleep_ms(uint32_t ms) MUST_CHECK; /* RC_OK after ms, or RC_CANCELLED. Yields. */
enum rc task_yield(void) MUST_CHECK;           /* lets others run once; RC_OK or RC_CANCELLED. Yields. */

void task_cancel(struct task *t);     /* takes effect in t's current or next task_wait; no effect on a done task */
bool task_done(const struct task *t); /* also true for a zeroed struct task */
struct task *task_current(void);      /* NULL outside tasks */
void task_set_context(void *context); /* of the current task; outside tasks a global one */
void *task_context(void);

void event_signal(struct event *e); /* makes every waiter ready; with none, the next wait returns at once */
void event_reset(struct event *e);  /* forgets a kept signal */

/* For the main loop: runs every task that is ready now, once. True if some are ready again. */
bool tasks_run(void);
/* When the earliest waiting task wants to run. */
struct deadline tasks_next_deadline(void);
/* Called in place of the main loop by waits outside tasks; it polls flash and network. NULL: none. */
void task_set_poll(void (*poll)(void));

/* For status, crash dump and `make size`. */
const struct task *task_first(void);
const struct task *task_next(const struct task *t);
size_t task_stack_used(const struct task *t); /* high-water mark in bytes */

#define TASK_STACK_MIN 1024

#endif
