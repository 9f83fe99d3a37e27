/* dns: resolvers and their answers; what the DNS has to say about this box, and whether it does. */
#include "firmware/cert_dialogue.h"
#include "firmware/console_commands.h"
#include "firmware/identity.h"
#include "firmware/json_out.h"
#include "firmware/setting_value.h"
#include "firmware/settings.h"
#include "net/link.h"

#define LOOKUP_MS 15000
#define CHECK_MS 5000

static struct dns_answer *const answer = &command_memory.answer;

/* The n-th resolver in use: those of net.dns, else those that the network gave. */
static bool resolver_at(unsigned n, struct strbuf *out)
{
    struct link_status link;
    struct span rest = span_of(settings_get("net.dns")), item;
    bool more = rest.len > 0;
    strbuf_clear(out);
    if (more) {
        while (setting_list_next(&rest, &more, &item))
            if (n-- == 0) {
                strbuf_add(out, item);
                return true;
            }
        return false;
    }
    link_status(&link);
    if (n >= link.resolver_count)
        return false;
    ip_format(out, &link.resolver[n]);
    return true;
}

static void dns_overview_json(const struct dns_stats *s)
{
    char memory[IP_ENDPOINT_TEXT_MAX];
    struct strbuf resolver = STRBUF(memory);
    json_begin();
    json_array("resolvers");
    for (unsigned i = 0; resolver_at(i, &resolver); i++)
        json_text(NULL, memory);
    json_close();
    json_text("given_by", settings_get("net.dns")[0] ? "net.dns" : "network");
    json_number("queries", (int64_t)s->queries);
    json_number("cache_hits", (int64_t)s->cache_hits);
    json_number("timeouts", (int64_t)s->timeouts);
    json_number("tcp_fallbacks", (int64_t)s->tcp_fallbacks);
    json_number("servfails", (int64_t)s->servfails);
    json_number("mismatches", (int64_t)s->mismatches);
    json_number("cache_entries", s->cache_entries);
    json_end();
}

static void dns_overview(bool json)
{
    char memory[IP_ENDPOINT_TEXT_MAX];
    struct strbuf resolver = STRBUF(memory);
    struct dns_stats s;
    dns_stats(&s);
    if (json) {
        dns_overview_json(&s);
        return;
    }
    for (unsigned i = 0; resolver_at(i, &resolver); i++)
        say("resolver %s (%s)", memory, settings_get("net.dns")[0] ? "net.dns" : "given by the network");
    say("%llu queries, %llu answered from the cache, %llu timeouts, %llu over TCP, %llu failures, %llu forged or stray answers",
        (unsigned long long)s.queries, (unsigned long long)s.cache_hits, (unsigned long long)s.timeouts,
        (unsigned long long)s.tcp_fallbacks, (unsigned long long)s.servfails, (unsigned long long)s.mismatches);
    say("%u names in the cache, %u bytes", s.cache_entries, (unsigned)s.cache_bytes);
}

static bool parse_type(struct span word, enum dns_type *type)
{
    static const struct {
        const char *name;
        enum dns_type type;
    } types[] = { { "A", DNS_A },       { "AAAA", DNS_AAAA },   { "MX", DNS_MX },   { "TXT", DNS_TXT },
                  { "TLSA", DNS_TLSA }, { "CNAME", DNS_CNAME }, { "PTR", DNS_PTR }, { "NS", DNS_NS } };
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++)
        if (span_is_nocase(word, types[i].name)) {
            *type = types[i].type;
            return true;
        }
    say_error("the type is none of A, AAAA, MX, TXT, TLSA, CNAME, PTR, NS");
    return false;
}

