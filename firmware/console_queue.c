/* The queue as an operator sees it: what waits, why, and until when. */
#include "firmware/console_commands.h"
#include "firmware/delivery.h"
#include "firmware/json_out.h"
#include "firmware/settings.h"
#include "firmware/spool.h"
#include "hal/base/datetime.h"
#include "hal/base/log.h"

static struct spool_recipient *const recipient = &command_memory.mail.recipient;
static struct spool_envelope *const envelope = &command_memory.mail.envelope;

static bool parse_id(struct span text, uint32_t *id)
{
    uint32_t v = 0;
    if (!text.len || text.len > 8)
        return false;
    for (size_t i = 0; i < text.len; i++) {
        char ch = text.p[i];
        int digit = ch >= '0' && ch <= '9'   ? ch - '0'
                    : ch >= 'a' && ch <= 'f' ? ch - 'a' + 10
                    : ch >= 'A' && ch <= 'F' ? ch - 'A' + 10
                                             : -1;
        if (digit < 0)
            return false;
        v = v << 4 | (uint32_t)digit;
    }
    *id = v;
    return true;
}

/* The entry that word n names, or an error line. */
static bool named_entry(const struct command_line *c, unsigned n, struct spool_entry *e)
{
    uint32_t id;
    if (n < c->count && parse_id(c->word[n], &id) && spool_find(id, e))
        return true;
    say_error("no such mail in the queue");
    return false;
}

/* The same, unless a delivery works on it. */
static bool named_idle_entry(const struct command_line *c, struct spool_entry *e)
{
    if (!named_entry(c, 2, e))
        return false;
    if (e->busy)
        say_error("the mail is being sent right now; try again in a moment");
    return !e->busy;
}

static const char *state_name(enum spool_state s)
{
    static const char *const names[] = { "waiting", "delivered", "bounced", "dropped" };
    return names[s];
}

/* Each reads one recipient into `recipient`, and yields, as that may walk much of the log. */
static bool read_address(uint32_t id, unsigned index)
{
    return spool_read_address(id, index, recipient) == RC_OK && task_yield() == RC_OK;
}

static bool read_recipient(uint32_t id, unsigned index)
{
    return spool_read_recipient(id, index, recipient) == RC_OK && task_yield() == RC_OK;
}

/* The first recipient that waits: its domain and last result stand for the mail in the overview. */
static bool first_waiting(const struct spool_entry *e)
{
    for (unsigned i = 0; i < e->recipients; i++)
        if (read_address(e->id, i) && recipient->state == SPOOL_WAITING)
            return read_recipient(e->id, i);
    return false;
}

static const char *entry_state(const struct spool_entry *e, bool held)
{
    return e->damaged ? "damaged" : held ? "held" : e->busy ? "sending" : "waiting";
}

/* When it is tried next: its own time, or that of its servers. */
static int64_t next_try_of(const struct spool_entry *e, const char *domain)
{
    int64_t hop = e->waiting && domain[0] ? delivery_not_before(span_of(domain)) : 0;
    return hop > e->next_try ? hop : e->next_try;
}

static void show_entry(const struct spool_entry *e, bool json)
{
    bool known = first_waiting(e);
    int64_t next_try = next_try_of(e, known ? recipient->domain : "");
    const char *reason = !known                                          ? ""
                         : recipient->text[0] || next_try <= e->next_try ? recipient->text
                                                                         : "its mail servers did not answer";
    bool held = e->held || (known && delivery_held(span_of(recipient->domain)));
    char memory[64];
    struct strbuf next = STRBUF(memory);
    if (json) {
        char id[9];
        struct strbuf id_text = STRBUF(id);
        strbuf_printf(&id_text, "%08X", (unsigned)e->id);
        json_object(NULL);
        json_text("id", id);
        json_text("state", entry_state(e, held));
        json_number("bytes", e->size_bytes);
        json_number("recipients", e->recipients);
        json_number("waiting", e->waiting);
        json_number("attempts", e->attempts);
        json_time("received", e->received);
        json_time("next_try", next_try);
        json_text("domain", known ? recipient->domain : NULL);
        json_text("reason", known ? reason : NULL);
        json_close();
        return;
    }
    add_when(&next, next_try, delivery_now());
    say("%08X %-8s %6u KB  %u/%u to %s  next %s", (unsigned)e->id, entry_state(e, held), (unsigned)((e->size_bytes + 1023) / 1024),
        e->waiting, e->recipients, known ? recipient->domain : "?", held || e->damaged ? "never" : memory);
    if (reason[0])
        say("    %s", reason);
}

