/* The seam between net/stream.c and net/tls*.c; for these two alone. */
#ifndef NET_TLS_SESSION_H
#define NET_TLS_SESSION_H

#include "net/stream.h"

/* Shakes hands over s->ops and s->ctx, then layers itself over them: sets s->tls, s->ops and s->ctx to its own, and keeps the
 * old ones to read and write records through. Nothing is buffered in s when this is called. Its close sends close_notify
 * (unless abort) and closes what is below. After the peer's close_notify read gives RC_CLOSED each time; an end without
 * one is RC_RESET. On error s->ops and s->ctx still close the connection; the caller marks the stream broken.
 * p->facts is filled in any case. Yields. RC_TLS, RC_TIMEOUT, RC_CANCELLED, RC_CLOSED, RC_RESET, RC_NO_MEMORY, RC_UNSUPPORTED. */
enum rc tls_session_start(struct stream *s, struct tls_params *p, struct deadline d) MUST_CHECK;

#endif
