/* net/tls*.c end to end: our client and our server over memory. What a chain lacks is in tls_chain_test.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "hal/random.h"
#include "tests/support/tls_pair.h"
#include "tests/support/unpacked.h"

static struct side *const server = &pair_server, *const client = &pair_client;

static void expect_all_memory_back(void)
{
    assert_int_equal(server->arena.used_bytes, 0);
    assert_int_equal(client->arena.used_bytes, 0);
}

static void expect_cause(const struct side *side, enum rc rc, enum tls_cause cause)
{
    assert_string_equal(rc_name(side->rc), rc_name(rc));
    assert_string_equal(tls_cause_name(side->facts.cause), tls_cause_name(cause));
}

/* --- what goes right */

static void facts_of_a_good_session(void **state)
{
    (void)state;
    pair_serve("ec");
    expect_cause(client, RC_OK, TLS_CAUSE_NONE);
    expect_cause(server, RC_OK, TLS_CAUSE_NONE);
    const struct tls_facts *f = &client->facts;
    assert_true(f->established && f->chain_valid && f->name_matches);
    assert_string_equal(f->version, "TLSv1.3");
    assert_true(f->key_bits == 128 || f->key_bits == 256);
    if (f->key_bits == 128)
        assert_string_equal(f->suite, "TLS_AES_128_GCM_SHA256");
    else
        assert_string_equal(f->suite, "TLS_CHACHA20_POLY1305_SHA256");
    assert_string_equal(f->sni, PAIR_HOST);
    assert_string_equal(f->names, PAIR_HOST ",*.wild.example.test");
    assert_true(f->not_after == 2208988800); /* 2040-01-01 */
    assert_string_equal(pair_asked_sni, PAIR_HOST);
    assert_string_equal(server->facts.sni, PAIR_HOST);
    assert_string_equal(server->facts.suite, f->suite);
    expect_all_memory_back();
}

static void every_kind_of_key(void **state)
{
    (void)state;
    static const char *const labels[] = { "ec", "rsa", "p384", "with-root" };
    for (unsigned i = 0; i < sizeof labels / sizeof labels[0]; i++) {
        pair_serve(labels[i]);
        expect_cause(client, RC_OK, TLS_CAUSE_NONE);
        expect_cause(server, RC_OK, TLS_CAUSE_NONE);
        expect_all_memory_back();
    }
}

static void sni_goes_out_only_for_names(void **state)
{
    (void)state;
    static const struct {
        const char *name, *sni;
    } cases[] = { { "MX.Example.Test.", PAIR_HOST }, { "192.0.2.1", "-" }, { "2001:db8::1", "-" }, { NULL, "-" } };
    for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        pair_prepare();
        pair_served = pair_load("ec");
        client->params.server_name = cases[i].name;
        pair_run();
        tls_credentials_release(pair_served);
        assert_int_equal(client->rc, RC_OK);
        assert_string_equal(pair_asked_sni, cases[i].sni);
        assert_int_equal(client->facts.name_matches, i == 0);
        assert_true(client->facts.chain_valid);
    }
}

static void alpn_is_agreed(void **state)
{
    (void)state;
    pair_prepare();
    pair_served = pair_load("ec");
    client->params.alpn[0] = "other/1";
    client->params.alpn[1] = "http/1.1";
    server->params.alpn[0] = "http/1.1";
    pair_run();
    tls_credentials_release(pair_served);
    assert_int_equal(client->rc, RC_OK);
    assert_string_equal(client->facts.alpn, "http/1.1");
    assert_string_equal(server->facts.alpn, "http/1.1");
}

#define BULK_BYTES 50000

static void send_bulk(struct side *self)
{
    static char bulk[BULK_BYTES];
    for (size_t i = 0; i < sizeof bulk; i++)
        bulk[i] = (char)(i * 7);
    self->read_rc = stream_write(&self->s, span_bytes(bulk, sizeof bulk), pair_soon());
}

static void receive_bulk(struct side *self)
{
    size_t total = 0, got;
    char piece[3000];
    while ((self->read_rc = stream_read(&self->s, piece, sizeof piece, &got, pair_soon())) == RC_OK)
        for (size_t i = 0; i < got; i++, total++)
            assert_int_equal((uint8_t)piece[i], (uint8_t)(total * 7));
    snprintf(self->text, sizeof self->text, "%zu", total);
}

