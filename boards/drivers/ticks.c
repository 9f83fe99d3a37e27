/* Microseconds of a tick counter: whole seconds are moved into the base exactly, only what is left is multiplied by the
 * rounded-down fraction, so the error stays under a microsecond and time never goes back. */
#include "boards/drivers/ticks.h"

#define US_PER_S 1000000u

void ticks_init(struct ticks *t, uint32_t hz, uint64_t now)
{
    t->hz = hz;
    t->us_per_tick_q32 = (uint32_t)(((uint64_t)US_PER_S << 32) / hz);
    t->base_ticks = now;
    t->base_us = 0;
}

uint64_t ticks_to_us(struct ticks *t, uint64_t now)
{
    if (now - t->base_ticks >= t->hz) {
        uint64_t whole_s = (now - t->base_ticks) / t->hz;
        t->base_ticks += whole_s * t->hz;
        t->base_us += whole_s * US_PER_S;
    }
    return t->base_us + ((now - t->base_ticks) * t->us_per_tick_q32 >> 32);
}

uint64_t ticks_of_us(const struct ticks *t, uint64_t us)
{
    return us * t->hz / US_PER_S + 1;
}
