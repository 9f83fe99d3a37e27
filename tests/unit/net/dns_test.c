/* Lookups against resolvers that the test plays, behind doubles of net/udp.h and net/tcp.h, with a clock of its own.
 * Long because all cases share the doubles, which no other test program may be linked with. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "board/dns_sizes.h"
#include "hal/base/bytes.h"
#include "hal/board.h"
#include "hal/entropy.h"
#include "hal/task.h"
#include "net/dns_cache.h"
#include "net/dns_client.h"
#include "net/tcp.h"
#include "net/udp.h"
#include "tests/support/dns_wire.h"

/* --- doubles --- */

static uint64_t now_us = 1000000;

uint64_t clock_us(void)
{
    return now_us;
}

enum rc entropy_read(void *out, size_t len)
{
    memset(out, 0, len);
    return RC_UNSUPPORTED;
}

void board_panic(const char *why)
{
    mock_assert(0, why, __FILE__, __LINE__);
    __builtin_unreachable();
}

/* How a played resolver answers; resolver n has the address 192.0.2.n. */
typedef void (*behaviour)(struct udp_socket *u, struct span query);
static behaviour behaviours[10];
static unsigned asked[10]; /* datagrams sent to each */
static unsigned open_sockets, tcp_connects;
static bool no_route, no_socket;

enum rc udp_open(struct udp_socket *u, const struct ip_endpoint *peer, void *buf, size_t cap)
{
    *u = (struct udp_socket){ .peer = *peer, .buf = buf, .cap = cap };
    if (no_socket)
        return RC_NO_MEMORY;
    open_sockets++;
    return RC_OK;
}

static void deliver(struct udp_socket *u, const struct dns_wire *w)
{
    assert_true(w->len <= u->cap);
    memcpy(u->buf, w->b, w->len);
    u->len = w->len;
    event_signal(&u->event);
}

enum rc udp_send(struct udp_socket *u, struct span datagram)
{
    unsigned n = u->peer.addr.b[3];
    asked[n]++;
    if (no_route)
        return RC_UNREACHABLE;
    if (behaviours[n] != NULL)
        behaviours[n](u, datagram);
    return RC_OK;
}

/* Forged datagrams arrive one after another before the right one. */
static struct dns_wire pending[3];
static unsigned pending_count;

enum rc udp_receive(struct udp_socket *u, size_t *len, struct deadline d)
{
    if (u->len == 0 && pending_count > 0)
        deliver(u, &pending[--pending_count]);
    if (u->len == 0) {
        enum rc rc = task_wait(&u->event, d);
        if (rc != RC_OK)
            return rc;
    }
    *len = u->len;
    u->len = 0;
    event_reset(&u->event);
    return RC_OK;
}

void udp_close(struct udp_socket *u)
{
    open_sockets--;
    u->pcb = NULL;
}

/* A TCP resolver: takes the query by its length, then gives what tcp_reply holds. */
static struct dns_wire tcp_reply;
static void (*tcp_behaviour)(struct span query);
static size_t tcp_given;
static bool tcp_open, tcp_stalls;
static struct event tcp_resumes;

static enum rc tcp_read(void *ctx, void *buf, size_t cap, size_t *got, struct deadline d)
{
    (void)ctx;
    if (tcp_stalls) {
        enum rc rc = task_wait(&tcp_resumes, d);
        if (rc != RC_OK)
            return rc;
    }
    *got = tcp_reply.len - tcp_given < cap ? tcp_reply.len - tcp_given : cap;
    if (*got > 7)
        *got = 7; /* in small pieces */
    memcpy(buf, tcp_reply.b + tcp_given, *got);
    tcp_given += *got;
    return *got > 0 ? RC_OK : RC_CLOSED;
}

static enum rc tcp_write(void *ctx, struct span data, struct deadline d)
{
    (void)ctx, (void)d;
    assert_int_equal(get_be16((const uint8_t *)data.p) + 2, data.len);
    tcp_given = 0;
    tcp_behaviour(span_from(data, 2));
    return RC_OK;
}

static bool tcp_readable(void *ctx)
{
    (void)ctx;
    return tcp_given < tcp_reply.len;
}

static void tcp_close(void *ctx, bool abort)
{
    (void)ctx, (void)abort;
    tcp_open = false;
}

