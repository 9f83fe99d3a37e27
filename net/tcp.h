/* TCP connections as streams, over lwIP. lwIP's callbacks only fill a ring, set a flag and signal; tcp_recved follows what the
 * task reads, so that the window is the back-pressure. */
#ifndef NET_TCP_H
#define NET_TCP_H

#include "hal/task.h"
#include "net/stream.h"

/* One connection's state, owned by a session slot; opaque but for its size. */
#define TCP_RING_BYTES 6144 /* receive ring: at least TCP_WND; boards may raise both (lwip_sizes.h) */

struct tcp_conn {
    void *pcb; /* lwIP's struct tcp_pcb, NULL when gone */
    struct event event; /* bytes, space, end or error */
    uint32_t ring_head, ring_len;
    uint32_t unacked_recv; /* taken from the ring, not yet given back to the window */
    bool peer_closed, connected;
    enum rc error; /* RC_OK, RC_RESET, RC_REFUSED, RC_NO_MEMORY */
    struct stream *stream;
    uint8_t *ring; /* TCP_RING_BYTES, given by the slot */
};

/* Connects to peer from any (or the given, family not IP_NONE) local address; then s is open.
 * RC_REFUSED, RC_UNREACHABLE, RC_TIMEOUT, RC_CANCELLED, RC_NO_MEMORY; on error s is closed. Yields. */
enum rc tcp_stream_connect(struct stream *s, struct tcp_conn *c, uint8_t *ring, const struct ip_endpoint *peer,
                           struct deadline d) MUST_CHECK;

/* A listening port. Connections wait in a short backlog until tcp_accept takes them. */
#define TCP_BACKLOG_MAX 8
struct tcp_listener {
    void *pcb;
    uint16_t port;
    struct event event; /* signalled when a connection waits */
    void *waiting[TCP_BACKLOG_MAX];
    unsigned waiting_count;
    uint64_t accepted, refused; /* refused: backlog full, or dropped by filter */
    /* Asked from lwIP's accept for every connection; false sends RST. May be NULL. Must not block. */
    bool (*filter)(void *ctx, const struct ip_endpoint *peer);
    void *filter_ctx;
};
enum rc tcp_listen(struct tcp_listener *l, uint16_t port) MUST_CHECK; /* IPv4 and IPv6; RC_BUSY, RC_NO_MEMORY */
bool tcp_pending(const struct tcp_listener *l);
/* Peer of the connection that tcp_accept would take. False: none waits. */
bool tcp_pending_peer(const struct tcp_listener *l, struct ip_endpoint *peer);
/* Takes the oldest waiting connection. RC_NOT_FOUND: none, or it broke meanwhile. Does not yield. */
enum rc tcp_accept(struct tcp_listener *l, struct stream *s, struct tcp_conn *c, uint8_t *ring) MUST_CHECK;

#endif
