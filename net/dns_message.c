#include "net/dns_message.h"

#include <string.h>

#include "hal/base/bytes.h"

#define FLAG_QR 0x8000u
#define FLAG_OPCODE 0x7800u
#define FLAG_TC 0x0200u
#define FLAG_RD 0x0100u
#define FLAG_CD 0x0010u
#define OPT_DO 0x8000u
#define WIRE_NAME_MAX 255
#define RR_FIXED_BYTES 10 /* type, class, TTL, length */

static const uint8_t *byte_at(struct span message, size_t at)
{
    return (const uint8_t *)message.p + at;
}

static bool have(struct span message, size_t at, size_t len)
{
    return at <= message.len && len <= message.len - at;
}

/* --- names --- */

static char lower(uint8_t c)
{
    return (char)(c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c);
}

static bool shows_in_text(uint8_t c)
{
    return c > 0x20 && c < 0x7f && c != '.' && c != '"' && c != '\\';
}

/* A walk over the labels of a possibly compressed name. */
struct label_walk {
    struct span message;
    size_t at;
    size_t least;      /* pointers must go below this: so the walk ends */
    size_t end;        /* behind the name's bytes in place; 0 until known */
    size_t wire_bytes; /* uncompressed, so far */
};

static struct label_walk walk_from(struct span message, size_t at)
{
    return (struct label_walk){ .message = message, .at = at, .least = at };
}

static enum rc follow_pointer(struct label_walk *w)
{
    if (!have(w->message, w->at, 2))
        return RC_PROTOCOL;
    size_t target = get_be16(byte_at(w->message, w->at)) & 0x3fffu;
    if (target >= w->least)
        return RC_PROTOCOL;
    if (w->end == 0)
        w->end = w->at + 2;
    w->at = w->least = target;
    return RC_OK;
}

/* The next label; an empty one ends the name. */
static enum rc next_label(struct label_walk *w, struct span *label)
{
    while (have(w->message, w->at, 1) && *byte_at(w->message, w->at) >= 0xc0) {
        enum rc rc = follow_pointer(w);
        if (rc != RC_OK)
            return rc;
    }
    if (!have(w->message, w->at, 1))
        return RC_PROTOCOL;
    size_t len = *byte_at(w->message, w->at);
    if (len > DOMAIN_LABEL_MAX || !have(w->message, w->at, 1 + len))
        return RC_PROTOCOL;
    *label = span_sub(w->message, w->at + 1, len);
    w->at += 1 + len;
    w->wire_bytes += 1 + len;
    if (w->wire_bytes > WIRE_NAME_MAX)
        return RC_PROTOCOL;
    if (len == 0 && w->end == 0)
        w->end = w->at;
    return RC_OK;
}

static bool add_label(struct strbuf *out, struct span label)
{
    if (out->len > 0)
        strbuf_putc(out, '.');
    for (size_t i = 0; i < label.len; i++) {
        if (!shows_in_text((uint8_t)label.p[i]))
            return false;
        strbuf_putc(out, lower((uint8_t)label.p[i]));
    }
    return true;
}

enum rc dns_name_read(struct span message, size_t at, struct strbuf *out, size_t *end)
{
    struct label_walk w = walk_from(message, at);
    struct span label;
    bool shows = true;
    if (out != NULL)
        strbuf_clear(out);
    for (;;) {
        enum rc rc = next_label(&w, &label);
        if (rc != RC_OK)
            return rc;
        if (label.len == 0)
            break;
        if (out != NULL && shows)
            shows = add_label(out, label);
    }
    *end = w.end;
    if (out != NULL && (!shows || out->overflow)) {
        strbuf_clear(out);
        return RC_INVALID;
    }
    return RC_OK;
}

bool dns_name_is(struct span message, size_t at, struct span text)
{
    struct label_walk w = walk_from(message, at);
    struct span label, want;
    bool more = text.len > 0;
    for (;;) {
        if (next_label(&w, &label) != RC_OK)
            return false;
        if (label.len == 0)
            return !more;
        if (span_find(label, 0, '.') != SIZE_MAX || !span_split(&text, &more, '.', &want) || !span_eq_nocase(label, want))
            return false;
    }
}

static enum rc put_name(struct span name, uint8_t *out, size_t *len)
{
    struct span label;
    *len = 0;
    for (bool more = name.len > 0; span_split(&name, &more, '.', &label);) {
        if (label.len == 0 || label.len > DOMAIN_LABEL_MAX || *len + 1 + label.len + 1 > WIRE_NAME_MAX)
            return RC_INVALID;
        out[(*len)++] = (uint8_t)label.len;
        memcpy(out + *len, label.p, label.len);
        *len += label.len;
    }
    out[(*len)++] = 0;
    return RC_OK;
}

