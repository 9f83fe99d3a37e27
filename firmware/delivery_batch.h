/* Which recipients of a mail go together: those of one domain; and what came of them. */
#ifndef FIRMWARE_DELIVERY_BATCH_H
#define FIRMWARE_DELIVERY_BATCH_H

#include "firmware/attempt.h"

#define DELIVERY_DONE_BYTES ((SPOOL_RECIPIENTS_MAX + 7) / 8)

/* Gathers recipients that wait: the first one not done gives the batch's domain, others of it join within BATCH_LOOK_AHEAD. done: one bit a
 * recipient of this round. Reading one may walk much of the log, hence a yield after each; their last results, which cost more the more there
 * are, are read if aged. RC_NOT_FOUND: no more. */
enum rc delivery_batch_next(struct delivery_slot *s, uint8_t done[DELIVERY_DONE_BYTES], bool aged) MUST_CHECK;
/* Whether any of the batch has come out of it waiting. */
bool delivery_batch_waits(const struct delivery_slot *s);
/* Whether the hop talked mail with us: what it said is about this mail, not about it. */
bool delivery_batch_reached(const struct delivery_slot *s);

#endif
