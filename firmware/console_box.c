/* status, log, trace, time, reboot, factory-reset: the box itself. */
#include "firmware/alerts.h"
#include "firmware/console_commands.h"
#include "firmware/counters.h"
#include "firmware/cut_through.h"
#include "firmware/errand.h"
#include "firmware/flash_map.h"
#include "firmware/identity.h"
#include "firmware/intake.h"
#include "firmware/json_out.h"
#include "firmware/list_store.h"
#include "firmware/log_ring.h"
#include "firmware/resolver_check.h"
#include "firmware/settings.h"
#include "firmware/settings_log.h"
#include "firmware/spool.h"
#include "firmware/status.h"
#include "firmware/time_witness.h"
#include "firmware/trust_store.h"
#include "firmware/version.h"
#include "firmware/wallclock.h"
#include "hal/base/datetime.h"
#include "hal/board.h"
#include "hal/reset.h"
#include "net/dns.h"
#include "net/link.h"

#define LOG_DEFAULT_LINES 20
void add_when(struct strbuf *out, int64_t unix_s, int64_t now)
{
    if (unix_s == INT64_MAX)
        strbuf_puts(out, "never");
    else if (unix_s <= now)
        strbuf_puts(out, "now");
    else {
        strbuf_puts(out, "in ");
        duration_format(out, unix_s - now);
    }
}

/* --- status --- */

void status_queue(struct status_queue *out)
{
    struct spool_entry e = { .id = 0 };
    struct spool_info s;
    char memory[DOMAIN_TEXT_MAX];
    struct strbuf domain = STRBUF(memory);
    const char *why;
    memset(out, 0, sizeof *out);
    spool_info(&s);
    out->messages = s.messages; /* what follows is of the window alone */
    while (settings_member_at("mail.hold.", out->held_domains, &domain, &why))
        out->held_domains++;
    for (; spool_next(e.id, &e); out->in_window++) {
        out->held += e.held;
        out->damaged += e.damaged;
        out->waiting += e.waiting > 0;
        if (e.waiting && (!out->oldest_id || e.received < out->oldest)) {
            out->oldest = e.received;
            out->oldest_id = e.id;
        }
    }
}

static void say_alerts(void)
{
    char age[32];
    for (unsigned a = 0; a < ALERT_COUNT; a++) {
        const char *text = alert_text((enum alert)a);
        if (!text)
            continue;
        struct strbuf since = STRBUF(age);
        duration_format(&since, (int64_t)((clock_ms() - alert_since_ms((enum alert)a)) / 1000));
        say("  ! %s (since %s)", text, age);
    }
}

static void say_network(void)
{
    struct link_status link;
    char memory[200];
    struct strbuf text = STRBUF(memory);
    link_status(&link);
    if (link.address.addr.family != IP_NONE) {
        ip_format(&text, &link.address.addr);
        strbuf_printf(&text, "/%u", link.address.prefix_bits);
    }
    for (unsigned i = 0; i < link.address6_count; i++) {
        strbuf_puts(&text, text.len ? ", " : "");
        ip_format(&text, &link.address6[i]);
    }
    say("network      %s%s", !link.up ? "NO LINK " : "", text.len ? memory : "no address yet");
}

static void say_resolvers(void)
{
    struct resolver_view v;
    char address[IP_ENDPOINT_TEXT_MAX], words[120];
    for (unsigned i = 0; resolver_check_at(i, &v); i++) {
        struct strbuf a = STRBUF(address), w = STRBUF(words);
        ip_endpoint_format(&a, &v.resolver);
        resolver_lacks_format(&w, v.lacks);
        say("resolver     %s: %s", address, v.tested ? words : "not tested yet");
    }
}

static void json_resolvers(void)
{
    struct resolver_view v;
    char address[IP_ENDPOINT_TEXT_MAX], words[120];
    json_array("resolvers");
    for (unsigned i = 0; resolver_check_at(i, &v); i++) {
        struct strbuf a = STRBUF(address), w = STRBUF(words);
        ip_endpoint_format(&a, &v.resolver);
        resolver_lacks_format(&w, v.lacks);
        json_object(NULL);
        json_text("resolver", address);
        json_bool("tested", v.tested);
        json_bool("complete", v.tested && v.lacks == 0);
        json_text("result", v.tested ? words : "not tested yet");
        json_close();
    }
    json_close();
}