static void overview(bool json)
{
    struct spool_entry e = { .id = 0 };
    struct spool_info all;
    unsigned n = 0;
    if (json) {
        json_begin();
        json_array("queue");
    }
    for (; spool_next_of_all(e.id, &e); n++)
        show_entry(&e, json);
    spool_info(&all);
    if (json) {
        json_close();
        json_number("shown", n);
        json_number("count", all.messages);
        json_end();
    } else if (n != all.messages) {
        say("%u shown, %u in the queue now", n, all.messages);
    } else if (!n) {
        say("the queue is empty");
    }
}

static void show_recipient(unsigned index, bool json)
{
    char at[40], address[SPOOL_ADDRESS_MAX + 8];
    struct strbuf when = STRBUF(at), shown = STRBUF(address);
    if (json) {
        json_object(NULL);
        json_text("address", recipient->address);
        json_text("domain", recipient->domain);
        json_text("state", state_name(recipient->state));
        json_number("code", recipient->code);
        json_text("result", recipient->text);
        json_time("at", recipient->at);
        json_close();
        return;
    }
    strbuf_add_printable(&shown, span_of(recipient->address), SPOOL_ADDRESS_MAX);
    if (recipient->at)
        rfc3339_format(&when, recipient->at);
    say("  %u. <%s> %s %s", index + 1, address, state_name(recipient->state), at);
    if (recipient->text[0])
        say("     %s", recipient->text);
}

static void show_policy_of(const char *domain)
{
    struct verdict *verdict = &command_memory.policy.verdict;
    struct verdict_domain known;
    (void)delivery_policy(span_of(domain), &command_memory.policy.hop, &known, &command_memory.policy.entry, verdict);
    say("  policy for %s:", domain);
    say_lines(verdict->text, "    ");
}

static void show_text(const struct spool_entry *e)
{
    char received[40], next[64], peer[IP_TEXT_MAX], sender[SPOOL_ADDRESS_MAX + 8], domain[DOMAIN_TEXT_MAX] = "";
    struct strbuf received_text = STRBUF(received), next_text = STRBUF(next), peer_text = STRBUF(peer),
                  sender_text = STRBUF(sender);
    rfc3339_format(&received_text, e->received);
    add_when(&next_text, e->next_try, delivery_now());
    ip_format(&peer_text, &envelope->peer.addr);
    strbuf_add_printable(&sender_text, span_of(envelope->sender), SPOOL_ADDRESS_MAX);
    say("%08X from <%s>, %u bytes, %s", (unsigned)e->id, sender, (unsigned)e->size_bytes, entry_state(e, e->held));
    say("  received %s from %s (%s)", e->received ? received : PACKED("at an unknown time"), envelope->helo, peer);
    say("  %u attempt%s, next %s", e->attempts, e->attempts == 1 ? "" : "s", e->held ? PACKED("never: held until released") : next);
    for (unsigned i = 0; i < e->recipients; i++) {
        if (!read_recipient(e->id, i))
            continue;
        show_recipient(i, false);
        if (!domain[0] && recipient->state == SPOOL_WAITING)
            strbuf_copy(domain, sizeof domain, recipient->domain);
    }
    const char *held = domain[0] ? delivery_held(span_of(domain)) : NULL;
    if (held)
        say("  mail for %s is held: %s", domain, held);
    if (domain[0])
        show_policy_of(domain);
}

