/* TCP connections as streams, over lwIP. lwIP's callbacks only fill a ring, set a flag and signal; tcp_recved follows what the
 * task reads, so that the window is the back-pressure. */
#ifndef NET_TCP_H
#define NET_TCP_H

#include "board/lwip_sizes.h"
#include "hal/task.h"
#include "net/stream.h"

/* The receive ring is as large as the window, so that what the peer may send always has room. */
#define TCP_RING_BYTES LWIP_TCP_WINDOW_BYTES

/* One connection's state, owned by a session slot; opaque but for its size. */
struct tcp_conn {
    void *pcb;          /* lwIP's struct tcp_pcb, NULL when gone */
    struct event event; /* bytes, space, end or error */
    struct event *wake; /* signalled in its place: of the connection that this one is relayed to; NULL: none */
    uint32_t ring_head, ring_len;
    bool peer_closed, connected, ended; /* ended: our FIN is on its way, reading goes on */
    enum rc error;                      /* RC_OK, RC_RESET, RC_REFUSED, RC_TIMEOUT (while connecting) */
    uint8_t *ring;                      /* TCP_RING_BYTES, given by the slot */
};

/* Connects to peer; then s is open. c and ring must last until s is closed, no longer: what was written goes out without them.
 * RC_REFUSED, RC_UNREACHABLE, RC_TIMEOUT, RC_CANCELLED, RC_NO_MEMORY; on error s is closed. Yields. */
enum rc tcp_stream_connect(struct stream *s, struct tcp_conn *c, uint8_t *ring, const struct ip_endpoint *peer,
                           struct deadline d) MUST_CHECK;

/* Waits until more than `known` bytes have come and shows all of them, taking none; only while nothing was read from the stream. *bytes
 * is a view until then. RC_OK; RC_FULL: the ring is full; RC_CLOSED: the peer ended without more; *bytes has what is there with any
 * of these, and with RC_TIMEOUT, RC_CANCELLED. RC_RESET. Yields. */
enum rc tcp_peek(struct tcp_conn *c, size_t known, struct span *bytes, struct deadline d) MUST_CHECK;
/* Passes bytes both ways, as they are, from ring to send queue; and each peer's end, when its last byte has gone on. On both only tcp_peek
 * was used before. *active_ms (clock_ms) follows each byte. RC_OK: both have ended; RC_RESET: one
 * broke; RC_TIMEOUT: nothing moved for idle_ms; RC_CANCELLED. Afterwards both streams are to be closed, or aborted if not RC_OK. Yields. */
enum rc tcp_relay(struct tcp_conn *a, struct tcp_conn *b, uint32_t idle_ms, uint64_t *active_ms) MUST_CHECK;

/* A listening port. Connections wait in a short backlog until tcp_accept takes them; one whose peer breaks it leaves by
 * itself. While the backlog is full, lwIP drops SYNs, so that clients try again a second later instead of being refused. */
#define TCP_BACKLOG_MAX 8
#define TCP_SILENT_S 5
struct tcp_waiting { /* one place of the backlog */
    void *pcb;       /* NULL: free */
    struct tcp_listener *owner;
    uint32_t order; /* the lowest waits longest */
    uint8_t silent_s;
};
struct tcp_listener {
    void *pcb;
    uint16_t port;
    struct event *news; /* signalled when a connection waits; may be NULL */
    struct tcp_waiting waiting[TCP_BACKLOG_MAX];
    unsigned waiting_count;
    uint32_t arrivals;
    /* The clients of this port speak first: who has said nothing does not count as waiting, and leaves after TCP_SILENT_S. When lwIP's
     * connections run out, those that wait here yield to other ports. */
    bool clients_first;
    /* Asked from lwIP's accept for every connection; false sends RST. May be NULL. Must not block. */
    bool (*filter)(void *ctx, const struct ip_endpoint *peer);
    void *filter_ctx;
};
/* IPv4 and IPv6. news, clients_first and filter may be set before; the rest of *l is set here, and *l lasts as long as the box.
 * RC_BUSY: the port is taken; RC_NO_MEMORY. */
enum rc tcp_listen(struct tcp_listener *l, uint16_t port) MUST_CHECK;
bool tcp_pending(struct tcp_listener *l);
/* How many wait from a's source (ip_same_source), also those that are silent. */
unsigned tcp_waiting_of(const struct tcp_listener *l, const struct ip_addr_any *a);
/* Takes the oldest waiting connection. RC_NOT_FOUND: none, or it broke meanwhile. Does not yield. */
enum rc tcp_accept(struct tcp_listener *l, struct stream *s, struct tcp_conn *c, uint8_t *ring) MUST_CHECK;
/* Takes the oldest waiting connection only to say last_words (at most one segment; may be empty) and end it, without a ring or a
 * stream: it goes on alone as stream_close leaves one. False: none waits. Does not yield. */
bool tcp_turn_away(struct tcp_listener *l, struct span last_words);

#endif
