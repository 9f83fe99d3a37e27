/* The one interrupt that is really taken, as FIQ: it shows where the main loop hangs, while the watchdog, which comes later,
 * could only reset. Implemented by generic_timer.c with gicv2.c; the board's FIQ handler reports and resets. */
#ifndef BOARDS_DRIVERS_HANG_WATCH_H
#define BOARDS_DRIVERS_HANG_WATCH_H

#include <stdint.h>

/* The FIQ is taken in ms from now, unless it is put off. After irq_init and sleep_timer_init. */
void hang_watch_start(uint32_t ms);
void hang_watch_put_off(uint32_t ms);

#endif
