/* Settings first, then the DNS. Own domains never resolve by MX: their MX is this box. */
#include "firmware/next_hop.h"

#include "firmware/network.h"
#include "firmware/setting_value.h"
#include "hal/random.h"

const char *next_hop_kind_name(enum next_hop_kind k)
{
    static const char *const names[] = { "inside", "route", "smarthost", "mx", "literal" };
    return names[k];
}

enum next_hop_kind next_hop_kind_of(struct span domain)
{
    if (domain.len && domain.p[0] == '[')
        return HOP_LITERAL;
    if (settings_get_member("mail.route.", domain))
        return HOP_ROUTE;
    if (setting_domains_contain(settings_get("mail.domains"), domain))
        return HOP_INSIDE;
    return settings_get("mail.smarthost")[0] ? HOP_SMARTHOST : HOP_MX;
}

static enum rc hosts_from_setting(struct next_hop *out, const char *text, uint16_t port)
{
    struct span rest = span_of(text), item;
    struct setting_hostport hp;
    bool more = text[0] != '\0';
    while (out->count < NEXT_HOP_HOSTS_MAX && setting_list_next(&rest, &more, &item)) {
        struct next_hop_host *h = &out->host[out->count];
        struct strbuf name = STRBUF(h->name);
        if (setting_hostport_parse(item, port, &hp) != RC_OK)
            continue;
        strbuf_add(&name, hp.host);
        h->port = hp.port;
        h->preference = (uint16_t)out->count++;
    }
    return out->count ? RC_OK : RC_NOT_FOUND;
}

static enum rc literal_host(struct next_hop *out, struct span domain, struct delivery_status *status)
{
    struct ip_addr_any a;
    struct span inner = span_sub(domain, 1, domain.len >= 2 ? domain.len - 2 : 0);
    if (span_starts_nocase(inner, "IPv6:"))
        inner = span_from(inner, 5);
    if (ip_parse(inner, &a) != RC_OK || ip_is_loopback(&a)) {
        delivery_status_set(status, DELIVERY_BOUNCE, SCOPE_DOMAIN, 0, "5.1.2", "%.*s is not an address that mail can go to",
                            (int)domain.len, domain.p);
        return RC_INVALID;
    }
    struct strbuf name = STRBUF(out->host[0].name);
    ip_format(&name, &a);
    out->host[0].port = 25;
    out->count = 1;
    return RC_OK;
}

/* --- MX --- */

static enum rc dns_failed(struct span domain, enum rc rc, struct delivery_status *status)
{
    delivery_status_set(status, DELIVERY_WAIT, SCOPE_DOMAIN, 0, "4.4.3", "the DNS gave no answer about %.*s (%s)", (int)domain.len,
                        domain.p, rc_name(rc));
    return rc;
}

/* Puts h behind all that are at least as good, so that equal ones keep the order in which they come; the worst falls off the end. */
static void insert_by_preference(struct next_hop *hop, const struct next_hop_host *h)
{
    unsigned at = hop->count;
    while (at > 0 && hop->host[at - 1].preference > h->preference)
        at--;
    if (at == NEXT_HOP_HOSTS_MAX)
        return;
    unsigned last = hop->count < NEXT_HOP_HOSTS_MAX ? hop->count++ : NEXT_HOP_HOSTS_MAX - 1;
    memmove(&hop->host[at + 1], &hop->host[at], (last - at) * sizeof hop->host[0]);
    hop->host[at] = *h;
}

/* Drops hosts at and after our own preference: mail never comes back to us that way (RFC 5321 5.1). */
static void cut_at_ourselves(struct next_hop *hop)
{
    const char *own = settings_get("host.name");
    for (unsigned i = 0; i < hop->count; i++)
        if (own[0] && span_is(span_of(hop->host[i].name), own)) {
            uint16_t preference = hop->host[i].preference;
            while (hop->count && hop->host[hop->count - 1].preference >= preference)
                hop->count--;
            return;
        }
}

/* The best of the records in the order of trying: they are inserted in a random order, so equal preferences end up shuffled. */
static void take_mx_records(struct next_hop *out, const struct dns_answer *a)
{
    unsigned order[DNS_RECORDS_MAX];
    for (unsigned i = 0; i < a->count; i++) {
        unsigned j = random_below(i + 1);
        if (j != i)
            order[i] = order[j];
        order[j] = i;
    }
    for (unsigned i = 0; i < a->count; i++) {
        struct span name = dns_record_data(a, order[i]);
        struct next_hop_host h = { .port = 25, .preference = a->record[order[i]].preference };
        struct strbuf text = STRBUF(h.name);
        strbuf_add(&text, name);
        if (name.len)
            insert_by_preference(out, &h);
    }
}

