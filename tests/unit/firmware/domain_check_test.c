/* firmware/domain_check.c on top of the real attempt.c: what each kind of server comes to, that no mail is begun and nothing kept, and whose the
 * slot is. DNS, list and connections are played here; the workers are tasks, as in the box. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "firmware/alerts.h"
#include "firmware/console.h"
#include "firmware/counters.h"
#include "firmware/delivery.h"
#include "firmware/domain_check.h"
#include "firmware/inside_trust.h"
#include "firmware/list_store.h"
#include "firmware/settings.h"
#include "firmware/wallclock.h"
#include "net/proxy_protocol.h"
#include "net/tls_session.h"
#include "tests/support/script_stream.h"
#include "tests/support/tls_pair.h"

#define CONNECTIONS_MAX 8
#define SLOTS 2

/* --- what stands around it --- */

static struct delivery_slot slots[PLAN_DELIVERY_SESSIONS];
struct slot_use delivery_memory;
struct event spool_changed;
static const char *script_text[CONNECTIONS_MAX]; /* one a connection; NULL: it cannot be had */
static struct script_stream script[CONNECTIONS_MAX];
static unsigned connections, hosts, addresses, counted, kept_pins;
static enum next_hop_kind kind;
static bool listed, good_chain, good_name, interrupted;
static enum rc find_rc;

void count(enum counter c)
{
    (void)c;
    counted++;
}

void alert_clear(enum alert a)
{
    (void)a;
}

void(alert_raise)(enum alert a, const char *format, ...)
{
    (void)a;
    (void)format;
}

enum rc spool_body_open(struct spool_reader *r, uint32_t id)
{
    (void)r;
    fail_msg("mail %u is read", (unsigned)id);
    return RC_IO;
}

enum rc spool_body_read(struct spool_reader *r, void *buf, size_t cap, size_t *got)
{
    (void)buf;
    (void)cap;
    (void)got;
    return spool_body_open(r, 0);
}

const char *settings_get(const char *key)
{
    return strcmp(key, "mail.inside_tls") == 0 ? "pin" : strcmp(key, "host.name") == 0 ? "box.test" : "";
}

const char *settings_get_member(const char *family, struct span member)
{
    (void)family;
    (void)member;
    return NULL;
}

struct delivery_slot *delivery_slot(unsigned i)
{
    return &slots[i];
}

bool console_interrupted(void)
{
    return interrupted;
}

bool inside_pin_check(const char *host, const uint8_t spki_sha256[32], bool keep)
{
    (void)host;
    (void)spki_sha256;
    kept_pins += keep;
    return true;
}

const struct tls_trust *inside_trust(void)
{
    return NULL;
}

const struct tls_trust *list_store_trust(void)
{
    return NULL;
}

void list_store_look_up(struct span domain, struct list_entry *entry, struct verdict_domain *v)
{
    (void)domain;
    memset(entry, 0, sizeof *entry);
    v->list.state = listed ? LIST_STATE_FOUND : LIST_STATE_ABSENT;
    v->list.entry = listed ? entry : NULL;
    entry->mode = LIST_ENFORCE;
}

const char *list_entry_mx(const struct list_entry *e, unsigned i)
{
    (void)e;
    return i == 0 ? "mx0.test" : NULL;
}

bool list_entry_allows(const struct list_entry *e, struct span host)
{
    (void)e;
    return span_is(host, "mx0.test");
}

int64_t wallclock_now(void)
{
    return PAIR_NOW;
}

int64_t wallclock_trusted(void)
{
    return PAIR_NOW;
}

enum next_hop_kind next_hop_kind_of(struct span domain)
{
    (void)domain;
    return kind;
}

enum rc next_hop_find(struct next_hop *out, struct span domain, struct dns_answer *scratch, struct delivery_status *status,
                      struct deadline d)
{
    (void)domain;
    (void)scratch;
    (void)d;
    memset(out, 0, sizeof *out);
    out->kind = kind;
    delivery_status_set(status, DELIVERY_BOUNCE, SCOPE_DOMAIN, 0, "5.1.10", "takes no mail");
    for (; out->count < hosts; out->count++) {
        struct strbuf name = STRBUF(out->host[out->count].name);
        strbuf_printf(&name, "mx%u.test", out->count);
        out->host[out->count].port = 25;
    }
    return find_rc;
}

