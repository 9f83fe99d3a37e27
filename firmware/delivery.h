/* Sends queued mail on: workers that take what is due, split it by recipient domain, try the domain's hosts under the verdict's demands,
 * and write each recipient's outcome to the spool. */
#ifndef FIRMWARE_DELIVERY_H
#define FIRMWARE_DELIVERY_H

#include "hal/base/strbuf.h"

void delivery_init(void);
/* For `policy DOMAIN`: the reason chain for one domain as it stands, from settings and list; with_dns also asks for its MX hosts and judges
 * each. Appends lines to out. Yields when with_dns. */
void delivery_explain(struct span domain, struct strbuf *out);
/* Time for the queue's plans: the wall clock, or the time since boot while there is none (then everything planned is due at once when the
 * clock comes). */
int64_t delivery_now(void);

#endif
