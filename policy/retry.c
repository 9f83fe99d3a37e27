/* Waiting grows by half a time, so that a greylisting host is asked again soon and a dead one seldom. */
#include "policy/retry.h"

#define SOON_TRIES 3
#define TRIES_MAX 10000 /* for rules without any delay */

const struct retry_rules retry_default = {
    .first_s = 5 * 60,
    .longest_s = 4 * 60 * 60,
    .life_s = 5 * 24 * 60 * 60,
};

static uint64_t grown(const struct retry_rules *r, uint64_t delay)
{
    delay += delay / 2;
    return delay < r->longest_s ? delay : r->longest_s;
}

uint32_t retry_delay_s(const struct retry_rules *r, unsigned attempts, uint32_t jitter)
{
    uint64_t delay = r->first_s < r->longest_s ? r->first_s : r->longest_s;
    for (unsigned i = 1; i < attempts && delay > 1 && delay < r->longest_s; i++)
        delay = grown(r, delay);
    uint64_t fifth = delay / 5, spread = attempts > 1 ? 2 * fifth : fifth;
    uint64_t jittered = delay - (spread - fifth) + ((spread + 1) * jitter >> 32);
    return jittered > UINT32_MAX ? UINT32_MAX : (uint32_t)jittered;
}

uint32_t retry_soon_s(unsigned in_a_row, uint32_t jitter)
{
    if (in_a_row < 1 || in_a_row > SOON_TRIES)
        return 0;
    uint32_t least = 1u << in_a_row;
    return least + (uint32_t)((uint64_t)(least + 1) * jitter >> 32);
}

unsigned retry_tries_within(const struct retry_rules *r, uint32_t seconds)
{
    unsigned tries = 0;
    uint64_t at = 0, delay = r->first_s < r->longest_s ? r->first_s : r->longest_s;
    while (tries < TRIES_MAX && at + delay <= seconds) {
        at += delay;
        delay = grown(r, delay);
        tries++;
    }
    return tries;
}

bool retry_life_over(const struct retry_rules *r, int64_t received, int64_t now, unsigned tries)
{
    if (received <= 0 || now < received)
        return tries >= retry_tries_within(r, r->life_s);
    return now - received >= (int64_t)r->life_s && tries >= retry_tries_within(r, r->life_s / 2);
}
