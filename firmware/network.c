/* Reads settings into link_params and dns_params, at boot and after each commit; runs SNTP. */
#include "firmware/network.h"

#include "board/plan_sizes.h"
#include "firmware/alerts.h"
#include "firmware/resolver_check.h"
#include "firmware/setting_value.h"
#include "firmware/wallclock.h"
#include "hal/base/crc32.h"
#include "hal/base/log.h"
#include "hal/random.h"
#include "hal/task.h"
#include "net/dns.h"
#include "net/sntp.h"

#define SNTP_FIRST_MS 2000
#define SNTP_EVERY_S 3600
#define SNTP_RETRY_S 60
#define SNTP_WAIT_MS 5000
#define IPV6_CHECK_MS (3600 * 1000)
#define IPV6_CHECK_WAIT_MS 10000
#define TURN_WAIT_MS 200    /* for the memory of an answer: a slow resolver must not hold up all mail for a name in Received */
#define REVERSE_TEXT_MAX 80 /* 32 nibbles and ip6.arpa are 72 */

static struct task sntp_task; /* asks time servers, and tests resolvers */
static struct event news;
static uint8_t sntp_stack[PLAN_SNTP_STACK_BYTES] __attribute__((aligned(16)));
static struct {
    struct dns_answer answer;
    bool taken;
    struct event freed;
} shared;
static struct link_params link_in_use;
static uint32_t resolvers_in_use; /* checksum of the parameters: they are large */
static struct {
    bool fit, checking;
    uint64_t checked_ms; /* 0: never */
    struct ip_addr_any addr;
} ipv6;

static void read_link_params(struct link_params *p)
{
    const char *v4 = settings_get("net.address"), *v6 = settings_get("net.address6");
    memset(p, 0, sizeof *p);
    p->hostname = "postern";
    p->dhcp = span_is(span_of(v4), "dhcp");
    if (!p->dhcp && ip_net_parse(span_of(v4), &p->address) != RC_OK)
        p->dhcp = true; /* checked on entry: only a settings log from elsewhere can get here */
    const char *gateway = settings_get("net.gateway"), *gateway6 = settings_get("net.gateway6");
    if (gateway[0] && ip_parse(span_of(gateway), &p->gateway) != RC_OK)
        p->gateway.family = IP_NONE;
    if (gateway6[0] && ip_parse(span_of(gateway6), &p->gateway6) != RC_OK)
        p->gateway6.family = IP_NONE;
    p->ipv6_auto = span_is(span_of(v6), "auto");
    if (!p->ipv6_auto && !span_is(span_of(v6), "off") && ip_net_parse(span_of(v6), &p->address6) != RC_OK)
        p->address6.addr.family = IP_NONE;
}

static unsigned read_endpoints(const char *text, struct ip_endpoint *out, unsigned max)
{
    struct span rest = span_of(text), item;
    bool more = text[0] != '\0';
    unsigned n = 0;
    while (n < max && setting_list_next(&rest, &more, &item))
        if (ip_endpoint_parse(item, 53, &out[n]) == RC_OK)
            n++;
    return n;
}

static void read_dns_params(struct dns_params *p)
{
    char member[DOMAIN_TEXT_MAX];
    const char *value;
    memset(p, 0, sizeof *p);
    p->resolver_count = read_endpoints(settings_get("net.dns"), p->resolver, DNS_RESOLVERS_MAX);
    if (!p->resolver_count) {
        struct link_status link;
        link_status(&link);
        for (unsigned i = 0; i < link.resolver_count && i < DNS_RESOLVERS_MAX; i++)
            p->resolver[p->resolver_count++] = (struct ip_endpoint){ link.resolver[i], 53 };
    }
    struct strbuf zone = STRBUF(member);
    for (unsigned i = 0; p->zone_count < DNS_ZONES_MAX && settings_member_at("net.dns_zone.", i, &zone, &value); i++) {
        struct dns_zone_route *z = &p->zone[p->zone_count];
        struct strbuf name = STRBUF(z->zone);
        strbuf_add(&name, strbuf_span(&zone));
        if (read_endpoints(value, &z->resolver, 1) == 1)
            p->zone_count++;
    }
}

