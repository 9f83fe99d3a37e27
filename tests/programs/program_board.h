/* The board under a program that is no box: clock, entropy, panic, defined here, so that the posix board's stay out. Included by a program's
 * one source file. */
#ifndef TESTS_PROGRAM_BOARD_H
#define TESTS_PROGRAM_BOARD_H

#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <time.h>

#include "hal/board.h"
#include "hal/clock.h"
#include "hal/entropy.h"

static unsigned clock_speed = 1; /* how many seconds pass for the program in one of ours */

uint64_t clock_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return ((uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000) * clock_speed;
}

enum rc entropy_read(void *out, size_t len)
{
    return getrandom(out, len, 0) == (ssize_t)len ? RC_OK : RC_IO;
}

void board_panic(const char *why)
{
    fprintf(stderr, "panic: %s\n", why);
    abort();
}

#endif