static void show_json(const struct spool_entry *e)
{
    char id[9];
    struct strbuf id_text = STRBUF(id);
    strbuf_printf(&id_text, "%08X", (unsigned)e->id);
    json_begin();
    json_text("id", id);
    json_text("sender", envelope->sender);
    json_text("helo", envelope->helo);
    json_text("state", entry_state(e, e->held));
    json_number("bytes", e->size_bytes);
    json_number("attempts", e->attempts);
    json_time("received", e->received);
    json_time("next_try", e->next_try);
    json_array("recipients");
    for (unsigned i = 0; i < e->recipients; i++)
        if (read_recipient(e->id, i))
            show_recipient(i, true);
    json_close();
    json_end();
}

static void show(const struct command_line *c)
{
    struct spool_entry e;
    if (!named_entry(c, 2, &e))
        return;
    enum rc rc = spool_read_envelope(e.id, envelope);
    if (rc != RC_OK)
        say_error("the mail's envelope cannot be read (%s)", rc_name(rc));
    else if (c->json)
        show_json(&e);
    else
        show_text(&e);
}

static enum rc make_due(const struct spool_entry *e)
{
    enum rc rc = e->busy ? RC_OK : spool_defer(e->id, 0, e->attempts);
    return rc == RC_NOT_FOUND ? RC_OK : rc; /* it has left meanwhile */
}

/* The first recipient that waits and may not leave, as its domain is held, is then in `recipient`. */
static bool domain_is_held(const struct spool_entry *e)
{
    char memory[DOMAIN_TEXT_MAX];
    struct strbuf any = STRBUF(memory);
    const char *why;
    if (!settings_member_at("mail.hold.", 0, &any, &why))
        return false; /* nothing is, and nothing has to be read for it */
    for (unsigned i = 0; i < e->recipients; i++)
        if (read_recipient(e->id, i) && recipient->state == SPOOL_WAITING && delivery_held(span_of(recipient->domain)))
            return true;
    return false;
}

static void retry(const struct command_line *c)
{
    struct spool_entry e = { .id = 0 }, now;
    enum rc rc = RC_OK;
    unsigned n = 0, busy = 0, held = 0;
    if (c->count > 2) {
        if (!named_idle_entry(c, &e))
            return;
        delivery_try_all_now(); /* first, or what is due is put off again at once */
        rc = make_due(&e);
        held = e.held || e.damaged || domain_is_held(&e);
        n = !held;
    } else {
        delivery_try_all_now();
        spool_outside_is_due();
        while (rc == RC_OK && spool_next_of_all(e.id, &e)) {
            bool stays = e.held || e.damaged || domain_is_held(&e);
            held += stays;
            busy += !stays && e.busy;
            n += !stays && !e.busy;
            if (spool_lookup(e.id, &now))
                rc = make_due(&now);
        }
    }
    event_signal(&spool_changed);
    if (rc != RC_OK)
        say_error("the flash refused it (%s)", rc_name(rc));
    else
        say("%u mail%s will be tried now", n, n == 1 ? "" : "s");
    if (busy)
        say("%u more: being tried just now", busy);
    if (held)
        say("%u more: held or damaged", held);
}

static void drop(const struct command_line *c)
{
    static const uint8_t none[3] = { 0, 0, 0 };
    struct spool_entry e;
    if (!named_idle_entry(c, &e))
        return;
    if (!confirm(c, PACKED("the mail will be gone, and its sender is not told: drop it?")))
        return;
    enum rc rc = RC_OK;
    for (unsigned i = 0; rc == RC_OK && !e.damaged && i < e.recipients; i++) { /* of a damaged one nobody is tried any more */
        rc = spool_read_address(e.id, i, recipient);
        if (rc == RC_OK && recipient->state == SPOOL_WAITING)
            rc = spool_outcome(e.id, i, SPOOL_DROPPED, 0, none, SPAN("dropped by the operator"), delivery_now());
    }
    if (rc == RC_OK)
        rc = spool_settle(e.id);
    log_event(LOG_SPOOL, "dropped", "id=%08X by=operator rc=%s", (unsigned)e.id, rc_name(rc));
    if (rc == RC_OK)
        say("dropped");
    else
        say_error("the mail could not be dropped (%s)", rc_name(rc));
}

