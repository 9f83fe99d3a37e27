/* The last words of a box that cannot go on. */
#ifndef BOARDS_DRIVERS_CRASH_H
#define BOARDS_DRIVERS_CRASH_H

#include <stddef.h>
#include <stdint.h>

#include "hal/reset.h"

/* The start code of the boards fills this in assembler: keep the order. */
struct crash_registers {
    uint32_t r[16]; /* 13 sp, 14 lr, 15 pc */
    uint32_t psr;
};

/* A fault register by its architecture name, e.g. "dfar". */
struct crash_detail {
    const char *name;
    uint32_t value;
};

/* Prints why, the task with its stack use, registers, details and what lies on the stack, then resets with reason. Needs
 * neither libc's printing nor a working stack of the crashed code: it runs on the crash stack. A crash inside of it resets at once. */
void crash_report(const char *why, const struct crash_registers *regs, const struct crash_detail *detail, size_t count,
                  enum reset_reason reason) __attribute__((noreturn));

/* board_panic, with the registers that its assembler part kept. */
void crash_panic(const char *why, const struct crash_registers *regs) __attribute__((noreturn));

#define CRASH_STACK_BYTES 2048
extern uint8_t crash_stack[CRASH_STACK_BYTES]; /* from the linker script */

#endif
