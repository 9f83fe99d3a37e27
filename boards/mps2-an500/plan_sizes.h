/* The plan of memory on this board: sessions are pools of their own, so that none starves another; what grows with the queue has a
 * fixed window. `make size` holds the sum against the board's RAM. */
#ifndef BOARD_PLAN_SIZES_H
#define BOARD_PLAN_SIZES_H

/* Sessions: a stack, a ring and an arena for TLS each (net/tls.h has the peaks: a client's is higher, it checks the peer's chain). */
#define PLAN_INTAKE_SESSIONS 3
#define PLAN_WEB_SESSIONS 2 /* at most so many of these */
#define PLAN_DELIVERY_SESSIONS 2
#define PLAN_BOX_SESSIONS 1
#define PLAN_SESSION_STACK_BYTES 5632
#define PLAN_INTAKE_ARENA_BYTES (28 * 1024)
#define PLAN_DELIVERY_ARENA_BYTES (33 * 1024)
#define PLAN_BOX_STACK_BYTES (7 * 1024)
#define PLAN_BOX_ARENA_BYTES PLAN_DELIVERY_ARENA_BYTES
#define PLAN_DELIVERY_BATCH 2 /* recipients in one transaction */
#define PLAN_MX_HOSTS 8       /* of one domain; more are left out: large providers name fewer */
#define PLAN_GIVE_WAY_MS 2000 /* for an idle session to say 421 and end */

/* The box itself */
#define PLAN_CONSOLE_STACK_BYTES 6656 /* also boots the box */
#define PLAN_SNTP_STACK_BYTES (3 * 1024)
#define PLAN_SETTINGS_POOL_BYTES (4 * 1024) /* committed settings, and as much for staged ones */
#define PLAN_LOG_RING_BYTES (3 * 1024)

/* Spool: 64 bytes a message that is due soonest, 20 bytes a segment, a buffer for each writer */
#define PLAN_SPOOL_WINDOW_MESSAGES 64
#define PLAN_SPOOL_VIEW_MESSAGES 32 /* x 64 bytes: of what an operator looks at, outside the window, too */
#define PLAN_SPOOL_LATE_BYTES 1024  /* a bit a message, for finding what is due soonest */
#define PLAN_SPOOL_SEGMENTS 256
#define PLAN_SPOOL_CHUNK_BYTES 2048
#define PLAN_SPOOL_STACK_BYTES (2 * 1024) /* 0.7 KiB were seen */

#endif