static void add_record(struct strbuf *out, enum dns_type type, unsigned i)
{
    struct ip_addr_any a;
    struct span data = dns_record_data(answer, i);
    if ((type == DNS_A || type == DNS_AAAA) && dns_record_addr(answer, i, &a)) {
        ip_format(out, &a);
        return;
    }
    if (type == DNS_TLSA && data.len >= 3) {
        strbuf_printf(out, "%u %u %u ", data.p[0], data.p[1], data.p[2]);
        strbuf_add_hex(out, span_from(data, 3));
        return;
    }
    if (type == DNS_MX)
        strbuf_printf(out, "%u ", answer->record[i].preference);
    strbuf_add_printable(out, data, 400);
    if (type == DNS_MX && !data.len)
        strbuf_putc(out, '.');
}

static void dns_ask(const struct command_line *c)
{
    static const char *const outcomes[] = { "found", "no such records", "no such name" };
    char name[DOMAIN_TEXT_MAX], memory[600];
    struct strbuf domain = STRBUF(name), line = STRBUF(memory);
    struct ip_addr_any address;
    bool reverse = ip_parse(c->word[1], &address) == RC_OK;
    enum dns_type type = reverse ? DNS_PTR : DNS_A;
    if (reverse)
        ip_reverse_name(&domain, &address);
    if ((!reverse && !domain_word(c, 1, &domain)) || (c->count > 2 && !parse_type(c->word[2], &type)))
        return;
    enum rc rc = dns_lookup(strbuf_span(&domain), type, answer, deadline_in_ms(LOOKUP_MS));
    if (rc != RC_OK) {
        say_error("no answer (%s)", rc_name(rc));
        return;
    }
    if (c->json) {
        json_begin();
        json_text("name", answer->name);
        json_text("outcome", outcomes[answer->outcome]);
        json_number("ttl_s", answer->ttl_s);
        json_array("records");
    } else {
        say("%s: %s, TTL %u s", answer->name, outcomes[answer->outcome], (unsigned)answer->ttl_s);
    }
    for (unsigned i = 0; i < answer->count; i++) {
        strbuf_clear(&line);
        add_record(&line, type, i);
        if (c->json)
            json_text(NULL, memory);
        else
            say("  %s", memory);
    }
    if (c->json) {
        json_close();
        json_end();
    }
}

/* --- records to publish --- */

struct publishing {
    bool json, check;
    bool deaf; /* no resolver answers: no more is asked */
};

/* The record says it, and more behind a semicolon at most; an MX at any preference. */
static bool says(enum dns_type type, struct span record, struct span data)
{
    if (type == DNS_MX)
        record = span_from(record, span_find(record, 0, ' ') + 1);
    return span_starts(record, data.p) && (record.len == data.len || record.p[data.len] == ';');
}

/* "live", or else what there is in its place. data empty: anything is. */
static const char *find_record(struct publishing *p, const char *owner, enum dns_type type, struct span data, struct strbuf *shown)
{
    if (p->deaf || dns_lookup(span_of(owner), type, answer, deadline_in_ms(CHECK_MS)) != RC_OK) {
        p->deaf = true;
        return "no answer";
    }
    for (unsigned i = answer->count; i-- > 0;) {
        strbuf_clear(shown);
        add_record(shown, type, i);
        if (says(type, strbuf_span(shown), data)) {
            strbuf_clear(shown);
            return "live";
        }
    }
    return !answer->count ? "missing" : data.len ? "another" : "found";
}

/* A line of a zone file. data empty: nobody here knows it. */
static void publish(struct publishing *p, const char *owner, const char *type_name, const char *data)
{
    char memory[600];
    struct strbuf shown = STRBUF(memory);
    enum dns_type type = DNS_A;
    (void)parse_type(span_of(type_name), &type);
    const char *state = p->check ? find_record(p, owner, type, span_of(data), &shown) : "";
    if (p->json) {
        json_object(NULL);
        json_text("owner", owner);
        json_text("type", type_name);
        json_text("data", data);
        json_text("state", state);
        json_text("shown", memory);
        json_close();
        return;
    }
    const char *before = type == DNS_TXT ? "\"" : type == DNS_MX ? "10 " : "";
    const char *after = type == DNS_TXT ? "\"" : type == DNS_MX || type == DNS_PTR ? "." : "";
    say("%s%s. %s %s%s%s%s%s%s%s", data[0] ? "" : "; ", owner, type_name, before,
        data[0] ? data : "(the public address that leads here)", after, p->check ? " ; " : "", state, memory[0] ? ": " : "",
        memory);
}