static void say_certificate(void)
{
    struct tls_leaf_info info;
    char until[40];
    struct strbuf u = STRBUF(until);
    if (!identity_info(&info)) {
        say("certificate  none: TLS is off");
        return;
    }
    rfc3339_format(&u, info.not_after);
    say("certificate  %s%s, until %s", info.names, info.self_signed ? " (self-signed)" : "", until);
}

static void say_list(void)
{
    const struct list *l = list_store_list();
    char until[40];
    struct strbuf u = STRBUF(until);
    if (!l) {
        say("list         none");
        return;
    }
    rfc3339_format(&u, l->info.expires);
    say("list         slot %c, %u domains (%u enforce, %u testing), %s %s", list_store_slot(), (unsigned)l->info.domains,
        (unsigned)l->info.enforce, (unsigned)l->info.testing, wallclock_trusted() > l->info.expires ? "EXPIRED" : "until", until);
}

static void say_queue(void)
{
    struct status_queue q;
    char age[32];
    struct strbuf a = STRBUF(age);
    status_queue(&q);
    if (q.held_domains)
        say("queue        all mail for %u domain%s is held ('show mail.hold')", q.held_domains, q.held_domains == 1 ? "" : "s");
    if (!q.messages) {
        say("queue        empty");
        return;
    }
    duration_format(&a, q.oldest && wallclock_now() ? wallclock_now() - q.oldest : 0);
    say("queue        %u mail%s, %s%u held, %u damaged; the oldest waits %s ('queue show %08X' says why)", q.messages,
        q.messages == 1 ? "" : "s", q.in_window < q.messages ? PACKED("at least ") : "", q.held, q.damaged, age,
        (unsigned)q.oldest_id);
}

static void say_spool(void)
{
    struct spool_info s;
    spool_info(&s);
    say("spool        %llu of %llu KB free", (unsigned long long)(s.free_bytes / 1024), (unsigned long long)(s.size_bytes / 1024));
}

static void say_clock(void)
{
    char now[40], up[32];
    struct strbuf n = STRBUF(now), u = STRBUF(up);
    rfc3339_format(&n, wallclock_now());
    duration_format(&u, (int64_t)(clock_ms() / 1000));
    say("time         %s (%s)", wallclock_now() ? now : "unknown", wallclock_source_name(wallclock_source()));
    say("running      %s on %s for %s, last reset: %s", FIRMWARE_VERSION, board_name(), up, reset_reason_name(reset_reason()));
}

static void say_next_hops(void)
{
    const char *smarthost = settings_get("mail.smarthost"), *inside = settings_get("mail.inside"),
               *tls = settings_get("mail.inside_tls");
    say("office       %s, TLS %s, cut-through %s", inside[0] ? inside : "not set (mail.inside)", tls, cut_through_now());
    if (smarthost[0])
        say("outgoing     all by %s: only this first hop is assured, not the way beyond it", smarthost);
}

static unsigned sessions_open(void)
{
    struct intake_session_view v;
    unsigned n = 0;
    while (intake_session_at(n, &v))
        n++;
    return n;
}

static void status_text(void)
{
    unsigned up = alerts_up();
    if (up)
        say("ATTENTION: %u alert%s", up, up == 1 ? "" : "s");
    else
        say("mail is safe");
    say_alerts();
    say("name         %s", settings_get("host.name")[0] ? settings_get("host.name") : "not set (host.name)");
    say_network();
    say_resolvers();
    say_certificate();
    say_outside("outside      ", false);
    say_list();
    say_next_hops();
    say_queue();
    say_spool();
    say("mail         %llu in, %llu delivered (%llu verified, %llu encrypted, %llu plain), %llu held back by policy, %llu bounced",
        (unsigned long long)counter_value(COUNT_mails_in), (unsigned long long)counter_value(COUNT_delivered),
        (unsigned long long)counter_value(COUNT_out_verified), (unsigned long long)counter_value(COUNT_out_encrypted),
        (unsigned long long)counter_value(COUNT_out_plain), (unsigned long long)counter_value(COUNT_policy_held),
        (unsigned long long)counter_value(COUNT_bounced));
    say("sessions     %u of %u open", sessions_open(), intake_slots());
    say_clock();
}

