#include "hal/clock.h"

uint64_t clock_ms(void)
{
    return clock_us() / 1000;
}

struct deadline deadline_in_ms(uint64_t ms)
{
    uint64_t now = clock_ms();
    return (struct deadline){ ms < UINT64_MAX - now ? now + ms : UINT64_MAX };
}

struct deadline deadline_never(void)
{
    return (struct deadline){ UINT64_MAX };
}

bool deadline_passed(struct deadline d)
{
    return d.at_ms != UINT64_MAX && clock_ms() >= d.at_ms;
}

uint64_t deadline_left_ms(struct deadline d)
{
    if (d.at_ms == UINT64_MAX)
        return UINT64_MAX;
    uint64_t now = clock_ms();
    return now < d.at_ms ? d.at_ms - now : 0;
}

struct deadline deadline_earlier(struct deadline a, struct deadline b)
{
    return a.at_ms <= b.at_ms ? a : b;
}