/* Not for private use, nor for one link. */
static bool is_public(const struct ip_addr_any *a)
{
    unsigned first = a->b[0], second = a->b[1];
    if (a->family == IP_V6)
        return first / 32 == 1;
    return !(first == 10 || (first == 172 && second / 16 == 1) || (first == 192 && second == 168) ||
             (first == 100 && second / 64 == 1));
}

static void publish_address(struct publishing *p, const struct ip_addr_any *a, const char *host)
{
    char text[IP_TEXT_MAX], name[DOMAIN_TEXT_MAX];
    struct strbuf address = STRBUF(text), owner = STRBUF(name);
    struct ip_addr_any ip;
    bool known = is_public(a);
    if (known)
        ip_format(&address, a);
    else if (a->family == IP_V6)
        return;
    for (unsigned i = 0; cert_wanted_name(i, &owner); i++)
        if (ip_parse(strbuf_span(&owner), &ip) != RC_OK)
            publish(p, name, a->family == IP_V4 ? "A" : "AAAA", text);
    strbuf_clear(&owner);
    ip_reverse_name(&owner, a);
    if (known)
        publish(p, name, "PTR", host);
}

static void publish_keys(struct publishing *p, const char *host)
{
    char name[DOMAIN_TEXT_MAX + 8], text[80];
    struct strbuf owner = STRBUF(name), data = STRBUF(text);
    struct tls_leaf_info info;
    bool have = identity_info(&info);
    strbuf_printf(&owner, "_25._tcp.%s", host);
    for (unsigned i = 0; have; i++) {
        strbuf_clear(&data);
        strbuf_puts(&data, "3 1 1 ");
        strbuf_add_hex(&data, span_bytes(info.spki_sha256, sizeof info.spki_sha256));
        publish(p, name, "TLSA", text);
        have = i == 0 && cert_store_next_pin(info.spki_sha256) == RC_OK;
    }
}

static void publish_all(struct publishing *p, const char *host)
{
    struct link_status link;
    char text[CERT_ACCOUNT_MAX], name[DOMAIN_TEXT_MAX + 24];
    struct strbuf data = STRBUF(text), owner = STRBUF(name);
    struct span rest = span_of(settings_get("mail.domains")), item;
    bool more = rest.len > 0;
    link_status(&link);
    publish_address(p, &link.address.addr, host);
    for (unsigned i = 0; i < link.address6_count; i++)
        publish_address(p, &link.address6[i], host);
    while (more && setting_list_next(&rest, &more, &item)) {
        strbuf_clear(&owner);
        strbuf_add(&owner, item);
        publish(p, name, "MX", host);
    }
    publish_keys(p, host);
    for (unsigned i = 0; cert_wanted_record(i, &owner, &data); i++)
        publish(p, name, "TXT", text);
}

static void dns_records(const struct command_line *c, bool check)
{
    struct publishing p = { .json = c->json, .check = check };
    const char *host = settings_get("host.name");
    if (!host[0]) {
        say_error("host.name is not set");
        return;
    }
    if (check)
        dns_cache_clear(); /* they may just have been put there */
    if (c->json) {
        json_begin();
        json_array("records");
    }
    publish_all(&p, host);
    if (c->json) {
        json_close();
        json_end();
    }
}

void command_dns(const struct command_line *c)
{
    bool check = c->count == 2 && span_is(c->word[1], "check");
    if (c->count == 1)
        dns_overview(c->json);
    else if (check || (c->count == 2 && span_is(c->word[1], "records")))
        dns_records(c, check);
    else
        dns_ask(c);
}
