/* What net/lwip_*.c share: addresses and errors in both worlds, and the output that waits for the end of a round of the main
 * loop. For these files alone, as it includes lwIP. */
#ifndef NET_LWIP_GLUE_H
#define NET_LWIP_GLUE_H

#include "hal/base/ipaddr.h"
#include "hal/base/rc.h"
#include "lwip/err.h"
#include "lwip/ip_addr.h"

/* False for IP_NONE. */
bool lwip_addr_from_any(ip_addr_t *out, const struct ip_addr_any *a);
struct ip_addr_any lwip_addr_to_any(const ip_addr_t *a);
struct ip_endpoint lwip_endpoint(const ip_addr_t *a, uint16_t port);
/* Of what lwIP returns to a call; what its error callback says is told apart by the caller. */
enum rc lwip_rc(err_t err);

/* TCP: a write asks for output at the end of the round, so that several writes leave as full segments. */
void lwip_tcp_want_output(void);
bool lwip_tcp_output_wanted(void);
/* Once a round of the main loop, from link_poll: sends what was written, and keeps half-open connections from holding every
 * slot. */
void lwip_tcp_round(void);

/* The secret of initial sequence numbers. */
void lwip_isn_init(void);

/* What DHCP and router advertisements said. */
struct lwip_learnt {
    struct ip_addr_any resolver4[4], resolver6[2];
    struct ip_addr_any ntp;
};
extern struct lwip_learnt lwip_learnt;

/* The router for IPv6 when it is set by hand; unspecified: from router advertisements. */
void lwip_gateway6_set(const ip6_addr_t *gateway);

#endif
