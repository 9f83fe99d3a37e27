/* The workers. A message is worked on by one worker at a time (the spool's busy mark); recipients are taken in batches of one domain.
 * Order that keeps the promise: the report to the sender is committed before the failed recipients are marked; outcomes are durable before
 * the message is settled. A crash in between repeats a report or a delivery, and loses nothing. */
#include "firmware/delivery.h"

#include "firmware/alerts.h"
#include "firmware/attempt.h"
#include "firmware/counters.h"
#include "firmware/cut_through.h"
#include "firmware/delivery_batch.h"
#include "firmware/domain_check.h"
#include "firmware/dsn.h"
#include "firmware/setting_value.h"
#include "firmware/wallclock.h"
#include "hal/base/log.h"
#include "hal/random.h"
#include "policy/hop_health.h"
#include "policy/retry.h"

#define IDLE_CHECK_MS 30000
#define FIND_HOP_MS 30000
#define FAULT_WAIT_MS 5000
#define CLOCK_SLACK_S 60
#define SPREAD_S 30 /* over which what waits for one hop is put off */
#define LENT_LOOK_MS 1000
#define LOOK_MAILS 8

static struct delivery_slot slots[PLAN_DELIVERY_SESSIONS];
static struct hop_health health;
/* From the settings, which are not asked again for each mail of the window: */
static struct retry_rules rules;
static unsigned sessions_per_hop; /* and one, which hop_health leaves to others */
struct slot_use delivery_memory = { .stack_bytes = PLAN_SESSION_STACK_BYTES, .arena_bytes = PLAN_DELIVERY_ARENA_BYTES };

const struct slot_use *delivery_use(void)
{
    return &delivery_memory;
}

int64_t delivery_now(void)
{
    int64_t now = wallclock_now();
    return now ? now : (int64_t)(clock_ms() / 1000) + 1;
}

/* --- which next hops are worth a try --- */

/* The office's server and a smart host are one hop, whatever the domain. */
static uint16_t hop_of(struct span domain)
{
    enum next_hop_kind kind = next_hop_kind_of(domain);
    struct span name = kind == HOP_INSIDE || kind == HOP_SMARTHOST ? span_of(next_hop_kind_name(kind)) : domain;
    return hop_health_hash(name.p, name.len);
}

static void read_settings(void)
{
    uint64_t most = settings_get_number("mail.sessions_per_hop");
    sessions_per_hop = most && most < PLAN_DELIVERY_SESSIONS ? (unsigned)most + 1 : PLAN_DELIVERY_SESSIONS;
    rules = (struct retry_rules){ (uint32_t)settings_get_number("mail.retry_first"),
                                  (uint32_t)settings_get_number("mail.retry_longest"),
                                  (uint32_t)settings_get_number("mail.life_days") * 86400 };
}

static bool too_old(const struct spool_entry *e)
{
    return retry_life_over(&rules, e->received, wallclock_for_giving_up(), e->attempts + 1u);
}

static bool has_session(uint16_t hop)
{
    return hop_health_fit(&health, hop, sessions_per_hop, delivery_now());
}

/* What is too old is taken although its hop is dead: it goes back. What is due while its hop backs off is taken to be put off: so it grows
 * old, and the others of the window have their turn. */
static bool is_fit(const struct spool_entry *e)
{
    int64_t now = delivery_now();
    bool put_off = hop_health_not_before(&health, e->hop) > now && !hop_health_pauses(&health, e->hop, now);
    return e->hop == 0 || has_session(e->hop) || put_off || too_old(e);
}

int64_t delivery_not_before(struct span domain)
{
    return hop_health_not_before(&health, hop_of(domain));
}

const char *delivery_held(struct span domain)
{
    return settings_get_member("mail.hold.", domain);
}

void delivery_try_all_now(void)
{
    for (unsigned i = 0; i < PLAN_DELIVERY_SESSIONS; i++)
        slots[i].session.end = deadline_in_ms(0);
    hop_health_forgive(&health);
    cut_through_try_now();
    event_signal(&spool_changed);
}

struct delivery_slot *delivery_slot(unsigned i)
{
    return &slots[i];
}

static uint16_t hop_of_inside(void)
{
    const char *name = next_hop_kind_name(HOP_INSIDE);
    return hop_health_hash(name, strlen(name));
}

