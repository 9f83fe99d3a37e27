/* The box without a network: settings, lists, the answers to the SMTP dialogue, cut-through, spool, delivery and reports are the real ones, on a
 * simulated flash and under a simulated clock; connections to other servers are played here, and a ledger keeps what each side was told.
 * Included by one test. Before boot the test sets ledger, world_answer and flash (flash_sim). */
#ifndef TESTS_POWERCUT_QUIET_BOX_H
#define TESTS_POWERCUT_QUIET_BOX_H

#include "tests/powercut/ledger.h"

#include "firmware/alerts.h"
#include "firmware/attempt.h"
#include "firmware/cut_through.h"
#include "firmware/delivery.h"
#include "firmware/domain_check.h"
#include "firmware/flash_map.h"
#include "firmware/intake_private.h"
#include "firmware/list_store.h"
#include "firmware/list_update.h"
#include "firmware/network.h"
#include "firmware/settings.h"
#include "firmware/settings_log.h"
#include "firmware/spool_watch.h"
#include "firmware/trust_store.h"
#include "firmware/wallclock.h"
#include "tests/support/flash_sim.h"

#define OPERATION_US 200 /* of the simulated clock, for each flash operation */

/* --- in the place of firmware/attempt.c and next_hop.c --- */

enum next_hop_kind next_hop_kind_of(struct span domain)
{
    return span_is(domain, "office.test") ? HOP_INSIDE : HOP_MX;
}

const char *next_hop_kind_name(enum next_hop_kind k)
{
    return k == HOP_INSIDE ? "inside" : "mx";
}

enum rc next_hop_find(struct next_hop *out, struct span domain, struct dns_answer *scratch, struct delivery_status *status,
                      struct deadline d)
{
    (void)scratch;
    (void)status;
    (void)d;
    memset(out, 0, sizeof *out);
    out->kind = next_hop_kind_of(domain);
    out->count = 1;
    struct strbuf name = STRBUF(out->host[0].name);
    strbuf_puts(&name, "mx.");
    strbuf_add(&name, domain);
    out->host[0].port = 25;
    return RC_OK;
}

static void say(struct delivery_slot *s, unsigned i, enum world_word word)
{
    struct delivery_status *st = &s->status[i];
    static const char *const text[] = { "mx: 250 taken", "mx: 451 come back later", "mx: 550 nobody of that name",
                                        "mx does not answer" };
    switch (word) {
    case WORLD_TAKES:
        delivery_status_set(st, DELIVERY_DONE, SCOPE_RECIPIENT, 250, "2.0.0", "%s", text[word]);
        break;
    case WORLD_LATER:
        delivery_status_set(st, DELIVERY_WAIT, SCOPE_RECIPIENT, 451, "4.2.0", "%s", text[word]);
        break;
    case WORLD_NEVER:
        delivery_status_set(st, DELIVERY_BOUNCE, SCOPE_RECIPIENT, 550, "5.1.1", "%s", text[word]);
        break;
    case WORLD_SILENT:
        delivery_status_set(st, DELIVERY_WAIT, SCOPE_HOST, 0, "4.4.1", "%s", text[word]);
        break;
    }
    s->batch[i].open = word == WORLD_SILENT;
    if (word == WORLD_SILENT)
        s->answer = HOST_SILENT;
}

static enum rc read_message(struct delivery_slot *s, struct reading *r)
{
    uint8_t buf[4096];
    size_t got = 1;
    memset(r, 0, sizeof *r);
    enum rc rc = spool_body_open(&s->body, s->entry.id);
    while (rc == RC_OK && got > 0) {
        rc = spool_body_read(&s->body, buf, sizeof buf, &got);
        if (rc == RC_OK)
            read_on(r, span_bytes(buf, got));
        if (rc == RC_OK && dice(8) == 0)
            rc = task_yield();
    }
    return rc;
}

static struct reading readings[PLAN_DELIVERY_SESSIONS];

enum rc attempt_host(struct delivery_slot *s, const struct next_hop_host *host)
{
    struct reading *r = &readings[s - delivery_slot(0)];
    enum world_word word[PLAN_DELIVERY_BATCH];
    bool any = false;
    (void)host;
    s->answer = HOST_GREETED;
    enum rc rc = task_sleep_ms(20 + dice(80));
    for (unsigned i = 0; i < s->count; i++) {
        word[i] = answer_to(s->batch[i].to.address, s->domain);
        any = any || word[i] == WORLD_TAKES;
    }
    if (rc == RC_OK && any)
        rc = read_message(s, r);
    if (rc != RC_OK && rc != RC_CANCELLED)
        broken("id %u cannot be read: %s", (unsigned)s->entry.id, rc_name(rc));
    if (rc != RC_OK)
        return rc;
    for (unsigned i = 0; i < s->count; i++) {
        if (word[i] == WORLD_TAKES)
            take_mail(r, s->batch[i].to.address);
        say(s, i, word[i]);
    }
    s->client.extensions = 0;
    return task_sleep_ms(10 + dice(30)); /* the answer is on its way */
}

