/* The box looks at its own public name as an outsider would (policy/own_name.h): a day after the last time, soon after it has started, when it
 * has got another certificate, host.name or mail.domains, each hour while something is wrong, and when the operator asks. It meets itself there:
 * as client in the errands' session, as server in a slot of the intake like any stranger; so it only begins while more than one of those is free.
 *
 * Then it compares what the DNS and the web say about it with what it serves: the TLSA records of its port 25 with the key in use and the next
 * one, and for each of mail.domains the MTA-STS policy with host.name and the certificate. What it cannot ask raises no alert and clears none; a
 * connection that fails clears what an earlier one has found. */
#ifndef FIRMWARE_SELF_CHECK_H
#define FIRMWARE_SELF_CHECK_H

#include "hal/base/rc.h"
#include "hal/clock.h"
#include "policy/own_name.h"

/* At boot, after errand_init and identity_init. */
void self_check_init(void);
/* Looks now, past the DNS cache. False: host.name is not set, or there is no certificate. */
bool self_check_now(void);

#define SELF_CHECK_WORDS_MAX 200
struct self_check {
    enum own_finding finding; /* while it looks, the worst so far */
    char words[SELF_CHECK_WORDS_MAX];
    bool running;
    int64_t at; /* 0: not yet, or when nobody knew the time */
    struct deadline next;
    unsigned looks; /* that are over */
};
const struct self_check *self_check(void); /* lasts */

#endif
