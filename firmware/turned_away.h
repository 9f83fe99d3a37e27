/* Remembers for a while from which addresses a session had to give way or ended badly, so that with all slots taken they don't come
 * straight back and push others out: a crowd that holds every slot gets one turn each, and then everybody else has room. Bounded: the
 * oldest is forgotten first. Of an IPv6 address the network (/64) counts. */
#ifndef FIRMWARE_TURNED_AWAY_H
#define FIRMWARE_TURNED_AWAY_H

#include "hal/base/ipaddr.h"

#define TURNED_AWAY_MAX 128 /* more than the addresses of a small crowd; 1 KiB */
#define TURNED_AWAY_S 120

struct turned_away {
    struct {
        uint32_t address; /* a hash: a stranger who shares it waits once for nothing */
        uint32_t until_s; /* uptime; 0: free */
    } entry[TURNED_AWAY_MAX];
    unsigned next;
};

void turned_away_note(struct turned_away *t, const struct ip_addr_any *addr, uint64_t now_ms);
bool turned_away_is(const struct turned_away *t, const struct ip_addr_any *addr, uint64_t now_ms);

#endif
