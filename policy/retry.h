/* When to try a waiting mail again. Pure: the clock and the random number come from the caller. */
#ifndef POLICY_RETRY_H
#define POLICY_RETRY_H

#include <stdbool.h>
#include <stdint.h>

struct retry_rules {
    uint32_t first_s;   /* after the first failure (greylisting-friendly) */
    uint32_t longest_s; /* between tries */
    uint32_t life_s;    /* after that the mail bounces */
};
extern const struct retry_rules retry_default; /* 5 min, growing by half to 4 h, 5 days */

/* Seconds from now to the next try after attempts (>= 1) failed ones; jitter: any 32 random bits, +-20 % of what is at most longest_s. The
 * first is never early, but up to 20 % late: a greylisting host that wants just that time to pass is content with it. */
uint32_t retry_delay_s(const struct retry_rules *r, unsigned attempts, uint32_t jitter);
/* The same after a session that was cut, or turned away, by a host that has served lately: it is alive. 2 to 4 s, twice that and four times
 * that for the second and the third in a row; 0: this is no hiccup any more, the usual delay stands. */
#define RETRY_SOON_MOST_S 16
uint32_t retry_soon_s(unsigned in_a_row, uint32_t jitter);
/* How many tries the rules make within that time: a measure of how long a mail has waited that no clock can falsify. */
unsigned retry_tries_within(const struct retry_rules *r, uint32_t seconds);
/* True when a mail received at received must not be tried again after that many tries. A clock that jumps must not give a mail back at
 * once: its life is over when the clock says so and at least the tries of half a life were made. received or now <= 0 (clock unknown), or
 * now before received (clock set back): when the tries of a whole life were made. */
bool retry_life_over(const struct retry_rules *r, int64_t received, int64_t now, unsigned tries);

#endif
