/* UDP request and answer over lwIP: one socket, one outstanding exchange (DNS, SNTP). */
#ifndef NET_UDP_H
#define NET_UDP_H

#include "hal/base/ipaddr.h"
#include "hal/task.h"

struct udp_socket {
    void *pcb;
    struct event event;
    struct ip_endpoint peer; /* only its datagrams are taken */
    uint8_t *buf;
    size_t cap, len; /* len > 0: a datagram waits */
    bool seen;       /* udp_receive has given it out; the next call drops it */
    uint64_t dropped;
};

/* Opens a socket on a random local port, takes datagrams of peer alone into buf (one at a time; longer ones are cut to cap).
 * RC_NO_MEMORY, RC_UNREACHABLE (no address), RC_BUSY (no free port). On error there is nothing to close. */
enum rc udp_open(struct udp_socket *u, const struct ip_endpoint *peer, void *buf, size_t cap) MUST_CHECK;
enum rc udp_send(struct udp_socket *u, struct span datagram) MUST_CHECK; /* RC_UNREACHABLE, RC_NO_MEMORY, RC_TOO_LONG */
/* Waits for a datagram; *len bytes are in buf and stay until the next udp_receive, while others are dropped. RC_TIMEOUT,
 * RC_CANCELLED. lwIP tells nothing of ICMP errors: a refused port is a timeout. Yields. */
enum rc udp_receive(struct udp_socket *u, size_t *len, struct deadline d) MUST_CHECK;
void udp_close(struct udp_socket *u); /* also of a zeroed one, or twice */

#endif
