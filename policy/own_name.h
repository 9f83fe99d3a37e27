/* What the box finds when it looks at its own public name as an outsider would: at MX and addresses in the DNS, at who answers on port 25, at
 * STARTTLS and the certificate, and at the TLSA records (RFC 7672) that others check it by. Each finding has words that say what to do. Pure. */
#ifndef POLICY_OWN_NAME_H
#define POLICY_OWN_NAME_H

#include "hal/base/ipaddr.h"
#include "policy/verdict.h"

/* In the order of weight: of several, the last one counts. */
enum own_finding {
    OWN_UNKNOWN, /* nobody has looked yet */
    OWN_FINE,
    OWN_INNER,     /* all is well, but at an address that no outsider can use */
    OWN_UNREACHED, /* no connection: a NAT that does not lead back in looks so */
    OWN_BUSY,      /* the box has other things to do */
    OWN_NO_DNS,
    OWN_NO_CLOCK, /* the certificate's time cannot be judged */
    OWN_FAULTS,   /* from here on, somebody has to do something */
    OWN_NAME = OWN_FAULTS,
    OWN_CHAIN,
    OWN_HANDSHAKE,
    OWN_STRIPPED,
    OWN_CERTIFICATE, /* who greets as this box shows another certificate */
    OWN_STRANGER,
    OWN_ELSEWHERE,
    OWN_MX,
    OWN_NO_ADDRESS,
    OWN_FINDINGS
};

enum own_address {
    OWN_ADDRESS_BEYOND, /* public, and the box has none of this family: a router's, it seems */
    OWN_ADDRESS_ITS,
    OWN_ADDRESS_OTHER, /* the box has public ones of this family, and this is none of them */
    OWN_ADDRESS_INNER, /* of a range that is not routed on the internet */
};
/* own: the box's addresses. */
enum own_address own_address_kind(const struct ip_addr_any *a, const struct ip_addr_any *own, unsigned count);

/* What one address has shown. */
struct own_facts {
    enum own_address address;
    bool answered;     /* greeting and EHLO went well */
    bool later;        /* it said 4yz to that: too busy */
    bool our_greeting; /* it bears the name */
    enum verdict_tls_result tls;
    bool our_leaf; /* the certificate is the one in use */
    bool no_clock; /* nobody can say whether it is in time; what follows is then of no account */
    bool chain_valid, name_matches;
};
enum own_finding own_judge(const struct own_facts *f);

const char *own_finding_name(enum own_finding f); /* greppable: "stripped" */
/* Appends "SUBJECT: what was found (detail): what to do". detail may be empty. */
void own_finding_words(struct strbuf *out, enum own_finding f, const char *subject, const char *detail);

/* The TLSA records of _25._tcp. and the name. */
struct own_keys {
    uint8_t spki_sha256[32], next_spki_sha256[32], leaf_sha256[32];
    bool has_next;
};
struct own_tlsa { /* zeroed at first: how many there are of each kind */
    unsigned fits, next, strange;
    unsigned others; /* that only a whole chain or another hash can tell about */
};
/* One record as on the wire; what RFC 7672 does not use counts for nothing. */
void own_tlsa_add(struct own_tlsa *t, struct span record, const struct own_keys *k);
/* Words about what is wrong; NULL: nothing, or nobody can say. */
const char *own_tlsa_fault(const struct own_tlsa *t);

#endif
