/* Exceptions of virt: all are fatal; the only FIQ is the hang watch's. start.S has kept the registers and calls on the crash stack. */
#include <stdint.h>

#include "boards/drivers/cp15.h"
#include "boards/drivers/crash.h"

enum trap { TRAP_UNDEFINED, TRAP_PREFETCH, TRAP_DATA, TRAP_SVC, TRAP_IRQ, TRAP_FIQ, TRAP_COUNT };

void trap_report(enum trap kind, const struct crash_registers *regs) __attribute__((noreturn));

DEFINE_CP15_READ(dfsr, 0, "c5, c0, 0")
DEFINE_CP15_READ(dfar, 0, "c6, c0, 0")
DEFINE_CP15_READ(ifsr, 0, "c5, c0, 1")
DEFINE_CP15_READ(ifar, 0, "c6, c0, 2")

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