void network_follow(void)
{
    struct dns_params *now = dns_params(); /* nothing here yields */
    read_dns_params(now);
    uint32_t sum = crc32_update(0, now, sizeof *now);
    if (sum == resolvers_in_use)
        return;
    resolvers_in_use = sum;
    dns_params_changed();
    resolver_check_follow(now);
    event_signal(&news);
    char memory[DNS_RESOLVERS_MAX * IP_ENDPOINT_TEXT_MAX];
    struct strbuf text = STRBUF(memory);
    for (unsigned i = 0; i < now->resolver_count; i++) {
        strbuf_puts(&text, i ? "," : "");
        ip_endpoint_format(&text, &now->resolver[i]);
    }
    log_event(LOG_DNS, "resolvers", "list=%s zones=%u", text.p, now->zone_count);
}

static void settings_changed(void)
{
    struct link_params p;
    read_link_params(&p);
    if (memcmp(&p, &link_in_use, sizeof p) != 0) {
        link_in_use = p;
        enum rc rc = link_reconfigure(&p);
        log_event(LOG_NET, "reconfigure", "rc=%s", rc_name(rc));
    }
    ipv6.checked_ms = 0;
    network_follow();
}

enum rc network_resolve(struct span host, struct ip_addr_any *out, unsigned max, unsigned *count, struct dns_answer *scratch,
                        struct deadline d)
{
    static const enum dns_type types[] = { DNS_A, DNS_AAAA };
    *count = 0;
    if (max && ip_parse(host, out) == RC_OK) {
        *count = 1;
        return RC_OK;
    }
    enum rc worst = RC_OK;
    for (unsigned t = 0; t < 2; t++) {
        enum rc rc = dns_lookup(host, types[t], scratch, d);
        if (rc == RC_CANCELLED)
            return rc;
        worst = rc != RC_OK ? rc : worst;
        for (unsigned i = 0; rc == RC_OK && i < scratch->count && *count < max; i++)
            *count += dns_record_addr(scratch, i, &out[*count]);
    }
    return *count ? RC_OK : worst;
}

/* --- IPv6 fitness --- */

static bool find_global_ipv6(struct ip_addr_any *out)
{
    struct link_status link;
    link_status(&link);
    for (unsigned i = 0; i < link.address6_count; i++)
        if (!(link.address6[i].b[0] == 0xfe && (link.address6[i].b[1] & 0xc0) == 0x80)) {
            *out = link.address6[i];
            return true;
        }
    return false;
}

/* --- one answer's memory for all who ask seldom --- */

static enum rc shared_take(uint32_t patience_ms)
{
    struct deadline d = deadline_in_ms(patience_ms);
    while (shared.taken) {
        enum rc rc = task_wait(&shared.freed, d);
        if (rc != RC_OK)
            return rc == RC_TIMEOUT ? RC_BUSY : rc;
    }
    shared.taken = true;
    return RC_OK;
}

static void shared_give(void)
{
    shared.taken = false;
    event_signal(&shared.freed);
}

/* --- reverse names --- */

static bool leads_back(struct span name, const struct ip_addr_any *a, struct deadline d)
{
    struct ip_addr_any back;
    if (dns_lookup(name, a->family == IP_V6 ? DNS_AAAA : DNS_A, &shared.answer, d) != RC_OK)
        return false;
    for (unsigned i = 0; i < shared.answer.count; i++)
        if (dns_record_addr(&shared.answer, i, &back) && ip_eq(&back, a))
            return true;
    return false;
}

enum rc network_reverse_name(const struct ip_addr_any *a, struct strbuf *name, struct deadline d)
{
    char reverse[REVERSE_TEXT_MAX];
    struct strbuf r = STRBUF(reverse);
    ip_reverse_name(&r, a);
    strbuf_clear(name);
    enum rc rc = shared_take(TURN_WAIT_MS);
    if (rc != RC_OK)
        return rc;
    if (dns_lookup(strbuf_span(&r), DNS_PTR, &shared.answer, d) == RC_OK && shared.answer.count)
        strbuf_add(name, dns_record_data(&shared.answer, 0));
    if (!name->len || name->overflow || !leads_back(strbuf_span(name), a, d))
        strbuf_clear(name);
    shared_give();
    return name->len ? RC_OK : RC_NOT_FOUND;
}

