/* Result codes: whether our code did what it was asked to. What a failure means for a mail is said by
 * struct delivery_status (net/delivery_status.h), never by these. Zero is success and every result must be checked. */
#ifndef HAL_BASE_RC_H
#define HAL_BASE_RC_H

#define MUST_CHECK __attribute__((warn_unused_result))

enum rc {
    RC_OK = 0,
    RC_TIMEOUT,     /* the deadline passed first */
    RC_CANCELLED,   /* the task was told to end */
    RC_CLOSED,      /* the peer ended the stream in order */
    RC_RESET,       /* the connection broke */
    RC_REFUSED,     /* the peer refused the connection, or policy refuses the request */
    RC_UNREACHABLE, /* no route, no address, link down */
    RC_PROTOCOL,    /* the peer broke the protocol */
    RC_TOO_LONG,    /* longer than the bound that the header names */
    RC_TOO_SLOW,    /* below the least data rate */
    RC_TLS,         /* the TLS handshake or record layer failed; struct tls_facts says why */
    RC_INVALID,     /* malformed input */
    RC_NOT_FOUND,   /* there is none */
    RC_FULL,        /* a fixed resource (spool, slots, window) has no room now */
    RC_NO_MEMORY,   /* an arena is exhausted; refuses this one session only */
    RC_BUSY,        /* somebody else holds it; try again */
    RC_IO,          /* the device failed */
    RC_CORRUPT,     /* stored bytes do not check */
    RC_EXPIRED,     /* valid once, not now */
    RC_UNSUPPORTED, /* known, but not built in or not possible on this board */
    RC_COUNT
};

/* A lower-case word for logs, e.g. "timeout". Never NULL. */
const char *rc_name(enum rc rc);

#endif
