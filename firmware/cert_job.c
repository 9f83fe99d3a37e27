#include "firmware/cert_job.h"

#include "firmware/alerts.h"
#include "firmware/cert_dialogue.h"
#include "firmware/errand.h"
#include "firmware/identity.h"
#include "firmware/settings.h"
#include "firmware/time_witness.h"
#include "firmware/wallclock.h"
#include "hal/base/datetime.h"
#include "hal/base/log.h"
#include "hal/random.h"

#define FIRST_S 20 /* after boot, and as much jitter: the network is up then */
#define SOON_S 1
#define REST_S 1                 /* between two runs, whatever the schedule says */
#define LOOK_EVERY_S (12 * 3600) /* for the authority's window, less a quarter by jitter */
#define LOOK_LONGEST_S (2 * LOOK_EVERY_S)
#define LOOK_LEAST_S 3600
#define LOOK_FAILED_S 6000
#define FAILURES_ALERT 3
#define TEXT_TIME_MAX 24

static struct cert_state state;
static struct deadline quiet; /* nothing before */
static unsigned clockless;    /* runs that have not brought the time */
static uint32_t known_sum;    /* of the settings that matter */
static struct errand errand;
static struct renewal_plan announced;

/* --- the plan --- */

static const char *idle_reason(void)
{
    char name[DOMAIN_TEXT_MAX];
    struct strbuf n = STRBUF(name);
    if (!random_ready())
        return PACKED("this board gives no random numbers");
    if (!settings_get("acme.directory")[0])
        return PACKED("acme.directory is not set");
    if (!cert_wanted_name(0, &n))
        return PACKED("host.name is not set");
    if (identity_origin(NULL) == IDENTITY_IMPORTED && !state.flags)
        return PACKED("the certificate was put in by hand; 'cert renew' replaces it");
    return NULL;
}

static bool issued(struct tls_leaf_info *info)
{
    return identity_origin(NULL) == IDENTITY_ISSUED && identity_info(info) && !info->self_signed;
}

static void plan_at(int64_t now, struct renewal_plan *out)
{
    struct tls_leaf_info info;
    uint32_t issued_for;
    struct renewal_facts f = { .have = issued(&info), .asked = state.flags != 0, .jitter = state.jitter };
    if (f.have) {
        f.not_before = info.not_before;
        f.not_after = info.not_after;
    }
    (void)identity_origin(&issued_for);
    f.changed = f.have && issued_for != cert_wanted();
    f.window_start = state.window_start;
    f.window_end = state.window_end;
    f.hold = (enum renewal_hold)state.hold;
    f.hold_until = state.hold_until;
    renewal_plan(&f, now, out);
}

/* When something is to be done: the renewal itself, or before it a look for the authority's window. */
static int64_t next_at(int64_t now, const struct renewal_plan *p)
{
    bool sane = state.look_at - now <= LOOK_LONGEST_S;
    if (p->hold != RENEWAL_HOLD_NONE || p->at <= now)
        return p->at;
    return !sane ? now : state.look_at < p->at ? state.look_at : p->at;
}

static uint32_t due_in_s(void)
{
    struct renewal_plan p;
    int64_t now = wallclock_now();
    if (idle_reason())
        return ERRAND_EVERY_MAX_S;
    if (!deadline_passed(quiet))
        return (uint32_t)(deadline_left_ms(quiet) / 1000 + 1);
    plan_at(now, &p);
    int64_t wait = next_at(now, &p) - now;
    return wait <= 0 ? 0 : wait > ERRAND_EVERY_MAX_S ? ERRAND_EVERY_MAX_S : (uint32_t)wait;
}

