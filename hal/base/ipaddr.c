#include "hal/base/ipaddr.h"

#include <string.h>

static size_t addr_bytes(enum ip_family family)
{
    return family == IP_V4 ? 4 : family == IP_V6 ? 16 : 0;
}

/* A decimal number without leading zeros, at most max. */
static bool parse_decimal(struct span text, uint32_t max, uint32_t *out)
{
    if (text.len > 1 && text.p[0] == '0')
        return false;
    return span_to_u32(text, out) && *out <= max;
}

static bool parse_v4(struct span text, uint8_t out[4])
{
    struct span item;
    bool more = true;
    unsigned count = 0;
    while (span_split(&text, &more, '.', &item)) {
        uint32_t value;
        if (count == 4 || !parse_decimal(item, 255, &value))
            return false;
        out[count++] = (uint8_t)value;
    }
    return count == 4;
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static bool parse_group(struct span text, uint8_t out[2])
{
    unsigned value = 0;
    if (text.len == 0 || text.len > 4)
        return false;
    for (size_t i = 0; i < text.len; i++) {
        int digit = hex_value(text.p[i]);
        if (digit < 0)
            return false;
        value = value << 4 | (unsigned)digit;
    }
    out[0] = (uint8_t)(value >> 8);
    out[1] = (uint8_t)value;
    return true;
}

/* Colon-separated groups without "::"; an IPv4 address may stand last. Gives the number of bytes written. */
static bool parse_groups(struct span text, bool v4_allowed, uint8_t out[16], size_t *len)
{
    struct span item;
    bool more = true;
    *len = 0;
    if (text.len == 0)
        return true;
    while (span_split(&text, &more, ':', &item)) {
        if (!more && v4_allowed && *len <= 12 && parse_v4(item, out + *len)) {
            *len += 4;
            return true;
        }
        if (*len == 16 || !parse_group(item, out + *len))
            return false;
        *len += 2;
    }
    return true;
}

static size_t find_gap(struct span text)
{
    for (size_t i = 0; i + 1 < text.len; i++)
        if (text.p[i] == ':' && text.p[i + 1] == ':')
            return i;
    return SIZE_MAX;
}

static bool parse_v6(struct span text, uint8_t out[16])
{
    uint8_t tail[16];
    size_t head_len, tail_len;
    size_t gap = find_gap(text);
    memset(out, 0, 16);
    if (gap == SIZE_MAX)
        return parse_groups(text, true, out, &head_len) && head_len == 16;
    if (!parse_groups(span_sub(text, 0, gap), false, out, &head_len) ||
        !parse_groups(span_from(text, gap + 2), true, tail, &tail_len) || head_len + tail_len > 14)
        return false;
    memcpy(out + 16 - tail_len, tail, tail_len);
    return true;
}

enum rc ip_parse(struct span text, struct ip_addr_any *out)
{
    struct ip_addr_any a = { IP_NONE, { 0 } };
    if (parse_v4(text, a.b))
        a.family = IP_V4;
    else if (span_find(text, 0, ':') != SIZE_MAX && parse_v6(text, a.b))
        a.family = IP_V6;
    else
        return RC_INVALID;
    *out = a;
    return RC_OK;
}

enum rc ip_net_parse(struct span text, struct ip_net *out)
{
    struct ip_net net;
    size_t slash = span_find(text, 0, '/');
    enum rc rc = ip_parse(span_sub(text, 0, slash), &net.addr);
    if (rc != RC_OK)
        return rc;
    uint32_t bits = (uint32_t)(8 * addr_bytes(net.addr.family));
    if (slash != SIZE_MAX && !parse_decimal(span_from(text, slash + 1), bits, &bits))
        return RC_INVALID;
    net.prefix_bits = (uint8_t)bits;
    *out = net;
    return RC_OK;
}

/* Splits [V6]:PORT, [V6] or V4:PORT; a bare address has no port. */
static bool split_endpoint(struct span text, struct span *addr, struct span *port)
{
    *port = (struct span){ NULL, 0 };
    if (span_starts(text, "[")) {
        size_t close = span_find(text, 0, ']');
        if (close == SIZE_MAX)
            return false;
        *addr = span_sub(text, 1, close - 1);
        struct span rest = span_from(text, close + 1);
        if (rest.len == 0)
            return span_find(*addr, 0, ':') != SIZE_MAX;
        *port = span_from(rest, 1);
        return rest.p[0] == ':' && port->len > 0 && span_find(*addr, 0, ':') != SIZE_MAX;
    }
    size_t colon = span_find(text, 0, ':');
    if (colon == SIZE_MAX || colon != span_find_last(text, ':')) {
        *addr = text;
        return true;
    }
    *addr = span_sub(text, 0, colon);
    *port = span_from(text, colon + 1);
    return port->len > 0;
}

enum rc ip_endpoint_parse(struct span text, uint16_t default_port, struct ip_endpoint *out)
{
    struct ip_endpoint e;
    struct span addr, port;
    uint32_t number = default_port;
    if (!split_endpoint(text, &addr, &port))
        return RC_INVALID;
    if (port.len > 0 && (!parse_decimal(port, 65535, &number) || number == 0))
        return RC_INVALID;
    enum rc rc = ip_parse(addr, &e.addr);
    if (rc != RC_OK)
        return rc;
    e.port = (uint16_t)number;
    *out = e;
    return RC_OK;
}

bool ip_is_mapped(const struct ip_addr_any *a)
{
    static const uint8_t prefix[12] = { [10] = 0xff, [11] = 0xff };
    return a->family == IP_V6 && memcmp(a->b, prefix, sizeof prefix) == 0;
}

static void format_v4(struct strbuf *out, const uint8_t *b)
{
    strbuf_printf(out, "%u.%u.%u.%u", b[0], b[1], b[2], b[3]);
}

/* The longest run of at least two zero groups, the first of equals (RFC 5952 section 4.2). */
static unsigned longest_zero_run(const uint8_t *b, unsigned *start)
{
    unsigned best = 1, run = 0;
    *start = 8;
    for (unsigned i = 0; i < 8; i++) {
        run = b[2 * i] == 0 && b[2 * i + 1] == 0 ? run + 1 : 0;
        if (run > best) {
            best = run;
            *start = i + 1 - run;
        }
    }
    return *start == 8 ? 0 : best;
}

static void format_v6(struct strbuf *out, const uint8_t *b)
{
    unsigned start;
    unsigned run = longest_zero_run(b, &start);
    for (unsigned i = 0; i < 8; i++) {
        if (run > 0 && i == start) {
            strbuf_puts(out, "::");
            i += run - 1;
            continue;
        }
        if (i > 0 && i != start + run)
            strbuf_putc(out, ':');
        strbuf_printf(out, "%x", (unsigned)b[2 * i] << 8 | b[2 * i + 1]);
    }
}

void ip_format(struct strbuf *out, const struct ip_addr_any *a)
{
    if (a->family == IP_V4) {
        format_v4(out, a->b);
    } else if (ip_is_mapped(a)) {
        strbuf_puts(out, "::ffff:");
        format_v4(out, a->b + 12);
    } else if (a->family == IP_V6) {
        format_v6(out, a->b);
    } else {
        strbuf_puts(out, "none");
    }
}

void ip_endpoint_format(struct strbuf *out, const struct ip_endpoint *e)
{
    if (e->addr.family == IP_V6)
        strbuf_putc(out, '[');
    ip_format(out, &e->addr);
    strbuf_printf(out, "%s:%u", e->addr.family == IP_V6 ? "]" : "", e->port);
}

bool ip_eq(const struct ip_addr_any *a, const struct ip_addr_any *b)
{
    return a->family == b->family && memcmp(a->b, b->b, addr_bytes(a->family)) == 0;
}

size_t ip_source_bytes(const struct ip_addr_any *a)
{
    return a->family == IP_V6 ? 8 : addr_bytes(a->family);
}

bool ip_same_source(const struct ip_addr_any *a, const struct ip_addr_any *b)
{
    return a->family == b->family && memcmp(a->b, b->b, ip_source_bytes(a)) == 0;
}

static struct ip_addr_any unmapped(const struct ip_addr_any *a)
{
    return ip_is_mapped(a) ? ip_v4(a->b[12], a->b[13], a->b[14], a->b[15]) : *a;
}

bool ip_net_contains(const struct ip_net *net, const struct ip_addr_any *a)
{
    struct ip_addr_any host = unmapped(a), base = net->addr;
    unsigned bits = net->prefix_bits;
    if (ip_is_mapped(&base) && bits >= 96) {
        base = unmapped(&base);
        bits -= 96;
    }
    if (base.family == IP_NONE || base.family != host.family)
        return false;
    if (memcmp(base.b, host.b, bits / 8) != 0)
        return false;
    unsigned rest = bits % 8;
    return rest == 0 || (base.b[bits / 8] ^ host.b[bits / 8]) >> (8 - rest) == 0;
}

struct ip_addr_any ip_v4(uint8_t a, uint8_t b, uint8_t c, uint8_t d)
{
    return (struct ip_addr_any){ IP_V4, { a, b, c, d } };
}

bool ip_is_loopback(const struct ip_addr_any *a)
{
    static const uint8_t loopback6[16] = { [15] = 1 };
    struct ip_addr_any host = unmapped(a);
    if (host.family == IP_V4)
        return host.b[0] == 127;
    return host.family == IP_V6 && memcmp(host.b, loopback6, 16) == 0;
}

void ip_reverse_name(struct strbuf *out, const struct ip_addr_any *a)
{
    struct ip_addr_any host = unmapped(a);
    if (host.family == IP_V4) {
        strbuf_printf(out, "%u.%u.%u.%u.in-addr.arpa", host.b[3], host.b[2], host.b[1], host.b[0]);
        return;
    }
    for (unsigned i = 16; i > 0; i--)
        strbuf_printf(out, "%x.%x.", host.b[i - 1] & 15u, (unsigned)host.b[i - 1] >> 4);
    strbuf_puts(out, "ip6.arpa");
}

enum rc ip_literal_canonical(struct span text, struct strbuf *out)
{
    struct ip_addr_any ip;
    bool v6 = span_starts_nocase(text, "[IPv6:");
    size_t begin = v6 ? 6 : 1;
    if (text.len <= begin || text.p[0] != '[' || text.p[text.len - 1] != ']' ||
        ip_parse(span_sub(text, begin, text.len - 1 - begin), &ip) != RC_OK || v6 != (ip.family == IP_V6))
        return RC_INVALID;
    strbuf_puts(out, v6 ? "[IPv6:" : "[");
    ip_format(out, &ip);
    strbuf_putc(out, ']');
    return RC_OK;
}
