/* What listeners and connections share; for net/lwip_*.c alone, as it includes lwIP. */
#ifndef NET_LWIP_TCP_H
#define NET_LWIP_TCP_H

#include "lwip/tcp.h"
#undef tcp_accept /* lwIP's is called lwip_tcp_accept here, see arch/cc.h */
#undef tcp_listen
#include "net/tcp.h"

/* Makes pcb the connection of c and s: takes over its callbacks. A pcb that is not CLOSED counts as connected. */
void lwip_tcp_adopt(struct stream *s, struct tcp_conn *c, uint8_t *ring, struct tcp_pcb *pcb);

#endif
