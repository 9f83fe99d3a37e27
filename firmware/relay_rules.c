/* The order of the questions is the defence: first what is ours, then who asks. */
#include "firmware/relay_rules.h"

#include "firmware/setting_value.h"

static enum relay_decision bare_postmaster(const struct relay_facts *f, struct strbuf *address, struct strbuf *domain)
{
    struct span rest = span_of(f->domains), first;
    bool more = true;
    if (f->postmaster[0]) {
        size_t at = span_find_last(span_of(f->postmaster), '@');
        strbuf_puts(address, f->postmaster);
        strbuf_add(domain, span_from(span_of(f->postmaster), at + 1));
        return setting_domains_contain(f->domains, strbuf_span(domain)) ? RELAY_TAKE_IN : RELAY_OUT;
    }
    if (!setting_list_next(&rest, &more, &first) || !first.len)
        return RELAY_NO_INSIDE;
    strbuf_puts(address, "postmaster@");
    strbuf_add(address, first);
    strbuf_add(domain, first);
    return RELAY_TAKE_IN;
}

enum relay_decision relay_decide(const struct relay_facts *f, const struct smtp_address *rcpt, struct strbuf *address,
                                 struct strbuf *domain)
{
    strbuf_clear(address);
    strbuf_clear(domain);
    if (!rcpt->domain[0]) {
        if (!smtp_local_is(rcpt, "postmaster"))
            return RELAY_BAD_ADDRESS;
        enum relay_decision d = bare_postmaster(f, address, domain);
        return d == RELAY_TAKE_IN && !f->inside_known ? RELAY_NO_INSIDE : d;
    }
    strbuf_puts(address, rcpt->full);
    strbuf_puts(domain, rcpt->domain);
    if (address->overflow || domain->overflow)
        return RELAY_BAD_ADDRESS;
    bool ours = !rcpt->literal && setting_domains_contain(f->domains, strbuf_span(domain));
    if (!ours)
        return f->trusted ? RELAY_OUT : RELAY_DENIED;
    if (!f->trusted && smtp_local_is_routing(rcpt))
        return RELAY_BAD_ADDRESS; /* "victim%elsewhere@ours": the server inside might route it on for us */
    return f->inside_known ? RELAY_TAKE_IN : RELAY_NO_INSIDE;
}

void relay_answer(enum relay_decision d, const struct smtp_address *rcpt, struct smtp_answer *a)
{
    switch (d) {
    case RELAY_TAKE_IN:
    case RELAY_OUT:
        smtp_answer(a, 250, "2.1.5", "recipient ok");
        return;
    case RELAY_DENIED:
        smtp_answer(a, 550, "5.7.1", "relaying to %s is denied: it is not a domain of this office", rcpt->domain);
        return;
    case RELAY_NO_INSIDE:
        smtp_answer(a, 451, "4.3.5", "the office's mail server is not set up yet");
        return;
    case RELAY_BAD_ADDRESS:
        smtp_answer(a, 550, "5.1.3", "this form of address is not taken here");
        return;
    }
}
