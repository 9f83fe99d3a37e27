#include "net/dns.h"

#include <string.h>

#include "board/dns_sizes.h"
#include "hal/task.h"
#include "net/dns_cache.h"
#include "net/dns_client.h"
#include "net/dns_facts.h"

static struct slot {
    bool busy;
    struct dns_query query;
    char name[DOMAIN_TEXT_MAX]; /* asked for now: the lookup's name, then what it is an alias of */
} slots[DNS_SLOTS];
static struct event slot_freed;

static struct dns_params params;
static unsigned generation;     /* of params: an answer got under others is not kept */
static unsigned first_resolver; /* the one that answered last */
static dns_validator validator;
static void *validator_ctx;
static uint64_t cache_hits;

static bool endpoints_eq(const struct ip_endpoint *a, const struct ip_endpoint *b)
{
    return a->port == b->port && ip_eq(&a->addr, &b->addr);
}

static bool params_eq(const struct dns_params *a, const struct dns_params *b)
{
    if (a->resolver_count != b->resolver_count || a->zone_count != b->zone_count)
        return false;
    for (unsigned i = 0; i < a->resolver_count; i++)
        if (!endpoints_eq(&a->resolver[i], &b->resolver[i]))
            return false;
    for (unsigned i = 0; i < a->zone_count; i++)
        if (!endpoints_eq(&a->zone[i].resolver, &b->zone[i].resolver) ||
            !span_eq(span_of(a->zone[i].zone), span_of(b->zone[i].zone)))
            return false;
    return true;
}

void dns_configure(const struct dns_params *p)
{
    if (params_eq(&params, p))
        return;
    params = *p;
    if (params.resolver_count > DNS_RESOLVERS_MAX)
        params.resolver_count = DNS_RESOLVERS_MAX;
    if (params.zone_count > DNS_ZONES_MAX)
        params.zone_count = DNS_ZONES_MAX;
    dns_params_changed();
}

struct dns_params *dns_params(void)
{
    return &params;
}

void dns_params_changed(void)
{
    first_resolver = 0;
    generation++;
    dns_cache_clear();
}

void dns_set_validator(dns_validator validate, void *ctx)
{
    validator = validate;
    validator_ctx = ctx;
}

/* --- slots --- */

static struct slot *free_slot(void)
{
    for (unsigned i = 0; i < DNS_SLOTS; i++)
        if (!slots[i].busy)
            return &slots[i];
    return NULL;
}

static enum rc take_slot(struct slot **out, struct deadline d)
{
    while ((*out = free_slot()) == NULL) {
        enum rc rc = task_wait(&slot_freed, d);
        if (rc != RC_OK)
            return rc == RC_TIMEOUT ? RC_BUSY : rc;
    }
    (*out)->busy = true;
    return RC_OK;
}

static void give_slot(struct slot *s)
{
    s->busy = false;
    event_signal(&slot_freed);
}

/* --- whom to ask --- */

static const struct dns_zone_route *zone_of(struct span name)
{
    const struct dns_zone_route *best = NULL;
    size_t best_len = 0;
    for (unsigned i = 0; i < params.zone_count; i++) {
        struct span zone = span_of(params.zone[i].zone);
        if (domain_is_within(name, zone) && (best == NULL || zone.len > best_len)) {
            best = &params.zone[i];
            best_len = zone.len;
        }
    }
    return best;
}

/* Fills the query's resolvers; true if they are an internal zone's. */
static bool choose_resolvers(struct dns_query *q, struct span name)
{
    const struct dns_zone_route *zone = zone_of(name);
    if (zone != NULL) {
        q->resolver[0] = zone->resolver;
        q->resolver_count = 1;
        return true;
    }
    q->resolver_count = params.resolver_count;
    for (unsigned i = 0; i < params.resolver_count; i++)
        q->resolver[i] = params.resolver[(first_resolver + i) % params.resolver_count];
    return false;
}