enum rc tcp_stream_connect(struct stream *s, struct tcp_conn *c, uint8_t *ring, const struct ip_endpoint *peer, struct deadline d)
{
    static const struct stream_ops ops = { tcp_read, tcp_write, tcp_readable, tcp_close };
    (void)c, (void)ring, (void)peer, (void)d;
    tcp_connects++;
    assert_false(tcp_open);
    if (tcp_behaviour == NULL)
        return RC_REFUSED;
    tcp_open = true;
    tcp_given = tcp_reply.len = 0;
    stream_init(s, &ops, NULL);
    return RC_OK;
}

/* --- behaviours --- */

static struct dns_wire w;

static void give_a(struct udp_socket *u, struct span query)
{
    wire_answer_to(&w, query, 0);
    wire_a(&w, "mail.example", 300, 99);
    deliver(u, &w);
}

static void give_rcode(struct udp_socket *u, struct span query, unsigned rcode)
{
    wire_answer_to(&w, query, rcode);
    deliver(u, &w);
}

static void give_servfail(struct udp_socket *u, struct span query)
{
    give_rcode(u, query, DNS_SERVFAIL);
}

static void give_refused(struct udp_socket *u, struct span query)
{
    give_rcode(u, query, DNS_REFUSED);
}

static void give_nxdomain(struct udp_socket *u, struct span query)
{
    wire_answer_to(&w, query, DNS_NAME_ERROR);
    wire_soa(&w, "example", 60, 60);
    deliver(u, &w);
}

static void give_garbage(struct udp_socket *u, struct span query)
{
    wire_answer_to(&w, query, 0);
    w.b[7] = 200;
    deliver(u, &w);
}

static void give_cut(struct udp_socket *u, struct span query)
{
    wire_answer_to(&w, query, 0);
    w.b[2] |= 2;
    deliver(u, &w);
}

static void formerr_with_edns(struct udp_socket *u, struct span query)
{
    if (get_be16((const uint8_t *)query.p + 10) > 0)
        give_rcode(u, query, DNS_FORMERR);
    else
        give_a(u, query);
}

static void give_forged_first(struct udp_socket *u, struct span query)
{
    wire_answer_to(&pending[0], query, 0); /* the right one comes last */
    wire_a(&pending[0], "mail.example", 300, 99);
    wire_answer_to(&pending[1], query, 0);
    pending[1].b[0] ^= 1; /* another id */
    wire_a(&pending[1], "mail.example", 300, 66);
    wire_answer(&pending[2], "evil.example", DNS_A, 0); /* another question */
    memcpy(pending[2].b, query.p, 2);
    pending_count = 3;
    (void)u;
}

/* www -> b.example -> c.example -> ... one alias a message, mail.example at the end. */
static unsigned alias_messages;
static void give_alias_pieces(struct udp_socket *u, struct span query)
{
    char memory[DOMAIN_TEXT_MAX], next[] = "?.example";
    struct strbuf name = STRBUF(memory);
    size_t end;
    assert_int_equal(dns_name_read(query, DNS_HEADER_BYTES, &name, &end), RC_OK);
    wire_answer_to(&w, query, 0);
    if (memory[0] == (char)('a' + alias_messages)) {
        wire_a(&w, memory, 40, 5);
    } else {
        next[0] = (char)(memory[0] + 1);
        wire_cname(&w, memory, 30, next);
    }
    deliver(u, &w);
}

static void tcp_give_many(struct span query)
{
    wire_answer_to(&w, query, 0);
    for (unsigned i = 0; i < 20; i++)
        wire_a(&w, "mail.example", 300, (uint8_t)i);
    put_be16(tcp_reply.b, (uint16_t)w.len);
    tcp_reply.len = 2;
    wire_bytes(&tcp_reply, w.b, w.len);
}

static void tcp_give_other_id(struct span query)
{
    tcp_give_many(query);
    tcp_reply.b[2] ^= 1;
}

static void tcp_give_cut(struct span query)
{
    tcp_give_many(query);
    tcp_reply.b[4] |= 2;
}

static void tcp_give_half(struct span query)
{
    tcp_give_many(query);
    tcp_reply.len /= 2;
}

static void tcp_give_too_much(struct span query)
{
    tcp_give_many(query);
    put_be16(tcp_reply.b, DNS_TCP_BYTES + 1);
    tcp_reply.len = 2 + DNS_TCP_BYTES + 1;
}

/* --- fixtures --- */

