#include "net/dns_answer.h"

#include <string.h>

#include "hal/base/bytes.h"

static const uint8_t *data_of(const struct dns_response *r, const struct dns_rr *rr)
{
    return (const uint8_t *)r->message.p + rr->data_at;
}

static void lower_ttl(struct dns_answer *a, uint32_t ttl_s)
{
    if (ttl_s < a->ttl_s)
        a->ttl_s = ttl_s;
}

/* A name in a record's data, which others will look up, show and compare: host name characters only. */
static bool is_plain_name(struct span name)
{
    for (size_t i = 0; i < name.len; i++) {
        char c = name.p[i];
        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.'))
            return false;
    }
    return true;
}

/* --- data of one record, by type; text is built in place, behind the data that the answer already holds.
 * RC_INVALID leaves the record out, RC_PROTOCOL spoils the message --- */

struct packed {
    uint16_t preference;
    struct span data;
};

static enum rc read_name_data(const struct dns_response *r, const struct dns_rr *rr, size_t skip, struct strbuf *text,
                              struct packed *out)
{
    size_t end;
    if (rr->data_len <= skip)
        return RC_PROTOCOL;
    enum rc rc = dns_name_read(r->message, rr->data_at + skip, text, &end);
    if (rc != RC_OK && rc != RC_INVALID)
        return rc;
    if (end != rr->data_at + rr->data_len)
        return RC_PROTOCOL;
    out->data = strbuf_span(text);
    return rc == RC_OK && is_plain_name(out->data) ? RC_OK : RC_INVALID;
}

/* The strings of a TXT record, joined. */
static enum rc read_txt(const struct dns_response *r, const struct dns_rr *rr, struct strbuf *text, struct packed *out)
{
    const uint8_t *data = data_of(r, rr);
    if (rr->data_len == 0)
        return RC_PROTOCOL;
    for (size_t at = 0; at < rr->data_len; at += 1 + data[at]) {
        if (data[at] >= rr->data_len - at)
            return RC_PROTOCOL;
        strbuf_add(text, span_bytes(data + at + 1, data[at]));
    }
    out->data = strbuf_span(text);
    return text->overflow ? RC_INVALID : RC_OK;
}

static enum rc read_data(const struct dns_response *r, const struct dns_rr *rr, struct strbuf *text, struct packed *out)
{
    *out = (struct packed){ 0, span_bytes(data_of(r, rr), rr->data_len) };
    switch (rr->type) {
    case DNS_A:
        return rr->data_len == 4 ? RC_OK : RC_PROTOCOL;
    case DNS_AAAA:
        return rr->data_len == 16 ? RC_OK : RC_PROTOCOL;
    case DNS_TLSA:
        return rr->data_len >= 3 ? RC_OK : RC_PROTOCOL;
    case DNS_MX:
        if (rr->data_len < 3)
            return RC_PROTOCOL;
        out->preference = get_be16(data_of(r, rr));
        return read_name_data(r, rr, 2, text, out);
    case DNS_NS:
    case DNS_CNAME:
    case DNS_PTR:
        return read_name_data(r, rr, 0, text, out);
    case DNS_TXT:
        return read_txt(r, rr, text, out);
    default:
        return RC_OK;
    }
}

/* Text that does not fit, or is longer than a TXT record may be, overflows and so leaves the record out. */
static struct strbuf scratch(struct dns_answer *a)
{
    size_t room = sizeof a->data - a->data_len;
    return strbuf_on((char *)a->data + a->data_len, room < DNS_TXT_MAX + 1 ? room : DNS_TXT_MAX + 1);
}

static bool pack(struct dns_answer *a, const struct packed *p)
{
    /* The last byte stays free for the NUL of text that is built behind. */
    if (a->count == DNS_RECORDS_MAX || p->data.len >= sizeof a->data - a->data_len)
        return false;
    a->record[a->count++] = (struct dns_record){ .preference = p->preference,
                                                 .at = (uint16_t)a->data_len,
                                                 .len = (uint16_t)p->data.len };
    if (p->data.len > 0)
        memmove(a->data + a->data_len, p->data.p, p->data.len);
    a->data_len += p->data.len;
    return true;
}

/* --- sections --- */

static bool is_about(const struct dns_response *r, const struct dns_rr *rr, uint16_t type, const struct dns_answer *a)
{
    return rr->type == type && rr->rclass == DNS_CLASS_IN && dns_name_is(r->message, rr->owner_at, span_of(a->name));
}

/* Takes the records of the type that a->name owns; *found tells of any, also of those left out. */
static enum rc collect(const struct dns_response *r, enum dns_type type, struct dns_answer *a, bool *found)
{
    size_t at = r->records_at;
    *found = false;
    for (unsigned i = 0; i < r->answers; i++) {
        struct dns_rr rr;
        struct packed p;
        enum rc rc = dns_rr_next(r->message, &at, &rr);
        if (rc != RC_OK)
            return rc;
        if (!is_about(r, &rr, (uint16_t)type, a))
            continue;
        struct strbuf text = scratch(a);
        rc = read_data(r, &rr, &text, &p);
        if (rc != RC_OK && rc != RC_INVALID)
            return rc;
        *found = true;
        lower_ttl(a, rr.ttl_s);
        if (rc == RC_INVALID || !pack(a, &p))
            a->truncated = true;
    }
    return RC_OK;
}

