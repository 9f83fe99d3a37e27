/* check DOMAIN: what mail to others would meet, shown as it is found. */
#include "firmware/console_commands.h"
#include "firmware/delivery.h"
#include "firmware/domain_check.h"
#include "firmware/json_out.h"

#define PATIENCE_MS 120000

struct findings { /* of a check so far */
    const char *domain;
    const struct delivery_slot *slot;
    const char *result; /* NULL: nobody would take mail yet */
    unsigned through;   /* the host that would */
    bool in_host;       /* its object of JSON is open */
};

/* Seconds for which delivery leaves the host alone that is asked here all the same. */
static unsigned left_alone_s(const struct findings *f, unsigned h)
{
    int64_t now = delivery_now(), until = delivery_host_not_before(&f->slot->hop, h),
            of_hop = delivery_not_before(span_of(f->domain));
    until = of_hop > until ? of_hop : until;
    return until > now ? (unsigned)(until - now) : 0;
}

static void close_host(struct findings *f)
{
    if (f->in_host) {
        json_close();
        json_close();
    }
    f->in_host = false;
}

static void show_host(struct findings *f, unsigned h, bool json)
{
    const struct next_hop_host *host = &f->slot->hop.host[h];
    unsigned wait_s = left_alone_s(f, h);
    if (json) {
        close_host(f);
        f->in_host = true;
        json_object(NULL);
        json_text("host", host->name);
        json_number("port", host->port);
        json_number("preference", host->preference);
        json_number("left_alone_s", wait_s);
        json_array("tries");
        return;
    }
    say("%s, port %u, preference %u", host->name, host->port, host->preference);
    if (wait_s)
        say("  delivery leaves it alone for %u s more, or until 'queue retry'", wait_s);
}

/* The verdict's, as the log has them, or what came in its place or behind it. */
static const char *words_of(const struct delivery_slot *s)
{
    bool failed = !s->outcome.text[0] || (s->outcome.action == VERDICT_SEND && !s->line_open);
    return failed ? s->client.status.text : s->outcome.text;
}

static void try_json(const struct delivery_slot *s, const char *address)
{
    const struct tls_facts *t = &s->facts;
    bool judged = s->outcome.text[0] != '\0';
    json_object(NULL);
    json_text("address", address[0] ? address : NULL);
    if (judged) {
        json_text("greeting", s->client.greeting);
        json_bool("starttls", s->client.tls || (s->client.extensions & SMTP_STARTTLS));
    }
    if (judged && t->established) {
        json_text("tls", t->version);
        json_text("cipher", t->suite);
        json_text("names", t->names);
        json_time("not_after", t->not_after);
        json_bool("verified", t->chain_valid && t->name_matches);
        json_text("cause", t->cause == TLS_CAUSE_NONE ? NULL : tls_cause_name(t->cause));
    }
    json_bool("goes", s->line_open);
    json_lines("reasons", words_of(s));
    json_close();
}

static void try_text(const struct delivery_slot *s, const char *address)
{
    const struct tls_facts *t = &s->facts;
    bool judged = s->outcome.text[0] != '\0';
    if (address[0])
        say("  [%s] %s", address, judged ? s->client.greeting : "");
    if (judged && t->established)
        say("    %s %s, certificate for %s", t->version, t->suite, t->names);
    say_lines(words_of(s), "    ");
}

static void show_try(struct findings *f, const struct domain_check *seen, bool json)
{
    const struct delivery_slot *s = f->slot;
    char memory[IP_TEXT_MAX] = "";
    struct strbuf address = STRBUF(memory);
    if (seen->address)
        ip_format(&address, seen->address);
    (json ? try_json : try_text)(s, memory);
    if (!s->line_open || f->result)
        return;
    f->through = seen->host;
    f->result = s->outcome.report == REPORT_SUCCESS_VERIFIED ? "verified" : s->client.tls ? "encrypted" : "plaintext";
}

static void conclude(struct findings *f, bool complete, bool json)
{
    const struct delivery_status *last = &f->slot->client.status;
    const char *held = delivery_held(span_of(f->domain)), *through = f->result ? f->slot->hop.host[f->through].name : NULL;
    const char *result = f->result ? f->result : last->result == DELIVERY_BOUNCE ? "bounces" : "waits";
    unsigned count = f->slot->hop.count;
    if (json) {
        close_host(f);
        json_close();
        json_bool("complete", complete);
        json_text("result", complete || through ? result : NULL);
        json_text("through", through);
        json_text("why", through || !complete ? NULL : last->text);
        json_text("held", held);
        json_end();
        return;
    }
    if (!complete) {
        say_error("stopped before all was asked");
        return;
    }
    if (count > DOMAIN_CHECK_HOSTS)
        say("%u more hosts were not asked", count - DOMAIN_CHECK_HOSTS);
    if (through)
        say("mail to %s goes through %s: %s", f->domain, through, result);
    else
        say("mail to %s %s: %s", f->domain, result, last->text);
    if (held)
        say("but it is held by the operator: %s", held);
}

static void follow(struct findings *f, struct delivery_slot *slot, bool json)
{
    struct deadline patience = deadline_in_ms(PATIENCE_MS);
    const struct domain_check *seen;
    do {
        seen = domain_check_next(slot, patience);
        if (seen->step == CHECK_HOST)
            show_host(f, seen->host, json);
        else if (seen->step == CHECK_TRY)
            show_try(f, seen, json);
    } while (seen->step < CHECK_END);
    conclude(f, seen->step == CHECK_END, json);
}

void check_domain(const struct command_line *c)
{
    char memory[DOMAIN_TEXT_MAX];
    struct strbuf domain = STRBUF(memory);
    if (!domain_word(c, 1, &domain))
        return;
    struct delivery_slot *slot = domain_check_begin(memory);
    struct findings f = { .domain = memory, .slot = slot };
    if (!slot) {
        say_error("all sessions are at work on mail: try again later");
        return;
    }
    if (c->json)
        json_begin();
    if (show_policy(memory, c->json) == HOP_INSIDE && !c->json)
        say("'check' alone looks at this box's own name, from outside");
    if (c->json)
        json_array("hosts");
    follow(&f, slot, c->json);
    domain_check_end(slot);
}
