/* The task, its session and the way to a server: resolve, connect, TLS with a certificate that is valid and names the host. Without that not a
 * byte of a request goes out.
 *
 * A certificate is judged by the time. A box that has none to trust (no RTC, or SNTP alone) and meets one that seems out of its time asks that
 * server, unverified, for its Date, and connects again: the certificate must then be valid at that very time. So a forged SNTP answer cannot keep
 * the box from learning the time, and the floor in flash bounds how far back a server may lie. */
#include "firmware/errand.h"

#include "board/plan_sizes.h"
#include "firmware/inside_trust.h"
#include "firmware/list_store.h"
#include "firmware/network.h"
#include "firmware/settings.h"
#include "firmware/settings_log.h"
#include "firmware/version.h"
#include "firmware/wallclock.h"
#include "hal/base/bytes.h"
#include "hal/base/crc32.h"
#include "hal/base/log.h"
#include "hal/random.h"
#include "hal/task.h"
#include "net/dns.h"
#include "net/tcp.h"

#define FIRST_MS 20000 /* after boot, and as much jitter: the network is up then */
#define CHANGED_MS 1000
#define RESOLVE_MS 15000
#define CONNECT_MS 10000
#define HANDSHAKE_MS 30000
#define ADDRESSES_MAX 4
#define SMTP_PORT 25
#define SMTP_STEP_MS 20000
#define RECORD_BYTES 16
#define HTTP_DATE_OFF_MAX_S 3600 /* a server whose Date led us to trust it keeps to it */

static struct errand *first;
static struct event wake;
static struct {
    struct task task;
    union {
        struct http_client http;
        struct smtp_client smtp;
    };
    struct stream stream;
    struct tcp_conn conn;
    struct tls_params tls;
    struct tls_facts facts;
    struct arena arena;
    const struct errand *errand;
    char host[DOMAIN_TEXT_MAX];
    union {
        struct dns_answer dns; /* before a connection */
        uint8_t ring[TCP_RING_BYTES];
    };
    uint8_t stack[PLAN_BOX_STACK_BYTES] __attribute__((aligned(16)));
    uint8_t tls_memory[PLAN_BOX_ARENA_BYTES] __attribute__((aligned(16)));
} box;

/* --- trust --- */

struct taker {
    bool (*give)(void *give_ctx, struct span der);
    void *give_ctx;
    bool enough;
};

static bool take_one(void *ctx, struct span der)
{
    struct taker *t = ctx;
    t->enough = !t->give(t->give_ctx, der);
    return !t->enough;
}

static unsigned find_both(void *ctx, struct span issuer_dn, bool (*give)(void *give_ctx, struct span der), void *give_ctx)
{
    const struct tls_trust *a = list_store_trust(), *b = inside_trust();
    struct taker t = { give, give_ctx, false };
    (void)ctx;
    unsigned given = a->find(a->ctx, issuer_dn, take_one, &t);
    return t.enough ? given : given + b->find(b->ctx, issuer_dn, take_one, &t);
}

static const struct tls_trust *trust_of(const struct errand *e)
{
    static const struct tls_trust both = { find_both, NULL };
    return e->roots && span_is(span_of(settings_get(e->roots)), "inside") ? &both : list_store_trust();
}

/* --- a connection --- */

static enum rc refuse(struct strbuf *why, enum rc rc, const char *words)
{
    strbuf_printf(why, "%s: %s", box.host, words);
    return rc;
}

static enum rc open_tcp(const struct url *to, struct strbuf *why)
{
    struct ip_addr_any address[ADDRESSES_MAX];
    unsigned count = 0;
    enum rc rc = network_resolve(span_of(box.host), address, ADDRESSES_MAX, &count, &box.dns, deadline_in_ms(RESOLVE_MS));
    if (rc != RC_OK)
        strbuf_printf(why, "the DNS gave no answer about %s (%s)", box.host, rc_name(rc));
    else if (count == 0)
        rc = refuse(why, RC_NOT_FOUND, "it has no address");
    if (rc != RC_OK)
        return rc;
    for (unsigned i = 0; i < count; i++) {
        const struct ip_endpoint peer = { address[i], to->port };
        rc = tcp_stream_connect(&box.stream, &box.conn, box.ring, &peer, deadline_in_ms(CONNECT_MS));
        if (rc == RC_OK || rc == RC_CANCELLED)
            return rc;
    }
    strbuf_printf(why, "%s could not be reached (%s)", box.host, rc_name(rc));
    return rc;
}

static void set_up_tls(const char *name, int64_t now)
{
    arena_init(&box.arena, box.tls_memory, sizeof box.tls_memory);
    memset(&box.facts, 0, sizeof box.facts);
    box.tls = (struct tls_params){
        .role = TLS_CLIENT, .server_name = name, .trust = trust_of(box.errand), .now = now, .arena = &box.arena, .facts = &box.facts
    };
}

