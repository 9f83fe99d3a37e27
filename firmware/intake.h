/* Takes mail in: listeners on 25, 587 and 465, a pool of session slots, and the rule of who may send to whom. Lends slots to port 80 and
 * 443 (firmware/web.h), too, because a small board has no others: the first web session waits its turn like a mail session; more get a slot
 * while another stays free, at most PLAN_WEB_SESSIONS, and wait in the backlog else. Web sessions give way before mail's.
 *
 * With all slots taken a newcomer waits a moment in the backlog. The idlest session that has no mail under way gives way (421), else the
 * one whose mail comes in the slowest, if that is slow indeed; with none to spare the newcomer gets 421. Whoever gave way, or ended badly
 * without a mail, gets no slot for two minutes while all are taken. One address from outside (of IPv6: one /64)
 * holds at most mail.sessions_per_address. */
#ifndef FIRMWARE_INTAKE_H
#define FIRMWARE_INTAKE_H

#include "firmware/slot_use.h"
#include "hal/base/ipaddr.h"
#include "hal/base/strbuf.h"

/* After network, identity and spool. RC_BUSY, RC_NO_MEMORY: a port could not be opened. */
enum rc intake_init(void) MUST_CHECK;
/* Largest mail that is taken, in bytes: mail.size_max or the board's bound. */
uint64_t intake_size_max(void);

struct intake_session_view {
    struct ip_endpoint peer;
    const char *service; /* "smtp", "submission", "submissions" */
    bool tls, in_data;
    unsigned mails;
    uint64_t age_ms, idle_ms;
};
/* For `status`: sessions by index; false past the end. */
bool intake_session_at(unsigned index, struct intake_session_view *out);
unsigned intake_slots(void);
bool intake_has_room(void);              /* more than one slot is free */
const struct slot_use *intake_use(void); /* of the sessions' memory */

#endif