static struct dns_params params;
static struct dns_answer answer;
static struct dns_stats before, after;

static void poll_1ms(void)
{
    now_us += 1000;
}

static struct ip_endpoint resolver(uint8_t n)
{
    return (struct ip_endpoint){ ip_v4(192, 0, 2, n), 53 };
}

static int fresh(void **state)
{
    (void)state;
    memset(behaviours, 0, sizeof behaviours);
    memset(asked, 0, sizeof asked);
    memset(&params, 0, sizeof params);
    tcp_connects = pending_count = 0;
    tcp_behaviour = NULL;
    no_route = no_socket = tcp_stalls = false;
    params.resolver[0] = resolver(1);
    params.resolver[1] = resolver(2);
    params.resolver_count = 2;
    dns_configure(&(struct dns_params){ .resolver_count = 0 });
    dns_configure(&params);
    dns_set_validator(NULL, NULL);
    task_set_poll(poll_1ms);
    dns_stats(&before);
    return 0;
}

static int nothing_leaks(void **state)
{
    (void)state;
    assert_int_equal(open_sockets, 0);
    assert_false(tcp_open);
    return 0;
}

static enum rc lookup(const char *name, enum dns_type type, uint64_t ms)
{
    enum rc rc = dns_lookup(span_of(name), type, &answer, deadline_in_ms(ms));
    if (rc != RC_OK)
        assert_int_equal(answer.count, 0);
    dns_stats(&after);
    return rc;
}

static bool found(uint8_t last)
{
    struct ip_addr_any a, want = ip_v4(192, 0, 2, last);
    return answer.outcome == DNS_FOUND && dns_record_addr(&answer, 0, &a) && ip_eq(&a, &want);
}

/* --- tests --- */

static void an_answer_is_found_and_kept(void **state)
{
    (void)state;
    behaviours[1] = give_a;
    assert_int_equal(lookup("mail.example", DNS_A, 1000), RC_OK);
    assert_true(found(99));
    assert_int_equal(answer.security, DNS_UNVALIDATED);
    now_us += 100 * 1000000;
    assert_int_equal(lookup("mail.example", DNS_A, 1000), RC_OK);
    assert_true(found(99));
    assert_int_equal(answer.ttl_s, 200);
    assert_int_equal(asked[1], 1);
    assert_true(after.cache_hits == before.cache_hits + 1 && after.queries == before.queries + 1);
    assert_int_equal(after.cache_entries, 1);
    now_us += 201 * 1000000;
    assert_int_equal(lookup("mail.example", DNS_A, 1000), RC_OK);
    assert_int_equal(asked[1], 2);
    dns_cache_clear();
    assert_int_equal(lookup("mail.example", DNS_A, 1000), RC_OK);
    assert_int_equal(asked[1], 3);
}

static void what_does_not_exist_is_kept_too(void **state)
{
    (void)state;
    behaviours[1] = give_nxdomain;
    assert_int_equal(lookup("no.example", DNS_MX, 1000), RC_OK);
    assert_int_equal(answer.outcome, DNS_NXDOMAIN);
    assert_int_equal(lookup("no.example", DNS_MX, 1000), RC_OK);
    assert_int_equal(answer.outcome, DNS_NXDOMAIN);
    assert_int_equal(asked[1], 1);
}

static void a_silent_resolver_is_passed_over(void **state)
{
    (void)state;
    behaviours[2] = give_a;
    uint64_t start_ms = clock_ms();
    assert_int_equal(lookup("mail.example", DNS_A, 10000), RC_OK);
    assert_true(found(99));
    assert_in_range(clock_ms() - start_ms, DNS_TRY_MS, DNS_TRY_MS + 5);
    assert_true(after.timeouts == before.timeouts + 1);
    /* The one that answered is asked first from now on. */
    dns_cache_clear();
    assert_int_equal(lookup("mail.example", DNS_A, 10000), RC_OK);
    assert_true(asked[1] == 1 && asked[2] == 2);
}

static void silence_of_all_is_a_timeout(void **state)
{
    (void)state;
    uint64_t start_ms = clock_ms();
    assert_int_equal(lookup("mail.example", DNS_A, 60000), RC_TIMEOUT);
    assert_true(asked[1] == DNS_ROUNDS && asked[2] == DNS_ROUNDS);
    assert_in_range(clock_ms() - start_ms, 7 * 2 * DNS_TRY_MS, 7 * 2 * DNS_TRY_MS + 20);
    start_ms = clock_ms();
    assert_int_equal(lookup("mail.example", DNS_A, 2000), RC_TIMEOUT);
    assert_in_range(clock_ms() - start_ms, 2000, 2005);
}

