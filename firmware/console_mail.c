/* policy: what the box knows about others. */
#include "firmware/attempt.h"
#include "firmware/console_commands.h"
#include "firmware/delivery.h"
#include "firmware/json_out.h"
#include "firmware/list_store.h"
#include "firmware/wallclock.h"

union command_memory command_memory;

static struct list_entry *const entry = &command_memory.policy.entry;
static struct verdict *const verdict = &command_memory.policy.verdict;

bool domain_word(const struct command_line *c, unsigned n, struct strbuf *domain)
{
    struct ip_addr_any address;
    if (n >= c->count)
        say_usage(c->command);
    else if (ip_parse(c->word[n], &address) == RC_OK)
        say_error("that is an address, not a domain name");
    else if (domain_canonical(c->word[n], domain) != RC_OK)
        say_error("that is not a domain name");
    else
        return true;
    return false;
}

bool mail_domain_word(const struct command_line *c, unsigned n, struct strbuf *domain)
{
    return (n < c->count && ip_literal_canonical(c->word[n], domain) == RC_OK) || domain_word(c, n, domain);
}

void say_lines(const char *text, const char *indent)
{
    struct span rest = span_of(text), line;
    bool more = text[0] != '\0';
    while (span_split(&rest, &more, '\n', &line))
        say("%s%.*s", indent, (int)line.len, line.p);
}

void json_lines(const char *key, const char *text)
{
    struct span rest = span_of(text), line;
    bool more = text[0] != '\0';
    json_array(key);
    while (span_split(&rest, &more, '\n', &line))
        json_string(NULL, line);
    json_close();
}

static const char *list_state_name(enum verdict_list_state s)
{
    static const char *const names[] = { "no-list", "absent", "found", "expired", "damaged" };
    return names[s];
}

static void policy_json(const char *domain, const struct verdict_domain *known, enum next_hop_kind kind)
{
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
    json_lines("reasons", verdict->text);
}

static void policy_text(const char *domain, const struct verdict_domain *known, enum next_hop_kind kind)
{
    static const char demands[][60] PACKED_TABLE = { "nothing (TLS if they offer it, any certificate)",
                                                     "TLS, any certificate",
                                                     "TLS with a certificate that is valid and names the server",
                                                     "TLS with the pinned key",
                                                     "TLS that matches the domain's TLSA records",
                                                     "not known now: mail waits" };
    static const char hops[][24] PACKED_TABLE = { "the office's server", "its route's server", "the smart host", "its MX hosts",
                                                  "that address" };
    say("mail to %s goes to %s, which must show: %s%s", domain, hops[kind], demands[verdict->demand],
        verdict->testing ? PACKED(" (testing: a failure is noted, the mail goes)") : "");
    say_lines(verdict->text, "  - ");
    if (!known->list.entry)
        return;
    say("  list entry: %s, mail servers:", entry->mode == LIST_ENFORCE ? "enforce" : "testing");
    for (unsigned i = 0; list_entry_mx(entry, i); i++)
        say("    %s", list_entry_mx(entry, i));
}

enum next_hop_kind show_policy(const char *domain, bool json)
{
    struct verdict_domain known;
    enum next_hop_kind kind = delivery_policy(span_of(domain), &command_memory.policy.hop, &known, entry, verdict);
    (json ? policy_json : policy_text)(domain, &known, kind);
    return kind;
}

void command_policy(const struct command_line *c)
{
    char memory[DOMAIN_TEXT_MAX];
    struct strbuf domain = STRBUF(memory);
    if (!mail_domain_word(c, 1, &domain))
        return;
    if (c->json)
        json_begin();
    show_policy(memory, c->json);
    if (c->json)
        json_end();
}