static void json_alerts(void)
{
    json_array("alerts");
    for (unsigned a = 0; a < ALERT_COUNT; a++) {
        if (!alert_text((enum alert)a))
            continue;
        json_object(NULL);
        json_text("name", alert_name((enum alert)a));
        json_text("text", alert_text((enum alert)a));
        json_number("age_s", (int64_t)((clock_ms() - alert_since_ms((enum alert)a)) / 1000));
        json_close();
    }
    json_close();
}

static void json_addresses(void)
{
    struct link_status link;
    char memory[IP_TEXT_MAX];
    link_status(&link);
    json_bool("link", link.up);
    json_array("addresses");
    struct strbuf text = STRBUF(memory);
    if (link.address.addr.family != IP_NONE) {
        ip_format(&text, &link.address.addr);
        json_text(NULL, memory);
    }
    for (unsigned i = 0; i < link.address6_count; i++) {
        strbuf_clear(&text);
        ip_format(&text, &link.address6[i]);
        json_text(NULL, memory);
    }
    json_close();
}

static void json_list(void)
{
    const struct list *l = list_store_list();
    json_object("list");
    json_bool("present", l != NULL);
    json_number("domains", l ? l->info.domains : 0);
    json_time("expires", l ? l->info.expires : 0);
    json_bool("expired", l && wallclock_trusted() > l->info.expires);
    json_number("roots", list_store_roots());
    json_close();
}

static void json_queue(void)
{
    struct status_queue q;
    struct spool_info s;
    status_queue(&q);
    spool_info(&s);
    json_object("queue");
    json_number("messages", q.messages);
    json_number("held", q.held);
    json_number("held_domains", q.held_domains);
    json_number("damaged", q.damaged);
    json_time("oldest", q.oldest);
    json_number("spool_bytes", (int64_t)s.size_bytes);
    json_number("spool_free_bytes", (int64_t)s.free_bytes);
    json_close();
}

static void status_json(void)
{
    struct tls_leaf_info info;
    bool has_certificate = identity_info(&info);
    json_begin();
    json_bool("safe", !alerts_up());
    json_alerts();
    json_text("host_name", settings_get("host.name"));
    json_text("board", board_name());
    json_text("version", FIRMWARE_VERSION);
    json_addresses();
    json_resolvers();
    json_object("certificate");
    json_bool("present", has_certificate);
    json_bool("self_signed", has_certificate && info.self_signed);
    json_time("not_after", has_certificate ? info.not_after : 0);
    json_close();
    json_outside();
    json_list();
    json_queue();
    json_text("cut_through", cut_through_now());
    json_bool("first_hop_only", settings_get("mail.smarthost")[0] != '\0');
    json_number("sessions", sessions_open());
    json_number("sessions_max", intake_slots());
    json_time("time", wallclock_now());
    json_text("time_source", wallclock_source_name(wallclock_source()));
    json_number("uptime_s", (int64_t)(clock_ms() / 1000));
    json_text("reset", reset_reason_name(reset_reason()));
    json_end();
}

void command_status(const struct command_line *c)
{
    (c->json ? status_json : status_text)();
}

/* --- log and trace --- */

static void print_log(struct log_cursor from, struct span only, bool json)
{
    static char memory[LOG_LINE_MAX];
    struct strbuf line = STRBUF(memory);
    struct log_cursor end = log_ring_last(0); /* what is logged meanwhile is left for the next time */
    if (json) {
        json_begin();
        json_array("lines");
    }
    while (from.position < end.position && log_ring_next(&from, &line)) {
        bool wanted = !only.len;
        for (size_t i = 0; !wanted && i + only.len <= line.len; i++)
            wanted = span_eq_nocase(span_sub(strbuf_span(&line), i, only.len), only);
        if (!wanted)
            continue;
        if (json)
            json_text(NULL, memory);
        else
            say("%s", memory);
    }
    if (json) {
        json_close();
        json_end();
    }
}

void command_log(const struct command_line *c)
{
    uint32_t n = LOG_DEFAULT_LINES;
    if (c->count > 1 && !span_to_u32(c->word[1], &n))
        say_usage(c->command);
    else
        print_log(log_ring_last(n), span_of(""), c->json);
}