/* The log's line of what was decided, when that is news. */
static void announce(void)
{
    struct renewal_plan p;
    char text[TEXT_TIME_MAX];
    struct strbuf next = STRBUF(text);
    int64_t now = wallclock_now();
    const char *idle = idle_reason();
    if (idle) {
        if (announced.reason != RENEWAL_REASONS)
            log_event(LOG_CERT, "rest", "why=\"%s\"", idle);
        announced.reason = RENEWAL_REASONS;
        return;
    }
    plan_at(now, &p);
    if (p.reason == announced.reason && p.hold == announced.hold && (p.at == announced.at || p.at <= now))
        return;
    announced = p;
    rfc3339_format(&next, p.at > now ? p.at : now);
    log_event(LOG_CERT, "wait", "until=%s why=\"%s%s\" failures=%u", text, renewal_reason_text(p.reason), renewal_hold_text(p.hold),
              state.failures);
}

/* --- a run --- */

static void save(void)
{
    enum rc rc = cert_store_save(&state);
    if (rc != RC_OK)
        log_event_at(LOG_WARN, LOG_CERT, "state-not-stored", "rc=%s", rc_name(rc));
}

static void hold(enum renewal_hold why, uint32_t seconds)
{
    int64_t now = wallclock_now();
    state.hold = why;
    state.hold_until = now ? now + seconds : 0;
}

static uint32_t life_s(void)
{
    struct tls_leaf_info info;
    return issued(&info) ? renewal_life_s(info.not_before, info.not_after) : 0;
}

/* As failed, before it begins. */
static enum rc count_try(void)
{
    if (state.failures < UINT8_MAX)
        state.failures++;
    hold(RENEWAL_HOLD_FAILED, renewal_back_off_s(state.failures, life_s(), random_u32()));
    return cert_store_save(&state);
}

/* It did not fail yet; what the operator has said meanwhile stands. */
static void uncount(const struct cert_state *before)
{
    if (state.failures > before->failures)
        state.failures = before->failures;
    if (state.hold == RENEWAL_HOLD_FAILED) {
        state.hold = before->hold;
        state.hold_until = before->hold_until;
    }
}

static bool due(struct renewal_plan *p)
{
    int64_t now = wallclock_now();
    plan_at(now, p);
    return now > 0 && p->reason != RENEWAL_NO_CLOCK && p->at <= now;
}

static void look_again_in(uint32_t seconds)
{
    int64_t now = wallclock_now();
    state.look_at = now ? now + seconds - random_below(seconds / 4) : 0;
}

static enum rc issue(struct strbuf *why)
{
    struct cert_state fresh = { .version = CERT_STATE_VERSION, .jitter = random_u32(), .hold = RENEWAL_HOLD_FRESH };
    int64_t now = wallclock_now();
    uint8_t meant = state.flags;
    bool new_key = meant & CERT_NEW_KEY;
    fresh.hold_until = now + renewal_fresh_s(0);
    enum rc rc = cert_dialogue_issue(&fresh, new_key, why);
    if (rc != RC_OK)
        return rc;
    uint8_t later = (uint8_t)(state.flags & ~meant); /* asked for meanwhile */
    state = fresh;
    state.flags = later & ~CERT_OF_ACCOUNT ? later | CERT_ASKED : later;
    look_again_in(LOOK_LEAST_S);
    hold(RENEWAL_HOLD_FRESH, renewal_fresh_s(life_s()));
    save();
    log_event(LOG_CERT, "issued", "key=%s", new_key ? "next" : "kept");
    return RC_OK;
}

/* A certificate that nobody will revoke is replaced all the same. */
static enum rc revoke(struct strbuf *why)
{
    enum rc rc = cert_dialogue_revoke(state.flags & CERT_STOLEN, why);
    bool settled = rc == RC_OK || rc == RC_REFUSED || rc == RC_INVALID || rc == RC_NOT_FOUND || rc == RC_UNSUPPORTED;
    log_event_at(rc == RC_OK ? LOG_INFO : LOG_WARN, LOG_CERT, "revoke", "rc=%s why=\"%s\"", rc_name(rc), why->p);
    if (!settled)
        return rc;
    state.flags &= (uint8_t) ~(CERT_REVOKE | CERT_STOLEN);
    strbuf_clear(why);
    return RC_OK;
}

