#include "hal/clock.h"

#include <time.h>

uint64_t clock_us(void)
{
    static uint64_t start_us;
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    uint64_t us = (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
    if (start_us == 0)
        start_us = us;
    return us - start_us;
}
