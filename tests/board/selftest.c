/* A firmware that proves a board: it checks the contracts of hal/ on the board it runs on, one line each ("PASS name" or
 * "FAIL name: why"), says "READY", and then obeys words on the console that bring the box down in every way there is.
 * tests/e2e/test_board_selftest.py starts it and reads the lines. It overwrites the last four flash blocks. */
#include <errno.h>
#include <inttypes.h>

#include "hal/base/strbuf.h"
#include "hal/board.h"
#include "hal/console.h"
#include "hal/entropy.h"
#include "hal/flash.h"
#include "hal/reset.h"
#include "hal/watchdog.h"
#include "tests/board/selftest.h"

#define TASK_STACK_BYTES 8192
#define LINE_BYTES 80

static struct task check_task;
static uint8_t check_stack[TASK_STACK_BYTES] __attribute__((aligned(16)));
static struct task victim_task;
static struct {
    uint8_t below[4096]; /* what an overflow may spoil */
    uint8_t stack[2048];
} victim __attribute__((aligned(16)));
static void (*on_main_stack)(void);
static bool nobody_receives;            /* frames are dropped in the main loop, lest they keep the box awake */
static volatile uintptr_t null_address; /* out of the optimizer's sight */

bool check(const char *name, bool good, const char *why)
{
    if (good)
        say("PASS %s", name);
    else
        say("FAIL %s: %s", name, why);
    return good;
}

static void check_clock(void)
{
    uint64_t last_us = clock_us();
    bool forward = true;
    for (unsigned i = 0; i < 100000; i++) {
        uint64_t now_us = clock_us();
        forward = forward && now_us >= last_us;
        last_us = now_us;
    }
    check("clock-forward", forward, "it went back");
    uint64_t start_us = clock_us();
    enum rc rc = task_sleep_ms(200);
    uint64_t slept_us = clock_us() - start_us;
    check("clock-sleep", rc == RC_OK && slept_us >= 199000 && slept_us < 2000000, "200 ms took another time");
}

static void check_rtc(void)
{
    int64_t before = 0, after = 0;
    enum rc rc = clock_rtc_read(&before);
    if (!check("rtc-read", rc == RC_OK && before > 1500000000, rc_name(rc)))
        return;
    say("rtc: %" PRId64, before);
    rc = clock_rtc_write(before + 1000000);
    if (rc == RC_UNSUPPORTED)
        return;
    check("rtc-write",
          rc == RC_OK && clock_rtc_read(&after) == RC_OK && after - before - 1000000 <= 2 && after - before - 1000000 >= 0,
          "another time is read back");
    rc = clock_rtc_write(before);
    check("rtc-restore", rc == RC_OK, rc_name(rc));
}

static void check_entropy(void)
{
    static uint8_t a[1000], b[1000];
    enum rc rc = entropy_read(a, sizeof a);
    if (rc == RC_OK)
        rc = entropy_read(b, sizeof b);
    unsigned ones = 0, same = 0;
    for (unsigned i = 0; i < sizeof a; i++) {
        ones += (unsigned)__builtin_popcount(a[i]);
        same += a[i] == b[i];
    }
    check("entropy", rc == RC_OK && ones > 3600 && ones < 4400 && same < 30, rc == RC_OK ? "not random" : rc_name(rc));
}

static void check_unaligned(void)
{
    static uint8_t bytes[8] = { 0, 1, 2, 3, 4, 5, 6, 7 };
    volatile uintptr_t at = (uintptr_t)bytes + 1;
    uint32_t v = *(const uint32_t *)at;
    check("unaligned-access", v == 0x04030201, "wrong bytes");
}

/* errno is where start code put thread-local variables. */
static void check_errno(void)
{
    errno = 0;
    (void)strtoul("99999999999999999999999999", NULL, 10);
    check("errno", errno == ERANGE, "not set");
}

static void check_all(void)
{
    check_clock();
    check_rtc();
    check_entropy();
    check_unaligned();
    check_errno();
    selftest_flash();
    selftest_list();
    selftest_ethernet();
    say("task: stack %u of %u bytes used", (unsigned)task_stack_used(&check_task), TASK_STACK_BYTES);
}

