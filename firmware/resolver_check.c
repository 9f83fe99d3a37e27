/* Questions about the root, for every resolver knows that: they tell nobody what this box is about. */
#include "firmware/resolver_check.h"

#include "firmware/alerts.h"
#include "hal/base/log.h"
#include "hal/random.h"
#include "net/dns_facts.h"

#define TRIES 3
#define TRY_MS 2000
#define TCP_MS 5000
#define APART_MS (10 * 1000) /* between two rounds at least: a set that comes and goes makes no storm */
#define SILENT_AGAIN_MAX_MS (10 * 60 * 1000)
#define AGAIN_MS (24 * 60 * 60 * 1000)

static struct {
    unsigned count;
    struct resolver_view view[DNS_RESOLVERS_MAX];
    struct deadline due;
    bool ran;
    unsigned silent_rounds;
    struct deadline not_before;
} check;

static bool same(const struct ip_endpoint *a, const struct ip_endpoint *b)
{
    return a->port == b->port && ip_eq(&a->addr, &b->addr);
}

void resolver_check_follow(const struct dns_params *p)
{
    struct resolver_view old[DNS_RESOLVERS_MAX];
    unsigned old_count = check.count;
    bool fresh = false;
    memcpy(old, check.view, sizeof old);
    check.count = p->resolver_count;
    for (unsigned i = 0; i < check.count; i++) {
        check.view[i] = (struct resolver_view){ .resolver = p->resolver[i] };
        for (unsigned k = 0; k < old_count; k++)
            if (same(&old[k].resolver, &p->resolver[i]))
                check.view[i] = old[k];
        fresh = fresh || !check.view[i].tested;
    }
    if (fresh)
        check.due = check.ran ? check.not_before : deadline_in_ms(0);
}

struct deadline resolver_check_due(void)
{
    return check.count > 0 ? check.due : deadline_never();
}

/* --- one resolver --- */

static enum rc ask(const struct ip_endpoint *resolver, struct span name, enum dns_type type, struct dns_facts *f)
{
    enum rc rc = RC_TIMEOUT;
    for (unsigned i = 0; i < TRIES && (rc == RC_TIMEOUT || rc == RC_BUSY); i++)
        rc = dns_ask_resolver(resolver, name, type, false, f, deadline_in_ms(TRY_MS));
    if (rc == RC_OK && f->truncated)
        rc = dns_ask_resolver(resolver, name, type, true, f, deadline_in_ms(TCP_MS));
    return rc;
}

static unsigned test_denial(const struct ip_endpoint *resolver)
{
    char memory[24];
    struct strbuf name = STRBUF(memory);
    struct dns_facts f;
    strbuf_printf(&name, "postern-test-%08x", (unsigned)random_u32());
    enum rc rc = ask(resolver, strbuf_span(&name), DNS_A, &f);
    return rc == RC_OK && f.rcode == DNS_NAME_ERROR && f.denial ? 0 : LACKS_PROOFS;
}

/* False: cancelled, nothing is known. */
static bool test(const struct ip_endpoint *resolver, unsigned *lacks)
{
    struct dns_facts f = { 0 };
    enum rc rc = ask(resolver, span_of(""), DNS_DNSKEY, &f);
    *lacks = 0;
    if (rc == RC_CANCELLED)
        return false;
    if (rc == RC_TIMEOUT || rc == RC_BUSY) {
        *lacks = LACKS_ANSWERS;
        return true;
    }
    bool sound = rc == RC_OK && f.rcode == DNS_NOERROR;
    if (!sound || !f.edns)
        *lacks |= LACKS_EDNS;
    if (!sound || !f.signed_answer)
        *lacks |= LACKS_SIGNATURES;
    *lacks |= test_denial(resolver);
    rc = ask(resolver, span_of(""), DNS_TLSA, &f);
    if (rc != RC_OK || f.rcode != DNS_NOERROR)
        *lacks |= LACKS_TYPES;
    rc = dns_ask_resolver(resolver, span_of(""), DNS_SOA, true, &f, deadline_in_ms(TCP_MS));
    if (rc != RC_OK || f.rcode != DNS_NOERROR)
        *lacks |= LACKS_TCP;
    return rc != RC_CANCELLED;
}

void resolver_lacks_format(struct strbuf *out, unsigned lacks)
{
    static const char *const words[] = { "NO ANSWER",         "no EDNS",      "no DNSSEC signatures",
                                         "no DNSSEC denials", "no TLSA type", "no TCP" };
    size_t from = out->len;
    for (unsigned i = 0; i < sizeof words / sizeof words[0]; i++)
        if (lacks & 1u << i) {
            strbuf_puts(out, out->len > from ? ", " : "");
            strbuf_puts(out, words[i]);
        }
    if (out->len == from)
        strbuf_puts(out, "complete");
}

/* --- all of them --- */

static void tell(const struct resolver_view *v)
{
    char address[IP_ENDPOINT_TEXT_MAX], words[120];
    struct strbuf a = STRBUF(address), w = STRBUF(words);
    ip_endpoint_format(&a, &v->resolver);
    resolver_lacks_format(&w, v->lacks);
    log_event_at(v->lacks ? LOG_WARN : LOG_INFO, LOG_DNS, "resolver-test", "resolver=%s result=\"%s\"", address, words);
}

static void test_one(const struct ip_endpoint *resolver)
{
    unsigned lacks;
    if (!test(resolver, &lacks))
        return;
    for (unsigned i = 0; i < check.count; i++) { /* the set may have changed meanwhile */
        struct resolver_view *v = &check.view[i];
        if (!same(&v->resolver, resolver))
            continue;
        bool news = !v->tested || v->lacks != lacks;
        v->tested = true;
        v->lacks = lacks;
        if (news)
            tell(v);
    }
}

static bool all_tested(unsigned *silent)
{
    *silent = 0;
    for (unsigned i = 0; i < check.count; i++) {
        *silent += (check.view[i].lacks & LACKS_ANSWERS) != 0;
        if (!check.view[i].tested)
            return false;
    }
    return true;
}

/* The network may only just be coming up: soon again at first, then ever more seldom. */
static uint32_t silent_wait_ms(void)
{
    uint32_t wait_ms = APART_MS;
    for (unsigned i = 1; i < check.silent_rounds && wait_ms < SILENT_AGAIN_MAX_MS; i++)
        wait_ms *= 2;
    return wait_ms < SILENT_AGAIN_MAX_MS ? wait_ms : SILENT_AGAIN_MAX_MS;
}

void resolver_check_run(void)
{
    struct ip_endpoint resolver[DNS_RESOLVERS_MAX];
    unsigned count = check.count, silent;
    if (count == 0 || !deadline_passed(check.due))
        return;
    check.ran = true;
    check.not_before = deadline_in_ms(APART_MS);
    for (unsigned i = 0; i < count; i++)
        resolver[i] = check.view[i].resolver;
    for (unsigned i = 0; i < count; i++)
        test_one(&resolver[i]);
    bool done = all_tested(&silent);
    check.silent_rounds = silent ? check.silent_rounds + 1 : 0;
    check.due = !done ? check.not_before : deadline_in_ms(silent ? silent_wait_ms() : AGAIN_MS);
    if (silent > 0 && silent == check.count)
        alert_raise(ALERT_DNS, "no resolver answers: mail waits, but for the office's own; check net.dns and the network");
    else
        alert_clear(ALERT_DNS);
}

bool resolver_check_at(unsigned index, struct resolver_view *out)
{
    if (index >= check.count)
        return false;
    *out = check.view[index];
    return true;
}
