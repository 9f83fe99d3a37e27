/* DNS stub resolver (RFC 1035, 3596, 6891, 7858 later): UDP with random ids and ports, TCP fallback, EDNS0 with DO and CD set,
 * several resolvers in turn, internal zones, and a cache that obeys TTLs (RFC 2308 for negative answers) within fixed memory.
 * DNSSEC validation will stand between the exchange and the cache (firmware marries net and policy): every answer carries its
 * security state, which is DNS_UNVALIDATED until then. AD bits are never looked at. */
#ifndef NET_DNS_H
#define NET_DNS_H

#include "hal/base/domain.h"
#include "hal/base/ipaddr.h"
#include "hal/clock.h"

enum dns_type {
    DNS_A = 1,
    DNS_NS = 2,
    DNS_CNAME = 5,
    DNS_SOA = 6,
    DNS_PTR = 12,
    DNS_MX = 15,
    DNS_TXT = 16,
    DNS_AAAA = 28,
    DNS_DS = 43,
    DNS_RRSIG = 46,
    DNS_NSEC = 47,
    DNS_DNSKEY = 48,
    DNS_NSEC3 = 50,
    DNS_TLSA = 52
};
enum dns_security { DNS_UNVALIDATED, DNS_SECURE, DNS_INSECURE, DNS_BOGUS };
/* What the question came to: the name has such records, the name exists without, the name does not exist. */
enum dns_outcome { DNS_FOUND, DNS_NODATA, DNS_NXDOMAIN };

#define DNS_RECORDS_MAX 24  /* of one answer; more: truncated is set, the rest left out */
#define DNS_DATA_BYTES 2048 /* packed record data of one answer */
#define DNS_TXT_MAX 1024    /* joined strings of one TXT record; longer ones are dropped */
#define DNS_CNAME_CHAIN_MAX 8

struct dns_record {
    uint16_t preference; /* MX */
    uint16_t at, len;    /* in dns_answer.data: A/AAAA 4/16 bytes; MX/CNAME/PTR/NS canonical name text without NUL (the root is
                            empty: null MX, RFC 7505); TXT joined strings; TLSA usage, selector, matching, data as on the wire */
};

struct dns_answer {
    enum dns_outcome outcome;
    enum dns_security security;
    uint32_t ttl_s;             /* the least of the chain's; 0..86400 */
    bool truncated;             /* records were left out: no room, or data that this struct cannot show; count may then be 0 */
    char name[DOMAIN_TEXT_MAX]; /* owner after following CNAMEs, canonical */
    unsigned count;
    struct dns_record record[DNS_RECORDS_MAX];
    size_t data_len;
    uint8_t data[DNS_DATA_BYTES];
};

struct dns_zone_route {         /* net.dns_zone.ZONE: outside DNSSEC */
    char zone[DOMAIN_TEXT_MAX]; /* canonical; also everything below it */
    struct ip_endpoint resolver;
};
#define DNS_RESOLVERS_MAX 4
#define DNS_ZONES_MAX 8

struct dns_params {
    struct ip_endpoint resolver[DNS_RESOLVERS_MAX];
    unsigned resolver_count;
    struct dns_zone_route zone[DNS_ZONES_MAX];
    unsigned zone_count;
};

void dns_configure(const struct dns_params *p); /* copies; clears the cache when something changed */
/* The same in place, for who has no memory for another 2 KB: what dns_params() gives is written, within its arrays, and without a yield
 * before dns_params_changed(), which is only called when something changed. */
struct dns_params *dns_params(void);
void dns_params_changed(void);

/* Looks name (canonical; empty: the root) up, for any type but SOA. Records of types without a line in dns_record come as on
 * the wire. RC_OK: *out is filled, also for NODATA and NXDOMAIN. RC_TIMEOUT: nobody answered in time;
 * RC_PROTOCOL: SERVFAIL, REFUSED or garbage from every resolver; RC_UNREACHABLE: none configured; RC_CANCELLED; RC_BUSY: too many
 * questions at once, until d; RC_INVALID: no name; RC_UNSUPPORTED: SOA. On error out->count is 0. Several tasks may ask at once.
 * name must not lie in *out. Yields. */
enum rc dns_lookup(struct span name, enum dns_type type, struct dns_answer *out, struct deadline d) MUST_CHECK;

struct span dns_record_data(const struct dns_answer *a, unsigned index);
bool dns_record_addr(const struct dns_answer *a, unsigned index, struct ip_addr_any *out); /* A and AAAA */
void dns_cache_clear(void);

/* The place of DNSSEC, between the exchange and the cache. Called with every response from the configured resolvers (not
 * with those of internal zones): message is the raw one, answer what was read from it. Sets answer->security; an error becomes
 * the lookup's. May yield, but must not call dns_lookup: it holds one of the slots that lookups need. NULL: none. */
typedef enum rc (*dns_validator)(void *ctx, struct span name, enum dns_type type, struct span message, struct dns_answer *answer,
                                 struct deadline d);
void dns_set_validator(dns_validator validate, void *ctx);

struct dns_stats {
    uint64_t queries, cache_hits, timeouts, tcp_fallbacks, servfails, mismatches;
    unsigned cache_entries;
    size_t cache_bytes;
};
void dns_stats(struct dns_stats *out);

#endif