/* Not that of a domain of this name; the office's servers by their order, so that they are found without their names. */
static uint16_t key_of_host(enum next_hop_kind kind, const char *name, unsigned n)
{
    uint16_t key = kind == HOP_INSIDE ? hop_of_inside() : hop_health_hash(name, strlen(name));
    key ^= (uint16_t)(n + 1);
    return key ? key : 1;
}

static uint16_t key_in(const struct next_hop *hop, unsigned h)
{
    return key_of_host(hop->kind, hop->host[h].name, hop->kind == HOP_INSIDE ? h : hop->host[h].port);
}

int64_t delivery_host_not_before(const struct next_hop *hop, unsigned h)
{
    return hop_health_not_before(&health, key_in(hop, h));
}

void delivery_inside_answers(void)
{
    uint16_t hop = hop_of_inside();
    alert_clear(ALERT_INSIDE_DOWN);
    if (!hop_health_failed(&health, hop))
        return;
    for (unsigned i = 0; i < NEXT_HOP_HOSTS_MAX; i++)
        if (hop_health_failed(&health, key_of_host(HOP_INSIDE, "", i)))
            hop_health_end(&health, key_of_host(HOP_INSIDE, "", i), true, &rules, delivery_now(), 0);
    hop_health_begin(&health, hop);
    hop_health_end(&health, hop, true, &rules, delivery_now(), 0);
    spool_hop_is_back(hop);
    event_signal(&spool_changed);
}

/* The office's server is asked again within minutes, for nothing else can take its mail. */
static struct retry_rules hop_rules(const struct delivery_slot *s)
{
    struct retry_rules of_hop = rules;
    if (s->hop.kind == HOP_INSIDE)
        of_hop.longest_s = of_hop.first_s;
    return of_hop;
}

/* --- one batch to its next hop --- */

/* By the host tried last, before a word of mail: it spoke and said no, or there is no other that could have sessions up. */
static bool was_turned_away(const struct delivery_slot *s)
{
    return s->answer == HOST_SILENT && (s->client.status.code != 0 || s->hop.count == 1);
}

/* By a host that had greeted, and not for want of what was demanded of it. */
static bool was_broken_off(const struct delivery_slot *s)
{
    return s->answer == HOST_GREETED && s->status[0].enhanced[1] != 7;
}

static void note_host(const struct delivery_slot *s, uint16_t key, uint16_t hop)
{
    const struct retry_rules of_hop = hop_rules(s);
    if (was_turned_away(s) && hop_health_serves(&health, hop, delivery_now()))
        return;
    bool silent = s->answer == HOST_SILENT;
    if (silent || hop_health_failed(&health, key))
        hop_health_end(&health, key, !silent, &of_hop, delivery_now(), random_u32());
}

/* The hosts of the hop that did not fail to answer lately. RC_BUSY: there is none, *until says when there is. */
static enum rc try_hosts(struct delivery_slot *s, uint16_t hop, int64_t *until)
{
    bool tried = false;
    *until = INT64_MAX;
    for (unsigned h = 0; h < s->hop.count; h++) {
        uint16_t key = key_in(&s->hop, h);
        int64_t not_before = hop_health_not_before(&health, key);
        if (not_before > delivery_now()) {
            *until = not_before < *until ? not_before : *until;
            continue;
        }
        tried = true;
        enum rc rc = attempt_host(s, &s->hop.host[h]);
        if (rc != RC_OK)
            return rc;
        note_host(s, key, hop);
    }
    return tried ? RC_OK : RC_BUSY;
}

/* While a session is up it counts as one to the hop that it was opened for: so nobody takes its place between two mails. */
static void let_go(struct delivery_slot *s)
{
    if (s->session.hop)
        hop_health_leave(&health, s->session.hop, 0);
    s->session.hop = 0;
}

static void end_session(struct delivery_slot *s)
{
    attempt_end(s);
    let_go(s);
}

/* RC_BUSY: nothing was tried, for all its hosts back off on account of other mail; so does the hop now. Or it serves other sessions, and no
 * more at a time. */
