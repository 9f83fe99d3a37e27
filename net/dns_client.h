/* One question to a set of resolvers: UDP with a fresh random id and port for every try, TCP when the answer was cut,
 * without EDNS where a resolver does not know it. Resolvers are asked in turn, each round with more patience; one that
 * gives an error or garbage is not asked again. Knows no cache and no zones (net/dns.c). */
#ifndef NET_DNS_CLIENT_H
#define NET_DNS_CLIENT_H

#include "net/dns_answer.h"

#define DNS_ROUNDS 3
#define DNS_TRY_MS 1500 /* patience in the first round; doubles with each */
#define DNS_TCP_MS 5000

struct dns_query {
    struct ip_endpoint resolver[DNS_RESOLVERS_MAX]; /* set by the caller, in the order in which to ask */
    unsigned resolver_count;
    unsigned answered_by;         /* index; set on RC_OK */
    struct dns_response response; /* on RC_OK the raw message, until dns_query_end */
    bool holds_tcp;
    uint16_t id;
    size_t sent_bytes;
    uint8_t sent[2 + DNS_QUERY_BYTES]; /* TCP's length before it */
    uint8_t received[DNS_UDP_BYTES];
};

/* Asks and fills *out and *incomplete as dns_answer_read does. After RC_OK the caller calls dns_query_end.
 * RC_TIMEOUT: nobody answered in time; RC_PROTOCOL: errors or garbage from every resolver; RC_INVALID: no such name;
 * RC_CANCELLED. Yields. */
enum rc dns_query_run(struct dns_query *q, struct span name, enum dns_type type, struct dns_answer *out, bool *incomplete,
                      struct deadline d) MUST_CHECK;
/* One try at one resolver with EDNS, over UDP or TCP. RC_OK: q->response is whatever came, also an error or cut short; then dns_query_end
 * as above. Yields. */
enum rc dns_query_once(struct dns_query *q, const struct ip_endpoint *resolver, struct span name, enum dns_type type, bool over_tcp,
                       struct deadline d) MUST_CHECK;
void dns_query_end(struct dns_query *q);

/* Counters since start: queries, timeouts, tcp_fallbacks, servfails, mismatches. */
extern struct dns_stats dns_client_stats;

#endif
