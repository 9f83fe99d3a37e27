/* Exceptions of mps2-an500: all are fatal. start.S has kept r4-r11 and calls on the crash stack. */
#include "boards/drivers/crash.h"
#include "boards/drivers/mmio.h"
#include "board/board_config.h"

#define SCB_CFSR 0xe000ed28u
#define SCB_HFSR 0xe000ed2cu
#define SCB_MMFAR 0xe000ed34u
#define SCB_BFAR 0xe000ed38u

#define FRAME_BYTES 32u
#define PSR_STACK_ALIGNED (1u << 9)
#define EXCEPTION_NMI 2u
#define EXCEPTION_HARD_FAULT 3u

void fault_report(uint32_t frame, struct crash_registers *regs) __attribute__((noreturn));

/* r0-r3, r12, lr, pc, psr as the processor stacked them, if the stack was in RAM. */
static void unstack(uint32_t frame, struct crash_registers *regs)
{
    const uint32_t *stacked = (const uint32_t *)(uintptr_t)frame;
    regs->r[13] = frame;
    if (frame < RAM_BASE || frame > RAM_BASE + RAM_BYTES - FRAME_BYTES)
        return;
    for (unsigned i = 0; i < 4; i++)
        regs->r[i] = stacked[i];
    regs->r[12] = stacked[4];
    regs->r[14] = stacked[5];
    regs->r[15] = stacked[6];
    regs->psr = stacked[7];
    regs->r[13] = frame + FRAME_BYTES + (regs->psr & PSR_STACK_ALIGNED ? 4 : 0);
}

static uint32_t exception_number(void)
{
    uint32_t v;
    __asm__ volatile("mrs %0, ipsr" : "=r"(v));
    return v;
}

void fault_report(uint32_t frame, struct crash_registers *regs)
{
    const struct crash_detail detail[] = {
        { "cfsr", mmio_read32(SCB_CFSR) },
        { "hfsr", mmio_read32(SCB_HFSR) },
        { "mmfar", mmio_read32(SCB_MMFAR) },
        { "bfar", mmio_read32(SCB_BFAR) },
    };
    unstack(frame, regs);
    switch (exception_number()) {
    case EXCEPTION_NMI:
        crash_report("watchdog: the main loop hangs", regs, NULL, 0, RESET_WATCHDOG);
    case EXCEPTION_HARD_FAULT:
        crash_report("hard fault", regs, detail, sizeof detail / sizeof detail[0], RESET_CRASH);
    default:
        crash_report("unexpected exception", regs, detail, sizeof detail / sizeof detail[0], RESET_CRASH);
    }
}
