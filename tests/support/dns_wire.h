/* Builds DNS responses byte by byte, also wrong ones, for tests. */
#ifndef TESTS_SUPPORT_DNS_WIRE_H
#define TESTS_SUPPORT_DNS_WIRE_H

#include "net/dns_message.h"

struct dns_wire {
    size_t len;
    uint8_t b[9000];
};

enum dns_section { WIRE_ANSWER = 6, WIRE_AUTHORITY = 8, WIRE_ADDITIONAL = 10 }; /* offsets of the counts */

#define WIRE_POINTER_TO_QUESTION "\xc0\x0c"

/* Starts the response to a query: its id and question, QR, RD, RA and the rcode. */
void wire_answer_to(struct dns_wire *w, struct span query, unsigned rcode);
/* Starts the response to a question, with id 0x1234. */
void wire_answer(struct dns_wire *w, const char *name, enum dns_type type, unsigned rcode);
void wire_bytes(struct dns_wire *w, const void *data, size_t len);
void wire_name(struct dns_wire *w, const char *name); /* uncompressed */
/* Begins a record and counts it in its section; its data follow, then wire_end. */
void wire_begin(struct dns_wire *w, enum dns_section section, const char *owner, unsigned type, uint32_t ttl_s);
void wire_end(struct dns_wire *w);
void wire_rr(struct dns_wire *w, enum dns_section section, const char *owner, unsigned type, uint32_t ttl_s, const void *data,
             size_t len);
void wire_a(struct dns_wire *w, const char *owner, uint32_t ttl_s, uint8_t last); /* 192.0.2.last */
void wire_cname(struct dns_wire *w, const char *owner, uint32_t ttl_s, const char *target);
void wire_mx(struct dns_wire *w, const char *owner, uint32_t ttl_s, uint16_t preference, const char *host);
void wire_soa(struct dns_wire *w, const char *owner, uint32_t ttl_s, uint32_t minimum_s); /* in the authority section */
struct span wire_span(const struct dns_wire *w);

#endif