static enum rc try_hop(struct delivery_slot *s, uint16_t hop)
{
    struct delivery_status *status = &s->client.status;
    bool failed_before = hop_health_failed(&health, hop);
    int64_t until = 0;
    uint64_t began_ms = clock_ms();
    if (s->session.hop != hop) {
        let_go(s);
        hop_health_begin(&health, hop);
    }
    s->session.hop = 0;
    s->answer = HOST_NOT_ASKED;
    s->hurried = hop_health_hurries(&health, hop, PLAN_DELIVERY_SESSIONS);
    delivery_status_set(status, DELIVERY_WAIT, SCOPE_DOMAIN, 0, "4.4.0", "no mail server of %s was tried", s->domain);
    enum rc rc = next_hop_find(&s->hop, span_of(s->domain), &s->dns, status, deadline_in_ms(FIND_HOP_MS));
    for (unsigned i = 0; i < s->count; i++)
        s->status[i] = *status;
    rc = rc == RC_OK ? try_hosts(s, hop, &until) : rc == RC_CANCELLED ? rc : RC_OK;
    const struct retry_rules of_hop = hop_rules(s);
    bool reached = rc != RC_OK || delivery_batch_reached(s);
    bool broke_off = !reached && was_broken_off(s);
    if (broke_off)
        hop_health_greeted(&health, hop, delivery_now());
    s->cut = broke_off && hop_health_serves(&health, hop, delivery_now());
    if (!reached && was_turned_away(s) && hop_health_turned_away(&health, hop, delivery_now(), random_u32())) {
        log_event(LOG_DELIVERY, "turned-away", "domain=%s text=\"%s\"", s->domain, status->text);
        reached = true;
        rc = RC_BUSY;
    } else if (rc == RC_BUSY)
        hop_health_leave(&health, hop, until);
    else
        hop_health_end(&health, hop, reached, &of_hop, delivery_now(), random_u32());
    if (s->hurried && !reached && clock_ms() - began_ms >= HURRIED_MS) { /* others wait: no second chance at once */
        hop_health_begin(&health, hop);
        hop_health_end(&health, hop, false, &of_hop, delivery_now(), random_u32());
    }
    spool_note_hop(s->entry.id, hop);
    if (s->session.up) {
        hop_health_begin(&health, hop);
        s->session.hop = hop;
    }
    if (failed_before && reached && rc == RC_OK)
        spool_hop_is_back(hop);
    if (s->hop.kind == HOP_INSIDE && rc == RC_OK && reached)
        cut_through_try_now();
    if (hop_health_not_before(&health, hop) > delivery_now())
        log_event(LOG_DELIVERY, "backs-off", "domain=%s for_s=%u", s->domain,
                  (unsigned)(hop_health_not_before(&health, hop) - delivery_now()));
    event_signal(&spool_changed); /* what waited for this session may go */
    return rc;
}

/* Said when it is true: durable by then, and nothing yields before the mail is released, so whoever reads it may order a retry. */
static enum rc let_wait(const struct delivery_slot *s, unsigned recipients, uint32_t delay_s, uint16_t attempts, const char *why)
{
    enum rc rc = spool_defer(s->entry.id, delivery_now() + delay_s, attempts);
    if (rc == RC_OK)
        log_event(LOG_DELIVERY, "waits", "id=%08X recipients=%u attempts=%u next_s=%u%s", (unsigned)s->entry.id, recipients,
                  attempts, (unsigned)delay_s, why);
    return rc;
}

/* Nothing of the mail could be tried: its servers don't answer, or have their share of the sessions. */
static enum rc put_off(struct delivery_slot *s, uint16_t hop)
{
    int64_t now = delivery_now(), until = hop_health_not_before(&health, hop);
    spool_note_hop(s->entry.id, hop);
    event_signal(&spool_changed); /* whoever has a session for it may look again */
    if (until <= now || hop_health_pauses(&health, hop, now))
        return RC_OK; /* it stays due, and goes when there is a session for it */
    uint16_t attempts = (uint16_t)(s->entry.attempts + (s->entry.attempts < UINT16_MAX));
    int64_t own = now + retry_delay_s(&rules, attempts, random_u32()); /* it counts as a try: the mail grows old by it */
    int64_t next = (own > until ? own : until) + random_below(SPREAD_S);
    return let_wait(s, s->entry.waiting, (uint32_t)(next - now), attempts, " why=hop-backs-off");
}

/* Not tried any more: what was said last stands. */
static void keep_last_results(struct delivery_slot *s)
{
    for (unsigned i = 0; i < s->count; i++) {
        const char *last = s->batch[i].to.text;
        delivery_status_set(&s->status[i], DELIVERY_WAIT, SCOPE_DOMAIN, s->batch[i].to.code, "4.4.1", "%.200s",
                            last[0] ? last : "no mail server of the domain could be reached");
        if (last[0])
            memcpy(s->status[i].enhanced, s->batch[i].to.enhanced, sizeof s->status[i].enhanced);
    }
}