static enum rc open_tls(const struct url *to, int64_t now, struct strbuf *why)
{
    enum rc rc = open_tcp(to, why);
    if (rc != RC_OK)
        return rc;
    set_up_tls(box.host, now);
    rc = stream_starttls(&box.stream, &box.tls, deadline_in_ms(HANDSHAKE_MS));
    const struct tls_facts *f = &box.facts;
    if (rc == RC_OK && f->chain_valid && f->name_matches)
        return RC_OK;
    strbuf_printf(why, "%s: %s%s%s", box.host, tls_cause_text(f->cause), f->detail[0] ? ": " : "", f->detail);
    if (rc != RC_OK)
        stream_abort(&box.stream);
    return rc == RC_OK ? RC_TLS : rc;
}

static bool out_of_time(const struct tls_facts *f)
{
    return f->established &&
           (f->cause == TLS_CAUSE_EXPIRED || f->cause == TLS_CAUSE_NOT_YET_VALID || f->cause == TLS_CAUSE_CLOCK_UNKNOWN);
}

/* What time the server on the open, unverified stream says it is. 0: it does not say, or one that cannot be. */
static int64_t ask_for_date(const struct url *to)
{
    struct strbuf line = STRBUF(box.http.line);
    struct http_head head;
    struct deadline d = deadline_in_ms(HTTP_HEAD_MS);
    strbuf_printf(&line, "HEAD / HTTP/1.1\r\nHost: %.*s\r\nConnection: close\r\n\r\n", (int)to->authority.len, to->authority.p);
    if (line.overflow || stream_write(&box.stream, strbuf_span(&line), d) != RC_OK)
        return 0;
    http_head_init(&head, true);
    while (!head.complete) {
        strbuf_clear(&line);
        enum rc rc = stream_read_line(&box.stream, &line, NULL, d);
        if ((rc != RC_OK && rc != RC_TOO_LONG) || http_head_line(&head, strbuf_span(&line), rc == RC_TOO_LONG, NULL, NULL) != RC_OK)
            return 0;
    }
    return head.date >= wallclock_floor() ? head.date : 0;
}

static int64_t date_that_counts; /* by which this connection's certificate was judged, when that was not our own clock; 0: it was */

static enum rc open_verified(void *ctx, const struct url *to, struct strbuf *why)
{
    bool firm;
    int64_t now = wallclock_for_tls(&firm);
    struct strbuf host = STRBUF(box.host);
    (void)ctx;
    strbuf_add(&host, to->host);
    date_that_counts = 0;
    if (!to->https || host.overflow || to->host_is_address)
        return refuse(why, RC_REFUSED, "only https to a name can be verified");
    enum rc rc = open_tls(to, now, why);
    if (rc == RC_TLS && box.facts.established && out_of_time(&box.facts) && !firm)
        date_that_counts = ask_for_date(to);
    if (rc == RC_TLS)
        stream_abort(&box.stream);
    if (!date_that_counts)
        return rc;
    log_event(LOG_TIME, "by-server", "host=%s unix=%lld cause=%s", box.host, (long long)date_that_counts,
              tls_cause_name(box.facts.cause));
    strbuf_clear(why);
    rc = open_tls(to, date_that_counts, why);
    if (rc == RC_TLS)
        stream_abort(&box.stream);
    return rc;
}

int64_t errand_verified_date(const struct http_client *http)
{
    int64_t date = http->head.date;
    if (http != &box.http || http->redirected)
        return 0;
    bool kept = !date_that_counts ||
                (date - date_that_counts <= HTTP_DATE_OFF_MAX_S && date_that_counts - date <= HTTP_DATE_OFF_MAX_S);
    return kept ? date : 0;
}

/* --- SMTP --- */

struct dns_answer *errand_dns(void)
{
    return &box.dns;
}

enum rc errand_smtp_open(struct errand_smtp *s, const struct ip_addr_any *to, const char *name)
{
    const struct ip_endpoint peer = { *to, SMTP_PORT };
    bool firm;
    *s = (struct errand_smtp){ &box.smtp, &box.tls };
    memset(&box.smtp, 0, sizeof box.smtp);
    box.smtp.most_ms = SMTP_STEP_MS;
    set_up_tls(name, wallclock_for_tls(&firm));
    enum rc rc = tcp_stream_connect(&box.stream, &box.conn, box.ring, &peer, deadline_in_ms(CONNECT_MS));
    return rc == RC_OK ? smtp_client_greet(&box.smtp, &box.stream, name) : rc;
}

static void set_up_http(void)
{
    http_client_init(&box.http, &box.stream, open_verified, NULL, "Postern/" FIRMWARE_VERSION);
}

void errand_smtp_close(void)
{
    if (box.smtp.stream)
        smtp_client_quit(&box.smtp);
    set_up_http();
}

/* --- when --- */

static struct span record_key(char memory[SETTINGS_LOG_KEY_MAX + 1], const struct errand *e)
{
    struct strbuf key = strbuf_on(memory, SETTINGS_LOG_KEY_MAX + 1);
    strbuf_printf(&key, "errand/%s", e->name);
    return strbuf_span(&key);
}

static uint32_t url_sum(const struct errand *e)
{
    struct span url = span_of(settings_get(e->setting));
    return crc32_update(0, url.p, url.len);
}

