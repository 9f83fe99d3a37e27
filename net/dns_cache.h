/* The cache of answers: fixed memory (DNS_CACHE_BYTES of the board), entries packed end to end in it, gone when their TTL is
 * over; when room lacks, the one that was used longest ago goes first. Never yields. */
#ifndef NET_DNS_CACHE_H
#define NET_DNS_CACHE_H

#include "net/dns.h"

/* The kept answer to a question, its ttl_s being what is left of it. False: there is none. */
bool dns_cache_get(struct span name, enum dns_type type, struct dns_answer *out);
/* Keeps an answer for its ttl_s (0: not at all), in place of an earlier one to the same question. */
void dns_cache_put(struct span name, enum dns_type type, const struct dns_answer *a);
void dns_cache_usage(unsigned *entries, size_t *bytes); /* expired ones not counted */

#endif
