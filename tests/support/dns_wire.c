#include "tests/support/dns_wire.h"

#include <assert.h>
#include <string.h>

#include "hal/base/bytes.h"

static size_t data_at; /* of the record begun last */

void wire_bytes(struct dns_wire *w, const void *data, size_t len)
{
    assert(len <= sizeof w->b - w->len);
    if (len > 0)
        memcpy(w->b + w->len, data, len);
    w->len += len;
}

void wire_name(struct dns_wire *w, const char *name)
{
    struct span rest = span_of(name), label;
    for (bool more = rest.len > 0; span_split(&rest, &more, '.', &label);) {
        uint8_t len = (uint8_t)label.len;
        wire_bytes(w, &len, 1);
        wire_bytes(w, label.p, label.len);
    }
    wire_bytes(w, "", 1);
}

static void start(struct dns_wire *w, uint16_t id, unsigned rcode)
{
    w->len = 0;
    memset(w->b, 0, DNS_HEADER_BYTES);
    put_be16(w->b, id);
    put_be16(w->b + 2, (uint16_t)(0x8180u | rcode));
    put_be16(w->b + 4, 1);
    w->len = DNS_HEADER_BYTES;
}

void wire_answer_to(struct dns_wire *w, struct span query, unsigned rcode)
{
    size_t end;
    start(w, get_be16((const uint8_t *)query.p), rcode);
    if (dns_name_read(query, DNS_HEADER_BYTES, NULL, &end) == RC_OK)
        wire_bytes(w, query.p + DNS_HEADER_BYTES, end + 4 - DNS_HEADER_BYTES);
}

void wire_answer(struct dns_wire *w, const char *name, enum dns_type type, unsigned rcode)
{
    uint8_t fixed[4] = { 0, (uint8_t)type, 0, DNS_CLASS_IN };
    start(w, 0x1234, rcode);
    wire_name(w, name);
    wire_bytes(w, fixed, 4);
}

void wire_begin(struct dns_wire *w, enum dns_section section, const char *owner, unsigned type, uint32_t ttl_s)
{
    uint8_t fixed[10] = { 0 };
    put_be16(w->b + section, (uint16_t)(get_be16(w->b + section) + 1));
    wire_name(w, owner);
    put_be16(fixed, (uint16_t)type);
    put_be16(fixed + 2, type == DNS_TYPE_OPT ? DNS_UDP_BYTES : DNS_CLASS_IN);
    put_be32(fixed + 4, ttl_s);
    wire_bytes(w, fixed, 10);
    data_at = w->len;
}

void wire_end(struct dns_wire *w)
{
    put_be16(w->b + data_at - 2, (uint16_t)(w->len - data_at));
}

void wire_rr(struct dns_wire *w, enum dns_section section, const char *owner, unsigned type, uint32_t ttl_s, const void *data,
             size_t len)
{
    wire_begin(w, section, owner, type, ttl_s);
    wire_bytes(w, data, len);
    wire_end(w);
}

void wire_a(struct dns_wire *w, const char *owner, uint32_t ttl_s, uint8_t last)
{
    uint8_t addr[4] = { 192, 0, 2, last };
    wire_rr(w, WIRE_ANSWER, owner, DNS_A, ttl_s, addr, 4);
}

void wire_cname(struct dns_wire *w, const char *owner, uint32_t ttl_s, const char *target)
{
    wire_begin(w, WIRE_ANSWER, owner, DNS_CNAME, ttl_s);
    wire_name(w, target);
    wire_end(w);
}

void wire_mx(struct dns_wire *w, const char *owner, uint32_t ttl_s, uint16_t preference, const char *host)
{
    uint8_t bytes[2];
    put_be16(bytes, preference);
    wire_begin(w, WIRE_ANSWER, owner, DNS_MX, ttl_s);
    wire_bytes(w, bytes, 2);
    wire_name(w, host);
    wire_end(w);
}

void wire_soa(struct dns_wire *w, const char *owner, uint32_t ttl_s, uint32_t minimum_s)
{
    uint8_t numbers[20] = { 0 };
    put_be32(numbers + 16, minimum_s);
    wire_begin(w, WIRE_AUTHORITY, owner, DNS_SOA, ttl_s);
    wire_name(w, "ns.example");
    wire_name(w, "hostmaster.example");
    wire_bytes(w, numbers, 20);
    wire_end(w);
}

struct span wire_span(const struct dns_wire *w)
{
    return span_bytes(w->b, w->len);
}
