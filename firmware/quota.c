/* Levels by a hash of the sender's name. */
#include "firmware/quota.h"

#include "hal/base/crc32.h"

#define HOUR_MS 3600000u

static void fall(struct quota *q, unsigned i, uint32_t per_hour, uint64_t now_ms)
{
    uint64_t fallen = (now_ms - q->entry[i].at_ms) * per_hour / (HOUR_MS / 1000);
    q->entry[i].level_milli = fallen < q->entry[i].level_milli ? q->entry[i].level_milli - (uint32_t)fallen : 0;
    q->entry[i].at_ms = now_ms;
}

static unsigned find(const struct quota *q, uint32_t who)
{
    unsigned lowest = 0;
    for (unsigned i = 0; i < QUOTA_MAX; i++) {
        if (q->entry[i].level_milli && q->entry[i].who == who)
            return i;
        if (q->entry[i].level_milli < q->entry[lowest].level_milli)
            lowest = i;
    }
    return lowest;
}

bool quota_count(struct quota *q, struct span who, uint32_t per_hour, uint64_t now_ms)
{
    if (per_hour == 0)
        return true;
    uint32_t key = crc32_update(0, who.p, who.len);
    unsigned i = find(q, key);
    if (!q->entry[i].level_milli || q->entry[i].who != key) {
        q->entry[i].who = key;
        q->entry[i].level_milli = 0;
        q->entry[i].at_ms = now_ms;
    }
    fall(q, i, per_hour, now_ms);
    if (q->entry[i].level_milli < per_hour * 2000)
        q->entry[i].level_milli += 1000;
    return q->entry[i].level_milli <= per_hour * 1000;
}