/* --- outcomes --- */

/* When the sender is told of a delay; false: never, or not yet. */
static bool warning_time(const struct spool_entry *e, struct retry_rules *patience)
{
    *patience = rules;
    patience->life_s = (uint32_t)settings_get_number("mail.delay_warning") * 3600;
    return patience->life_s && e->received > 0 && wallclock_for_giving_up() >= e->received + patience->life_s;
}

/* A recipient's delay is told once: by the first result past the time. That of an earlier one stands in the queue. */
static bool warning_due(const struct delivery_slot *s, unsigned i)
{
    const struct spool_entry *e = &s->entry;
    struct retry_rules patience;
    return warning_time(e, &patience) && s->batch[i].to.at < e->received + patience.life_s &&
           retry_life_over(&patience, e->received, wallclock_for_giving_up(), e->attempts + 1u);
}

static bool any_warning_due(const struct delivery_slot *s)
{
    for (unsigned i = 0; i < s->count; i++)
        if (warning_due(s, i) && dsn_wanted(DSN_DELAYED, &s->envelope, &s->batch[i].to, ""))
            return true;
    return false;
}

static bool is_about(const struct delivery_slot *s, unsigned i, enum dsn_action action)
{
    static const enum delivery_result about[] = {
        [DSN_FAILED] = DELIVERY_BOUNCE, [DSN_RELAYED] = DELIVERY_DONE, [DSN_DELAYED] = DELIVERY_WAIT
    };
    return s->status[i].result == about[action] && (action != DSN_DELAYED || warning_due(s, i));
}

static bool reports(struct delivery_slot *s, enum dsn_action action)
{
    static const char *const names[] = { [DSN_FAILED] = "failed", [DSN_RELAYED] = "relayed", [DSN_DELAYED] = "delayed" };
    struct dsn_recipient list[PLAN_DELIVERY_BATCH];
    const char *postmaster = settings_get("mail.postmaster");
    unsigned n = 0;
    for (unsigned i = 0; i < s->count; i++) {
        if (!is_about(s, i, action))
            continue;
        if (action == DSN_FAILED && !s->envelope.sender[0])
            count(COUNT_double_bounces);
        if (dsn_wanted(action, &s->envelope, &s->batch[i].to, postmaster))
            list[n++] = (struct dsn_recipient){ &s->batch[i].to, &s->status[i] };
    }
    if (!n)
        return true;
    end_session(s); /* its memory is wanted */
    const struct dsn d = { .action = action,
                           .id = s->entry.id,
                           .envelope = &s->envelope,
                           .recipient = list,
                           .count = n,
                           .host_name = s->host_name,
                           .postmaster = postmaster,
                           .chunk = s->chunk,
                           .now = wallclock_now(),
                           .until = s->entry.received + rules.life_s };
    uint32_t id = 0;
    enum rc rc = dsn_write(&d, &id);
    log_event(LOG_DELIVERY, "report", "id=%08X about=%08X action=%s recipients=%u rc=%s", (unsigned)id, (unsigned)s->entry.id,
              names[action], n, rc_name(rc));
    return rc == RC_OK || rc == RC_INVALID; /* an address that cannot be written to will not get better */
}

static enum spool_state state_of(enum delivery_result r)
{
    return r == DELIVERY_DONE ? SPOOL_DELIVERED : r == DELIVERY_BOUNCE ? SPOOL_BOUNCED : SPOOL_WAITING;
}

/* A mail too old is given up: what still waits bounces with its last reason. */
static void give_up_old(struct delivery_slot *s)
{
    unsigned days = (unsigned)settings_get_number("mail.life_days");
    if (!too_old(&s->entry))
        return;
    for (unsigned i = 0; i < s->count; i++) {
        if (s->status[i].result != DELIVERY_WAIT)
            continue;
        char last[DELIVERY_TEXT_MAX];
        strbuf_copy(last, sizeof last, s->status[i].text);
        bool policy = s->status[i].enhanced[1] == 7 && s->status[i].enhanced[2] == 5;
        delivery_status_set(&s->status[i], DELIVERY_BOUNCE, SCOPE_RECIPIENT, s->status[i].code, policy ? "5.7.5" : "5.4.7",
                            "given up after %u day%s; last: %.190s", days, days == 1 ? "" : "s", last);
    }
}

