/* What each resolver in use can't do: tested soon after start, when the set changes, and then daily, or after 10 s to 10 min while one does not
 * answer. Nothing waits for it: mail goes on as well as the resolver lets it. */
#ifndef FIRMWARE_RESOLVER_CHECK_H
#define FIRMWARE_RESOLVER_CHECK_H

#include "net/dns.h"

enum resolver_lack {                       /* bits */
                     LACKS_ANSWERS = 1,    /* nothing comes over UDP: the rest is not known */
                     LACKS_EDNS = 2,       /* RFC 6891: long answers, DO */
                     LACKS_SIGNATURES = 4, /* RRSIG records are left out, or the root is not signed there */
                     LACKS_PROOFS = 8,     /* "no such name" comes without NSEC or NSEC3 */
                     LACKS_TYPES = 16,     /* a question for TLSA fails */
                     LACKS_TCP = 32        /* long answers can't be had */
};

struct resolver_view {
    struct ip_endpoint resolver;
    bool tested;
    unsigned lacks;
};

/* The resolvers now; those that were there before keep their results. */
void resolver_check_follow(const struct dns_params *p);
struct deadline resolver_check_due(void);
/* Tests them if it is time. Takes seconds with a resolver that is silent. Yields. */
void resolver_check_run(void);
bool resolver_check_at(unsigned index, struct resolver_view *out);
/* "no EDNS, no DNSSEC signatures", or "complete". */
void resolver_lacks_format(struct strbuf *out, unsigned lacks);

#endif
