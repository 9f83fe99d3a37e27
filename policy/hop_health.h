/* Which next hops are worth a try now, so that a dead or slow one never takes the sessions that others need. Pure: the table belongs to the
 * caller, clock (seconds, below 2^32) and random bits come from him. A hop is a domain, or one host of several; it is known by a hash of its
 * name; two that share one wait for each other, no more.
 *
 * A hop that has not answered yet, or failed last, gets one session at a time: so a tarpit holds one. From the second failure in a row on it
 * gets none before a growing back-off is over (policy/retry). One success ends all of that, and then it may take all sessions but one.
 *
 * One that has served lately, or has just begun to speak to us, is alive: its next failures cost seconds. If it turns a session away while others
 * are up, it serves no more at a time: that is no failure, but its share, until it has served HOP_HEALTH_RISE mails; then one more is tried. */
#ifndef POLICY_HOP_HEALTH_H
#define POLICY_HOP_HEALTH_H

#include <stddef.h>

#include "policy/retry.h"

#define HOP_HEALTH_ENTRIES 96
#define HOP_HEALTH_RISE 100
#define HOP_HEALTH_LATELY_S 600

struct hop_health_entry {
    uint16_t hop;         /* 0: unused */
    uint8_t active;       /* sessions now */
    uint8_t failures : 7; /* in a row, at most 127 */
    uint8_t proven : 1;   /* it answered last */
    uint32_t not_before;  /* back-off; 0 none */
    uint16_t served_at;   /* in units of 8 s, the low bits, odd; 0 never */
    uint8_t share;        /* most sessions it has taken at a time; 0 unknown */
    uint8_t risen;        /* mails served since share was set */
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
/* Whether it has served within HOP_HEALTH_LATELY_S. */
bool hop_health_serves(const struct hop_health *h, uint16_t hop, int64_t now);
/* It has greeted, before its session failed: a sign of life if nothing is known against it. */
void hop_health_greeted(struct hop_health *h, uint16_t hop, int64_t now);
/* Whether its back-off is a pause of seconds, not worth putting a mail off for. */
bool hop_health_pauses(const struct hop_health *h, uint16_t hop, int64_t now);
/* In place of hop_health_end for a session that was turned away before it could say a word. True: the mail has lost nothing and stays due. The
 * hop serves others now, and gets no more; or it has served lately, and has a pause of seconds. False: it is a failure, and nothing was done. */
bool hop_health_turned_away(struct hop_health *h, uint16_t hop, int64_t now, uint32_t jitter);
/* It ended without news of the hop; with until not 0 none may begin before that. */
void hop_health_leave(struct hop_health *h, uint16_t hop, int64_t until);
/* The operator wants all tried now: back-offs end, failures stay counted. */
void hop_health_forgive(struct hop_health *h);

#endif