void attempt_end(struct delivery_slot *s)
{
    s->session.up = false;
}

void attempt_own_name(struct delivery_slot *s)
{
    strbuf_copy(s->host_name, sizeof s->host_name, settings_get("host.name"));
}

void domain_check_serve(struct delivery_slot *s)
{
    if (s->lent == LENT_CHECK)
        broken("nobody asked to look at a domain");
}

/* --- in the place of net/smtp_client_pass.c: a mail that goes straight through --- */

static struct reading passing[PLAN_DELIVERY_SESSIONS];
static char passing_to[PLAN_DELIVERY_SESSIONS][RECIPIENTS_MAX][64];
static unsigned passing_count[PLAN_DELIVERY_SESSIONS];

static unsigned line_of(const struct smtp_client *c)
{
    for (unsigned i = 0; i < PLAN_DELIVERY_SESSIONS; i++)
        if (&delivery_slot(i)->client == c)
            return i;
    broken("a connection of nobody");
}

static enum rc reply(struct smtp_client *c, uint16_t code, const char *text)
{
    enum rc rc = task_sleep_ms(5 + dice(20));
    memset(&c->reply, 0, sizeof c->reply);
    c->reply.code = code;
    strbuf_copy(c->reply.text, sizeof c->reply.text, text);
    return rc;
}

enum rc attempt_open(struct delivery_slot *s)
{
    memset(&s->client, 0, sizeof s->client);
    s->line_open = world_answer("office.test", NULL, 0) == WORLD_TAKES;
    s->client.extensions = SMTP_8BITMIME | SMTP_SMTPUTF8 | SMTP_DSN;
    return task_sleep_ms(20);
}

enum rc smtp_client_pass_mail(struct smtp_client *c, const struct smtp_message *m)
{
    (void)m;
    passing_count[line_of(c)] = 0;
    return reply(c, 250, "ok");
}

enum rc smtp_client_pass_rcpt(struct smtp_client *c, const struct smtp_recipient *r)
{
    unsigned line = line_of(c);
    struct strbuf to = STRBUF(passing_to[line][passing_count[line]++]);
    strbuf_add(&to, r->address);
    return reply(c, 250, "ok");
}

enum rc smtp_client_pass_data(struct smtp_client *c, struct smtp_stuff *stuff)
{
    (void)stuff;
    memset(&passing[line_of(c)], 0, sizeof passing[0]);
    return reply(c, 354, "go on");
}

enum rc smtp_client_pass_write(struct smtp_client *c, struct smtp_stuff *stuff, struct span bytes)
{
    (void)stuff;
    read_on(&passing[line_of(c)], bytes);
    return dice(4) == 0 ? task_sleep_ms(5) : RC_OK;
}

/* Now and then the connection breaks before the answer: the sender hears 451 and comes again. */
enum rc smtp_client_pass_end(struct smtp_client *c, struct smtp_stuff *stuff)
{
    unsigned line = line_of(c);
    (void)stuff;
    for (unsigned i = 0; i < passing_count[line]; i++)
        take_mail(&passing[line], passing_to[line][i]);
    enum rc rc = reply(c, 250, "taken");
    ledger->passed++;
    if (passing[line].seed % 13 != 7 || mail_of(passing[line].seed)->to[0].may_repeat > 0)
        return rc;
    for (unsigned i = 0; i < RECIPIENTS_MAX; i++)
        mail_of(passing[line].seed)->to[i].may_repeat++;
    return RC_CLOSED;
}

enum rc smtp_client_pass_reset(struct smtp_client *c)
{
    return reply(c, 250, "ok");
}

void smtp_client_cut(struct smtp_client *c)
{
    (void)c;
}

void smtp_client_quit(struct smtp_client *c)
{
    (void)c;
}

bool network_is_own(const struct ip_addr_any *a)
{
    (void)a;
    return false;
}

enum rc network_reverse_name(const struct ip_addr_any *addr, struct strbuf *name, struct deadline d)
{
    (void)addr;
    (void)name;
    (void)d;
    return RC_NOT_FOUND;
}

/* --- senders --- */

static struct smtp_address address_of(const char *text)
{
    struct smtp_address a;
    struct span rest;
    const char *why;
    char path[100];
    snprintf(path, sizeof path, "<%s>", text);
    must(smtp_path_parse(span_of(path), &a, &rest, &why), text);
    return a;
}

