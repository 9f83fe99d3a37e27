/* DNS messages as bytes (RFC 1035 section 4, RFC 6891): builds a query, opens a response and walks its records. Pure.
 * Each length, count and compression pointer of a response is checked here; who reads records further up
 * (dns_answer.h) works on what was checked. Nothing is decided about what an answer means. */
#ifndef NET_DNS_MESSAGE_H
#define NET_DNS_MESSAGE_H

#include "net/dns.h"

#define DNS_HEADER_BYTES 12
#define DNS_UDP_BYTES 1232 /* what we let a resolver send over UDP: fits any path without fragments */
#define DNS_QUERY_BYTES (DNS_HEADER_BYTES + 255 + 4 + 11) /* header, longest name, type and class, OPT */
#define DNS_CLASS_IN 1
#define DNS_TYPE_OPT 41

enum dns_rcode {
    DNS_NOERROR = 0,
    DNS_FORMERR = 1,
    DNS_SERVFAIL = 2,
    DNS_NAME_ERROR = 3,
    DNS_NOTIMP = 4,
    DNS_REFUSED = 5,
    DNS_BADVERS = 16
};

/* A query for name (text as in domain.h, also labels with other printable characters; empty: the root) with RD and CD;
 * with edns, an OPT record with DO and DNS_UDP_BYTES. out has DNS_QUERY_BYTES. RC_INVALID: an empty label, or one or the
 * name too long. */
enum rc dns_query_build(uint16_t id, struct span name, enum dns_type type, bool edns, uint8_t *out, size_t *len) MUST_CHECK;

struct dns_response {
    struct span message; /* a view of the caller's */
    bool truncated;      /* TC: nothing but the header was looked at, ask over TCP */
    uint16_t rcode;      /* with the upper bits from OPT */
    uint16_t answers, authorities;
    size_t records_at; /* offset of the first answer */
};

/* Opens a message as the response to a question. RC_NOT_FOUND: it belongs to another question (id, name, type, class,
 * or it is a query): drop it and wait on. RC_PROTOCOL: it belongs here but is malformed. */
enum rc dns_response_open(struct span message, uint16_t id, struct span name, enum dns_type type,
                          struct dns_response *out) MUST_CHECK;

struct dns_rr {
    size_t owner_at; /* offset of the owner's name in the message */
    uint16_t type, rclass;
    uint32_t ttl_s; /* a set top bit counts as 0 (RFC 2181 section 8) */
    size_t data_at;
    uint16_t data_len;
};

/* The record at *at, which then moves behind it. RC_PROTOCOL. */
enum rc dns_rr_next(struct span message, size_t *at, struct dns_rr *out) MUST_CHECK;

/* The name at offset at, as lower-case text without the trailing dot (the root is empty); *end is the offset behind its
 * bytes in place. out may be NULL, to skip it; else it has room for DOMAIN_TEXT_MAX and is cleared first.
 * RC_INVALID: sound, but a label holds a byte that is no printable character or is a dot, a quote or a backslash, which
 * text cannot show (out is then cleared, *end is set). RC_PROTOCOL: out of bounds, too long, or a pointer that does not
 * go back. */
enum rc dns_name_read(struct span message, size_t at, struct strbuf *out, size_t *end) MUST_CHECK;
/* Whether the name at offset at is the one in text. False too if it is malformed. */
bool dns_name_is(struct span message, size_t at, struct span text);

#endif
