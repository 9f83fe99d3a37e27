/* Which next hops are worth a try now, so that a dead or slow one never takes the sessions that others need. Pure: the table belongs to the
 * caller, clock (seconds, below 2^32) and random bits come from him. A hop is a domain, or one host of several; it is known by a hash of its
 * name; two that share one wait for each other, no more.
 *
 * A hop that has not answered yet, or failed last, gets one session at a time: so a tarpit holds one. From the second failure in a row on it
 * gets none before a growing back-off is over (policy/retry). One success ends all of that, and then it may take all sessions but one. */
#ifndef POLICY_HOP_HEALTH_H
#define POLICY_HOP_HEALTH_H

#include <stddef.h>

#include "policy/retry.h"

#define HOP_HEALTH_ENTRIES 96

struct hop_health_entry {
    uint16_t hop;         /* 0: unused */
    uint8_t active;       /* sessions now */
    uint8_t failures : 7; /* in a row, at most 127 */
    uint8_t proven : 1;   /* it answered last */
    uint32_t not_before;  /* back-off; 0 none */
};
struct hop_health {
    struct hop_health_entry entry[HOP_HEALTH_ENTRIES];
};

/* Never 0. */
uint16_t hop_health_hash(const char *name, size_t len);
/* Whether a session to it may begin; sessions: of the box. A hop that is not in the table may. */
bool hop_health_fit(const struct hop_health *h, uint16_t hop, unsigned sessions, int64_t now);
/* Whether it ought to be asked with little patience: it has not answered last, and more than half of the sessions are with such hops, its own
 * included. So the other half is never lost to servers that say nothing, however many there are. */
bool hop_health_hurries(const struct hop_health *h, uint16_t hop, unsigned sessions);
bool hop_health_failed(const struct hop_health *h, uint16_t hop); /* last time */
/* When its back-off ends; 0: there is none. */
int64_t hop_health_not_before(const struct hop_health *h, uint16_t hop);
/* A session begins. With the table full the longest forgiven hop gives way, or this one is not counted. */
void hop_health_begin(struct hop_health *h, uint16_t hop);
/* It ended. reached: the hop talked mail with us, whatever it said. */
void hop_health_end(struct hop_health *h, uint16_t hop, bool reached, const struct retry_rules *rules, int64_t now,
                    uint32_t jitter);
/* It ended without news of the hop; with until not 0 none may begin before that. */
void hop_health_leave(struct hop_health *h, uint16_t hop, int64_t until);
/* The operator wants all tried now: back-offs end, failures stay counted. */
void hop_health_forgive(struct hop_health *h);

#endif
