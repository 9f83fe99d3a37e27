/* The plan of session memory on this board: pools of their own, so that none starves another. `make size` holds the sum against the
 * board's RAM. */
#ifndef BOARD_PLAN_SIZES_H
#define BOARD_PLAN_SIZES_H

#define PLAN_INTAKE_SESSIONS 14
#define PLAN_DELIVERY_SESSIONS 6
#define PLAN_BOX_SESSIONS 4
#define PLAN_SESSION_STACK_BYTES (64 * 1024)
#define PLAN_TLS_ARENA_BYTES (44 * 1024) /* pointers of 64 bits: a tenth more than on the ARM boards */
#define PLAN_DELIVERY_BATCH 16           /* recipients in one transaction */
#define PLAN_GIVE_WAY_MS 2000            /* for an idle session to say 421 and end */
#define PLAN_LOG_RING_BYTES (24 * 1024)

#endif
