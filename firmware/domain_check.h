/* What mail to a domain would meet now: delivery's own way (next_hop.h, attempt.h), host by host in its order, to where MAIL would be said; then
 * QUIT. It uses the slot, the task and the TLS memory of a delivery worker that is idle. No back-off is asked for or made, nothing is counted and
 * no key pinned: delivery does not notice, but for the slot.
 *
 * The worker goes step by step, and waits after each until the console has shown what the slot then holds. Who does not follow any more gives the
 * slot back at once; the worker ends the step it is in, and that is all. */
#ifndef FIRMWARE_DOMAIN_CHECK_H
#define FIRMWARE_DOMAIN_CHECK_H

#include "firmware/attempt.h"

#define DOMAIN_CHECK_HOSTS 5

enum domain_check_step {
    CHECK_HOP, /* the next hop was looked for: slot->hop, or without hosts slot->client.status. Who begins to look later does not see this */
    CHECK_HOST, /* a host's turn begins */
    CHECK_TRY, /* an address of it was tried: slot->line_open says if mail would go, else outcome (empty: there was none) or client.status say why */
    CHECK_END, /* all hosts had their turn: client.status has the last one's reason */
    CHECK_STOPPED, /* by the operator, or the deadline */
};

struct domain_check {
    enum domain_check_step step;
    unsigned host;                     /* of slot->hop */
    const struct ip_addr_any *address; /* with CHECK_TRY; NULL: there was none to try */
};

/* Begins with a canonical domain. NULL: all slots are at work, and remained so for some seconds. Yields. */
struct delivery_slot *domain_check_begin(const char *domain);
/* The next step; what it shows lasts until the next call. Yields. */
const struct domain_check *domain_check_next(struct delivery_slot *s, struct deadline d);
/* Whatever came before: the slot is delivery's again. */
void domain_check_end(struct delivery_slot *s);

/* For the worker: does what is asked of a slot in LENT_CHECK. Yields. */
void domain_check_serve(struct delivery_slot *s);
/* Waits until this was seen. For any other slot nothing. Yields. */
void domain_check_tell(struct delivery_slot *s, enum domain_check_step step, const struct ip_addr_any *address);

#endif