/* --- query --- */

static size_t put_opt(uint8_t *out)
{
    memset(out, 0, 11); /* root name, extended rcode, version, no options */
    put_be16(out + 1, DNS_TYPE_OPT);
    put_be16(out + 3, DNS_UDP_BYTES);
    put_be16(out + 7, OPT_DO);
    return 11;
}

enum rc dns_query_build(uint16_t id, struct span name, enum dns_type type, bool edns, uint8_t *out, size_t *len)
{
    size_t at = DNS_HEADER_BYTES, name_len;
    enum rc rc = put_name(name, out + at, &name_len);
    if (rc != RC_OK)
        return rc;
    memset(out, 0, DNS_HEADER_BYTES);
    put_be16(out, id);
    put_be16(out + 2, FLAG_RD | FLAG_CD);
    put_be16(out + 4, 1);
    put_be16(out + 10, edns);
    at += name_len;
    put_be16(out + at, (uint16_t)type);
    put_be16(out + at + 2, DNS_CLASS_IN);
    at += 4;
    if (edns)
        at += put_opt(out + at);
    *len = at;
    return RC_OK;
}

/* --- response --- */

enum rc dns_rr_next(struct span message, size_t *at, struct dns_rr *out)
{
    size_t fixed_at;
    enum rc rc = dns_name_read(message, *at, NULL, &fixed_at);
    if (rc != RC_OK)
        return rc;
    if (!have(message, fixed_at, RR_FIXED_BYTES))
        return RC_PROTOCOL;
    const uint8_t *fixed = byte_at(message, fixed_at);
    out->owner_at = *at;
    out->type = get_be16(fixed);
    out->rclass = get_be16(fixed + 2);
    out->ttl_s = get_be32(fixed + 4);
    if (out->ttl_s > INT32_MAX)
        out->ttl_s = 0;
    out->data_len = get_be16(fixed + 8);
    out->data_at = fixed_at + RR_FIXED_BYTES;
    if (!have(message, out->data_at, out->data_len))
        return RC_PROTOCOL;
    *at = out->data_at + out->data_len;
    return RC_OK;
}

/* Walks every record once, so that a malformed one anywhere spoils the message, and takes OPT's part of the rcode. */
static enum rc check_records(struct dns_response *r, unsigned total)
{
    size_t at = r->records_at;
    for (unsigned i = 0; i < total; i++) {
        struct dns_rr rr;
        enum rc rc = dns_rr_next(r->message, &at, &rr);
        if (rc != RC_OK)
            return rc;
        if (rr.type == DNS_TYPE_OPT && i >= (unsigned)r->answers + r->authorities)
            r->rcode |= (uint16_t)(get_be32(byte_at(r->message, rr.data_at - 6)) >> 24 << 4);
    }
    return RC_OK;
}

static bool question_is(struct span message, struct span name, enum dns_type type, size_t *end)
{
    if (!dns_name_is(message, DNS_HEADER_BYTES, name) || dns_name_read(message, DNS_HEADER_BYTES, NULL, end) != RC_OK ||
        !have(message, *end, 4))
        return false;
    const uint8_t *fixed = byte_at(message, *end);
    *end += 4;
    return get_be16(fixed) == type && get_be16(fixed + 2) == DNS_CLASS_IN;
}

enum rc dns_response_open(struct span message, uint16_t id, struct span name, enum dns_type type, struct dns_response *out)
{
    if (message.len < DNS_HEADER_BYTES)
        return RC_NOT_FOUND;
    const uint8_t *h = byte_at(message, 0);
    uint16_t flags = get_be16(h + 2);
    if (get_be16(h) != id || (flags & FLAG_QR) == 0 || (flags & FLAG_OPCODE) != 0)
        return RC_NOT_FOUND;
    *out = (struct dns_response){ .message = message,
                                  .truncated = (flags & FLAG_TC) != 0,
                                  .rcode = flags & 15u,
                                  .answers = get_be16(h + 6),
                                  .authorities = get_be16(h + 8) };
    /* Servers that fail to read a query may leave the question out. */
    if (get_be16(h + 4) == 0 && (out->rcode == DNS_FORMERR || out->rcode == DNS_NOTIMP))
        return RC_OK;
    if (get_be16(h + 4) != 1 || !question_is(message, name, type, &out->records_at))
        return RC_NOT_FOUND;
    if (out->truncated)
        return RC_OK;
    return check_records(out, (unsigned)out->answers + out->authorities + get_be16(h + 10));
}