static void bulk_arrives_and_ends_in_order(void **state)
{
    (void)state;
    for (unsigned direction = 0; direction < 2; direction++) {
        struct side *from = direction ? server : client, *to = direction ? client : server;
        pair_prepare();
        pair_served = pair_load("rsa");
        from->after = send_bulk;
        to->after = receive_bulk;
        pair_run();
        tls_credentials_release(pair_served);
        assert_int_equal(from->read_rc, RC_OK);
        assert_string_equal(rc_name(to->read_rc), rc_name(RC_CLOSED)); /* by close_notify */
        assert_string_equal(to->text, "50000");
        assert_int_equal(tls_late_cause(&to->s), TLS_CAUSE_NONE);
        expect_all_memory_back();
    }
}

static void byte_by_byte(void **state)
{
    (void)state;
    pair_prepare();
    pair_served = pair_load("ec");
    pair_server_end.read_max = pair_client_end.read_max = 1;
    client->after = send_bulk;
    server->after = receive_bulk;
    pair_run();
    tls_credentials_release(pair_served);
    assert_string_equal(server->text, "50000");
}

static void wait_then_read(struct side *self)
{
    struct strbuf line = STRBUF(self->text);
    assert_false(stream_readable(&self->s));
    assert_int_equal(stream_read_line(&self->s, &line, NULL, deadline_in_ms(100)), RC_TIMEOUT);
    assert_int_equal(stream_write(&self->s, SPAN("now\r\n"), pair_soon()), RC_OK);
    self->read_rc = stream_read_line(&self->s, &line, NULL, pair_soon());
}

static void answer_when_told(struct side *self)
{
    struct strbuf line = STRBUF(self->text);
    assert_int_equal(stream_read_line(&self->s, &line, NULL, pair_soon()), RC_OK);
    assert_int_equal(stream_write(&self->s, SPAN("late but whole\r\n"), pair_soon()), RC_OK);
}

static void a_read_that_times_out_loses_nothing(void **state)
{
    (void)state;
    pair_prepare();
    pair_served = pair_load("ec");
    client->after = wait_then_read;
    server->after = answer_when_told;
    pair_run();
    tls_credentials_release(pair_served);
    assert_int_equal(client->read_rc, RC_OK);
    assert_string_equal(client->text, "late but whole");
}

static void swap_credentials_then_talk(struct side *self)
{
    tls_credentials_release(pair_served);
    pair_served = pair_load("ec-second");
    answer_when_told(self);
}

static void credentials_change_under_a_session(void **state)
{
    (void)state;
    pair_prepare();
    pair_served = pair_load("rsa");
    size_t before = tls_identity_memory()->used_bytes;
    client->after = wait_then_read;
    server->after = swap_credentials_then_talk;
    pair_run();
    assert_string_equal(client->text, "late but whole");
    assert_true(tls_identity_memory()->used_bytes < before); /* the RSA pair is gone, the smaller one is there */
    pair_prepare();
    client->params.server_name = "second.example.test";
    pair_run();
    expect_cause(client, RC_OK, TLS_CAUSE_NONE);
    tls_credentials_release(pair_served);
}

/* --- what goes wrong */

static struct span script;

/* The server speaks when it was spoken to; then both wait for what the other side makes of it. */
static void say_script(struct side *self)
{
    char sink[2048];
    size_t got;
    self->read_rc = RC_OK;
    if (self == server)
        self->read_rc = stream_read(&self->s, sink, sizeof sink, &got, pair_soon());
    if (self->read_rc == RC_OK)
        self->read_rc = stream_write(&self->s, script, pair_soon());
    while (self->read_rc == RC_OK)
        self->read_rc = stream_read(&self->s, sink, sizeof sink, &got, pair_soon());
}

static void peer_says(struct side *peer, struct span what)
{
    pair_prepare();
    pair_served = pair_load("ec");
    script = what;
    peer->instead = say_script;
    pair_run();
    tls_credentials_release(pair_served);
    expect_all_memory_back();
}

static void plaintext_in_place_of_tls(void **state)
{
    (void)state;
    peer_says(server, SPAN("454 4.7.0 TLS not available\r\n"));
    expect_cause(client, RC_TLS, TLS_CAUSE_NOT_TLS);
    assert_string_equal(client->facts.detail, "it sent: 454 4.7.0 TLS not available\\x0d\\x0a");
    assert_false(client->facts.established);
    peer_says(client, SPAN("EHLO injected\r\nMAIL FROM:<>\r\n"));
    expect_cause(server, RC_TLS, TLS_CAUSE_NOT_TLS);
}

static void alerts_have_names_and_numbers(void **state)
{
    (void)state;
    peer_says(server, SPAN("\x15\x03\x03\x00\x02\x02\x46"));
    expect_cause(client, RC_TLS, TLS_CAUSE_NO_COMMON_VERSION);
    peer_says(server, SPAN("\x15\x03\x03\x00\x02\x02\x28"));
    expect_cause(client, RC_TLS, TLS_CAUSE_NO_COMMON_SUITE);
    peer_says(server, SPAN("\x15\x03\x03\x00\x02\x02\x50"));
    expect_cause(client, RC_TLS, TLS_CAUSE_ALERT);
    assert_int_equal(client->facts.alert, 80);
}

