/* The network interface: brings lwIP up on hal/ethernet.h, with DHCP or static addresses. */
#ifndef NET_LINK_H
#define NET_LINK_H

#include "hal/base/ipaddr.h"
#include "hal/clock.h"

#define LINK_ADDRESSES_MAX 4 /* IPv6 addresses shown */
#define LINK_RESOLVERS_MAX 4

struct link_params {
    bool dhcp;
    struct ip_net address;       /* when not dhcp; family IP_NONE: no IPv4 */
    struct ip_addr_any gateway;  /* IP_NONE: none */
    bool ipv6_auto;              /* link-local + SLAAC */
    struct ip_net address6;      /* when not auto; IP_NONE: IPv6 off. On the link are its /64 alone. */
    struct ip_addr_any gateway6; /* IP_NONE: from router advertisements */
    const char *hostname;        /* given to DHCP; lasts as long as the link */
};

struct link_status {
    bool up;         /* carrier */
    bool configured; /* has an address to send from */
    struct ip_net address;
    struct ip_addr_any gateway;
    struct ip_addr_any address6[LINK_ADDRESSES_MAX]; /* valid ones, global first */
    unsigned address6_count;
    struct ip_addr_any resolver[LINK_RESOLVERS_MAX]; /* from DHCP and RDNSS */
    unsigned resolver_count;
    struct ip_addr_any ntp; /* from DHCP option 42; IP_NONE */
    uint8_t mac[6];
    uint64_t frames_in, frames_out, drops; /* since boot */
};

/* Once; needs random_init before. On error of the device the rest of the network code works, but reaches nobody. RC_NOT_FOUND,
 * RC_IO, RC_NO_MEMORY. */
enum rc link_init(const struct link_params *p) MUST_CHECK;
/* Changes addresses while running; sessions on a lost address break. */
enum rc link_reconfigure(const struct link_params *p) MUST_CHECK;
void link_status(struct link_status *out);
/* Moves frames and lwIP's timers; called by the main loop. */
void link_poll(void);
struct deadline link_next_deadline(void);

#endif
