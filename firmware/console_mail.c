/* policy, cert, dns: what the box knows about others and shows of itself. */
#include "firmware/attempt.h"
#include "firmware/console_commands.h"
#include "firmware/delivery.h"
#include "firmware/identity.h"
#include "firmware/inside_trust.h"
#include "firmware/json_out.h"
#include "firmware/list_store.h"
#include "firmware/setting_value.h"
#include "firmware/settings.h"
#include "firmware/wallclock.h"
#include "hal/base/datetime.h"
#include "net/link.h"

#define LOOKUP_MS 15000

union command_memory command_memory;

static struct list_entry *const entry = &command_memory.policy.entry;
static struct verdict *const verdict = &command_memory.policy.verdict;
static struct dns_answer *const answer = &command_memory.answer;

static bool domain_word(const struct command_line *c, unsigned n, struct strbuf *domain)
{
    if (n < c->count && domain_canonical(c->word[n], domain) == RC_OK)
        return true;
    if (n < c->count)
        say_error("that is not a domain name");
    else
        say_usage(c->command);
    return false;
}

/* --- policy --- */

static void say_lines(const char *text, const char *indent)
{
    struct span rest = span_of(text), line;
    bool more = text[0] != '\0';
    while (span_split(&rest, &more, '\n', &line))
        say("%s%.*s", indent, (int)line.len, line.p);
}

static const char *list_state_name(enum verdict_list_state s)
{
    static const char *const names[] = { "no-list", "absent", "found", "expired", "damaged" };
    return names[s];
}

static void policy_json(const char *domain, const struct verdict_domain *known, enum next_hop_kind kind)
{
    json_begin();
    json_text("domain", domain);
    json_text("next_hop", next_hop_kind_name(kind));
    json_text("source", verdict_source_name(verdict->source));
    json_text("demand", verdict_demand_name(verdict->demand));
    json_bool("testing", verdict->testing);
    json_text("list", list_state_name(known->list.state));
    json_time("list_expires", known->list.entry ? known->list.expires : 0);
    json_array("mx");
    for (unsigned i = 0; known->list.entry && list_entry_mx(entry, i); i++)
        json_text(NULL, list_entry_mx(entry, i));
    json_close();
    json_array("reasons");
    struct span rest = span_of(verdict->text), line;
    bool more = verdict->text[0] != '\0';
    while (span_split(&rest, &more, '\n', &line))
        json_string(NULL, line);
    json_close();
    json_end();
}

static void policy_text(const char *domain, const struct verdict_domain *known, enum next_hop_kind kind)
{
    static const char *const demands[] = { "nothing (TLS if they offer it, any certificate)",
                                           "TLS, any certificate",
                                           "TLS with a certificate that is valid and names the server",
                                           "TLS with the pinned key",
                                           "TLS that matches the domain's TLSA records",
                                           "not known now: mail waits" };
    static const char *const hops[] = { "the office's server", "its route's server", "the smart host", "its MX hosts",
                                        "that address" };
    say("mail to %s goes to %s, which must show: %s%s", domain, hops[kind], demands[verdict->demand],
        verdict->testing ? " (testing: a failure is noted, the mail goes)" : "");
    say_lines(verdict->text, "  - ");
    if (!known->list.entry)
        return;
    say("  list entry: %s, mail servers:", entry->mode == LIST_ENFORCE ? "enforce" : "testing");
    for (unsigned i = 0; list_entry_mx(entry, i); i++)
        say("    %s", list_entry_mx(entry, i));
}

void command_policy(const struct command_line *c)
{
    char memory[DOMAIN_TEXT_MAX];
    struct strbuf domain = STRBUF(memory);
    struct verdict_domain known;
    if (!domain_word(c, 1, &domain))
        return;
    enum next_hop_kind kind = delivery_policy(strbuf_span(&domain), &command_memory.policy.hop, &known, entry, verdict);
    if (c->json)
        policy_json(memory, &known, kind);
    else
        policy_text(memory, &known, kind);
}

/* --- cert --- */

static void cert_info(const struct command_line *c)
{
    struct tls_leaf_info info;
    char from[40], until[40], hex[65], pin[65];
    struct strbuf f = STRBUF(from), u = STRBUF(until), h = STRBUF(hex), p = STRBUF(pin);
    if (!identity_info(&info)) {
        say_error("there is no certificate: TLS is off");
        return;
    }
    rfc3339_format(&f, info.not_before);
    rfc3339_format(&u, info.not_after);
    strbuf_add_hex(&h, span_bytes(info.sha256, sizeof info.sha256));
    strbuf_add_hex(&p, span_bytes(info.spki_sha256, sizeof info.spki_sha256));
    if (c->json) {
        json_begin();
        json_text("subject", info.subject);
        json_text("issuer", info.issuer);
        json_text("names", info.names);
        json_time("not_before", info.not_before);
        json_time("not_after", info.not_after);
        json_bool("self_signed", info.self_signed);
        json_number("chain", info.chain_length);
        json_text("key", info.key_type);
        json_text("sha256", hex);
        json_text("spki_sha256", pin);
        json_end();
        return;
    }
    say("names    %s%s", info.names, info.self_signed ? " (self-signed)" : "");
    say("issuer   %s, chain of %u, key %s", info.issuer, info.chain_length, info.key_type);
    say("valid    %s to %s", from, until);
    say("sha256   %s", hex);
    say("TLSA     3 1 1 %s", pin);
}

/* Lines until one with a single dot into text. */
static bool paste(struct strbuf *text)
{
    struct span line;
    say("paste it, and end with a line of one dot");
    for (;;) {
        enum rc rc = console_more("", true, &line);
        if (rc != RC_OK) {
            say_error("given up (%s)", rc == RC_CANCELLED ? "^C" : rc_name(rc));
            return false;
        }
        if (span_is(span_trim(line), "."))
            break;
        strbuf_add(text, line);
        strbuf_putc(text, '\n');
    }
    if (text->overflow)
        say_error("it is longer than %u bytes", (unsigned)text->cap - 1);
    return !text->overflow;
}

static void cert_import(bool ca)
{
    char words[200], *memory = identity_pem_take();
    struct strbuf why = STRBUF(words);
    if (!memory) {
        say_error("another certificate is just being put in");
        return;
    }
    struct strbuf text = strbuf_on(memory, IDENTITY_PEM_BYTES);
    if (paste(&text)) {
        enum rc rc = ca ? inside_trust_import(memory, text.len, &why)
                        : identity_import(strbuf_span(&text), strbuf_span(&text), &why);
        if (rc != RC_OK)
            say_error("%s", words[0] ? words : rc_name(rc));
        else
            say(ca ? "the office's CA is in use" : "the certificate is in use");
        if (ca)
            delivery_try_all_now(); /* mail that waited for this goes at once */
    }
    identity_pem_give();
}

void command_cert(const struct command_line *c)
{
    if (c->count == 1 || span_is(c->word[1], "info"))
        cert_info(c);
    else if (span_is(c->word[1], "import") || span_is(c->word[1], "import-ca"))
        cert_import(span_is(c->word[1], "import-ca"));
    else if (span_is(c->word[1], "unpin") && c->count > 2) {
        enum rc rc = inside_pin_forget(c->word[2]);
        if (rc != RC_OK)
            say_error("no key of that server is pinned");
        else
            say("forgotten; the next key that it shows will be pinned");
        delivery_try_all_now(); /* mail that waited for this goes at once */
    } else
        say_usage(c->command);
}

/* --- dns --- */

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
