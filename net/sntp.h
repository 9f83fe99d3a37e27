/* SNTP client (RFC 4330/5905), one exchange: unauthenticated time. What it may be used for is decided above. */
#ifndef NET_SNTP_H
#define NET_SNTP_H

#include "hal/base/ipaddr.h"
#include "hal/clock.h"

struct sntp_answer {
    int64_t unix_s;    /* era-aware: 1970..2106 */
    uint32_t fraction; /* 2^-32 s */
    uint64_t at_us;    /* clock_us when unix_s held */
    uint8_t stratum;
};

/* Random transmit timestamp is checked in the answer; kiss-o'-death, stratum 0 or 16, unsynchronised: RC_REFUSED.
 * RC_TIMEOUT, RC_PROTOCOL. Yields. */
enum rc sntp_query(const struct ip_endpoint *server, struct sntp_answer *out, struct deadline d) MUST_CHECK;

#endif