static bool waits_for(const struct spool_entry *e, struct span domain)
{
    for (unsigned i = 0; i < e->recipients; i++)
        if (read_address(e->id, i) && recipient->state == SPOOL_WAITING && span_is(domain, recipient->domain))
            return true;
    return false;
}

/* Released is also due. False after an error line. */
static bool set_held(const struct spool_entry *e, bool held)
{
    enum rc rc = e->held == held ? RC_OK : spool_hold(e->id, held);
    if (rc == RC_OK && !held)
        rc = make_due(e);
    if (rc != RC_OK)
        say_error("the flash refused it (%s)", rc_name(rc));
    return rc == RC_OK;
}

/* A domain's hold is a setting: it stands for what comes later, too, and for what is not in the window. */
static bool hold_domain(struct span domain, bool held)
{
    char key[SETTING_KEY_MAX + 1], words[120], value[64] = "";
    struct strbuf k = STRBUF(key), why = STRBUF(words), v = STRBUF(value);
    strbuf_puts(&k, "mail.hold.");
    strbuf_add(&k, domain);
    if (held) {
        strbuf_puts(&v, "by 'queue hold' ");
        rfc3339_format(&v, delivery_now());
    }
    if (held == (delivery_held(domain) != NULL))
        return true;
    enum rc rc = k.overflow ? RC_TOO_LONG : settings_change(strbuf_span(&k), strbuf_span(&v), &why);
    if (rc != RC_OK)
        say_error("the hold could not be kept: %s (%s)", words, rc_name(rc));
    return rc == RC_OK;
}

/* All that waits for the domain, also outside the window. False after an error line. */
static bool hold_all(struct span domain, bool held, unsigned *n)
{
    struct spool_entry e = { .id = 0 }, now;
    if (!hold_domain(domain, held))
        return false;
    if (!held)
        spool_outside_is_due();
    while (spool_next_of_all(e.id, &e)) {
        if (!waits_for(&e, domain))
            continue;
        ++*n;
        if (!held && (e.held ? spool_find(e.id, &now) : spool_lookup(e.id, &now)) && !set_held(&now, false))
            return false;
    }
    return true;
}

/* Holds or releases the one mail that an id names, or all that waits for the domain and what will come for it. */
static void hold(const struct command_line *c, bool held)
{
    char memory[DOMAIN_TEXT_MAX];
    struct strbuf domain = STRBUF(memory);
    struct spool_entry e = { .id = 0 };
    unsigned n = 0;
    uint32_t id;
    bool one = c->count > 2 && parse_id(c->word[2], &id);
    if (c->count < 3 || span_is(c->word[2], "all")) {
        say_error("what? name a domain, or a mail by its id ('queue' shows it)");
        return;
    }
    if (!one && !mail_domain_word(c, 2, &domain))
        return;
    if (one) {
        n = named_entry(c, 2, &e) && e.held != held;
        if (!e.id || !set_held(&e, held))
            return;
    } else if (!hold_all(strbuf_span(&domain), held, &n)) {
        return;
    }
    event_signal(&spool_changed);
    if (!held && one && domain_is_held(&e))
        say("it stays: all mail for %s is held; 'queue release %s' lets it go", recipient->domain, recipient->domain);
    else if (held)
        say("%u mail%s held until you release them%s%s", n, n == 1 ? "" : "s", one ? "" : PACKED(", with all that comes for "),
            one ? "" : memory);
    else
        say("%u mail%s released", n, n == 1 ? "" : "s");
}

void command_queue(const struct command_line *c)
{
    if (c->count == 1)
        overview(c->json);
    else if (span_is(c->word[1], "show"))
        show(c);
    else if (span_is(c->word[1], "retry"))
        retry(c);
    else if (span_is(c->word[1], "drop"))
        drop(c);
    else if (span_is(c->word[1], "hold") || span_is(c->word[1], "release"))
        hold(c, span_is(c->word[1], "hold"));
    else
        say_usage(c->command);
}