/* --- the lookup --- */

static enum rc ask(struct slot *s, enum dns_type type, struct dns_answer *out, bool *incomplete, struct deadline d)
{
    struct span name = span_of(s->name);
    unsigned asked_generation = generation;
    bool internal = choose_resolvers(&s->query, name);
    if (s->query.resolver_count == 0)
        return RC_UNREACHABLE;
    unsigned asked_first = first_resolver;
    enum rc rc = dns_query_run(&s->query, name, type, out, incomplete, d);
    if (rc != RC_OK)
        return rc;
    if (!internal && generation == asked_generation)
        first_resolver = (asked_first + s->query.answered_by) % params.resolver_count;
    if (!internal && validator != NULL)
        rc = validator(validator_ctx, name, type, s->query.response.message, out, d);
    dns_query_end(&s->query);
    return rc;
}

/* A chain is as secure as its weakest link. */
static enum dns_security weaker(enum dns_security a, enum dns_security b)
{
    static const uint8_t strength[] = { [DNS_BOGUS] = 0, [DNS_UNVALIDATED] = 1, [DNS_INSECURE] = 2, [DNS_SECURE] = 3 };
    return strength[a] <= strength[b] ? a : b;
}

/* Asks for s->name and, where a response names an alias without saying more about it, for that one. */
static enum rc follow(struct slot *s, enum dns_type type, struct dns_answer *out, struct deadline d)
{
    uint32_t ttl_s = DNS_TTL_MAX_S;
    enum dns_security security = DNS_SECURE;
    bool incomplete = true;
    for (unsigned hop = 0; incomplete; hop++) {
        if (hop > DNS_CNAME_CHAIN_MAX)
            return RC_PROTOCOL;
        incomplete = false;
        if (!dns_cache_get(span_of(s->name), type, out)) {
            enum rc rc = ask(s, type, out, &incomplete, d);
            if (rc != RC_OK)
                return rc;
        }
        ttl_s = out->ttl_s < ttl_s ? out->ttl_s : ttl_s;
        security = weaker(security, out->security);
        struct strbuf next = STRBUF(s->name);
        strbuf_puts(&next, out->name);
    }
    out->ttl_s = ttl_s;
    out->security = security;
    return RC_OK;
}

enum rc dns_lookup(struct span name, enum dns_type type, struct dns_answer *out, struct deadline d)
{
    struct slot *s;
    dns_answer_clear(out);
    if (name.len > DOMAIN_MAX)
        return RC_INVALID;
    if (type == DNS_SOA)
        return RC_UNSUPPORTED;
    if (dns_cache_get(name, type, out)) {
        cache_hits++;
        return RC_OK;
    }
    enum rc rc = take_slot(&s, d);
    if (rc != RC_OK)
        return rc;
    unsigned asked_generation = generation;
    struct strbuf asked = STRBUF(s->name);
    strbuf_add(&asked, name);
    rc = follow(s, type, out, d);
    give_slot(s);
    if (rc != RC_OK)
        dns_answer_clear(out);
    else if (generation == asked_generation)
        dns_cache_put(name, type, out);
    return rc;
}

enum rc dns_ask_resolver(const struct ip_endpoint *resolver, struct span name, enum dns_type type, bool over_tcp,
                         struct dns_facts *out, struct deadline d)
{
    struct slot *s;
    enum rc rc = take_slot(&s, d);
    if (rc != RC_OK)
        return rc;
    rc = dns_query_once(&s->query, resolver, name, type, over_tcp, d);
    if (rc == RC_OK) {
        dns_facts_read(&s->query.response, out);
        dns_query_end(&s->query);
    }
    give_slot(s);
    return rc;
}

void dns_stats(struct dns_stats *out)
{
    *out = dns_client_stats;
    out->cache_hits = cache_hits;
    dns_cache_usage(&out->cache_entries, &out->cache_bytes);
}