#define RANDOM_32 "0123456789abcdef0123456789abcdef"

static void old_clients_are_told_apart(void **state)
{
    (void)state;
    /* TLS 1.0 with ECDHE_RSA_WITH_AES_128_CBC_SHA, no extensions */
    peer_says(client, SPAN("\x16\x03\x01\x00\x2d\x01\x00\x00\x29\x03\x01" RANDOM_32 "\x00\x00\x02\xc0\x13\x01\x00"));
    expect_cause(server, RC_TLS, TLS_CAUSE_NO_COMMON_VERSION);
    /* TLS 1.2 with RSA_WITH_AES_128_CBC_SHA alone; X25519, ECDSA with SHA-256 */
    peer_says(client, SPAN("\x16\x03\x01\x00\x3f\x01\x00\x00\x3b\x03\x03" RANDOM_32 "\x00\x00\x02\x00\x2f\x01\x00\x00\x10"
                           "\x00\x0a\x00\x04\x00\x02\x00\x1d\x00\x0d\x00\x04\x00\x02\x04\x03"));
    expect_cause(server, RC_TLS, TLS_CAUSE_NO_COMMON_SUITE);
}

static void cut_at_any_byte(void **state)
{
    (void)state;
    for (uint64_t at = 1; at < 1500; at += at < 20 ? 1 : 37) {
        pair_prepare();
        pair_served = pair_load("ec");
        pair_server_end.cut_after = at;
        pair_run();
        tls_credentials_release(pair_served);
        if (client->rc != RC_OK)
            expect_cause(client, RC_TLS, TLS_CAUSE_CLOSED);
        expect_all_memory_back();
    }
}

static void any_byte_changed(void **state)
{
    (void)state;
    for (uint64_t at = 0; at < 1200; at += 11) {
        pair_prepare();
        pair_served = pair_load("ec");
        pair_server_end.flip_at = at + 1;
        pair_run();
        tls_credentials_release(pair_served);
        assert_false(client->facts.established && server->facts.established);
        expect_all_memory_back();
    }
}

static void go_away(struct side *self)
{
    stream_abort(&self->s);
}

static void read_one_line(struct side *self)
{
    struct strbuf line = STRBUF(self->text);
    self->read_rc = stream_read_line(&self->s, &line, NULL, pair_soon());
    snprintf(self->text, sizeof self->text, "%s", tls_cause_name(tls_late_cause(&self->s)));
}

static void closing_right_after_the_handshake_has_a_name(void **state)
{
    (void)state;
    pair_prepare();
    pair_served = pair_load("ec");
    client->after = go_away;
    server->after = read_one_line;
    pair_run();
    tls_credentials_release(pair_served);
    assert_int_equal(server->read_rc, RC_RESET);
    assert_string_equal(server->text, "closed-after-ticket");
}

static void stay_silent(struct side *self)
{
    char sink[100];
    size_t got;
    while (stream_read(&self->s, sink, sizeof sink, &got, deadline_in_ms(30000)) == RC_OK)
        ;
}

static void a_silent_peer_times_out(void **state)
{
    (void)state;
    pair_prepare();
    server->instead = stay_silent;
    client->deadline = deadline_in_ms(2000);
    pair_run();
    expect_cause(client, RC_TIMEOUT, TLS_CAUSE_TIMEOUT);
    expect_all_memory_back();
}

static void cancel_the_client(struct side *self)
{
    task_cancel(&client->task);
    stay_silent(self);
}

static void a_cancelled_handshake_ends(void **state)
{
    (void)state;
    pair_prepare();
    server->instead = cancel_the_client;
    pair_run();
    assert_int_equal(client->rc, RC_CANCELLED);
    expect_all_memory_back();
}

static void too_little_memory_at_any_point(void **state)
{
    (void)state;
    pair_prepare();
    struct arena *const arenas[] = { &client->arena, &server->arena };
    for (unsigned which = 0; which < 2; which++) {
        bool failed = false, worked = false;
        for (size_t bytes = 1024; bytes <= 48 * 1024; bytes += bytes < 23 * 1024 ? 2048 : 160) {
            pair_prepare();
            pair_served = pair_load("rsa");
            arenas[which]->size_bytes = bytes;
            arena_init(arenas[which], arenas[which]->base, bytes);
            pair_run();
            tls_credentials_release(pair_served);
            const struct side *side = which == 0 ? client : server;
            worked |= side->rc == RC_OK;
            failed |= side->rc == RC_NO_MEMORY;
            if (side->rc == RC_OK)
                expect_cause(side, RC_OK, TLS_CAUSE_NONE);
            else
                expect_cause(side, RC_NO_MEMORY, TLS_CAUSE_NO_MEMORY);
            expect_all_memory_back();
        }
        assert_true(failed && worked);
    }
}

