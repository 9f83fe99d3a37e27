/* What the main loop asks of a board, beside the device contracts. A board's start code sets up memory and calls
 * firmware_main(), which never returns. */
#ifndef HAL_BOARD_H
#define HAL_BOARD_H

#include "hal/clock.h"

/* "virt", "mps2-an500", "posix": also the board kind in signed images. */
const char *board_name(void);
/* Brings up clock, console, entropy, flash (not ethernet). Called once, first. RC_IO with a line on the console. */
enum rc board_init(void) MUST_CHECK;
/* Sleeps until an interrupt or d, whichever is first: an idle box uses next to no CPU. */
void board_idle(struct deadline d);
/* Prints why, registers if any, the current task with its stack use and a backtrace of raw stack words, then resets with
 * RESET_CRASH. Usable from anywhere. */
void board_panic(const char *why) __attribute__((noreturn));

/* Entry of the appliance (firmware/main.c). */
void firmware_main(void) __attribute__((noreturn));

#endif
