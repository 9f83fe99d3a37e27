#include "tests/support/tls_pair.h"

#include "hal/base/pem.h"
#include "hal/board.h"
#include "hal/crypto/der_cert.h"
#include "hal/entropy.h"

#define STACK_BYTES 131072 /* the address sanitizer's frames are large */
#define ROOTS_MAX 6

struct side pair_server, pair_client;
struct pipe_end pair_server_end, pair_client_end;
struct tls_credentials *pair_served;
char pair_asked_sni[DOMAIN_TEXT_MAX];
uint64_t pair_now_us;
bool pair_entropy_works = true;
void (*pair_watch)(void);

/* --- the board */

uint64_t clock_us(void)
{
    return pair_now_us;
}

enum rc entropy_read(void *out, size_t len)
{
    static uint8_t counter;
    for (size_t i = 0; i < len; i++)
        ((uint8_t *)out)[i] = counter++;
    return pair_entropy_works ? RC_OK : RC_IO;
}

static void die(const char *what)
{
    fprintf(stderr, "tls_pair: %s\n", what);
    abort();
}

void board_panic(const char *why)
{
    die(why);
    __builtin_unreachable();
}

struct deadline pair_soon(void)
{
    return deadline_in_ms(5000);
}

/* --- certificates */

struct span pair_read_file(const char *label, const char *suffix, char *memory)
{
    char path[128];
    snprintf(path, sizeof path, "build/tests/pki/%s.%s", label, suffix);
    FILE *f = fopen(path, "rb");
    if (f == NULL)
        die(path);
    size_t n = fread(memory, 1, TLS_PEM_MAX, f);
    fclose(f);
    return span_bytes(memory, n);
}

static struct root {
    uint8_t der[2048];
    size_t len;
} roots[ROOTS_MAX];
static unsigned root_count;
static char file_text[TLS_PEM_MAX];

void pair_hold_root(const char *label)
{
    if (label == NULL) {
        root_count = 0;
        return;
    }
    struct span pem = pair_read_file(label, "pem", file_text);
    if (root_count == ROOTS_MAX)
        die("too many roots");
    struct root *r = &roots[root_count++];
    if (pem_next(&pem, "CERTIFICATE", r->der, sizeof r->der, &r->len) != RC_OK)
        die(label);
}

/* As a store in flash does it: one buffer, which holds the next certificate as soon as one was passed over. */
static unsigned find_root(void *ctx, struct span issuer_dn, bool (*give)(void *give_ctx, struct span der), void *give_ctx)
{
    static uint8_t der[sizeof roots[0].der];
    (void)ctx;
    unsigned given = 0;
    for (unsigned i = 0; i < root_count; i++) {
        struct span dn;
        memset(der, 0xee, sizeof der);
        memcpy(der, roots[i].der, roots[i].len);
        if (x509_subject_dn(span_bytes(der, roots[i].len), &dn) != RC_OK || !span_eq(dn, issuer_dn))
            continue;
        given++;
        if (!give(give_ctx, span_bytes(der, roots[i].len)))
            return given;
    }
    memset(der, 0xee, sizeof der);
    return given;
}
static const struct tls_trust trust = { find_root, NULL };

struct tls_credentials *pair_load(const char *label)
{
    static char key_text[TLS_PEM_MAX];
    char why_text[200];
    struct strbuf why = STRBUF(why_text);
    struct tls_credentials *c;
    struct span chain = pair_read_file(label, "pem", file_text);
    if (tls_credentials_load(chain, pair_read_file(label, "key", key_text), &c, &why) != RC_OK)
        die(why_text);
    return c;
}

static struct tls_credentials *select_served(void *ctx, const char *sni)
{
    (void)ctx;
    struct strbuf b = STRBUF(pair_asked_sni);
    strbuf_puts(&b, sni == NULL ? "-" : sni);
    tls_credentials_hold(pair_served);
    return pair_served;
}

/* --- running */

static void run_side(void *arg)
{
    struct side *self = arg;
    if (self->instead != NULL)
        self->instead(self);
    else
        self->rc = stream_starttls(&self->s, &self->params, self->deadline);
    if (self->instead == NULL && self->rc == RC_OK && self->after != NULL)
        self->after(self);
    stream_close(&self->s, pair_soon());
}

void pair_prepare(void)
{
    static _Alignas(16) uint8_t server_memory[PAIR_ARENA_BYTES], client_memory[PAIR_ARENA_BYTES];
    memset(&pair_server, 0, sizeof pair_server);
    memset(&pair_client, 0, sizeof pair_client);
    pipe_open(&pair_server_end, &pair_client_end);
    pipe_stream_init(&pair_server.s, &pair_server_end);
    pipe_stream_init(&pair_client.s, &pair_client_end);
    arena_init(&pair_server.arena, server_memory, sizeof server_memory);
    arena_init(&pair_client.arena, client_memory, sizeof client_memory);
    pair_server.params = (struct tls_params){
        .role = TLS_SERVER, .select = select_served, .arena = &pair_server.arena, .facts = &pair_server.facts, .now = PAIR_NOW
    };
    pair_client.params = (struct tls_params){ .role = TLS_CLIENT,
                                              .server_name = PAIR_HOST,
                                              .trust = &trust,
                                              .arena = &pair_client.arena,
                                              .facts = &pair_client.facts,
                                              .now = PAIR_NOW };
    pair_server.deadline = pair_client.deadline = deadline_in_ms(60000);
    pair_asked_sni[0] = '\0';
}

void pair_run(void)
{
    static _Alignas(16) uint8_t server_stack[STACK_BYTES], client_stack[STACK_BYTES];
    task_start(&pair_server.task, "server", server_stack, sizeof server_stack, run_side, &pair_server);
    task_start(&pair_client.task, "client", client_stack, sizeof client_stack, run_side, &pair_client);
    while (!task_done(&pair_server.task) || !task_done(&pair_client.task)) {
        pair_now_us += 10;
        bool ready = tasks_run();
        if (pair_watch != NULL)
            pair_watch();
        if (ready)
            continue;
        struct deadline next = tasks_next_deadline();
        if (next.at_ms != UINT64_MAX && next.at_ms * 1000 > pair_now_us)
            pair_now_us = next.at_ms * 1000;
    }
}

void pair_serve(const char *label)
{
    pair_prepare();
    pair_served = pair_load(label);
    pair_run();
    tls_credentials_release(pair_served);
    pair_served = NULL;
}
