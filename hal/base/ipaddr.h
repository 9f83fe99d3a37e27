/* IP addresses and networks (RFC 4291, RFC 4632, text by RFC 5952). Pure. */
#ifndef HAL_BASE_IPADDR_H
#define HAL_BASE_IPADDR_H

#include "hal/base/rc.h"
#include "hal/base/strbuf.h"

enum ip_family { IP_NONE = 0, IP_V4 = 4, IP_V6 = 6 };

struct ip_addr_any { /* named so that it never clashes with lwIP's ip_addr */
    enum ip_family family;
    uint8_t b[16]; /* network order; the first 4 for IPv4 */
};

struct ip_net {
    struct ip_addr_any addr; /* as given, host bits kept: 10.0.0.5/24 */
    uint8_t prefix_bits;
};

struct ip_endpoint {
    struct ip_addr_any addr;
    uint16_t port;
};

#define IP_TEXT_MAX 46 /* with NUL */
#define IP_ENDPOINT_TEXT_MAX 54

/* Strict dotted quad without leading zeros, or RFC 4291 text (also ::ffff:a.b.c.d). RC_INVALID else. */
enum rc ip_parse(struct span text, struct ip_addr_any *out) MUST_CHECK;
/* ADDRESS/BITS, or an address alone (then all bits). */
enum rc ip_net_parse(struct span text, struct ip_net *out) MUST_CHECK;
/* ADDRESS, ADDRESS:PORT for IPv4; ADDRESS, [ADDRESS]:PORT for IPv6. */
enum rc ip_endpoint_parse(struct span text, uint16_t default_port, struct ip_endpoint *out) MUST_CHECK;
void ip_format(struct strbuf *out, const struct ip_addr_any *a);
void ip_endpoint_format(struct strbuf *out, const struct ip_endpoint *e);
bool ip_eq(const struct ip_addr_any *a, const struct ip_addr_any *b);
/* What a limit counts as one peer: the same IPv4 address, or the same IPv6 network of 64 bits, in which a host picks addresses freely. */
bool ip_same_source(const struct ip_addr_any *a, const struct ip_addr_any *b);
/* How many bytes of an address that is. */
size_t ip_source_bytes(const struct ip_addr_any *a);
bool ip_is_mapped(const struct ip_addr_any *a); /* IPv4 in IPv6: ::ffff:0:0/96 */
/* Mapped addresses compare as their IPv4 address. */
bool ip_net_contains(const struct ip_net *net, const struct ip_addr_any *a);
struct ip_addr_any ip_v4(uint8_t a, uint8_t b, uint8_t c, uint8_t d);
bool ip_is_loopback(const struct ip_addr_any *a);
/* The name whose PTR record describes a: 4.3.2.1.in-addr.arpa or nibbles under ip6.arpa, no trailing dot. */
void ip_reverse_name(struct strbuf *out, const struct ip_addr_any *a);
/* Appends an address literal of mail (RFC 5321 4.1.3: [192.0.2.1], [IPv6:2001:db8::1]) in its one spelling. RC_INVALID if text is none. */
enum rc ip_literal_canonical(struct span text, struct strbuf *out) MUST_CHECK;

#endif