static void errors_of_all_are_told(void **state)
{
    (void)state;
    behaviours[1] = give_servfail;
    behaviours[2] = give_refused;
    assert_int_equal(lookup("mail.example", DNS_A, 60000), RC_PROTOCOL);
    assert_true(asked[1] == 1 && asked[2] == 1);
    assert_true(after.servfails == before.servfails + 2);
    behaviours[1] = give_garbage;
    assert_int_equal(lookup("mail.example", DNS_A, 60000), RC_PROTOCOL);
    behaviours[2] = give_a;
    assert_int_equal(lookup("mail.example", DNS_A, 60000), RC_OK);
    behaviours[2] = NULL;
    assert_int_equal(lookup("other.example", DNS_A, 60000), RC_TIMEOUT);
}

static void nobody_to_ask_is_told_at_once(void **state)
{
    (void)state;
    dns_configure(&(struct dns_params){ .resolver_count = 0 });
    assert_int_equal(lookup("mail.example", DNS_A, 1000), RC_UNREACHABLE);
    behaviours[1] = give_a;
    dns_configure(&params);
    assert_int_equal(lookup("a..b", DNS_A, 1000), RC_INVALID);
    assert_int_equal(lookup("example", DNS_SOA, 1000), RC_UNSUPPORTED);
    assert_int_equal(asked[1], 0);
}

static void route_comes_back(struct udp_socket *u, struct span query)
{
    give_a(u, query);
}

static void poll_until_route(void)
{
    now_us += 1000;
    no_route = asked[1] + asked[2] < 3;
}

static void a_missing_route_is_waited_for(void **state)
{
    (void)state;
    behaviours[1] = behaviours[2] = route_comes_back;
    no_route = true;
    task_set_poll(poll_until_route);
    assert_int_equal(lookup("mail.example", DNS_A, 60000), RC_OK);
    assert_true(asked[1] + asked[2] == 4);
}

static void poll_until_socket(void)
{
    now_us += 1000;
    no_socket = now_us < 4000000;
}

static void a_missing_socket_is_waited_for(void **state)
{
    (void)state;
    behaviours[1] = behaviours[2] = give_a;
    now_us = 2000000;
    no_socket = true;
    task_set_poll(poll_until_socket);
    assert_int_equal(lookup("mail.example", DNS_A, 60000), RC_OK);
    assert_true(asked[1] + asked[2] == 1);
}

static void forged_answers_are_dropped(void **state)
{
    (void)state;
    behaviours[1] = give_forged_first;
    assert_int_equal(lookup("mail.example", DNS_A, 1000), RC_OK);
    assert_true(found(99));
    assert_true(after.mismatches == before.mismatches + 2);
    assert_int_equal(asked[1], 1);
}

static void a_resolver_without_edns_is_asked_without(void **state)
{
    (void)state;
    behaviours[1] = formerr_with_edns;
    assert_int_equal(lookup("mail.example", DNS_A, 1000), RC_OK);
    assert_true(found(99));
    assert_int_equal(asked[1], 2);
}

static void a_cut_answer_comes_over_tcp(void **state)
{
    (void)state;
    behaviours[1] = give_cut;
    tcp_behaviour = tcp_give_many;
    assert_int_equal(lookup("mail.example", DNS_A, 1000), RC_OK);
    assert_int_equal(answer.count, 20);
    assert_true(after.tcp_fallbacks == before.tcp_fallbacks + 1 && tcp_connects == 1);
    dns_cache_clear();
    assert_int_equal(lookup("mail.example", DNS_A, 1000), RC_OK);
    assert_int_equal(tcp_connects, 2);
}

static void tcp_that_fails_leads_to_the_next_resolver(void **state)
{
    (void)state;
    static void (*const bad[])(struct span) = { NULL, tcp_give_other_id, tcp_give_cut, tcp_give_half, tcp_give_too_much };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        fresh(NULL);
        behaviours[1] = give_cut;
        behaviours[2] = give_a;
        tcp_behaviour = bad[i];
        assert_int_equal(lookup("mail.example", DNS_A, 60000), RC_OK);
        assert_true(found(99));
        assert_int_equal(tcp_connects, 1);
    }
    fresh(NULL);
    behaviours[1] = give_cut;
    behaviours[2] = give_a;
    tcp_behaviour = tcp_give_many;
    tcp_stalls = true;
    assert_int_equal(lookup("mail.example", DNS_A, 60000), RC_OK);
    assert_true(found(99));
}

