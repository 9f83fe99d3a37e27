/* Ports 80 and 443. On 80: the answers of http-01 challenges, else the way to https. On 443, by what the client's hello asks for: a
 * tls-alpn-01 challenge's certificate, or the box's own TLS. What web.forward.NAME names goes through untouched, on both ports.
 * Sessions run in slots of the intake's, which lends them as firmware/intake.c's rule has it: mail goes first. */
#ifndef FIRMWARE_WEB_H
#define FIRMWARE_WEB_H

#include "net/tcp.h"
#include "net/tls.h"

#define WEB_PER_ADDRESS 6 /* connections of one address, those that wait included: as many as a browser opens */

/* What a slot lends for one connection; all of it is the slot's. */
struct web_session {
    bool https;             /* it came to 443 */
    struct stream *stream;  /* open, and nothing was read from it */
    struct tcp_conn *conn;  /* below it */
    struct tls_params *tls; /* as a server with the box's identity, arena and facts set */
    void *memory;           /* the arena's PLAN_INTAKE_ARENA_BYTES, for who needs no TLS */
    uint64_t *active_ms;    /* on clock_ms's scale: kept at when something last moved, so that the idlest can give way */
};

/* Serves it to its end and closes the stream. Yields. */
void web_serve(struct web_session *w);
/* Passes it on to where, a HOST[:PORT] as settings keep it: to that port, or to `port` if not 0. Nothing was taken of what the client has sent.
 * RC_OK, or what tcp_relay gave: the streams are closed; else nothing was passed: RC_UNREACHABLE: no connection. Yields. */
enum rc web_forward(struct web_session *w, const char *where, uint16_t port) MUST_CHECK;

#endif