void command_trace(const struct command_line *c)
{
    if (c->count < 2)
        say_usage(c->command);
    else
        print_log((struct log_cursor){ 0 }, c->word[1], c->json);
}

/* --- time, reboot, factory-reset --- */

static void show_witnesses(bool json)
{
    char says[40], age[32];
    if (json)
        json_array("witnesses");
    for (unsigned i = 0; i < TIME_WITNESSES; i++) {
        struct time_witness_view v;
        struct strbuf s = STRBUF(says), a = STRBUF(age);
        time_witness_look((enum time_witness)i, &v);
        if (!v.configured)
            continue;
        rfc3339_format(&s, v.says);
        duration_format(&a, v.age_s);
        if (json) {
            json_object(NULL);
            json_text("name", v.name);
            json_bool("heard", v.heard);
            json_time("says", v.says);
            json_close();
        } else if (v.heard) {
            say("%s says %s, as of %s ago", v.name, says, age);
        } else {
            say("%s has not been heard yet", v.name);
        }
    }
    if (json)
        json_close();
}

static void show_time(bool json)
{
    char now[40], trusted[40];
    struct strbuf n = STRBUF(now), t = STRBUF(trusted);
    if (json) {
        json_begin();
        json_time("now", wallclock_now());
        json_time("trusted", wallclock_trusted());
        json_text("source", wallclock_source_name(wallclock_source()));
        show_witnesses(true);
        json_end();
        return;
    }
    rfc3339_format(&n, wallclock_now());
    rfc3339_format(&t, wallclock_trusted());
    say("%s (%s)", wallclock_now() ? now : "unknown", wallclock_source_name(wallclock_source()));
    say("lists and exceptions end by: %s", wallclock_trusted() ? trusted : "nothing: no trusted time");
    show_witnesses(false);
}

void command_time(const struct command_line *c)
{
    int64_t unix_s;
    if (c->count == 1) {
        show_time(c->json);
        return;
    }
    if (!span_is(c->word[1], "set") || c->count != 3 || rfc3339_parse(c->word[2], &unix_s) != RC_OK) {
        say_error("usage: time set 2026-12-31T23:59:59Z");
        return;
    }
    enum rc rc = wallclock_set(unix_s);
    event_signal(&spool_changed); /* what is due depends on it */
    errand_look();
    if (rc == RC_INVALID) {
        say_error("the time is not within 2020 to 2199");
        return;
    }
    list_store_check_expiry();
    if (rc != RC_OK)
        say_error("the time is set, but could not be stored (%s)", rc_name(rc));
    else
        show_time(false);
}

void command_reboot(const struct command_line *c)
{
    if (!confirm(c, PACKED("sessions break off, queued mail stays: restart the box?")))
        return;
    say("restarting");
    reset_now(RESET_REQUESTED);
}

static enum rc erase_area(const struct flash_area *area)
{
    enum rc rc = RC_OK;
    for (uint64_t at = 0; rc == RC_OK && at < area->size_bytes; at += flash_geometry()->erase_block_bytes)
        rc = flash_erase(area->addr + at);
    return rc;
}

void command_factory_reset(const struct command_line *c)
{
    struct flash_map map;
    bool all = c->count > 1 && span_is(c->word[1], "all");
    if (!confirm(c, all ? PACKED("settings, keys AND QUEUED MAIL will be gone: erase them?")
                        : PACKED("all settings and keys will be gone: erase them?")))
        return;
    enum rc rc = flash_map_compute(flash_geometry(), &map);
    if (rc == RC_OK)
        rc = settings_log_forget_others(SPAN(TRUST_KEYRING_PREFIX));
    if (rc == RC_IO || rc == RC_CORRUPT) /* a log that cannot be written any more: nothing of it stays */
        rc = erase_area(&map.settings);
    if (rc == RC_OK && all)
        rc = erase_area(&map.spool);
    if (rc == RC_OK)
        rc = flash_sync();
    if (rc != RC_OK) {
        say_error("the flash could not be erased (%s)", rc_name(rc));
        return;
    }
    say("erased, restarting");
    reset_now(RESET_REQUESTED);
}