static void put_off(enum rc rc, struct strbuf *why)
{
    struct strbuf words = STRBUF(state.why);
    int64_t asked_s = cert_dialogue_retry_after_s(), now = wallclock_now();
    strbuf_add_printable(&words, strbuf_span(why), CERT_WHY_MAX - 1);
    if (!words.len)
        strbuf_puts(&words, rc_name(rc));
    state.failed_at = now;
    if (asked_s > state.hold_until - now)
        hold(RENEWAL_HOLD_SERVER, asked_s < RENEWAL_RETRY_AFTER_MAX_S ? (uint32_t)asked_s : RENEWAL_RETRY_AFTER_MAX_S);
    save();
    log_event_at(LOG_WARN, LOG_CERT, "failed", "number=%u rc=%s why=\"%s\"", state.failures, rc_name(rc), state.why);
}

static void learn_window(struct strbuf *why)
{
    struct acme_renewal r;
    enum rc rc = cert_dialogue_window(&r, why);
    look_again_in(rc == RC_OK            ? (r.again_s > LOOK_LEAST_S ? r.again_s : LOOK_LEAST_S)
                  : rc == RC_UNSUPPORTED ? LOOK_EVERY_S
                                         : LOOK_FAILED_S);
    if (rc == RC_UNSUPPORTED)
        state.window_start = state.window_end = 0;
    else if (rc != RC_OK)
        log_event_at(LOG_WARN, LOG_CERT, "no-window", "rc=%s why=\"%s\"", rc_name(rc), why->p);
    strbuf_clear(why);
    if (rc != RC_OK || (r.start == state.window_start && r.end == state.window_end))
        return;
    state.window_start = r.start;
    state.window_end = r.end;
    rc = cert_store_put_url(CERT_PAGE, 0, span_of(r.explanation));
    log_event(LOG_CERT, "window", "start=%lld end=%lld page=%s stored=%s", (long long)r.start, (long long)r.end, r.explanation,
              rc_name(rc));
}

/* Asked for until it is done, or refused for good: it must not stand in the way of a renewal. */
static enum rc settle_account(const struct cert_state *before, struct strbuf *why)
{
    bool close = state.flags & CERT_CLOSE;
    enum rc rc = cert_dialogue_account(close, why);
    if (rc == RC_OK || rc == RC_REFUSED || rc == RC_UNSUPPORTED || rc == RC_INVALID)
        state.flags &= (uint8_t) ~(close ? CERT_OF_ACCOUNT : CERT_ROLL_OVER);
    if (rc != RC_OK)
        return rc;
    uncount(before);
    state.failures = 0;
    state.why[0] = '\0';
    save();
    log_event(LOG_CERT, "account", "now=%s", close ? "closed" : "another-key");
    return RC_OK;
}

static enum rc work(const struct renewal_plan *p, struct strbuf *why)
{
    const struct cert_state before = state;
    enum rc rc = count_try();
    log_event(LOG_CERT, "try", "number=%u why=\"%s\"", state.failures, renewal_reason_text(p->reason));
    if (rc != RC_OK) {
        strbuf_puts(why, "nothing can be stored");
        return rc;
    }
    if (state.flags & CERT_OF_ACCOUNT)
        return settle_account(&before, why);
    if (state.flags & CERT_REVOKE)
        rc = revoke(why);
    return rc == RC_OK ? issue(why) : rc;
}

/* The directory's answer brings the time, and the authority its window: what was decided before is decided again then. */
static enum rc converse(struct http_client *http, char *memory, struct strbuf *why)
{
    struct renewal_plan p;
    const struct cert_state before = state;
    bool counted = due(&p);
    enum rc rc = counted ? count_try() : RC_OK;
    if (rc == RC_OK)
        rc = cert_dialogue_open(http, memory, why);
    if (rc != RC_OK) {
        if (counted)
            put_off(rc, why);
        else
            look_again_in(LOOK_FAILED_S);
        return rc;
    }
    uncount(&before);
    time_witness_heard(WITNESS_ACME, errand_verified_date(http));
    learn_window(why);
    if (!due(&p)) {
        save();
        return RC_OK;
    }
    rc = work(&p, why);
    if (rc != RC_OK)
        put_off(rc, why);
    return rc;
}

