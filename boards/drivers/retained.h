/* Words at the end of RAM that survive every reset but not a loss of power; they say why the box was reset. */
#ifndef BOARDS_DRIVERS_RETAINED_H
#define BOARDS_DRIVERS_RETAINED_H

#include <stdbool.h>

#include "hal/reset.h"

/* Works out reset_reason() from what the last run left. Call once, early. watchdog_bit: the watchdog's own word that it
 * reset the box, where it keeps one. */
void reset_reason_init(bool watchdog_bit);
/* As reset_reason_init, for a board whose watchdog keeps no word: a box that was running with the watchdog on and is
 * reset by nobody was reset by it. */
void reset_reason_infer(void);
/* The watchdog runs from now on. */
void reset_watchdog_runs(void);

/* Resets the processor and all devices. Each board's. */
void board_reset(void) __attribute__((noreturn));

#endif