enum rc next_hop_addresses(const struct next_hop *hop, const struct next_hop_host *host, struct ip_addr_any *out,
                           unsigned *count_of, struct dns_answer *scratch, struct delivery_status *status, struct deadline d)
{
    (void)hop;
    (void)host;
    (void)scratch;
    (void)status;
    (void)d;
    *count_of = addresses;
    return ip_parse(SPAN("192.0.2.1"), &out[addresses - 1]) == RC_OK ? ip_parse(SPAN("192.0.2.1"), out) : RC_INVALID;
}

void next_hop_demand(const struct next_hop *hop, struct verdict_domain *v)
{
    v->local.present = hop->kind == HOP_INSIDE;
    v->local.demand = DEMAND_PINNED;
}

enum rc tcp_stream_connect(struct stream *s, struct tcp_conn *c, uint8_t *ring, const struct ip_endpoint *peer, struct deadline d)
{
    (void)c;
    (void)ring;
    (void)peer;
    unsigned n = connections++;
    assert_true(n < CONNECTIONS_MAX && deadline_left_ms(d) <= 20000);
    if (!script_text[n])
        return RC_TIMEOUT;
    script_stream_init(s, &script[n], script_text[n], 0);
    return RC_OK;
}

enum rc tls_session_start(struct stream *s, struct tls_params *p, struct deadline d)
{
    bool failing;
    (void)d;
    if (!script_stream_tls(&script[connections - 1], &failing) || failing) {
        p->facts->cause = TLS_CAUSE_NOT_TLS;
        return RC_TLS;
    }
    s->tls = (struct tls_session *)&script;
    p->facts->established = true;
    p->facts->chain_valid = good_chain;
    p->facts->name_matches = good_name;
    p->facts->cause = !good_chain ? TLS_CAUSE_UNTRUSTED_ROOT : good_name ? TLS_CAUSE_NONE : TLS_CAUSE_WRONG_NAME;
    return RC_OK;
}

/* A worker without mail: delivery.c's loop, and what cut_through_serve does with a slot that is given back. */
static void worker(void *arg)
{
    struct delivery_slot *s = arg;
    for (;;) {
        domain_check_serve(s);
        if (s->lent == LENT_BACK && s->line_open)
            smtp_client_quit(&s->client);
        if (s->lent == LENT_BACK)
            s->lent = LENT_NOT;
        if (task_wait(&spool_changed, deadline_in_ms(1000)) == RC_CANCELLED)
            return;
    }
}

static void turn(void)
{
    pair_now_us += 1000;
    tasks_run();
}

static int set_up(void **state)
{
    (void)state;
    memset(script_text, 0, sizeof script_text);
    connections = counted = kept_pins = 0;
    hosts = addresses = 1;
    kind = HOP_MX;
    find_rc = RC_OK;
    listed = interrupted = false;
    good_chain = good_name = true;
    task_set_poll(turn);
    for (unsigned i = 0; i < PLAN_DELIVERY_SESSIONS; i++) {
        slots[i].working = i >= SLOTS;
        if (i < SLOTS && task_done(&slots[i].task))
            task_start(&slots[i].task, "worker", slots[i].stack, sizeof slots[i].stack, worker, &slots[i]);
    }
    return 0;
}

/* --- one check, as text --- */

static char report[2000];

static void note_try(struct strbuf *out, const struct delivery_slot *s, unsigned host)
{
    const char *words = s->outcome.text[0] ? s->outcome.text : s->client.status.text;
    strbuf_printf(out, "mx%u %s %s%.*s\n", host, s->line_open ? "goes" : "no", s->line_open && !s->client.tls ? "plain " : "",
                  (int)strcspn(words, "\n"), words);
}

