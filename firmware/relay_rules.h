/* Who may send to whom: the whole of "no open relay", in one pure decision. */
#ifndef FIRMWARE_RELAY_RULES_H
#define FIRMWARE_RELAY_RULES_H

#include "net/smtp_server.h"

struct relay_facts {
    bool trusted;           /* the client's address is in mail.trusted, or it has authenticated */
    const char *domains;    /* mail.domains */
    const char *postmaster; /* mail.postmaster, or "" */
    bool inside_known;      /* mail.inside is set */
};

enum relay_decision {
    RELAY_TAKE_IN,     /* for one of our domains */
    RELAY_OUT,         /* a trusted client's mail to anywhere */
    RELAY_DENIED,      /* 550 5.7.1 */
    RELAY_NO_INSIDE,   /* 451 4.3.5: our domain, but no office server is set */
    RELAY_BAD_ADDRESS, /* 550 5.1.3: an address that we cannot route (a literal from outside, a routing local part) */
};

/* Decides one RCPT. On TAKE_IN and OUT *address is the recipient to store, "local@domain", and *domain its canonical domain: <postmaster>
 * without a domain becomes mail.postmaster, or postmaster@ the first of mail.domains. */
enum relay_decision relay_decide(const struct relay_facts *f, const struct smtp_address *rcpt, struct strbuf *address,
                                 struct strbuf *domain);
void relay_answer(enum relay_decision d, const struct smtp_address *rcpt, struct smtp_answer *a);

#endif
