/* What TLS must show, decided from what is known. The order of the calls in decide() is the order of the policies; each one that
 * speaks adds its line of words, so that the chain of reasons and the decision cannot drift apart. */
#include "policy/verdict.h"

#include "hal/base/datetime.h"

#define PATTERNS_SHOWN 4
#define OPERATOR_WORDS_MAX 120

static const int64_t last_date = 253402300799; /* 9999-12-31T23:59:59Z */

const char *verdict_source_name(enum verdict_source s)
{
    switch (s) {
    case VERDICT_OPPORTUNISTIC:
        return "opportunistic";
    case VERDICT_EXCEPTION:
        return "exception";
    case VERDICT_DANE:
        return "dane";
    case VERDICT_STS:
        return "mta-sts";
    case VERDICT_LIST:
        return "list";
    case VERDICT_LOCAL:
        return "local";
    }
    return "unknown";
}

const char *verdict_demand_name(enum verdict_demand d)
{
    switch (d) {
    case DEMAND_NONE:
        return "none";
    case DEMAND_ENCRYPT:
        return "encrypt";
    case DEMAND_VERIFIED:
        return "verified";
    case DEMAND_PINNED:
        return "pinned";
    case DEMAND_DANE:
        return "dane";
    case DEMAND_UNKNOWN:
        return "unknown";
    }
    return "unknown";
}

static struct strbuf *new_line(struct verdict *v)
{
    if (v->reasons.len > 0)
        strbuf_putc(&v->reasons, '\n');
    return &v->reasons;
}

static void add_day(struct strbuf *b, int64_t unix_s)
{
    if (unix_s <= 0 || unix_s > last_date) {
        strbuf_puts(b, PACKED("an unknown date"));
        return;
    }
    struct civil_time c;
    civil_from_unix(unix_s, &c);
    strbuf_printf(b, "%04d-%02d-%02d", c.year, c.month, c.day);
}

static void add_minute(struct strbuf *b, int64_t unix_s)
{
    add_day(b, unix_s);
    if (unix_s <= 0 || unix_s > last_date)
        return;
    struct civil_time c;
    civil_from_unix(unix_s, &c);
    strbuf_printf(b, " %02d:%02d UTC", c.hour, c.minute);
}

static void add_name(struct strbuf *b, struct span name)
{
    strbuf_add_printable(b, name, DOMAIN_MAX);
}

static void add_list_dates(struct strbuf *b, const struct verdict_domain *d)
{
    strbuf_puts(b, PACKED("the preload list (published "));
    add_day(b, d->list.timestamp);
    strbuf_puts(b, PACKED(", valid until "));
    add_day(b, d->list.expires);
    strbuf_puts(b, ")");
}

/* "mx.example.com, *.example.net and 3 more": the star is how people write a suffix pattern. */
static void add_patterns(struct strbuf *b, const struct list_entry *e)
{
    const char *mx;
    for (unsigned i = 0; i < PATTERNS_SHOWN && (mx = list_entry_mx(e, i)) != NULL; i++) {
        strbuf_puts(b, i == 0 ? "" : ", ");
        strbuf_puts(b, mx[0] == '.' ? "*" : "");
        add_name(b, span_of(mx));
    }
    if (e->mx_count > PATTERNS_SHOWN)
        strbuf_printf(b, " and %u more", e->mx_count - PATTERNS_SHOWN);
}

static void add_demand(struct strbuf *b, enum verdict_demand demand, struct span host)
{
    switch (demand) {
    case DEMAND_NONE:
        strbuf_puts(b, PACKED("TLS is used if offered, with any certificate"));
        return;
    case DEMAND_ENCRYPT:
        strbuf_puts(b, PACKED("TLS is required, with any certificate"));
        return;
    case DEMAND_VERIFIED:
        strbuf_puts(b, PACKED("TLS with a valid certificate for "));
        add_name(b, host);
        strbuf_puts(b, PACKED(" is required"));
        return;
    case DEMAND_PINNED:
        strbuf_puts(b, PACKED("TLS with the key that was pinned for it is required"));
        return;
    case DEMAND_DANE:
        strbuf_puts(b, PACKED("TLS with a certificate that its TLSA records name is required"));
        return;
    case DEMAND_UNKNOWN:
        break;
    }
    strbuf_puts(b, PACKED("what it must show cannot be decided now, so the mail waits"));
}

