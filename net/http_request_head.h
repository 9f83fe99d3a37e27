/* The head of an HTTP/1.x request (RFC 9112), looked at where it lies. Pure; strict where two readers could differ about what is asked of whom:
 * a bare CR or LF, a folded line, two Hosts or none are refused. A body, if one follows, is not looked at. */
#ifndef NET_HTTP_REQUEST_HEAD_H
#define NET_HTTP_REQUEST_HEAD_H

#include "hal/base/rc.h"
#include "hal/base/span.h"

#define HTTP_REQUEST_FIELDS_MAX 100

struct http_request_head {
    struct span method; /* a token */
    struct span target; /* path and query: "/..." in visible ASCII */
    struct span host;   /* whom the request is for: a host name or an address, without brackets, port or trailing dot; any case */
    size_t bytes;       /* of the head, its empty line included */
    uint16_t status;    /* with RC_PROTOCOL: what to answer, and why in words */
    const char *why;
};

/* bytes: what the client has sent so far, from the first; *out has views into it. RC_OK: the head is whole; RC_NOT_FOUND: more is to come;
 * RC_PROTOCOL: no request that can be answered otherwise than by out->status. */
enum rc http_request_head_look(struct span bytes, struct http_request_head *out) MUST_CHECK;

#endif
