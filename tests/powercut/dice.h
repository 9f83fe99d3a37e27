/* Chance, in the place of hal/random.c: the same run for the same seed. Included by one file of a program. */
#ifndef TESTS_POWERCUT_DICE_H
#define TESTS_POWERCUT_DICE_H

#include "hal/random.h"

static uint32_t dice_state = 1;

static uint32_t dice(uint32_t bound)
{
    dice_state ^= dice_state << 13;
    dice_state ^= dice_state >> 17;
    dice_state ^= dice_state << 5;
    return dice_state % bound;
}

enum rc random_init(void)
{
    return RC_OK;
}

bool random_ready(void)
{
    return false;
}

uint32_t random_u32(void)
{
    return dice(UINT32_MAX);
}

uint32_t random_below(uint32_t bound)
{
    return dice(bound);
}

void random_bytes(void *out, size_t len)
{
    for (size_t i = 0; i < len; i++)
        ((uint8_t *)out)[i] = (uint8_t)dice(256);
}

#endif