static void explain_first_hop(struct verdict *v, const struct verdict_domain *d)
{
    struct strbuf *b = new_line(v);
    strbuf_puts(b, PACKED("only the way to "));
    add_name(b, d->local.host);
    strbuf_puts(b, PACKED(" is assured: how mail travels on to "));
    add_name(b, d->domain);
    strbuf_puts(b, PACKED(" is up to that host"));
    if (d->list.state != LIST_STATE_FOUND)
        return;
    b = new_line(v);
    add_list_dates(b, d);
    strbuf_puts(b, PACKED(" has a policy for "));
    add_name(b, d->domain);
    strbuf_puts(b, PACKED(", which this box cannot check behind that host"));
}

/* The operator named the next hop: policies about the domain's MX hosts have nothing to say. */
static bool decide_local(struct verdict *v, const struct verdict_domain *d, struct span mx_host)
{
    if (!d->local.present)
        return false;
    v->source = VERDICT_LOCAL;
    v->demand = d->local.demand;
    struct strbuf *b = new_line(v);
    strbuf_puts(b, PACKED("this box is set to send mail for "));
    add_name(b, d->domain);
    strbuf_puts(b, " to ");
    add_name(b, d->local.host);
    strbuf_puts(b, ": ");
    add_demand(b, v->demand, d->local.host);
    if (mx_host.len > 0 && d->local.host.len > 0 && !span_eq(mx_host, d->local.host)) {
        v->mx_allowed = false;
        v->mx_mismatch = true;
        b = new_line(v);
        add_name(b, mx_host);
        strbuf_puts(b, PACKED(" is not that host: it is skipped"));
    }
    if (d->local.first_hop_only)
        explain_first_hop(v, d);
    return true;
}

static bool decide_exception(struct verdict *v, const struct verdict_domain *d)
{
    if (!d->exception.present)
        return false;
    struct strbuf *b = new_line(v);
    strbuf_puts(b, PACKED("a local exception for "));
    add_name(b, d->domain);
    if (d->now <= 0) {
        strbuf_puts(b, PACKED(" is set until "));
        add_minute(b, d->exception.until);
        strbuf_puts(b, PACKED(", but this box has no time that it can trust: it is not used until the clock is set"));
        return false;
    }
    if (d->now >= d->exception.until) {
        strbuf_puts(b, PACKED(" ended on "));
        add_minute(b, d->exception.until);
        strbuf_puts(b, PACKED(" and is no longer used"));
        return false;
    }
    v->source = VERDICT_EXCEPTION;
    v->recheck = d->exception.until;
    strbuf_puts(b, PACKED(" holds until "));
    add_minute(b, d->exception.until);
    if (d->exception.reason.len > 0) {
        strbuf_puts(b, " (");
        strbuf_add_printable(b, d->exception.reason, OPERATOR_WORDS_MAX);
        strbuf_puts(b, ")");
    }
    strbuf_puts(b, PACKED(": no policy is enforced, "));
    add_demand(b, DEMAND_NONE, d->domain);
    return true;
}

static void explain_mismatch(struct verdict *v, const struct verdict_domain *d, struct span mx_host)
{
    struct strbuf *b = new_line(v);
    add_name(b, mx_host);
    strbuf_puts(b, PACKED(" is none of the mail hosts that the list names for "));
    add_name(b, d->domain);
    strbuf_puts(b, " (");
    add_patterns(b, d->list.entry);
    strbuf_puts(b,
                v->testing ? PACKED("): it is used all the same, and that is recorded as a failure") : PACKED("): it is skipped"));
}

/* Enforcement does not end by a clock that an attacker on the network may have set. */
static void explain_doubtful_time(struct verdict *v, const struct verdict_domain *d)
{
    if (d->now > 0 && d->now <= d->list.expires) {
        v->recheck = d->list.expires;
        return;
    }
    struct strbuf *b = new_line(v);
    if (d->now <= 0) {
        strbuf_puts(
            b,
            PACKED("this box has no time that it can trust and cannot tell whether the list is still valid: it counts as valid"));
        return;
    }
    strbuf_puts(b, PACKED("by this box's clock the list ended on "));
    add_day(b, d->list.expires);
    strbuf_puts(b, PACKED(", but that clock is not confirmed: the list counts as valid until it is"));
}

