/* Exceptions of virt: all are fatal; the only FIQ is the hang watch's. start.S has kept the registers and calls on the crash stack. */
#include <stdint.h>

#include "boards/drivers/crash.h"

enum trap { TRAP_UNDEFINED, TRAP_PREFETCH, TRAP_DATA, TRAP_SVC, TRAP_IRQ, TRAP_FIQ, TRAP_COUNT };

void trap_report(enum trap kind, const struct crash_registers *regs) __attribute__((noreturn));

static uint32_t dfsr(void)
{
    uint32_t v;
    __asm__ volatile("mrc p15, 0, %0, c5, c0, 0" : "=r"(v));
    return v;
}

static uint32_t dfar(void)
{
    uint32_t v;
    __asm__ volatile("mrc p15, 0, %0, c6, c0, 0" : "=r"(v));
    return v;
}

static uint32_t ifsr(void)
{
    uint32_t v;
    __asm__ volatile("mrc p15, 0, %0, c5, c0, 1" : "=r"(v));
    return v;
}

static uint32_t ifar(void)
{
    uint32_t v;
    __asm__ volatile("mrc p15, 0, %0, c6, c0, 2" : "=r"(v));
    return v;
}

void trap_report(enum trap kind, const struct crash_registers *regs)
{
    static const char *const why[TRAP_COUNT] = {
        "undefined instruction", "prefetch abort", "data abort", "supervisor call", "interrupt", "watchdog: the main loop hangs",
    };
    const struct crash_detail data[] = { { "dfsr", dfsr() }, { "dfar", dfar() } };
    const struct crash_detail prefetch[] = { { "ifsr", ifsr() }, { "ifar", ifar() } };
    if (kind == TRAP_DATA)
        crash_report(why[kind], regs, data, 2, RESET_CRASH);
    if (kind == TRAP_FIQ)
        crash_report(why[kind], regs, NULL, 0, RESET_WATCHDOG);
    crash_report(why[kind], regs, prefetch, kind == TRAP_PREFETCH ? 2 : 0, RESET_CRASH);
}
