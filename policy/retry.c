/* Waiting grows by half a time, so that a greylisting host is asked again soon and a dead one seldom. */
#include "policy/retry.h"

const struct retry_rules retry_default = {
    .first_s = 5 * 60,
    .longest_s = 4 * 60 * 60,
    .life_s = 5 * 24 * 60 * 60,
};

uint32_t retry_delay_s(const struct retry_rules *r, unsigned attempts, uint32_t jitter)
{
    uint64_t delay = r->first_s;
    for (unsigned i = 1; i < attempts && delay > 1 && delay < r->longest_s; i++)
        delay += delay / 2;
    if (delay > r->longest_s)
        delay = r->longest_s;

    uint64_t spread = delay * 2 / 5; /* the whole width of +-20 % */
    uint64_t jittered = delay - spread / 2 + ((spread + 1) * jitter >> 32);
    return jittered > UINT32_MAX ? UINT32_MAX : (uint32_t)jittered;
}

bool retry_life_over(const struct retry_rules *r, int64_t received, int64_t now)
{
    if (now <= 0 || received <= 0 || now < received)
        return false;
    return now - received >= (int64_t)r->life_s;
}