/* Gives one mail to the box, as its dialogue would. The code of the answer that ended it. */
static unsigned send_mail(struct slot *slot, const struct ledger_mail *m)
{
    static const struct smtp_server_params params = { .host_name = "box.office.test", .ops = &intake_dialogue };
    const struct smtp_server_ops *ops = &intake_dialogue;
    struct smtp_server *s = &slot->server;
    char text[100];
    memset(s, 0, sizeof *s);
    slot->trusted = m->from_inside;
    slot->stream.peer = (struct ip_endpoint){ ip_v4(10, 0, 0, (uint8_t)(1 + m->seed % 200)), 1025 };
    s->params = &params;
    strbuf_copy(slot->host_name, sizeof slot->host_name, params.host_name);
    strbuf_copy(s->helo, sizeof s->helo, m->from_inside ? "desk.office.test" : "mx.far.test");
    snprintf(text, sizeof text, "from-%u@%s", (unsigned)m->seed, m->from_inside ? "office.test" : "far.test");
    s->mail = (struct smtp_server_mail){ .sender = address_of(text), .declared_bytes = m->seed % 2 ? m->bytes + 200 : 0 };
    s->answer.code = 451;
    ops->mail(slot, s, &s->mail, &s->answer);
    for (unsigned i = 0; i < m->recipients && s->answer.code < 400; i++) {
        snprintf(text, sizeof text, "to-%u-%u@%s", (unsigned)m->seed, i, m->to[i].domain);
        s->rcpt = (struct smtp_server_rcpt){ .address = address_of(text), .notify = DSN_NOTIFY_FAILURE | DSN_NOTIFY_DELAY };
        s->answer.code = 451;
        ops->rcpt(slot, s, &s->rcpt, &s->answer);
        s->recipients++;
    }
    if (s->answer.code < 400)
        ops->data(slot, s, &s->answer);
    bool open = s->answer.code == 354;
    if (open) {
        snprintf(text, sizeof text, HEAD_FORMAT, (unsigned)m->seed);
        open = ops->write(slot, span_of(text)) == RC_OK;
    }
    for (uint32_t at = 0; open && at < m->bytes;) {
        uint32_t n = m->bytes - at < 3000 ? m->bytes - at : 3000;
        open = ops->write(slot, text_at(m->seed, at, n)) == RC_OK && (dice(6) != 0 || task_sleep_ms(1) == RC_OK);
        at += n;
    }
    if (s->answer.code != 354 || !open) {
        ops->abort(slot);
        return s->answer.code == 354 ? 452 : s->answer.code;
    }
    s->answer.code = 451;
    ops->done(slot, s, &s->answer);
    return s->answer.code;
}

/* --- the box --- */

/* For waits outside tasks. */
static void box_poll(void)
{
    ledger->clock_us += OPERATION_US;
    flash_poll();
    tasks_run();
}

static void box_boot(const struct flash_map *map)
{
    task_set_poll(box_poll);
    make_pool();
    for (unsigned a = 0; a < ALERT_COUNT; a++)
        alert_clear((enum alert)a);
    must(settings_log_open(map->settings.addr, map->settings.size_bytes), "settings");
    settings_load();
    wallclock_init();
    trust_store_init();
    if (map->list[0].size_bytes > 0) {
        list_store_init(map);
        list_update_init();
    }
    must(spool_open(map->spool.addr, map->spool.size_bytes), "spool");
    delivery_init();
}

static void set(const char *key, const char *value)
{
    char words[200];
    struct strbuf why = STRBUF(words);
    if (settings_stage(span_of(key), span_of(value), &why) != RC_OK)
        broken("set %s: %s", key, words);
}

static void commit_settings(void)
{
    char words[200];
    struct strbuf why = STRBUF(words);
    if (settings_commit(&why) != RC_OK)
        broken("commit: %s", words);
}

/* The main loop until the condition holds, the clock moving on when nothing else does; false: the time came first. */
static bool run_until(bool (*done)(void), uint64_t end_us)
{
    uint64_t minute = 0;
    for (;;) {
        if (flash_busy())
            ledger->clock_us += OPERATION_US;
        flash_poll();
        if (tasks_run() || flash_busy())
            continue;
        if (done())
            return true;
        if (ledger->clock_us >= end_us)
            return false;
        uint64_t next_us = tasks_next_deadline().at_ms;
        next_us = next_us > end_us / 1000 ? end_us : next_us * 1000;
        ledger->clock_us = next_us > ledger->clock_us ? next_us : ledger->clock_us + 1000;
        if (ledger->clock_us / 60000000 != minute) {
            minute = ledger->clock_us / 60000000;
            spool_watch();
        }
    }
}

/* --- what must hold at the end of all: nothing acknowledged is without an end --- */

static void check_ends(void)
{
    for (unsigned k = 0; k < ledger->count; k++) {
        const struct ledger_mail *m = &ledger->mail[k];
        for (unsigned i = 0; m->acked && i < m->recipients; i++) {
            const struct ledger_recipient *to = &m->to[i];
            if (to->taken == 0 && to->failed == 0 && !to->dropping)
                broken("mail %u to %u@%s was acknowledged and has neither arrived nor come back", (unsigned)m->seed, i, to->domain);
            if (to->failed > 1 + to->failed_repeats)
                broken("mail %u to %u@%s came back %u times", (unsigned)m->seed, i, to->domain, to->failed);
        }
    }
}

#endif
