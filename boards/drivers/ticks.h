/* Turns a tick counter into microseconds without 64-bit division on each reading. */
#ifndef BOARDS_DRIVERS_TICKS_H
#define BOARDS_DRIVERS_TICKS_H

#include <stdint.h>

struct ticks {
    uint32_t hz;
    uint32_t us_per_tick_q32; /* fraction of 2^32: hz must be over 1 MHz */
    uint64_t base_ticks;      /* base_us was exactly then */
    uint64_t base_us;
};

/* hz: above 1,000,000. now becomes microsecond 0. */
void ticks_init(struct ticks *t, uint32_t hz, uint64_t now);
/* now: never less than in the call before. The result never goes back. */
uint64_t ticks_to_us(struct ticks *t, uint64_t now);
/* Ticks that last at least us. us at most 1 hour. */
uint64_t ticks_of_us(const struct ticks *t, uint64_t us);

#endif
