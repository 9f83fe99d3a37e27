/* dns: resolvers and their answers. */
#include "firmware/console_commands.h"
#include "firmware/json_out.h"
#include "firmware/setting_value.h"
#include "firmware/settings.h"
#include "net/link.h"

#define LOOKUP_MS 15000

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
    enum dns_type type = DNS_A;
    if (!domain_word(c, 1, &domain) || (c->count > 2 && !parse_type(c->word[2], &type)))
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

void command_dns(const struct command_line *c)
{
    if (c->count == 1)
        dns_overview(c->json);
    else
        dns_ask(c);
}
