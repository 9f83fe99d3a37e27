#include "policy/hop_health.h"

#include <stddef.h>

#define FAILURES_MAX 127
#define FAILURES_FREE 1 /* a single failure may be a hiccup: the next mail tries at once */

uint16_t hop_health_hash(const char *name, size_t len)
{
    uint32_t h = 2166136261u; /* FNV-1a */
    for (size_t i = 0; i < len; i++)
        h = (h ^ (uint8_t)name[i]) * 16777619u;
    uint16_t folded = (uint16_t)(h ^ h >> 16);
    return folded ? folded : 1;
}

static const struct hop_health_entry *find(const struct hop_health *h, uint16_t hop)
{
    for (size_t i = 0; i < HOP_HEALTH_ENTRIES && hop; i++)
        if (h->entry[i].hop == hop)
            return &h->entry[i];
    return NULL;
}

bool hop_health_fit(const struct hop_health *h, uint16_t hop, unsigned sessions, int64_t now)
{
    const struct hop_health_entry *e = find(h, hop);
    if (e == NULL)
        return true;
    unsigned most = !e->proven || sessions < 2 ? 1 : sessions - 1;
    return e->active < most && e->not_before <= now;
}

bool hop_health_hurries(const struct hop_health *h, uint16_t hop, unsigned sessions)
{
    const struct hop_health_entry *e = find(h, hop);
    unsigned unproven = 0;
    for (size_t i = 0; i < HOP_HEALTH_ENTRIES; i++)
        unproven += h->entry[i].proven ? 0 : h->entry[i].active;
    return !(e && e->proven) && 2 * unproven > sessions;
}

bool hop_health_failed(const struct hop_health *h, uint16_t hop)
{
    const struct hop_health_entry *e = find(h, hop);
    return e && e->failures > 0;
}

int64_t hop_health_not_before(const struct hop_health *h, uint16_t hop)
{
    const struct hop_health_entry *e = find(h, hop);
    return e ? e->not_before : 0;
}

/* Its entry, or one for it: unused, else of the hop that matters least. NULL: all are at work. */
static struct hop_health_entry *get(struct hop_health *h, uint16_t hop)
{
    struct hop_health_entry *best = NULL;
    for (size_t i = 0; i < HOP_HEALTH_ENTRIES; i++) {
        struct hop_health_entry *e = &h->entry[i];
        if (e->hop == hop)
            return e;
        if (e->active == 0 &&
            (best == NULL || e->failures < best->failures || (e->failures == best->failures && e->not_before < best->not_before)))
            best = e;
    }
    if (best != NULL)
        *best = (struct hop_health_entry){ .hop = hop };
    return best;
}

void hop_health_begin(struct hop_health *h, uint16_t hop)
{
    struct hop_health_entry *e = get(h, hop);
    if (e != NULL && e->active < UINT8_MAX)
        e->active++;
}

void hop_health_end(struct hop_health *h, uint16_t hop, bool reached, const struct retry_rules *rules, int64_t now, uint32_t jitter)
{
    struct hop_health_entry *e = get(h, hop);
    if (e == NULL)
        return;
    if (e->active > 0)
        e->active--;
    e->proven = reached;
    if (reached) {
        e->failures = 0;
        e->not_before = 0;
        return;
    }
    if (e->failures < FAILURES_MAX)
        e->failures++;
    if (e->failures > FAILURES_FREE)
        e->not_before = (uint32_t)now + retry_delay_s(rules, e->failures - FAILURES_FREE, jitter);
}

void hop_health_leave(struct hop_health *h, uint16_t hop, int64_t until)
{
    struct hop_health_entry *e = get(h, hop);
    if (e == NULL)
        return;
    if (e->active > 0)
        e->active--;
    if (until != 0)
        e->not_before = (uint32_t)until;
}

void hop_health_forgive(struct hop_health *h)
{
    for (size_t i = 0; i < HOP_HEALTH_ENTRIES; i++)
        h->entry[i].not_before = 0;
}