static enum rc write_outcomes(struct delivery_slot *s)
{
    enum rc rc = RC_OK;
    bool told = reports(s, DSN_FAILED);
    bool relayed_told = (s->client.extensions & SMTP_DSN) || reports(s, DSN_RELAYED);
    bool delay_told = reports(s, DSN_DELAYED);
    if (!relayed_told || !delay_told)
        log_event_at(LOG_WARN, LOG_DELIVERY, "no-report", "id=%08X", (unsigned)s->entry.id);
    for (unsigned i = 0; i < s->count && rc == RC_OK; i++) {
        struct delivery_status *st = &s->status[i];
        enum spool_state state = state_of(st->result);
        if (state == SPOOL_BOUNCED && !told)
            state = SPOOL_WAITING; /* the report could not be stored: the recipient stays and it is tried again */
        rc = spool_outcome(s->entry.id, s->batch[i].index, state, st->code, st->enhanced, span_of(st->text), wallclock_now());
        count(state == SPOOL_DELIVERED ? COUNT_delivered : state == SPOOL_BOUNCED ? COUNT_bounced : COUNT_deferred);
        log_event(LOG_DELIVERY,
                  state == SPOOL_DELIVERED ? "delivered"
                  : state == SPOOL_BOUNCED ? "bounced"
                                           : "deferred",
                  "id=%08X rcpt=%u domain=%s code=%u status=%u.%u.%u text=\"%s\"", (unsigned)s->entry.id, s->batch[i].index,
                  s->domain, st->code, st->enhanced[0], st->enhanced[1], st->enhanced[2], st->text);
    }
    return rc;
}

static void watch_inside(const struct delivery_slot *s)
{
    if (s->hop.kind != HOP_INSIDE || !s->count)
        return;
    if (s->status[0].result == DELIVERY_WAIT && s->status[0].scope == SCOPE_HOST)
        alert_raise(ALERT_INSIDE_DOWN, "mail for the office waits: %.100s", s->status[0].text);
    else
        alert_clear(ALERT_INSIDE_DOWN);
}

/* --- a message --- */

/* cut: whatever waits of it was cut off by hops that live. */
static enum rc finish(struct delivery_slot *s, bool cut)
{
    struct spool_entry now;
    if (!spool_lookup(s->entry.id, &now))
        return RC_OK; /* dropped by the operator meanwhile */
    if (!now.waiting)
        return spool_settle(s->entry.id);
    uint16_t attempts = (uint16_t)(s->entry.attempts + (s->entry.attempts < UINT16_MAX));
    uint32_t soon_s = cut ? retry_soon_s(attempts, random_u32()) : 0;
    return let_wait(s, now.waiting, soon_s ? soon_s : retry_delay_s(&rules, attempts, random_u32()), attempts, "");
}

static enum rc deliver(struct delivery_slot *s)
{
    uint8_t done[DELIVERY_DONE_BYTES] = { 0 };
    attempt_own_name(s);
    struct retry_rules patience;
    bool tried = s->entry.waiting == 0, held = false, aged = warning_time(&s->entry, &patience) || too_old(&s->entry);
    bool all_cut = true;
    uint16_t blocked = 0;
    enum rc rc = spool_read_envelope(s->entry.id, &s->envelope);
    while (rc == RC_OK && (rc = delivery_batch_next(s, done, aged)) == RC_OK) {
        uint16_t hop = hop_of(span_of(s->domain));
        if (delivery_held(span_of(s->domain))) {
            held = true;
            continue;
        }
        s->cut = false;
        rc = s->session.hop == hop || has_session(hop) ? try_hop(s, hop) : RC_BUSY;
        if (rc == RC_BUSY && !too_old(&s->entry) && !any_warning_due(s)) {
            rc = RC_OK;
            blocked = hop;
            continue;
        }
        tried = true;
        if (rc == RC_BUSY)
            keep_last_results(s);
        else if (rc != RC_OK)
            return rc;
        else
            watch_inside(s);
        give_up_old(s);
        all_cut = all_cut && (s->cut || !delivery_batch_waits(s));
        rc = write_outcomes(s);
    }
    if (rc != RC_NOT_FOUND)
        return rc;
    if (tried || !(blocked || held))
        return finish(s, all_cut);
    if (blocked)
        return put_off(s, blocked);
    /* All that waits of it is for domains that are held: it grows no older by that, and is looked at again now and then. */
    return let_wait(s, s->entry.waiting, rules.longest_s, s->entry.attempts, " why=held");
}