static void aliases_are_asked_for_piece_by_piece(void **state)
{
    (void)state;
    behaviours[1] = give_alias_pieces;
    alias_messages = DNS_CNAME_CHAIN_MAX;
    assert_int_equal(lookup("a.example", DNS_A, 1000), RC_OK);
    assert_true(found(5));
    assert_string_equal(answer.name, "i.example");
    assert_int_equal(answer.ttl_s, 30);
    assert_int_equal(asked[1], DNS_CNAME_CHAIN_MAX + 1);
    assert_int_equal(lookup("a.example", DNS_A, 1000), RC_OK);
    assert_int_equal(asked[1], DNS_CNAME_CHAIN_MAX + 1);
    dns_cache_clear();
    alias_messages = DNS_CNAME_CHAIN_MAX + 1;
    assert_int_equal(lookup("a.example", DNS_A, 1000), RC_PROTOCOL);
}

static void a_cached_target_ends_the_chain(void **state)
{
    (void)state;
    behaviours[1] = give_alias_pieces;
    alias_messages = 1;
    assert_int_equal(lookup("b.example", DNS_A, 1000), RC_OK);
    now_us += 30 * 1000000;
    assert_int_equal(lookup("a.example", DNS_A, 1000), RC_OK);
    assert_true(found(5));
    assert_int_equal(asked[1], 2);
    assert_int_equal(answer.ttl_s, 10);
}

static void internal_zones_go_to_their_resolver(void **state)
{
    (void)state;
    static const char *const zones[] = { "example", "mail.example", "il.example" };
    for (unsigned i = 0; i < 3; i++) {
        struct strbuf zone = STRBUF(params.zone[i].zone);
        strbuf_puts(&zone, zones[i]);
        params.zone[i].resolver = resolver((uint8_t)(4 + i));
    }
    params.zone_count = 3;
    dns_configure(&params);
    behaviours[4] = behaviours[5] = give_a;
    behaviours[1] = give_nxdomain;
    assert_int_equal(lookup("mail.example", DNS_A, 1000), RC_OK);
    assert_int_equal(asked[5], 1);
    assert_int_equal(lookup("other.example", DNS_A, 1000), RC_OK);
    assert_int_equal(asked[4], 1);
    assert_int_equal(lookup("example.org", DNS_A, 1000), RC_OK);
    assert_int_equal(asked[1], 1);
    assert_int_equal(asked[6], 0);
}

static void new_resolvers_forget_old_answers(void **state)
{
    (void)state;
    behaviours[1] = give_a;
    assert_int_equal(lookup("mail.example", DNS_A, 1000), RC_OK);
    dns_configure(&params);
    assert_int_equal(lookup("mail.example", DNS_A, 1000), RC_OK);
    assert_int_equal(asked[1], 1);
    params.resolver[0] = resolver(3);
    behaviours[3] = give_a;
    dns_configure(&params);
    assert_int_equal(lookup("mail.example", DNS_A, 1000), RC_OK);
    assert_int_equal(asked[3], 1);
}

static enum rc call_it(void *ctx, struct span name, enum dns_type type, struct span message, struct dns_answer *a,
                       struct deadline d)
{
    struct dns_response response;
    (void)d;
    assert_true(span_is(name, "mail.example") && type == DNS_A && a->count == 1);
    assert_int_equal(dns_response_open(message, get_be16((const uint8_t *)message.p), name, type, &response), RC_OK);
    a->security = DNS_SECURE;
    return *(const enum rc *)ctx;
}

static void the_validator_stands_between_exchange_and_cache(void **state)
{
    (void)state;
    enum rc verdict = RC_PROTOCOL;
    behaviours[1] = give_a;
    dns_set_validator(call_it, &verdict);
    assert_int_equal(lookup("mail.example", DNS_A, 1000), RC_PROTOCOL);
    verdict = RC_OK;
    assert_int_equal(lookup("mail.example", DNS_A, 1000), RC_OK);
    assert_int_equal(answer.security, DNS_SECURE);
    assert_int_equal(asked[1], 2);
    dns_set_validator(NULL, NULL);
    assert_int_equal(lookup("mail.example", DNS_A, 1000), RC_OK);
    assert_int_equal(answer.security, DNS_SECURE);
}

