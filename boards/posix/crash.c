/* Panics and fatal signals: say what is known on the console, then reset. In sanitizer builds the sanitizer reports
 * and the process ends, so that a test sees it. */
#include <signal.h>
#include <stdlib.h>
#include <sys/uio.h>
#include <ucontext.h>
#include <unistd.h>

#include "boards/posix/posix.h"
#include "hal/base/sanitize.h"
#include "hal/base/strbuf.h"
#include "hal/board.h"
#include "hal/console.h"
#include "hal/task.h"

#define STACK_WORDS_SHOWN 48

#if defined(ADDRESS_SANITIZER)
static const bool sanitized = true;
#else
static const bool sanitized = false;
#endif

static void say(struct strbuf *line)
{
    strbuf_puts(line, "\r\n");
    console_write(line->p, line->len);
    strbuf_clear(line);
}

static void show_task(struct strbuf *line)
{
    const struct task *t = task_current();
    if (t != NULL)
        strbuf_printf(line, "task %s, stack %zu of %zu bytes used", t->name, task_stack_used(t), t->stack_bytes);
    else
        strbuf_puts(line, "no task: the main loop");
    say(line);
}

static void show_stack(struct strbuf *line, uintptr_t sp)
{
    uintptr_t words[STACK_WORDS_SHOWN];
    struct iovec to = { words, sizeof words }, from = { (void *)sp, sizeof words };
    ssize_t n = process_vm_readv(getpid(), &to, 1, &from, 1, 0); /* a wild sp is an error here, not another fault */
    for (size_t i = 0; n > 0 && i < (size_t)n / sizeof words[0]; i++) {
        if (i % 6 == 0)
            strbuf_printf(line, "%012zx:", (size_t)(sp + i * sizeof words[0]));
        strbuf_printf(line, " %016zx", (size_t)words[i]);
        if (i % 6 == 5)
            say(line);
    }
    if (line->len > 0)
        say(line);
}

static uintptr_t show_registers(struct strbuf *line, const ucontext_t *context)
{
#if defined(__x86_64__)
    static const char *const names[] = { "r8 ", "r9 ", "r10", "r11", "r12", "r13", "r14", "r15", "rdi",
                                         "rsi", "rbp", "rbx", "rdx", "rax", "rcx", "rsp", "rip" };
    const size_t count = sizeof names / sizeof names[0];
    for (size_t i = 0; i < count; i++) {
        strbuf_printf(line, "%s %016llx ", names[i], (unsigned long long)context->uc_mcontext.gregs[i]);
        if (i % 4 == 3 || i + 1 == count)
            say(line);
    }
    return (uintptr_t)context->uc_mcontext.gregs[REG_RSP];
#elif defined(__aarch64__)
    for (unsigned i = 0; i < 31; i++) {
        strbuf_printf(line, "x%-2u %016llx ", i, (unsigned long long)context->uc_mcontext.regs[i]);
        if (i % 4 == 3 || i == 30)
            say(line);
    }
    strbuf_printf(line, "pc  %016llx sp  %016llx", (unsigned long long)context->uc_mcontext.pc,
                  (unsigned long long)context->uc_mcontext.sp);
    say(line);
    return (uintptr_t)context->uc_mcontext.sp;
#else
    (void)line;
    return (uintptr_t)context;
#endif
}

static void on_fatal_signal(int number, siginfo_t *info, void *context)
{
    static char text[200];
    struct strbuf line = STRBUF(text);
    say(&line);
    strbuf_printf(&line, "crash: signal %d at address 0x%zx", number, (size_t)info->si_addr);
    say(&line);
    uintptr_t sp = show_registers(&line, context);
    show_task(&line);
    show_stack(&line, sp);
    posix_restart(RESET_CRASH);
}

void posix_crash_init(void)
{
    static uint8_t stack[64 * 1024];
    static const int fatal[] = { SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGTRAP };
    if (sanitized)
        return;
    stack_t alternate = { .ss_sp = stack, .ss_size = sizeof stack };
    sigaltstack(&alternate, NULL);
    struct sigaction crash = { .sa_sigaction = on_fatal_signal, .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESETHAND };
    for (size_t i = 0; i < sizeof fatal / sizeof fatal[0]; i++)
        sigaction(fatal[i], &crash, NULL);
}

void board_panic(const char *why)
{
    static char text[200];
    static bool panicking;
    struct strbuf line = STRBUF(text);
    if (!panicking) {
        panicking = true;
        say(&line);
        strbuf_printf(&line, "panic: %s", why);
        say(&line);
        show_task(&line);
        show_stack(&line, (uintptr_t)__builtin_frame_address(0));
    }
    if (sanitized)
        abort();
    posix_restart(RESET_CRASH);
}
