/* Sends queued mail on: workers that take what is due, split it by recipient domain, try the domain's hosts under the verdict's demands,
 * and write each recipient's outcome to the spool. */
#ifndef FIRMWARE_DELIVERY_H
#define FIRMWARE_DELIVERY_H

#include "firmware/next_hop.h"
#include "firmware/slot_use.h"

void delivery_init(void);
/* For `policy DOMAIN`: what stands for one domain now, from settings and list, without asking the DNS. All out-parameters are the
 * caller's; *entry and *hop must outlive *known. Does not yield. */
enum next_hop_kind delivery_policy(struct span domain, struct next_hop *hop, struct verdict_domain *known, struct list_entry *entry,
                                   struct verdict *v);
/* Time for the queue's plans: the wall clock, or the time since boot while there is none (then everything planned is due at once when the
 * clock comes). */
int64_t delivery_now(void);
/* Until when mail for a domain waits because its servers could not be reached lately (policy/hop_health); 0: it does not. */
int64_t delivery_not_before(struct span domain);
/* The same of one host of its next hop. */
int64_t delivery_host_not_before(const struct next_hop *hop, unsigned h);
/* Why mail for a domain is held by the operator (mail.hold.DOMAIN); NULL: it is not. A view, as settings_get's. */
const char *delivery_held(struct span domain);
/* Ends all such waits, and sessions that wait for a next mail: the operator says so, or has changed what they rest upon. */
void delivery_try_all_now(void);
/* The office's server was reached by an inbound session: what waits for it goes now. */
void delivery_inside_answers(void);
struct delivery_slot *delivery_slot(unsigned i); /* below PLAN_DELIVERY_SESSIONS; for cut_through, which borrows idle ones */
const struct slot_use *delivery_use(void);       /* of the sessions' memory */

#endif