static uint64_t jittered_ms(uint32_t seconds)
{
    return (uint64_t)seconds * 1000 - random_below(seconds * 250 + 1);
}

static void load(struct errand *e)
{
    char memory[SETTINGS_LOG_KEY_MAX + 1];
    uint8_t raw[RECORD_BYTES];
    size_t len = 0;
    int64_t now = wallclock_now();
    e->due_ms = clock_ms() + FIRST_MS + random_below(FIRST_MS);
    if (settings_log_get(record_key(memory, e), raw, sizeof raw, &len) != RC_OK || len != sizeof raw)
        return;
    e->failures = raw[0];
    int64_t due = (int64_t)get_le64(raw + 8);
    if (now && due > now && due - now < ERRAND_EVERY_MAX_S && e->due_ms < clock_ms() + (uint64_t)(due - now) * 1000)
        e->due_ms = clock_ms() + (uint64_t)(due - now) * 1000;
}

static void store(const struct errand *e)
{
    char memory[SETTINGS_LOG_KEY_MAX + 1];
    uint8_t raw[RECORD_BYTES] = { (uint8_t)(e->failures < UINT8_MAX ? e->failures : UINT8_MAX) };
    int64_t now = wallclock_now();
    put_le64(raw + 8, now ? (uint64_t)(now + errand_due_in_s(e)) : 0);
    enum rc rc = settings_log_put(record_key(memory, e), span_bytes(raw, sizeof raw));
    if (rc != RC_OK)
        log_event_at(LOG_WARN, LOG_NET, "errand-not-stored", "name=%s rc=%s", e->name, rc_name(rc));
}

static uint32_t back_off_s(unsigned failures)
{
    static const uint32_t steps[] = { 60, 600, 6000, 43200 };
    unsigned last = sizeof steps / sizeof steps[0] - 1;
    return steps[failures - 1 < last ? failures - 1 : last];
}

static void run(struct errand *e)
{
    char words[HTTP_WHY_MAX];
    struct strbuf why = STRBUF(words);
    uint32_t next_s = 0;
    box.errand = e;
    set_up_http();
    enum rc rc = e->run(&box.http, &next_s, &why);
    http_client_close(&box.http);
    e->running = false;
    e->failures = rc == RC_OK ? 0 : e->failures + 1;
    if (e->due_in_s)
        return; /* its own log says more */
    if (rc != RC_OK && next_s < back_off_s(e->failures))
        next_s = back_off_s(e->failures);
    if (next_s > ERRAND_EVERY_MAX_S)
        next_s = ERRAND_EVERY_MAX_S;
    e->due_ms = clock_ms() + jittered_ms(next_s);
    log_event_at(rc == RC_OK ? LOG_INFO : LOG_WARN, LOG_NET, "errand", "name=%s rc=%s failures=%u next_s=%u why=\"%s\"", e->name,
                 rc_name(rc), e->failures, (unsigned)errand_due_in_s(e), words);
    store(e);
}

static bool wanted(const struct errand *e)
{
    return settings_get(e->setting)[0] != '\0';
}

/* *look: when to ask again. */
static struct errand *earliest(struct deadline *look)
{
    struct errand *best = NULL;
    *look = deadline_never();
    for (struct errand *e = first; e; e = e->next) {
        if (!wanted(e))
            continue;
        if (e->due_in_s) {
            e->due_ms = clock_ms() + (uint64_t)e->due_in_s() * 1000;
            *look = deadline_in_ms(ERRAND_LOOK_S * 1000);
        }
        if (!best || e->due_ms < best->due_ms)
            best = e;
    }
    return best;
}

static void errand_main(void *arg)
{
    (void)arg;
    for (;;) {
        struct deadline look, due;
        struct errand *e = earliest(&look);
        due = e ? (struct deadline){ e->due_ms } : look;
        if (e && deadline_passed(due)) {
            e->running = true;
            run(e);
        } else if (task_wait(&wake, deadline_earlier(due, look)) == RC_CANCELLED) {
            return;
        }
    }
}

static void settings_changed(void)
{
    for (struct errand *e = first; e; e = e->next) {
        if (e->url_sum == url_sum(e))
            continue;
        e->url_sum = url_sum(e);
        e->failures = 0;
        e->due_ms = clock_ms() + CHANGED_MS;
    }
    event_signal(&wake);
}

bool errand_now(struct errand *e)
{
    e->due_ms = clock_ms();
    event_signal(&wake);
    return wanted(e);
}

void errand_look(void)
{
    event_signal(&wake);
}

uint32_t errand_due_in_s(const struct errand *e)
{
    uint64_t now = clock_ms();
    return e->running || e->due_ms <= now ? 0 : (uint32_t)((e->due_ms - now) / 1000);
}

void errand_add(struct errand *e)
{
    e->url_sum = url_sum(e);
    if (!e->due_in_s)
        load(e);
    e->next = first;
    first = e;
    event_signal(&wake);
}

void errand_init(void)
{
    settings_on_change(settings_changed);
    task_start(&box.task, "errand", box.stack, sizeof box.stack, errand_main, NULL);
}