/* --- several tasks --- */

#define TASKS (DNS_SLOTS + 2)
#define STACK_BYTES 24576
static struct task tasks[TASKS];
static _Alignas(16) uint8_t stacks[TASKS][STACK_BYTES];
static struct dns_answer answers[TASKS];
static enum rc results[TASKS];

static void lookup_in_task(void *arg)
{
    size_t i = (size_t)((enum rc *)arg - results);
    results[i] = dns_lookup(SPAN("mail.example"), DNS_A, &answers[i], deadline_in_ms(1000));
}

static void start_all(void)
{
    for (unsigned i = 0; i < TASKS; i++) {
        results[i] = RC_COUNT;
        task_start(&tasks[i], "lookup", stacks[i], STACK_BYTES, lookup_in_task, &results[i]);
    }
}

static void questions_beyond_the_slots_wait_their_turn(void **state)
{
    (void)state;
    start_all();
    while (tasks_run())
        ;
    assert_int_equal(asked[1] + asked[2], DNS_SLOTS);
    for (unsigned i = 0; i < TASKS; i++)
        assert_int_equal(results[i], RC_COUNT);
    task_cancel(&tasks[0]);
    while (tasks_run())
        ;
    assert_int_equal(results[0], RC_CANCELLED);
    assert_int_equal(asked[1] + asked[2], DNS_SLOTS + 1);
    now_us += 1000 * 1000;
    while (tasks_run())
        ;
    unsigned busy = 0, timeout = 0;
    for (unsigned i = 1; i < TASKS; i++) {
        busy += results[i] == RC_BUSY;
        timeout += results[i] == RC_TIMEOUT;
    }
    assert_int_equal(busy, 1);
    assert_int_equal(timeout, DNS_SLOTS);
}

static void tcp_serves_one_after_another(void **state)
{
    (void)state;
    behaviours[1] = give_cut;
    tcp_behaviour = tcp_give_many;
    tcp_stalls = true;
    start_all();
    while (tasks_run())
        ;
    assert_int_equal(tcp_connects, 1); /* the others wait for it */
    tcp_stalls = false;
    event_signal(&tcp_resumes);
    while (tasks_run())
        ;
    for (unsigned i = 0; i < TASKS; i++) {
        assert_int_equal(results[i], RC_OK);
        assert_int_equal(answers[i].count, 20);
    }
}

static void cancelled_lookups_leave_nothing(void **state)
{
    (void)state;
    behaviours[1] = give_cut;
    tcp_behaviour = tcp_give_many;
    tcp_stalls = true;
    start_all();
    while (tasks_run())
        ;
    assert_int_equal(tcp_connects, 1);
    for (unsigned i = 0; i < TASKS; i++)
        task_cancel(&tasks[i]);
    while (tasks_run())
        ;
    for (unsigned i = 0; i < TASKS; i++)
        assert_int_equal(results[i], RC_CANCELLED);
    tcp_stalls = false;
    assert_int_equal(lookup("mail.example", DNS_A, 1000), RC_OK);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, fresh, nothing_leaks)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_answer_is_found_and_kept),
        TEST(what_does_not_exist_is_kept_too),
        TEST(a_silent_resolver_is_passed_over),
        TEST(silence_of_all_is_a_timeout),
        TEST(errors_of_all_are_told),
        TEST(nobody_to_ask_is_told_at_once),
        TEST(a_missing_route_is_waited_for),
        TEST(a_missing_socket_is_waited_for),
        TEST(forged_answers_are_dropped),
        TEST(a_resolver_without_edns_is_asked_without),
        TEST(a_cut_answer_comes_over_tcp),
        TEST(tcp_that_fails_leads_to_the_next_resolver),
        TEST(aliases_are_asked_for_piece_by_piece),
        TEST(a_cached_target_ends_the_chain),
        TEST(internal_zones_go_to_their_resolver),
        TEST(new_resolvers_forget_old_answers),
        TEST(the_validator_stands_between_exchange_and_cache),
        TEST(questions_beyond_the_slots_wait_their_turn),
        TEST(tcp_serves_one_after_another),
        TEST(cancelled_lookups_leave_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
