/* net/tls*.c end to end: our client and our server in two tasks over memory, with the certificates of
 * tests/support/make_pki.py, each with one fault. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "hal/board.h"
#include "hal/crypto/der_cert.h"
#include "hal/base/pem.h"
#include "hal/entropy.h"
#include "hal/random.h"
#include "net/tls_session.h"
#include "tests/support/pipe_stream.h"

#define PKI "build/tests/pki/"
#define NOW 1780272000 /* 2026-06-01 */
#define HOST "mx.example.test"
#define STACK_BYTES 131072
#define ROOTS_MAX 6
#define ARENA_BYTES (64u * 1024)

/* --- the board */

static uint64_t now_us;
static bool entropy_works = true;

uint64_t clock_us(void)
{
    return now_us;
}

enum rc entropy_read(void *out, size_t len)
{
    static uint8_t counter;
    for (size_t i = 0; i < len; i++)
        ((uint8_t *)out)[i] = counter++;
    return entropy_works ? RC_OK : RC_IO;
}

void board_panic(const char *why)
{
    fprintf(stderr, "panic: %s\n", why);
    abort();
}

/* --- files */

static char file_text[TLS_PEM_MAX];

static struct span read_file(const char *label, const char *suffix, char *memory)
{
    char path[128];
    snprintf(path, sizeof path, PKI "%s.%s", label, suffix);
    FILE *f = fopen(path, "rb");
    if (f == NULL)
        fail_msg("%s is missing: made by tests/support/make_pki.py", path);
    size_t n = fread(memory, 1, TLS_PEM_MAX, f);
    fclose(f);
    return span_bytes(memory, n);
}

/* --- roots */

struct root {
    uint8_t der[2048];
    size_t len;
};
static struct root roots[ROOTS_MAX];
static unsigned root_count;

static void hold_root(const char *label)
{
    struct span pem = read_file(label, "pem", file_text);
    assert_true(root_count < ROOTS_MAX);
    struct root *r = &roots[root_count++];
    assert_int_equal(pem_next(&pem, "CERTIFICATE", r->der, sizeof r->der, &r->len), RC_OK);
}

static unsigned find_root(void *ctx, struct span issuer_dn, bool (*give)(void *give_ctx, struct span der), void *give_ctx)
{
    (void)ctx;
    unsigned given = 0;
    for (unsigned i = 0; i < root_count; i++) {
        struct span der = span_bytes(roots[i].der, roots[i].len), dn;
        if (x509_subject_dn(der, &dn) != RC_OK || !span_eq(dn, issuer_dn))
            continue;
        given++;
        if (!give(give_ctx, der))
            break;
    }
    return given;
}
static const struct tls_trust trust = { find_root, NULL };

/* --- two sides */

struct side {
    struct task task;
    struct stream s;
    struct tls_params params;
    struct tls_facts facts;
    struct arena arena;
    enum rc rc;
    struct deadline deadline;
    void (*after)(struct side *self); /* runs with the handshake done */
    uint64_t before_used;
};
static struct side server, client;
static struct pipe_end server_end, client_end;
static _Alignas(16) uint8_t server_stack[STACK_BYTES], client_stack[STACK_BYTES];
static _Alignas(16) uint8_t server_memory[ARENA_BYTES], client_memory[ARENA_BYTES];
static struct tls_credentials *served;
static char asked_sni[DOMAIN_TEXT_MAX];
static struct deadline soon(void)
{
    return deadline_in_ms(5000);
}

static struct tls_credentials *load(const char *label)
{
    static char key_text[TLS_PEM_MAX];
    char why_text[200];
    struct strbuf why = STRBUF(why_text);
    struct tls_credentials *c;
    struct span chain = read_file(label, "pem", file_text);
    if (tls_credentials_load(chain, read_file(label, "key", key_text), &c, &why) != RC_OK)
        fail_msg("%s: %s", label, why_text);
    return c;
}

static struct tls_credentials *select_served(void *ctx, const char *sni)
{
    (void)ctx;
    struct strbuf b = STRBUF(asked_sni);
    strbuf_puts(&b, sni == NULL ? "-" : sni);
    tls_credentials_hold(served);
    return served;
}

static void run_side(void *arg)
{
    struct side *self = arg;
    self->rc = stream_starttls(&self->s, &self->params, self->deadline);
    if (self->rc == RC_OK && self->after != NULL)
        self->after(self);
    stream_close(&self->s, soon());
}

/* Runs both tasks to their end; the clock jumps when all wait. */
static void run_tasks(void)
{
    while (!task_done(&server.task) || !task_done(&client.task)) {
        now_us += 10;
        if (tasks_run())
            continue;
        struct deadline next = tasks_next_deadline();
        if (next.at_ms != UINT64_MAX && next.at_ms * 1000 > now_us)
            now_us = next.at_ms * 1000;
    }
}

static void prepare(void)
{
    memset(&server, 0, sizeof server);
    memset(&client, 0, sizeof client);
    pipe_open(&server_end, &client_end);
    pipe_stream_init(&server.s, &server_end);
    pipe_stream_init(&client.s, &client_end);
    arena_init(&server.arena, server_memory, sizeof server_memory);
    arena_init(&client.arena, client_memory, sizeof client_memory);
    server.params = (struct tls_params){
        .role = TLS_SERVER, .select = select_served, .arena = &server.arena, .facts = &server.facts, .now = NOW
    };
    client.params = (struct tls_params){
        .role = TLS_CLIENT, .server_name = HOST, .trust = &trust, .arena = &client.arena, .facts = &client.facts, .now = NOW
    };
    server.deadline = client.deadline = deadline_in_ms(60000);
}

static void shake_hands(void)
{
    task_start(&server.task, "server", server_stack, sizeof server_stack, run_side, &server);
    task_start(&client.task, "client", client_stack, sizeof client_stack, run_side, &client);
    run_tasks();
    assert_int_equal(server.arena.used_bytes, 0);
    assert_int_equal(client.arena.used_bytes, 0);
}

static void serve(const char *label)
{
    prepare();
    served = load(label);
    shake_hands();
    tls_credentials_release(served);
}

static void good_chains_of_both_key_types(void **state)
{
    (void)state;
    static const char *const labels[] = { "ec", "rsa" };
    for (unsigned i = 0; i < 2; i++) {
        serve(labels[i]);
        assert_int_equal(client.rc, RC_OK);
        assert_int_equal(server.rc, RC_OK);
        assert_string_equal(tls_cause_name(client.facts.cause), "none");
        assert_true(client.facts.chain_valid && client.facts.name_matches);
        assert_string_equal(asked_sni, HOST);
    }
}

static int setup(void **state)
{
    (void)state;
    hold_root("root-ec");
    hold_root("root-rsa");
    hold_root("root-expired");
    return random_init() == RC_OK && tls_init() == RC_OK ? 0 : -1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_chains_of_both_key_types),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
