/* What lwIP asks of us by name; net/lwip_*.c defines these. */
#ifndef POSTERN_LWIP_HOOKS_H
#define POSTERN_LWIP_HOOKS_H

#include "lwip/arch.h"
#include "lwip/err.h"
#include "lwip/ip_addr.h"

/* Initial sequence number of a connection (RFC 6528): a secret keyed hash of the four-tuple plus a 4 us clock. */
u32_t lwip_tcp_isn(const ip_addr_t *local_ip, u16_t local_port, const ip_addr_t *remote_ip, u16_t remote_port);

/* Asked for every segment with its connection, before it is taken; hdr is in the host's byte order, p is its data. Not ERR_OK: it
 * is dropped, or was taken care of. listen_input is tcp_in.c's own function that answers a SYN. */
struct tcp_pcb;
struct tcp_pcb_listen;
struct tcp_hdr;
struct pbuf;
err_t lwip_tcp_admit(struct tcp_pcb *pcb, const struct tcp_hdr *hdr, struct pbuf *p, void (*listen_input)(struct tcp_pcb_listen *));

/* A resolver learnt by DHCP (IPv4) or router advertisement (IPv6): number counts within each family, from 0. NULL comes
 * from router advertisements only and withdraws the IPv6 one of that number. */
void dns_setserver(u8_t number, const ip_addr_t *server);
/* The IPv6 resolver of that number, or the unspecified address; never NULL. Asked before a withdrawal. */
const ip_addr_t *dns_getserver(u8_t number);

/* The IPv6 router that was set by hand, or NULL: then the one of the router advertisements. */
const ip6_addr_t *lwip_nd6_gateway(void);

#endif
