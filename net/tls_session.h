/* Where stream_starttls enters the TLS floor. */
#ifndef NET_TLS_SESSION_H
#define NET_TLS_SESSION_H

#include "net/tls.h"

/* Shakes hands over s->ops and then puts itself in their place: s->tls, s->ops and s->ctx are this session's until
 * ops->close, which sends close_notify (unless abort), gives all memory back to p->arena and closes what lies below.
 * p is not needed after the return. d bounds the whole handshake. p->facts is filled in every case. Yields.
 * RC_TIMEOUT, RC_CANCELLED, RC_NO_MEMORY, RC_UNSUPPORTED (no entropy: TLS stays off), else RC_TLS with facts->cause; s then
 * stands on its old ops and must be closed without another byte. */
enum rc tls_session_start(struct stream *s, struct tls_params *p, struct deadline d) MUST_CHECK;

#endif