bool network_ipv6_sends(void)
{
    struct ip_addr_any own;
    if (!find_global_ipv6(&own))
        return false;
    bool fresh = ipv6.checked_ms && ip_eq(&own, &ipv6.addr) && clock_ms() - ipv6.checked_ms < IPV6_CHECK_MS;
    if (fresh || ipv6.checking)
        return ipv6.fit && fresh;
    char name[DOMAIN_TEXT_MAX];
    struct strbuf text = STRBUF(name);
    ipv6.checking = true;
    enum rc rc = network_reverse_name(&own, &text, deadline_in_ms(IPV6_CHECK_WAIT_MS));
    ipv6.checking = false;
    if (rc != RC_OK && rc != RC_NOT_FOUND)
        return false; /* not asked: the next one that wants to know does */
    bool fit = rc == RC_OK;
    ipv6.addr = own;
    ipv6.checked_ms = clock_ms() ? clock_ms() : 1;
    ipv6.fit = fit;
    log_event(LOG_NET, "ipv6-sending", "fit=%d why=%s", fit, fit ? "reverse-confirmed" : "no-matching-ptr");
    return fit;
}

/* --- time --- */

static enum rc ask_one(struct span host)
{
    struct ip_endpoint server = { .port = 123 };
    struct sntp_answer answer;
    unsigned count = 0;
    struct deadline d = deadline_in_ms(SNTP_WAIT_MS);
    enum rc rc = shared_take(SNTP_WAIT_MS);
    if (rc == RC_OK) {
        rc = network_resolve(host, &server.addr, 1, &count, &shared.answer, d);
        shared_give();
    }
    if (rc == RC_OK && !count)
        rc = RC_NOT_FOUND;
    if (rc == RC_OK)
        rc = sntp_query(&server, &answer, d);
    if (rc == RC_OK)
        rc = wallclock_from_sntp(answer.unix_s, answer.at_us);
    log_event(LOG_TIME, "sntp", "host=%.*s rc=%s", (int)host.len, host.p, rc_name(rc));
    return rc;
}

/* *any_named: a time server is known, by setting or by DHCP, which may still be on its way. */
static enum rc ask_time_servers(bool *any_named)
{
    static char list[SETTING_VALUE_MAX + 1]; /* of this one task: its stack is small */
    struct strbuf copy = STRBUF(list);
    strbuf_puts(&copy, settings_get("net.ntp"));
    struct link_status link;
    link_status(&link);
    if (!copy.len && link.ntp.family != IP_NONE)
        ip_format(&copy, &link.ntp);
    struct span rest = strbuf_span(&copy), host;
    bool more = *any_named = rest.len > 0;
    enum rc rc = RC_NOT_FOUND;
    while (rc != RC_OK && rc != RC_CANCELLED && setting_list_next(&rest, &more, &host))
        rc = ask_one(host);
    return rc;
}

static void sntp_main(void *arg)
{
    (void)arg;
    struct deadline due = deadline_in_ms(SNTP_FIRST_MS);
    while (task_wait(&news, deadline_earlier(due, resolver_check_due())) != RC_CANCELLED) {
        if (deadline_passed(due)) {
            bool any_named;
            enum rc rc = ask_time_servers(&any_named);
            uint32_t next_s = rc == RC_OK ? SNTP_EVERY_S : SNTP_RETRY_S;
            due = deadline_in_ms(any_named ? (next_s + random_below(next_s / 4)) * 1000 : SNTP_FIRST_MS);
        }
        resolver_check_run();
    }
}

bool network_is_own(const struct ip_addr_any *a)
{
    struct link_status link;
    link_status(&link);
    bool own = ip_eq(a, &link.address.addr);
    for (unsigned i = 0; i < link.address6_count; i++)
        own = own || ip_eq(a, &link.address6[i]);
    return own;
}

enum rc network_init(void)
{
    read_link_params(&link_in_use);
    enum rc rc = link_init(&link_in_use);
    if (rc != RC_OK)
        return rc;
    network_follow();
    settings_on_change(settings_changed);
    task_start(&sntp_task, "sntp", sntp_stack, sizeof sntp_stack, sntp_main, NULL);
    return RC_OK;
}