static void check_slot(struct delivery_slot *s, unsigned stop_after)
{
    struct strbuf out = STRBUF(report);
    struct deadline d = deadline_in_ms(120000);
    const struct domain_check *seen;
    strbuf_clear(&out);
    do {
        seen = domain_check_next(s, d);
        interrupted = stop_after && --stop_after == 0;
        if (seen->step == CHECK_TRY)
            note_try(&out, s, seen->host);
    } while (seen->step < CHECK_END);
    strbuf_puts(&out, seen->step == CHECK_STOPPED ? "stopped" : s->hop.count ? "end" : s->client.status.text);
    domain_check_end(s);
    for (unsigned i = 0; i < 100; i++)
        turn();
    assert_int_equal(s->lent, LENT_NOT);
    assert_int_equal(counted + kept_pins, 0);
}

static void check(void)
{
    struct delivery_slot *s = domain_check_begin("far.test");
    assert_non_null(s);
    check_slot(s, 0);
}

static void all_followed(void)
{
    for (unsigned i = 0; i < connections; i++)
        if (script_text[i] && script_stream_verdict(&script[i])[0])
            fail_msg("connection %u: %s", i, script[i].error);
}

#define GREET "> 220 mx.test\n< EHLO box.test\n"
#define PLAIN GREET "> 250 mx.test\n"
#define OFFERS GREET "> 250-mx.test\n> 250 STARTTLS\n< STARTTLS\n"
#define SECURE OFFERS "> 220 go\ntls\n< EHLO box.test\n> 250 mx.test\n"
#define QUIT "< QUIT\n> 221 bye\n"