static enum rc mx_hosts(struct next_hop *out, struct span domain, struct dns_answer *scratch, struct delivery_status *status,
                        struct deadline d)
{
    enum rc rc = dns_lookup(domain, DNS_MX, scratch, d);
    if (rc != RC_OK)
        return dns_failed(domain, rc, status);
    if (scratch->outcome == DNS_NXDOMAIN) {
        delivery_status_set(status, DELIVERY_BOUNCE, SCOPE_DOMAIN, 0, "5.1.2", "the domain %.*s does not exist", (int)domain.len,
                            domain.p);
        return RC_NOT_FOUND;
    }
    if (scratch->outcome == DNS_NODATA) { /* no MX: the domain itself (RFC 5321 5.1) */
        struct strbuf name = STRBUF(out->host[0].name);
        strbuf_add(&name, domain);
        out->host[0].port = 25;
        out->count = 1;
        return RC_OK;
    }
    take_mx_records(out, scratch);
    if (!out->count && scratch->truncated) {
        delivery_status_set(status, DELIVERY_WAIT, SCOPE_DOMAIN, 0, "4.4.4", "no MX record of %.*s names a usable host",
                            (int)domain.len, domain.p);
        return RC_NOT_FOUND;
    }
    if (!out->count) {
        delivery_status_set(status, DELIVERY_BOUNCE, SCOPE_DOMAIN, 0, "5.1.10", "the domain %.*s takes no mail (null MX)",
                            (int)domain.len, domain.p);
        return RC_NOT_FOUND;
    }
    cut_at_ourselves(out);
    if (!out->count) {
        delivery_status_set(status, DELIVERY_WAIT, SCOPE_DOMAIN, 0, "4.4.6",
                            "this box is itself the MX of %.*s, which is not in mail.domains: a loop", (int)domain.len, domain.p);
        return RC_NOT_FOUND;
    }
    return RC_OK;
}

enum rc next_hop_find(struct next_hop *out, struct span domain, struct dns_answer *scratch, struct delivery_status *status,
                      struct deadline d)
{
    enum rc rc = RC_OK;
    memset(out, 0, sizeof *out);
    out->kind = next_hop_kind_of(domain);
    switch (out->kind) {
    case HOP_LITERAL:
        return literal_host(out, domain, status);
    case HOP_ROUTE:
        rc = hosts_from_setting(out, settings_get_member("mail.route.", domain), 25);
        break;
    case HOP_INSIDE:
        rc = hosts_from_setting(out, settings_get("mail.inside"), 25);
        break;
    case HOP_SMARTHOST:
        rc = hosts_from_setting(out, settings_get("mail.smarthost"), 587);
        break;
    case HOP_MX:
        return mx_hosts(out, domain, scratch, status, d);
    }
    if (rc != RC_OK)
        delivery_status_set(status, DELIVERY_WAIT, SCOPE_DOMAIN, 0, "4.3.5", "the next hop of %.*s (%s) is not set up",
                            (int)domain.len, domain.p, next_hop_kind_name(out->kind));
    return rc;
}

static unsigned keep_family(struct ip_addr_any *a, unsigned count, enum ip_family family)
{
    unsigned kept = 0;
    for (unsigned i = 0; i < count; i++)
        if (a[i].family == family)
            a[kept++] = a[i];
    return kept;
}

enum rc next_hop_addresses(const struct next_hop *hop, const struct next_hop_host *host, struct ip_addr_any *out, unsigned *count,
                           struct dns_answer *scratch, struct delivery_status *status, struct deadline d)
{
    enum rc rc = network_resolve(span_of(host->name), out, NEXT_HOP_ADDRESSES_MAX, count, scratch, d);
    if (rc == RC_CANCELLED)
        return rc;
    if (rc != RC_OK) {
        delivery_status_set(status, DELIVERY_WAIT, SCOPE_HOST, 0, "4.4.3", "the DNS gave no answer about %s (%s)", host->name,
                            rc_name(rc));
        return rc;
    }
    bool outside = hop->kind == HOP_MX || hop->kind == HOP_SMARTHOST || hop->kind == HOP_LITERAL;
    bool had_any = *count > 0;
    if (outside && *count && !network_ipv6_sends())
        *count = keep_family(out, *count, IP_V4);
    if (*count)
        return RC_OK;
    if (had_any)
        delivery_status_set(status, DELIVERY_WAIT, SCOPE_HOST, 0, "4.4.4",
                            "%s has an IPv6 address alone, and this box's own has no matching PTR record", host->name);
    else
        delivery_status_set(status, hop->kind == HOP_MX && hop->count == 1 ? DELIVERY_BOUNCE : DELIVERY_WAIT, SCOPE_HOST, 0,
                            hop->kind == HOP_MX && hop->count == 1 ? "5.4.4" : "4.4.4", "%s has no address", host->name);
    return RC_NOT_FOUND;
}

static enum verdict_demand inside_demand(void)
{
    struct span v = span_of(settings_get("mail.inside_tls"));
    if (span_is(v, "pin"))
        return DEMAND_PINNED;
    return span_is(v, "ca") || span_is(v, "public") ? DEMAND_VERIFIED : DEMAND_NONE;
}

void next_hop_demand(const struct next_hop *hop, struct verdict_domain *v)
{
    v->local.present = hop->kind == HOP_INSIDE || hop->kind == HOP_ROUTE || hop->kind == HOP_SMARTHOST;
    if (!v->local.present)
        return;
    v->local.host = span_of(hop->host[0].name);
    v->local.first_hop_only = hop->kind == HOP_SMARTHOST;
    v->local.demand = DEMAND_NONE;
    if (hop->kind == HOP_INSIDE)
        v->local.demand = inside_demand();
    else if (hop->kind == HOP_SMARTHOST && settings_get("mail.smarthost_user")[0])
        v->local.demand = DEMAND_VERIFIED;
}