/* --- ways down --- */

static void hang(void)
{
    for (;;) {
    }
}

/* With the exception masked that shows a hang, where a processor can mask it: the watchdog proper must reset. */
static void hang_deaf(void)
{
#if defined(__ARM_ARCH_PROFILE) && __ARM_ARCH_PROFILE == 'A'
    __asm__ volatile("cpsid if");
#endif
    hang();
}

static void null_write(void)
{
    *(volatile uint32_t *)null_address = 1;
}

static void run_data(void)
{
    static const uint32_t no_code[2];
    static uint32_t ram[2];
    ram[0] = no_code[0];
    volatile uintptr_t at = (uintptr_t)ram | 1;
    ((void (*)(void))at)();
}

static void undefined(void)
{
    __builtin_trap();
}

static void code_write(void)
{
    volatile uintptr_t at = (uintptr_t)&check_all & ~(uintptr_t)3;
    *(volatile uint32_t *)at = 0;
}

__attribute__((noinline)) static unsigned deep(unsigned depth)
{
    volatile uint8_t frame[256];
    for (unsigned i = 0; i < sizeof frame; i++)
        frame[i] = (uint8_t)depth;
    return depth == 0 ? 0 : deep(depth - 1) + frame[depth % sizeof frame];
}

static void overflow_main(void)
{
    say("depth %u", deep(100000));
}

static void overflow_task(void *arg)
{
    (void)arg;
    volatile unsigned depth = 12;
    if (task_sleep_ms(deep(depth) % 2 + 1) == RC_OK)
        say("overflow-task: not noticed");
}

static void panic(void)
{
    board_panic("asked for");
}

static void reset(void)
{
    reset_now(RESET_REQUESTED);
}

static void obey(struct span line)
{
    static const struct {
        const char *word;
        void (*action)(void);
    } on_main[] = { { "reset", reset },
                    { "panic", panic },
                    { "hang", hang },
                    { "null", null_write },
                    { "undefined", undefined },
                    { "run-data", run_data },
                    { "code-write", code_write },
                    { "overflow-main", overflow_main },
                    { "hang-deaf", hang_deaf } };
    if (span_starts(line, "echo "))
        say("echoed %.*s", (int)(line.len - 5), line.p + 5);
    if (span_is(line, "panic-in-task"))
        panic();
    if (span_is(line, "overflow-task"))
        task_start(&victim_task, "victim", victim.stack, sizeof victim.stack, overflow_task, NULL);
    for (size_t i = 0; i < sizeof on_main / sizeof on_main[0]; i++)
        if (span_is(line, on_main[i].word))
            on_main_stack = on_main[i].action;
}

static void read_commands(void)
{
    char text[LINE_BYTES];
    struct strbuf line = STRBUF(text);
    for (;;) {
        int c = console_getc();
        if (c < 0) {
            if (task_wait(&console_input, deadline_never()) != RC_OK)
                return;
        } else if (c == '\r' || c == '\n') {
            obey(strbuf_span(&line));
            strbuf_clear(&line);
        } else {
            strbuf_putc(&line, (char)c);
        }
    }
}

static void run(void *arg)
{
    (void)arg;
    check_all();
    nobody_receives = true;
    say("READY");
    read_commands();
}

void firmware_main(void)
{
    enum rc rc = board_init();
    say("\r\nSELFTEST %s, reset reason %s", board_name(), reset_reason_name(reset_reason()));
    check("board-init", rc == RC_OK, rc_name(rc));
    watchdog_start();
    task_start(&check_task, "checks", check_stack, sizeof check_stack, run, NULL);
    for (;;) {
        watchdog_kick();
        console_poll();
        flash_poll();
        bool more = tasks_run();
        if (on_main_stack != NULL)
            on_main_stack();
        if (nobody_receives)
            selftest_ethernet_drop();
        if (!more && !flash_busy())
            board_idle(deadline_earlier(tasks_next_deadline(), deadline_in_ms(2000)));
    }
}