static void apply_entry(struct verdict *v, const struct verdict_domain *d, struct span mx_host)
{
    const struct list_entry *e = d->list.entry;
    v->source = VERDICT_LIST;
    v->demand = DEMAND_VERIFIED;
    v->testing = e->mode == LIST_TESTING;
    v->mx_mismatch = mx_host.len > 0 && !list_entry_allows(e, mx_host);
    v->mx_allowed = !v->mx_mismatch || v->testing;

    struct strbuf *b = new_line(v);
    add_list_dates(b, d);
    strbuf_puts(b, " says ");
    add_name(b, d->domain);
    strbuf_puts(b,
                v->testing ? PACKED(" is testing TLS with a certificate for ") : PACKED(" must use TLS with a certificate for "));
    if (mx_host.len > 0 && !v->mx_mismatch)
        add_name(b, mx_host);
    else
        add_patterns(b, e);
    if (v->testing)
        strbuf_puts(b, PACKED(": a failure is recorded and the mail goes all the same"));
    if (v->mx_mismatch)
        explain_mismatch(v, d, mx_host);
    explain_doubtful_time(v, d);
}

/* Damage must not end enforcement: only time that can be trusted, a newer list or the operator may do that. */
static void apply_damage(struct verdict *v, const struct verdict_domain *d)
{
    v->source = VERDICT_LIST;
    v->demand = DEMAND_UNKNOWN;
    struct strbuf *b = new_line(v);
    strbuf_puts(b, PACKED("the preload list on this box is damaged, so it cannot be told whether "));
    add_name(b, d->domain);
    strbuf_puts(b, PACKED(" must be protected: the mail waits until a good list is loaded or an exception is set for "));
    add_name(b, d->domain);
}

static bool decide_list(struct verdict *v, const struct verdict_domain *d, struct span mx_host)
{
    bool has_entry = d->list.state == LIST_STATE_FOUND || d->list.state == LIST_STATE_EXPIRED;
    if (d->list.state == LIST_STATE_DAMAGED || (has_entry && d->list.entry == NULL)) {
        apply_damage(v, d);
        return true;
    }
    if (d->list.state == LIST_STATE_FOUND) {
        apply_entry(v, d, mx_host);
        return true;
    }
    struct strbuf *b = new_line(v);
    if (d->list.state == LIST_STATE_NONE) {
        strbuf_puts(b, PACKED("there is no preload list on this box"));
        return false;
    }
    add_name(b, d->domain);
    if (d->list.state == LIST_STATE_ABSENT) {
        strbuf_puts(b, PACKED(" is not in "));
        add_list_dates(b, d);
        return false;
    }
    strbuf_puts(b, PACKED(" is in "));
    add_list_dates(b, d);
    strbuf_puts(b, PACKED(", but that list has ended: its policy is not enforced until a newer list is loaded"));
    return false;
}

static void decide_opportunistic(struct verdict *v, struct span mx_host)
{
    struct strbuf *b = new_line(v);
    strbuf_puts(b, PACKED("no policy asks for more: "));
    add_demand(b, DEMAND_NONE, mx_host);
}

static void decide(struct verdict *v, const struct verdict_domain *d, struct span mx_host)
{
    *v = (struct verdict){ .source = VERDICT_OPPORTUNISTIC, .demand = DEMAND_NONE, .mx_allowed = true };
    v->reasons = STRBUF(v->text);
    if (decide_local(v, d, mx_host) || decide_exception(v, d))
        return;
    /* DANE, then MTA-STS, decide here, before the list. */
    if (!decide_list(v, d, mx_host))
        decide_opportunistic(v, mx_host);
}

void verdict_before(struct verdict *out, const struct verdict_domain *d, struct span mx_host)
{
    decide(out, d, mx_host);
}

void verdict_for_domain(struct verdict *out, const struct verdict_domain *d)
{
    decide(out, d, (struct span){ NULL, 0 });
}
