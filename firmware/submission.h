/* What the office's own senders are asked beside the rules of the relay: their login, what they may send as, and their quota. */
#ifndef FIRMWARE_SUBMISSION_H
#define FIRMWARE_SUBMISSION_H

#include "firmware/users.h"
#include "net/smtp_server.h"

struct submission { /* of one session; zeroed at its start */
    uint32_t sid;
    char user[USER_NAME_MAX]; /* "" before a login */
};

/* The answer to AUTH: 235, 535, 454, or 421 and close for an address that is shut out. Yields. */
void submission_login(struct submission *s, const struct ip_addr_any *peer, struct span user, struct span password,
                      struct smtp_answer *a);
/* The answer to MAIL when the user must not send as this address; false: he may. */
bool submission_refuses_sender(const struct submission *s, struct span address, struct smtp_answer *a);
/* Counts one recipient outside. True: over the quota of its user or address, and the mail has to be held; it is alerted. */
bool submission_over_quota(const struct submission *s, const struct ip_addr_any *peer);
/* Takes the alert back when nothing is held any more. Called every minute or so. */
void submission_check_held(void);

#endif