/* --- what a step of the handshake borrows from the identities' room */

static size_t identities_bytes;

static void expect_nothing_borrowed(void)
{
    assert_int_equal(tls_identity_memory()->used_bytes, identities_bytes);
}

/* The smallest arena of side in which a handshake works; in each smaller one it fails cleanly. */
static size_t least_bytes(struct side *side)
{
    bool failed = false;
    identities_bytes = tls_identity_memory()->used_bytes;
    pair_watch = expect_nothing_borrowed;
    for (size_t bytes = 22 * 1024; bytes <= 48 * 1024; bytes += 256) {
        pair_prepare();
        arena_init(&side->arena, side->arena.base, bytes);
        pair_run();
        expect_all_memory_back();
        expect_nothing_borrowed();
        if (side->rc != RC_OK) {
            failed = true;
            expect_cause(side, RC_NO_MEMORY, TLS_CAUSE_NO_MEMORY);
            continue;
        }
        expect_cause(side, RC_OK, TLS_CAUSE_NONE);
        assert_true(failed);
        pair_watch = NULL;
        return bytes;
    }
    fail_msg("no arena suffices");
    return 0;
}

/* Identities until there is no room for another: what is left is less than one takes. */
static unsigned fill_identities(struct tls_credentials **held, unsigned max)
{
    static char chain_text[TLS_PEM_MAX], key_text[TLS_PEM_MAX];
    char why_text[200];
    struct strbuf why = STRBUF(why_text);
    struct span chain = pair_read_file("ec", "pem", chain_text), key = pair_read_file("ec", "key", key_text);
    unsigned n = 0;
    while (n < max && tls_credentials_load(chain, key, &held[n], &why) == RC_OK)
        n++;
    assert_true(n < max);
    return n;
}

static void a_step_of_the_handshake_borrows(void **state)
{
    (void)state;
    struct tls_credentials *held[64];
    struct side *const sides[] = { server, client };
    pair_served = pair_load("rsa");
    for (unsigned i = 0; i < 2; i++) {
        size_t lent = least_bytes(sides[i]);
        unsigned n = fill_identities(held, sizeof held / sizeof held[0]);
        size_t alone = least_bytes(sides[i]);
        while (n > 0)
            tls_credentials_release(held[--n]);
        assert_true(lent + 1024 <= alone);
    }
    tls_credentials_release(pair_served);
}

static void every_cause_has_words(void **state)
{
    (void)state;
    for (int c = 0; c < TLS_CAUSE_COUNT; c++) {
        assert_non_null(tls_cause_name((enum tls_cause)c));
        assert_in_range(strlen(unpacked(tls_cause_text((enum tls_cause)c))), 5, 79); /* a row of its table ends in NUL */
    }
}

/* Without entropy there is no TLS; with it there is. */
static int setup(void **state)
{
    (void)state;
    pair_entropy_works = false;
    if (random_init() == RC_OK || tls_init() != RC_UNSUPPORTED)
        return -1;
    pair_prepare();
    pair_run();
    if (client->facts.cause != TLS_CAUSE_NO_ENTROPY || client->rc != RC_UNSUPPORTED)
        return -1;
    pair_entropy_works = true;
    pair_hold_root("root-ec");
    pair_hold_root("root-rsa");
    return random_init() == RC_OK && tls_init() == RC_OK ? 0 : -1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(facts_of_a_good_session),
        cmocka_unit_test(every_kind_of_key),
        cmocka_unit_test(sni_goes_out_only_for_names),
        cmocka_unit_test(alpn_is_agreed),
        cmocka_unit_test(bulk_arrives_and_ends_in_order),
        cmocka_unit_test(byte_by_byte),
        cmocka_unit_test(a_read_that_times_out_loses_nothing),
        cmocka_unit_test(credentials_change_under_a_session),
        cmocka_unit_test(plaintext_in_place_of_tls),
        cmocka_unit_test(alerts_have_names_and_numbers),
        cmocka_unit_test(old_clients_are_told_apart),
        cmocka_unit_test(cut_at_any_byte),
        cmocka_unit_test(any_byte_changed),
        cmocka_unit_test(closing_right_after_the_handshake_has_a_name),
        cmocka_unit_test(a_silent_peer_times_out),
        cmocka_unit_test(a_cancelled_handshake_ends),
        cmocka_unit_test(too_little_memory_at_any_point),
        cmocka_unit_test(a_step_of_the_handshake_borrows),
        cmocka_unit_test(every_cause_has_words),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
