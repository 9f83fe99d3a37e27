/* From a response to a struct dns_answer: follows the CNAME chain inside the message, collects the records of the type
 * asked for, and finds out how long the answer holds (RFC 1034 section 3.6.2, RFC 2308). Pure. */
#ifndef NET_DNS_ANSWER_H
#define NET_DNS_ANSWER_H

#include "net/dns_message.h"

#define DNS_TTL_MAX_S 86400
#define DNS_NEGATIVE_TTL_MAX_S 3600 /* a domain that appears should not have to wait longer */

/* Fills *out from a response (not truncated, rcode NOERROR or NXDOMAIN) to the question name, type. out->security is left
 * DNS_UNVALIDATED. *incomplete: the chain ends at out->name, about which the message says nothing: ask for that name
 * (then out->outcome means nothing, and out->ttl_s is the chain's).
 * Without a SOA record a negative answer gets ttl_s 0. RC_PROTOCOL: malformed data, contradictions, or more than
 * DNS_CNAME_CHAIN_MAX aliases; out->count is then 0. */
enum rc dns_answer_read(const struct dns_response *r, struct span name, enum dns_type type, struct dns_answer *out,
                        bool *incomplete) MUST_CHECK;
/* An answer without records: what every lookup starts from. */
void dns_answer_clear(struct dns_answer *a);

#endif