static void each_kind_of_server(void **state)
{
    static const struct {
        const char *script, *second;
        bool listed, chain, name;
        const char *report;
    } cases[] = {
        { SECURE QUIT, NULL, true, true, true, "mx0 goes mx0.test uses TLS and showed a valid certificate for its name\nend" },
        { SECURE QUIT, NULL, true, true, false,
          "mx0 no mx0.test uses TLS, but its certificate proves nothing: the certificate does not name the host "
          "(wrong-name)\nend" },
        { SECURE QUIT, NULL, false, true, false,
          "mx0 goes mx0.test uses TLS, but its certificate proves nothing: the certificate does not name the host "
          "(wrong-name)\nend" },
        { PLAIN QUIT, NULL, true, true, true, "mx0 no mx0.test offers no STARTTLS\nend" },
        { PLAIN QUIT, NULL, false, true, true, "mx0 goes plain mx0.test offers no STARTTLS\nend" },
        { NULL, NULL, false, true, true, "mx0 no mx0.test [192.0.2.1:25] could not be reached (timeout)\nend" },
        { "> 554 go away\n" QUIT, NULL, false, true, true, "mx0 no mx0.test: at greeting the server said: 554 go away\nend" },
        { OFFERS "> 220 go\ntls-fail\n", PLAIN QUIT, false, true, true,
          "mx0 no the TLS handshake with mx0.test failed: the peer answered with something that is not TLS (not-tls)\n"
          "mx0 goes plain this is a second connection to mx0.test, without TLS, after TLS failed on the first\nend" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        set_up(state);
        script_text[0] = cases[i].script;
        script_text[1] = cases[i].second;
        listed = cases[i].listed;
        good_chain = cases[i].chain;
        good_name = cases[i].name;
        check();
        assert_string_equal(report, cases[i].report);
        assert_int_equal(connections, cases[i].second ? 2 : 1);
        all_followed();
    }
}

/* The console shows the policy first: the worker gets to its first step meanwhile, which is then passed over. */
static void who_looks_late_misses_no_host(void **state)
{
    (void)state;
    script_text[0] = PLAIN QUIT;
    struct delivery_slot *s = domain_check_begin("far.test");
    for (unsigned i = 0; i < 10; i++)
        turn();
    assert_int_equal(connections, 0);
    assert_int_equal(domain_check_next(s, deadline_in_ms(120000))->step, CHECK_HOST);
    check_slot(s, 0);
    assert_non_null(strstr(report, "mx0 goes plain"));
    all_followed();
}

static void hosts_follow_each_other_up_to_a_limit(void **state)
{
    (void)state;
    hosts = 7;
    script_text[1] = script_text[3] = PLAIN QUIT;
    check();
    assert_int_equal(connections, DOMAIN_CHECK_HOSTS);
    assert_non_null(strstr(report, "mx1 goes plain mx1.test offers no STARTTLS\nmx2 no mx2.test [192.0.2.1:25] could not"));
    assert_non_null(strstr(report, "mx3 goes plain"));
    all_followed();
}

static void no_connection_where_none_may_be(void **state)
{
    (void)state;
    listed = true;
    hosts = 2;
    script_text[0] = SECURE QUIT;
    check();
    assert_int_equal(connections, 1); /* the list does not name mx1 */
    assert_non_null(strstr(report, "mx1 no held back: the policy for far.test does not name the mail server mx1.test"));
    find_rc = RC_NOT_FOUND;
    check();
    assert_string_equal(report, "takes no mail");
    assert_int_equal(connections, 1);
    all_followed();
}

static void a_key_is_compared_and_not_kept(void **state)
{
    (void)state;
    kind = HOP_INSIDE;
    script_text[0] = SECURE QUIT;
    check();
    assert_non_null(strstr(report, "with the key that was pinned"));
    all_followed();
}

/* Who stops looking has no slot any more; the worker opens nothing further, and the next check has another one or the same. */
static void it_ends_when_nobody_looks(void **state)
{
    for (unsigned after = 1; after < 8; after++) {
        set_up(state);
        hosts = 3;
        script_text[0] = script_text[1] = script_text[2] = PLAIN QUIT;
        struct delivery_slot *s = domain_check_begin("far.test");
        check_slot(s, after);
        assert_non_null(strstr(report, "stopped"));
        assert_int_equal(connections, (after - 1) / 2); /* the hop is found; then a host's turn begins, and one ends */
        interrupted = false;
        all_followed();
        for (unsigned i = connections; i < connections + 3; i++)
            script_text[i] = PLAIN QUIT;
        check();
        assert_non_null(strstr(report, "mx2 goes plain"));
    }
}

static void no_second_connection_when_nobody_looks(void **state)
{
    (void)state;
    script_text[0] = script_text[1] = OFFERS "> 220 go\ntls-fail\n";
    script_text[2] = PLAIN QUIT;
    check_slot(domain_check_begin("far.test"), 3);
    assert_string_equal(strrchr(report, '\n'), "\nstopped");
    assert_int_equal(connections, 1);
    interrupted = false;
    check();
    assert_int_equal(connections, 3);
    all_followed();
}

static void an_address_less_when_nobody_looks(void **state)
{
    (void)state;
    addresses = 2;
    check_slot(domain_check_begin("far.test"), 3);
    assert_int_equal(connections, 1);
    interrupted = false;
    check();
    assert_int_equal(connections, 3);
}

static void a_slot_that_works_is_left_alone(void **state)
{
    (void)state;
    slots[0].working = true;
    struct delivery_slot *s = domain_check_begin("far.test");
    assert_ptr_equal(s, &slots[1]);
    uint64_t since_ms = clock_ms();
    assert_null(domain_check_begin("far.test")); /* it waits a while for one */
    assert_in_range(clock_ms() - since_ms, 10000, 10200);
    domain_check_end(s);
    for (unsigned i = 0; i < 100; i++)
        turn();
    slots[0].working = false;
    assert_ptr_equal(domain_check_begin("far.test"), &slots[0]);
    domain_check_end(&slots[0]);
    for (unsigned i = 0; i < 100; i++)
        turn();
    assert_int_equal(slots[0].lent, LENT_NOT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(each_kind_of_server, set_up),
        cmocka_unit_test_setup(who_looks_late_misses_no_host, set_up),
        cmocka_unit_test_setup(hosts_follow_each_other_up_to_a_limit, set_up),
        cmocka_unit_test_setup(no_connection_where_none_may_be, set_up),
        cmocka_unit_test_setup(a_key_is_compared_and_not_kept, set_up),
        cmocka_unit_test_setup(it_ends_when_nobody_looks, set_up),
        cmocka_unit_test_setup(no_second_connection_when_nobody_looks, set_up),
        cmocka_unit_test_setup(an_address_less_when_nobody_looks, set_up),
        cmocka_unit_test_setup(a_slot_that_works_is_left_alone, set_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
