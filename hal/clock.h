/* Monotonic time and deadlines, and the board's real-time clock. What time it *is* (RTC, SNTP, clock floor, authenticated
 * time) is decided in firmware/wallclock; here are only the sources. */
#ifndef HAL_CLOCK_H
#define HAL_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

#include "hal/base/rc.h"

/* Microseconds since the board started. Never goes back, never wraps in the life of a box. The board's. */
uint64_t clock_us(void);
uint64_t clock_ms(void); /* clock_us() / 1000; hal/clock.c, as are the deadlines below */

/* The battery-backed clock, seconds since 1970. RC_UNSUPPORTED: none on this board; RC_INVALID: it holds nonsense. */
enum rc clock_rtc_read(int64_t *unix_s) MUST_CHECK;
enum rc clock_rtc_write(int64_t unix_s) MUST_CHECK;

struct deadline {
    uint64_t at_ms; /* on clock_ms()'s scale; UINT64_MAX is never */
};

struct deadline deadline_in_ms(uint64_t ms);
struct deadline deadline_never(void);
bool deadline_passed(struct deadline d);
uint64_t deadline_left_ms(struct deadline d); /* 0 when passed; UINT64_MAX when never */
struct deadline deadline_earlier(struct deadline a, struct deadline b);

#endif
