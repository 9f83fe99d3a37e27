/* Marries settings with the network floor: addresses, resolvers, zones, time servers; and knows whether the box's own IPv6 address is fit to
 * send mail from. */
#ifndef FIRMWARE_NETWORK_H
#define FIRMWARE_NETWORK_H

#include "hal/base/strbuf.h"
#include "net/link.h"

enum rc network_init(void) MUST_CHECK; /* after settings_load and random_init; starts the SNTP task */
/* Called once a second by the main loop: follows resolvers that DHCP or the router give. */
void network_follow(void);
/* The name that the PTR record of a gives, into *name, if that name's addresses lead back to a. RC_OK; RC_NOT_FOUND: none, or not by d;
 * RC_BUSY: others were asking. On error *name is empty. Yields. */
enum rc network_reverse_name(const struct ip_addr_any *a, struct strbuf *name, struct deadline d) MUST_CHECK;
/* Whether it is one of the box's own addresses at the moment. */
bool network_is_own(const struct ip_addr_any *a);
/* True when this IPv6 address has a PTR whose AAAA is the address itself (large receivers refuse others). Looked up once an hour and on
 * change. Yields. */
bool network_ipv6_sends(void);
/* Resolves a host name or address text for the box's own needs (inside server, time server). Appends up to max addresses. RC_OK with
 * *count 0 when the name has none; errors of dns_lookup. Yields. */
struct dns_answer;
enum rc network_resolve(struct span host, struct ip_addr_any *out, unsigned max, unsigned *count, struct dns_answer *scratch,
                        struct deadline d) MUST_CHECK;

#endif