static void make_next_key(char *memory)
{
    struct strbuf key = strbuf_on(memory, IDENTITY_PEM_BYTES);
    enum rc rc = cert_store_next_key(&key);
    if (rc != RC_OK)
        log_event_at(LOG_WARN, LOG_CERT, "no-next-key", "rc=%s", rc_name(rc));
}

static enum rc run(struct http_client *http, uint32_t *next_s, struct strbuf *why)
{
    char *memory = identity_pem_take();
    struct renewal_plan p;
    enum rc rc = RC_BUSY;
    *next_s = 0;
    quiet = deadline_in_ms(REST_S * 1000);
    if (!memory)
        return rc;
    rc = converse(http, memory, why);
    make_next_key(memory);
    identity_pem_give();
    plan_at(wallclock_now(), &p);
    clockless = p.reason == RENEWAL_NO_CLOCK ? clockless + 1 : 0;
    quiet = deadline_in_ms((clockless ? renewal_back_off_s(clockless, 0, random_u32()) : REST_S) * 1000ull);
    cert_job_watch();
    announce();
    return rc;
}

/* --- alerts --- */

static void watch_life(const struct tls_leaf_info *info)
{
    char text[TEXT_TIME_MAX];
    struct strbuf end = STRBUF(text);
    enum renewal_health health = renewal_health(info->not_before, info->not_after, wallclock_now());
    rfc3339_format(&end, info->not_after);
    if (health == RENEWAL_FINE)
        alert_clear(ALERT_CERT_LIFE);
    else
        alert_raise(ALERT_CERT_LIFE, "the certificate %s %s", health == RENEWAL_OVER ? "has expired:" : "is near its end:", text);
}

void cert_job_watch(void)
{
    struct tls_leaf_info info;
    if (identity_info(&info))
        watch_life(&info);
    if (!idle_reason() && state.failures >= FAILURES_ALERT && state.why[0])
        alert_raise(ALERT_CERT_RENEWAL, "no new certificate after %u tries: %.100s", state.failures, state.why);
    else
        alert_clear(ALERT_CERT_RENEWAL);
}

/* --- the operator --- */

/* What a change of may mend what has failed. */
static uint32_t sum_settings(void)
{
    static const char *const keys[] = { "acme.roots", "acme.contact", "acme.challenge", "acme.eab_kid", "acme.eab_key" };
    return settings_sum(cert_wanted(), keys, sizeof keys / sizeof keys[0]);
}

static void settings_changed(void)
{
    uint32_t sum = sum_settings();
    if (sum == known_sum)
        return;
    known_sum = sum;
    state.failures = 0;
    state.hold = RENEWAL_HOLD_NONE;
    quiet = deadline_in_ms(SOON_S * 1000);
    announce();
    (void)errand_now(&errand);
}

enum rc cert_job_ask(unsigned flags, struct strbuf *why)
{
    uint8_t before = state.flags;
    state.flags |= (uint8_t)flags;
    const char *idle = idle_reason();
    if (idle) {
        state.flags = before;
        strbuf_puts(why, idle);
        return RC_INVALID;
    }
    if (state.hold == RENEWAL_HOLD_FAILED)
        state.hold = RENEWAL_HOLD_NONE; /* this once: its failure holds again */
    save();
    quiet = deadline_in_ms(0);
    announce();
    (void)errand_now(&errand);
    return RC_OK;
}

void cert_job_look(struct cert_job_view *out)
{
    *out = (struct cert_job_view){ .idle = idle_reason(), .running = errand.running, .state = &state };
    plan_at(wallclock_now(), &out->plan);
}

static struct errand errand = {
    .name = "cert", .setting = "acme.directory", .roots = "acme.roots", .run = run, .due_in_s = due_in_s
};

void cert_job_init(void)
{
    cert_store_load(&state);
    known_sum = sum_settings();
    quiet = deadline_in_ms((FIRST_S + random_below(FIRST_S)) * 1000ull);
    errand_add(&errand);
    settings_on_change(settings_changed);
    cert_job_watch();
    announce();
}
