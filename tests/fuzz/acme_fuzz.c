/* What an authority says: a whole dialogue from the directory to the chain, and renewal info. The input is answers, one behind the other, each ended
 * by a NUL: a digit for the status, lines that are fields, each ended by \x01, and the body. The keys are no keys, for signing is slow; time flies. */
#include <string.h>

#include "hal/base/utf8.h"
#include "hal/clock.h"
#include "net/acme.h"
#include "net/acme_private.h"
#include "net/x509_key.h"
#include "tests/fuzz/demand.h"
#include "tests/support/answering_stream.h"

#define REQUESTS_MAX 2000
#define MEMORY_BYTES 6500 /* a little more than it must have */

static uint64_t now_us;

uint64_t clock_us(void)
{
    return now_us += 100000;
}

enum rc x509_key_point(struct span key_pem, struct x509_point *out)
{
    (void)key_pem;
    memset(out, 7, sizeof *out);
    return RC_OK;
}

enum rc x509_key_sign(struct span key_pem, const uint8_t hash[32], uint8_t signature[64])
{
    (void)key_pem;
    memset(signature, hash[0], 64);
    return RC_OK;
}

enum rc x509_csr(struct span key_pem, const char *const *names, unsigned count, struct strbuf *der)
{
    (void)key_pem;
    (void)names;
    demand(count == 2);
    strbuf_puts(der, "a request");
    return RC_OK;
}

/* --- the server --- */

static struct {
    struct span input;
    unsigned asked;
    bool head;
} server;

static void next_answer(void)
{
    static const unsigned status[] = { 200, 201, 204, 301, 400, 404, 409, 429, 500, 503 };
    struct strbuf out = STRBUF(answering.out);
    struct span one = span_sub(server.input, 0, span_find(server.input, 0, '\0')), field;
    bool more = true;
    answering.len = answering.at = 0;
    if (!server.input.len)
        return; /* it has ended the connection */
    server.input = span_from(server.input, one.len + 1);
    unsigned digit = one.len && one.p[0] >= '0' && one.p[0] <= '9' ? (unsigned)(one.p[0] - '0') : 0;
    one = span_from(one, 1);
    strbuf_printf(&out, "HTTP/1.1 %u x\r\nReplay-Nonce: n%u\r\n", status[digit], server.asked);
    while (span_find(one, 0, '\x01') != SIZE_MAX && span_split(&one, &more, '\x01', &field)) {
        strbuf_add(&out, field);
        strbuf_puts(&out, "\r\n");
    }
    strbuf_printf(&out, "Content-Length: %zu\r\n\r\n", status[digit] == 204 ? 0 : one.len);
    if (!server.head && status[digit] != 204)
        strbuf_add(&out, one);
    answering.len = out.overflow ? 0 : out.len;
}

static void answering_ask(struct span data)
{
    if (span_starts(data, "HEAD ") || span_starts(data, "GET ") || span_starts(data, "POST ")) {
        demand(server.asked++ < REQUESTS_MAX);
        server.head = data.p[0] == 'H';
        next_answer();
    }
}

static enum rc connect_it(void *ctx, const struct url *to, struct strbuf *why)
{
    (void)ctx;
    (void)why;
    demand(to->https);
    answering_open();
    return RC_OK;
}

/* --- the client --- */

static const char *const names[] = { "mail.office.example", "192.0.2.7" };
static struct acme acme;
static char memory[MEMORY_BYTES];
static unsigned open_challenges;

static bool is_plain(const char *text)
{
    for (; *text; text++)
        if (*text < 0x20 || *text > 0x7e)
            return false;
    return true;
}

static enum rc prepare(void *ctx, const struct acme_challenge *c)
{
    (void)ctx;
    demand(open_challenges++ == 0);
    demand(c->identifier == names[0] || c->identifier == names[1]);
    demand(is_plain(c->record) && c->record[0] && strlen(c->record) <= ACME_RECORD_MAX);
    if (c->record_label == NULL)
        demand(c->token[0] && !strchr(c->token, '/') && !strchr(c->token, '.') && strlen(c->token) <= ACME_TOKEN_MAX);
    return RC_OK;
}

static void done(void *ctx, const struct acme_challenge *c)
{
    (void)ctx;
    (void)c;
    demand(open_challenges-- == 1);
}

static void check(enum rc rc)
{
    struct url u;
    demand(memchr(acme.why, '\0', sizeof acme.why) != NULL && is_plain(acme.why) && is_plain(acme.problem));
    demand(rc == RC_OK || acme.why[0]);
    demand(acme.retry_after_s >= -1);
    for (enum acme_url i = 0; i < ACME_URLS; i++)
        demand(!acme_url(&acme, i)[0] || (url_parse(span_of(acme_url(&acme, i)), &u) == RC_OK && u.https));
}

static void obtain(void)
{
    static const struct acme_solver solvers[] = { { "http-01", prepare, done, NULL }, { "dns-persist-01", prepare, done, NULL } };
    const struct acme_wish wish = { .contact = SPAN("a@b.example"),
                                    .names = names,
                                    .count = 2,
                                    .key = SPAN("key"),
                                    .profile = SPAN("p"),
                                    .replaces = SPAN("AA.BB"),
                                    .issuer = SPAN("Root"),
                                    .solvers = solvers,
                                    .solver_count = 2 };
    struct span chain;
    enum rc rc = acme_obtain(&acme, &wish, &chain);
    check(rc);
    demand(open_challenges == 0 && (rc == RC_OK) == (chain.len > 0));
    demand(!chain.len || (chain.p == memory && span_starts(chain, "-----BEGIN CERTIFICATE-----")));
}

static void suggest(void)
{
    struct acme_renewal r;
    enum rc rc = acme_renewal_info(&acme, SPAN("AA.BB"), &r);
    check(rc);
    if (rc == RC_OK)
        demand(r.end > r.start && r.again_s >= 60 && r.again_s <= 86400 && is_plain(r.explanation));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct http_client http;
    char id_text[ACME_ID_MAX];
    struct strbuf id = STRBUF(id_text);
    memset(&server, 0, sizeof server);
    answering.len = answering.at = 0;
    server.input = span_bytes(data, size);
    if (acme_renewal_id(server.input, &id) == RC_OK)
        demand(span_find(strbuf_span(&id), 0, '.') != SIZE_MAX);
    http_client_init(&http, &answering.stream, connect_it, NULL, "test");
    enum rc rc = acme_open(&acme, &http, SPAN("https://ca.example/dir"), SPAN("key"), memory, sizeof memory);
    check(rc);
    if (rc == RC_OK && size % 4 == 0)
        suggest();
    else if (rc == RC_OK)
        obtain();
    http_client_close(&http);
    return 0;
}
