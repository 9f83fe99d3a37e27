/* The one-shot timer that ends the processor's sleep. Implemented by generic_timer.c and systick.c, which the boards pair
 * with their source of hal/clock.h's time. */
#ifndef BOARDS_DRIVERS_SLEEP_TIMER_H
#define BOARDS_DRIVERS_SLEEP_TIMER_H

#include "hal/clock.h"

/* Brings up the timer, and clock_us() with it where they are one device. RC_IO: the counter does not run. */
enum rc sleep_timer_init(void) MUST_CHECK;
/* An interrupt will be pending at d or earlier (the timer's range); one that is passed is pending at once. */
void sleep_timer_arm(struct deadline d);
void sleep_timer_disarm(void);

#endif
