/* What one response shows of the resolver that gave it, whatever it says: for a test of resolvers. Pure. */
#ifndef NET_DNS_FACTS_H
#define NET_DNS_FACTS_H

#include "net/dns_message.h"

struct dns_facts {
    uint16_t rcode;
    bool truncated;     /* nothing below was looked at */
    bool edns;          /* it has an OPT record (RFC 6891) */
    bool signed_answer; /* RRSIG among the answers */
    bool denial;        /* NSEC or NSEC3 with an RRSIG in the authority section */
};

void dns_facts_read(const struct dns_response *r, struct dns_facts *out);

/* Asks one resolver one thing, once, with EDNS and DO, past the cache, the validator and all fallbacks. RC_OK: *out tells of the response,
 * of any rcode. RC_TIMEOUT, RC_PROTOCOL (garbage), RC_BUSY, RC_CANCELLED and what a TCP connection can give. Yields. (net/dns.c) */
enum rc dns_ask_resolver(const struct ip_endpoint *resolver, struct span name, enum dns_type type, bool over_tcp,
                         struct dns_facts *out, struct deadline d) MUST_CHECK;

#endif
