/* A ring of hashes with their times. */
#include "firmware/turned_away.h"

static uint32_t hash_of(const struct ip_addr_any *addr)
{
    uint32_t hash = 2166136261u; /* FNV-1a */
    for (size_t i = 0; i < ip_source_bytes(addr); i++)
        hash = (hash ^ addr->b[i]) * 16777619u;
    return hash;
}

void turned_away_note(struct turned_away *t, const struct ip_addr_any *addr, uint64_t now_ms)
{
    t->entry[t->next].address = hash_of(addr);
    t->entry[t->next].until_s = (uint32_t)(now_ms / 1000) + TURNED_AWAY_S;
    t->next = (t->next + 1) % TURNED_AWAY_MAX;
}

bool turned_away_is(const struct turned_away *t, const struct ip_addr_any *addr, uint64_t now_ms)
{
    uint32_t hash = hash_of(addr), now_s = (uint32_t)(now_ms / 1000);
    for (unsigned i = 0; i < TURNED_AWAY_MAX; i++)
        if (t->entry[i].address == hash && t->entry[i].until_s > now_s)
            return true;
    return false;
}
