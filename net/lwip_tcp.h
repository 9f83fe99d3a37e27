/* What listeners and connections share; for net/lwip_*.c alone, as it includes lwIP. */
#ifndef NET_LWIP_TCP_H
#define NET_LWIP_TCP_H

#include "lwip/tcp.h"
#undef tcp_accept /* lwIP's is called lwip_tcp_accept here, see arch/cc.h */
#undef tcp_listen
#include "net/tcp.h"

/* When all slots are taken, lwIP gives a new connection the slot of the oldest among those of lower priority. So a SYN drives out
 * what is closing or half-open, a connection of our own also one that waits in a backlog, and nothing a session. */
#define LWIP_PRIORITY_ORPHAN TCP_PRIO_MIN
#define LWIP_PRIORITY_YIELDING_HALF_OPEN (TCP_PRIO_NORMAL - 4)
#define LWIP_PRIORITY_YIELDING \
    (TCP_PRIO_NORMAL - 3) /* waits, or listens, where clients_first: drives out no other port's half-open ones */
#define LWIP_PRIORITY_HALF_OPEN (TCP_PRIO_NORMAL - 2)
#define LWIP_PRIORITY_WAITING (TCP_PRIO_NORMAL - 1) /* also the listener's: a SYN comes with it */
#define LWIP_PRIORITY_SESSION TCP_PRIO_MAX

#define POLL_HALF_SECONDS 2u /* lwIP's poll callback: each second */

/* Makes pcb the connection of c and s: takes over its callbacks. A pcb that is not CLOSED counts as connected. */
void lwip_tcp_adopt(struct stream *s, struct tcp_conn *c, uint8_t *ring, struct tcp_pcb *pcb);
/* Hands lwIP as much of data as it takes now. */
size_t lwip_tcp_queue(struct tcp_pcb *pcb, struct span data);
/* What of the ring lies in one piece, from the oldest byte on; and taking so much of it. */
struct span lwip_tcp_ring(const struct tcp_conn *c);
void lwip_tcp_ring_drop(struct tcp_conn *c, size_t n);
/* Says last_words and ends a pcb that nobody adopted; what it has sent, and still sends, is swallowed. The pcb is no longer ours. */
void lwip_tcp_dismiss(struct tcp_pcb *pcb, struct span last_words);

#endif