/* Moves a->name on to what it is an alias of. RC_NOT_FOUND: it is none. */
static enum rc follow_alias(const struct dns_response *r, struct dns_answer *a)
{
    size_t at = r->records_at, end;
    for (unsigned i = 0; i < r->answers; i++) {
        struct dns_rr rr;
        enum rc rc = dns_rr_next(r->message, &at, &rr);
        if (rc != RC_OK)
            return rc;
        if (!is_about(r, &rr, DNS_CNAME, a))
            continue;
        struct strbuf name = STRBUF(a->name);
        if (dns_name_read(r->message, rr.data_at, &name, &end) != RC_OK || end != rr.data_at + rr.data_len)
            return RC_PROTOCOL;
        lower_ttl(a, rr.ttl_s);
        return RC_OK;
    }
    return RC_NOT_FOUND;
}

/* Follows aliases until records turn up or the chain ends. */
static enum rc walk_chain(const struct dns_response *r, enum dns_type type, struct dns_answer *a, bool *found, unsigned *hops)
{
    for (*hops = 0; *hops <= DNS_CNAME_CHAIN_MAX; (*hops)++) {
        enum rc rc = collect(r, type, a, found);
        if (rc != RC_OK || *found)
            return rc;
        rc = type == DNS_CNAME ? RC_NOT_FOUND : follow_alias(r, a);
        if (rc != RC_OK)
            return rc == RC_NOT_FOUND ? RC_OK : rc;
    }
    return RC_PROTOCOL;
}

/* How long a negative answer holds: the lesser of the SOA's TTL and its last field (RFC 2308 section 5). */
static bool negative_ttl(const struct dns_response *r, struct span name, uint32_t *ttl_s)
{
    char memory[DOMAIN_TEXT_MAX];
    struct strbuf owner = STRBUF(memory);
    size_t at = r->records_at, end;
    for (unsigned i = 0; i < (unsigned)r->answers + r->authorities; i++) {
        struct dns_rr rr;
        if (dns_rr_next(r->message, &at, &rr) != RC_OK)
            return false;
        if (i < r->answers || rr.type != DNS_SOA || rr.rclass != DNS_CLASS_IN || rr.data_len < 22 ||
            dns_name_read(r->message, rr.owner_at, &owner, &end) != RC_OK || !domain_is_within(name, strbuf_span(&owner)))
            continue;
        uint32_t minimum = get_be32(data_of(r, &rr) + rr.data_len - 4);
        *ttl_s = minimum < rr.ttl_s ? minimum : rr.ttl_s;
        if (*ttl_s > DNS_NEGATIVE_TTL_MAX_S)
            *ttl_s = DNS_NEGATIVE_TTL_MAX_S;
        return true;
    }
    return false;
}

/* A pointer to other servers instead of an answer (RFC 2308 section 2.2): what gives it does not resolve for us, and knows nothing about
 * whether the name has such records. */
static bool is_referral(const struct dns_response *r)
{
    size_t at = r->records_at;
    bool name_servers = false;
    for (unsigned i = 0; i < (unsigned)r->answers + r->authorities; i++) {
        struct dns_rr rr;
        if (dns_rr_next(r->message, &at, &rr) != RC_OK)
            return false;
        if (i >= r->answers && rr.type == DNS_SOA)
            return false;
        name_servers = name_servers || (i >= r->answers && rr.type == DNS_NS);
    }
    return name_servers;
}

void dns_answer_clear(struct dns_answer *a)
{
    a->outcome = DNS_NODATA;
    a->security = DNS_UNVALIDATED;
    a->ttl_s = DNS_TTL_MAX_S;
    a->truncated = false;
    a->name[0] = '\0';
    a->count = 0;
    a->data_len = 0;
}

enum rc dns_answer_read(const struct dns_response *r, struct span name, enum dns_type type, struct dns_answer *out,
                        bool *incomplete)
{
    bool found;
    unsigned hops;
    uint32_t ttl_s = 0;
    struct strbuf owner = STRBUF(out->name);
    dns_answer_clear(out);
    strbuf_add(&owner, name);
    *incomplete = false;
    enum rc rc = owner.overflow ? RC_PROTOCOL : walk_chain(r, type, out, &found, &hops);
    if (rc == RC_OK && found && r->rcode != DNS_NOERROR)
        rc = RC_PROTOCOL;
    if (rc != RC_OK) {
        dns_answer_clear(out);
        return rc;
    }
    if (found) {
        out->outcome = DNS_FOUND;
        return RC_OK;
    }
    out->outcome = r->rcode == DNS_NAME_ERROR ? DNS_NXDOMAIN : DNS_NODATA;
    bool has_soa = negative_ttl(r, span_of(out->name), &ttl_s);
    if (out->outcome == DNS_NODATA && hops == 0 && is_referral(r)) {
        dns_answer_clear(out);
        return RC_PROTOCOL;
    }
    if (!has_soa && hops > 0 && out->outcome == DNS_NODATA)
        *incomplete = true;
    else
        lower_ttl(out, ttl_s);
    return RC_OK;
}

struct span dns_record_data(const struct dns_answer *a, unsigned index)
{
    if (index >= a->count)
        return (struct span){ NULL, 0 };
    return span_bytes(a->data + a->record[index].at, a->record[index].len);
}

bool dns_record_addr(const struct dns_answer *a, unsigned index, struct ip_addr_any *out)
{
    struct span data = dns_record_data(a, index);
    if (data.len != 4 && data.len != 16)
        return false;
    *out = (struct ip_addr_any){ .family = data.len == 4 ? IP_V4 : IP_V6 };
    memcpy(out->b, data.p, data.len);
    return true;
}
