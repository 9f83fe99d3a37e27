#include "policy/hop_health.h"

#include <stddef.h>

#define FAILURES_MAX 127
#define SERVED_UNIT_S 8
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
    if (e->share != 0 && e->share < most)
        most = e->share;
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

static uint16_t served_stamp(int64_t now)
{
    return (uint16_t)((uint64_t)now / SERVED_UNIT_S | 1);
}

static bool serves(const struct hop_health_entry *e, int64_t now)
{
    return e->served_at != 0 && (uint16_t)(served_stamp(now) - e->served_at) <= HOP_HEALTH_LATELY_S / SERVED_UNIT_S;
}

bool hop_health_serves(const struct hop_health *h, uint16_t hop, int64_t now)
{
    const struct hop_health_entry *e = find(h, hop);
    return e != NULL && serves(e, now);
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
        e->served_at = served_stamp(now);
        if (e->share != 0 && ++e->risen >= HOP_HEALTH_RISE) {
            e->share++;
            e->risen = 0;
        }
        return;
    }
    if (e->failures < FAILURES_MAX)
        e->failures++;
    if (e->failures <= FAILURES_FREE)
        return;
    uint32_t soon = serves(e, now) ? retry_soon_s(e->failures - FAILURES_FREE, jitter) : 0;
    if (soon == 0 && e->served_at != 0) { /* from now on it is as any other that does not answer */
        e->served_at = 0;
        e->failures = FAILURES_FREE + 1;
    }
    e->not_before = (uint32_t)now + (soon != 0 ? soon : retry_delay_s(rules, e->failures - FAILURES_FREE, jitter));
}

void hop_health_greeted(struct hop_health *h, uint16_t hop, int64_t now)
{
    struct hop_health_entry *e = get(h, hop);
    if (e != NULL && e->failures == 0)
        e->served_at = served_stamp(now);
}

bool hop_health_pauses(const struct hop_health *h, uint16_t hop, int64_t now)
{
    return hop_health_serves(h, hop, now) && hop_health_not_before(h, hop) <= now + RETRY_SOON_MOST_S;
}

bool hop_health_turned_away(struct hop_health *h, uint16_t hop, int64_t now, uint32_t jitter)
{
    struct hop_health_entry *e = get(h, hop);
    if (e == NULL || !serves(e, now))
        return false;
    if (e->active > 1) {
        e->share = --e->active;
        e->risen = 0;
        return true;
    }
    uint32_t soon = retry_soon_s(e->failures + 1u, jitter);
    if (soon == 0)
        return false;
    e->failures++;
    e->active = 0;
    e->proven = false; /* one tries then, not as many as before */
    e->not_before = (uint32_t)now + soon;
    return true;
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