/* At boot and when the clock was set back: a mail put off by a clock that ran ahead is due now, not in that far future. */
static void follow_clock_back(void)
{
    static int64_t latest = INT64_MAX;
    struct spool_entry e = { .id = 0 };
    int64_t now = delivery_now(), farthest = now + (int64_t)settings_get_number("mail.retry_longest") * 2;
    bool back = now + CLOCK_SLACK_S < latest;
    latest = now;
    if (back)
        hop_health_forgive(&health); /* its back-offs end in that future, too */
    while (back && spool_next(e.id, &e))
        if (e.waiting && !e.busy && e.next_try > farthest) {
            enum rc rc = spool_defer(e.id, now, e.attempts);
            log_event(LOG_DELIVERY, "due-again", "id=%08X rc=%s", (unsigned)e.id, rc_name(rc));
        }
}

/* --- which mail next --- */

static uint16_t wanted_hop; /* for has_wanted_hop alone: nothing yields between */

static bool has_wanted_hop(const struct spool_entry *e)
{
    return e->hop == wanted_hop;
}

static bool is_unread(const struct spool_entry *e)
{
    return e->hop == 0 && e->recipients == 1;
}

/* With a session up: a mail that goes the same way, out of its turn; a session has an end. What is not known yet is looked at, a few. */
static bool take_for_session(struct delivery_slot *s)
{
    s->working = true; /* nobody borrows the slot meanwhile */
    for (unsigned i = 0; i < LOOK_MAILS && spool_take_due_if(delivery_now(), is_unread, &s->entry); i++) {
        if (spool_read_address(s->entry.id, 0, &s->batch[0].to) != RC_OK)
            return true; /* deliver finds out, and says why */
        spool_note_hop(s->entry.id, hop_of(span_of(s->batch[0].to.domain)));
        spool_release(s->entry.id);
        event_signal(&spool_changed); /* others may have passed over it meanwhile */
    }
    wanted_hop = s->session.hop;
    s->working = spool_take_due_if(delivery_now(), has_wanted_hop, &s->entry);
    return s->working;
}

/* RC_OK: s->entry is taken; RC_TIMEOUT: nothing is due yet. */
static enum rc take_next(struct delivery_slot *s)
{
    if ((s->session.up && take_for_session(s)) || spool_take_due_if(delivery_now(), is_fit, &s->entry))
        return RC_OK;
    int64_t due = spool_next_due(), now = delivery_now();
    spool_look_further(now);
    uint64_t wait_ms = due <= now ? 1000 : due - now > IDLE_CHECK_MS / 1000 ? IDLE_CHECK_MS : (uint64_t)(due - now) * 1000;
    struct deadline d = deadline_in_ms(wait_ms), idle_end = deadline_earlier(s->session.end, s->session.idle_end);
    enum rc rc = task_wait(&spool_changed, s->session.up ? deadline_earlier(d, idle_end) : d);
    if (s->session.up && deadline_passed(idle_end))
        end_session(s);
    return rc == RC_CANCELLED ? rc : RC_TIMEOUT;
}

static void worker_main(void *arg)
{
    struct delivery_slot *s = arg;
    for (;;) {
        follow_clock_back();
        if (s->lent && s->session.up)
            end_session(s);
        domain_check_serve(s);
        if (cut_through_serve(s)) {
            if (task_wait(&spool_changed, deadline_in_ms(LENT_LOOK_MS)) == RC_CANCELLED)
                return;
            continue;
        }
        enum rc rc = take_next(s);
        if (rc == RC_CANCELLED)
            return;
        if (rc != RC_OK)
            continue;
        s->working = true;
        rc = deliver(s);
        if (rc != RC_OK) {
            log_event_at(LOG_WARN, LOG_DELIVERY, "fault", "id=%08X rc=%s", (unsigned)s->entry.id, rc_name(rc));
            if (spool_defer(s->entry.id, delivery_now() + 300, s->entry.attempts) != RC_OK && task_sleep_ms(FAULT_WAIT_MS) != RC_OK)
                return;
        }
        spool_release(s->entry.id);
        s->working = false;
        cut_through_slot_is_idle();
    }
}

static void settings_changed(void)
{
    read_settings();
    delivery_try_all_now(); /* another way, another chance */
}

void delivery_init(void)
{
    read_settings();
    settings_on_change(settings_changed);
    for (unsigned i = 0; i < PLAN_DELIVERY_SESSIONS; i++)
        task_start(&slots[i].task, "delivery", slots[i].stack, sizeof slots[i].stack, worker_main, &slots[i]);
}
