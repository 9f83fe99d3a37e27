/* Where one recipient domain's mail goes: the office server, a route, the smart host, or the MX hosts of the DNS (RFC 5321 5.1, RFC 7505).
 * Marries settings with net/dns; the verdict is asked elsewhere. */
#ifndef FIRMWARE_NEXT_HOP_H
#define FIRMWARE_NEXT_HOP_H

#include "board/plan_sizes.h"
#include "net/delivery_status.h"
#include "net/dns.h"
#include "policy/verdict.h"

#define NEXT_HOP_HOSTS_MAX PLAN_MX_HOSTS
#define NEXT_HOP_ADDRESSES_MAX 8 /* of one host */

enum next_hop_kind { HOP_INSIDE, HOP_ROUTE, HOP_SMARTHOST, HOP_MX, HOP_LITERAL };

struct next_hop_host {
    char name[DOMAIN_TEXT_MAX]; /* canonical, or address text */
    uint16_t port;
    uint16_t preference;
};

struct next_hop {
    enum next_hop_kind kind;
    unsigned count;
    struct next_hop_host host[NEXT_HOP_HOSTS_MAX]; /* in the order of trying; equal preferences shuffled */
};

/* Fills *out for domain (canonical, or "[address]"). RC_OK with count >= 1; else *status says what that means for the mail (no such
 * domain, null MX, DNS not answering, we are the best MX ourselves). scratch is the caller's. Yields. */
enum rc next_hop_find(struct next_hop *out, struct span domain, struct dns_answer *scratch, struct delivery_status *status,
                      struct deadline d) MUST_CHECK;

/* Addresses of one host, IPv4 first unless only IPv6 is there; IPv6 for outside hosts only while the box's own address is fit to send
 * from. RC_OK with *count >= 1, else *status. Yields. */
enum rc next_hop_addresses(const struct next_hop *hop, const struct next_hop_host *host, struct ip_addr_any *out, unsigned *count,
                           struct dns_answer *scratch, struct delivery_status *status, struct deadline d) MUST_CHECK;

/* What the operator's choice of next hop demands by itself: fills v->local for INSIDE, ROUTE and SMARTHOST. host: its first one. */
void next_hop_demand(const struct next_hop *hop, struct verdict_domain *v);
/* The kind that domain would take, from settings alone (no DNS). */
enum next_hop_kind next_hop_kind_of(struct span domain);
const char *next_hop_kind_name(enum next_hop_kind k); /* "inside", "route", "smarthost", "mx", "literal" */

#endif
