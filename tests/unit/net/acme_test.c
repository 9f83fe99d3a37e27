/* net/acme.c against a server that answers as each case is written: what is refused, by which words, and how long we wait. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "hal/base/base64.h"
#include "hal/random.h"
#include "hal/task.h"
#include "net/acme.h"
#include "tests/support/answering_stream.h"
#include "tests/support/tls_pair.h"

static const char key[] = "-----BEGIN EC PRIVATE KEY-----\n"
                          "MHcCAQEEIMmvqdhFunUWa1whV2ex1pNOUMPbNuibEnuKYisSD2choAoGCCqGSM49\n"
                          "AwEHoUQDQgAEYP7UuiVanTHJYet0xjVtaMBJuJI7Yfps5mliLmDyn7Z5A/4QCLi8\n"
                          "maQa6elWKLxk8vGyDC1+n1F3o8KU1EYimQ==\n"
                          "-----END EC PRIVATE KEY-----\n";

/* One answer: status, fields after it, body. Every answer carries a nonce, unless its fields say "no-nonce". The last one is repeated. */
struct answer {
    unsigned status;
    const char *fields, *body;
};

static struct {
    const struct answer *answers;
    unsigned count, asked;
    char last_request[16384]; /* as far as it has come */
    char last_post[16384];
    size_t request_len;
    struct http_client http;
    struct acme acme;
    char memory[ACME_MEMORY_LEAST];
    struct span chain;
    unsigned prepared, cleaned;
} t;
static enum rc prepared_rc; /* what a solver's prepare says */

static void answer_now(void)
{
    const struct answer *a = &t.answers[t.asked < t.count ? t.asked : t.count - 1];
    bool head = strncmp(t.last_request, "HEAD", 4) == 0, nonce = strncmp(a->fields, "no-nonce", 8) != 0;
    const char *fields = nonce ? a->fields : strcmp(a->fields, "no-nonce") != 0 ? strchr(a->fields, ':') + 1 : "";
    struct strbuf out = STRBUF(answering.out);
    strbuf_printf(&out, "HTTP/1.1 %u x\r\nContent-Length: %zu\r\n%s%s\r\n", a->status, strlen(a->body),
                  nonce ? "Replay-Nonce: n-1_2\r\n" : "", fields);
    if (!head)
        strbuf_puts(&out, a->body);
    assert_false(out.overflow);
    if (strncmp(t.last_request, "POST", 4) == 0)
        memcpy(t.last_post, t.last_request, t.request_len + 1);
    t.asked++;
    answering.len = out.len;
    answering.at = t.request_len = 0;
}

static void answering_ask(struct span data)
{
    assert_true(t.request_len + data.len < sizeof t.last_request);
    memcpy(t.last_request + t.request_len, data.p, data.len);
    t.request_len += data.len;
    t.last_request[t.request_len] = '\0';
    const char *end = strstr(t.last_request, "\r\n\r\n"), *length = strstr(t.last_request, "Content-Length: ");
    uint64_t bytes = 0;
    if (end != NULL && length != NULL && length < end)
        assert_true(span_to_u64(span_sub(span_of(length), 16, strcspn(length + 16, "\r")), &bytes));
    if (end != NULL && t.request_len >= (size_t)(end + 4 - t.last_request) + bytes)
        answer_now();
}

static enum rc connect_it(void *ctx, const struct url *to, struct strbuf *why)
{
    (void)ctx;
    (void)to;
    (void)why;
    t.request_len = 0;
    answering_open();
    return RC_OK;
}

static enum rc prepare(void *ctx, const struct acme_challenge *c)
{
    (void)ctx;
    t.prepared++;
    assert_string_equal(c->key_authorization, "tok-1.DOvxvJiAdIqVWIkFt5hDtCunXLF0BV4-JGv4f-ALSm0");
    return prepared_rc;
}

static void clean(void *ctx, const struct acme_challenge *c)
{
    (void)ctx;
    (void)c;
    t.cleaned++;
}

static struct acme_wish a_wish(void)
{
    static const char *const names[] = { "mail.office.example", "192.0.2.7" };
    static const struct acme_solver solvers[] = { { "http-01", prepare, clean, NULL }, { "dns-persist-01", prepare, clean, NULL } };
    return (struct acme_wish){
        .contact = SPAN("a@office.example"), .names = names, .count = 1, .key = span_of(key), .solvers = solvers, .solver_count = 2
    };
}

static void serve(const struct answer *answers, unsigned count)
{
    memset(&t, 0, sizeof t);
    memset(&answering, 0, sizeof answering);
    t.answers = answers;
    t.count = count;
    http_client_init(&t.http, &answering.stream, connect_it, NULL, "test");
}

static enum rc open_it(void)
{
    return acme_open(&t.acme, &t.http, SPAN("https://ca.example/dir"), span_of(key), t.memory, sizeof t.memory);
}

static enum rc obtain(const struct answer *answers, unsigned count, struct acme_wish wish)
{
    serve(answers, count);
    enum rc rc = open_it();
    if (rc == RC_OK)
        rc = acme_obtain(&t.acme, &wish, &t.chain);
    assert_int_equal(t.prepared, t.cleaned);
    return rc;
}

static enum rc issue(const struct answer *answers, unsigned count)
{
    return obtain(answers, count, a_wish());
}

#define CERT "-----BEGIN CERTIFICATE-----\nQUJD\n-----END CERTIFICATE-----\n"
#define U(path) "\"https://ca.example/" path "\""
#define DIRECTORY                                                                              \
    {                                                                                          \
        200, "", "{\"newNonce\":" U("n") ",\"newAccount\":" U("a") ",\"newOrder\":" U("o") "}" \
    }
#define ACCOUNT                                                \
    {                                                          \
        201, "Location: /acct/1\r\n", "{\"status\":\"valid\"}" \
    }
#define ORDER                                                                       \
    {                                                                               \
        201, "Location: https://ca.example/order/1\r\n", "{\"status\":\"pending\"}" \
    }
#define PENDING                                                                                       \
    {                                                                                                 \
        200, "", "{\"status\":\"pending\",\"authorizations\":[" U("z/1") "],\"finalize\":" U("f") "}" \
    }
#define AUTHORIZATION(status, token)                                                                                          \
    {                                                                                                                         \
        200, "",                                                                                                              \
            "{\"status\":\"" status "\",\"identifier\":{\"type\":\"dns\",\"value\":\"mail.office.example\"},\"challenges\":[" \
            "{\"type\":\"dns-01\",\"url\":" U("c/0") ",\"token\":\"x\"},{\"type\":\"http-01\",\"url\":" U(                    \
                "c/1") ",\"token\":\"" token "\",\"error\":{\"detail\":\"I saw\\u001b[2J a 404\"}}]}"                         \
    }
#define START DIRECTORY, ACCOUNT, ORDER
#define READY                                                                                       \
    {                                                                                               \
        200, "", "{\"status\":\"ready\",\"authorizations\":[" U("z/1") "],\"finalize\":" U("f") "}" \
    }
#define CHALLENGED PENDING, AUTHORIZATION("pending", "tok-1"), { 200, "", "{}" }, AUTHORIZATION("valid", "tok-1"), READY
#define VALID                                                           \
    {                                                                   \
        200, "", "{\"status\":\"valid\",\"certificate\":" U("cert") "}" \
    }

#define LONG "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
#define DIRECTORY_WITHOUT_NONCE                                                                        \
    {                                                                                                  \
        200, "no-nonce", "{\"newNonce\":" U("n") ",\"newAccount\":" U("a") ",\"newOrder\":" U("o") "}" \
    }
#define LONG_DIRECTORY                                                                                                     \
    {                                                                                                                      \
        200, "",                                                                                                           \
            "{\"newNonce\":" U("n" LONG LONG LONG) ",\"newAccount\":" U("a" LONG LONG LONG) ",\"newOrder\":" U(            \
                "o" LONG LONG                                                                                              \
                    LONG) ",\"keyChange\":" U("k" LONG LONG                                                                \
                                                  LONG) ",\"revokeCert\":" U("r" LONG LONG                                 \
                                                                                 LONG) ",\"renewalInfo\":" U("i" LONG LONG \
                                                                                                                 LONG) "}" \
    }
#define PERSISTENT(names)                                                                                                         \
    {                                                                                                                             \
        200, "",                                                                                                                  \
            "{\"status\":\"pending\",\"identifier\":{\"value\":\"mail.office.example\"},\"challenges\":[{\"type\":\"dns-persist-" \
            "01\",\"url\":" U("c") ",\"issuer-domain-names\":[" names "]}]}"                                                      \
    }

static void a_good_server(void **state)
{
    (void)state;
    static const struct answer answers[] = { START,
                                             CHALLENGED,
                                             READY,
                                             { 200, "", "{\"status\":\"processing\"}" },
                                             { 200, "Retry-After: 7\r\n", "{\"status\":\"processing\"}" },
                                             VALID,
                                             { 200, "", CERT } };
    uint64_t began = pair_now_us;
    assert_int_equal(issue(answers, sizeof answers / sizeof answers[0]), RC_OK);
    assert_true(span_is(t.chain, CERT));
    assert_true(span_is(acme_account_url(&t.acme), "https://ca.example/acct/1"));
    assert_int_equal(t.asked, sizeof answers / sizeof answers[0]);
    assert_in_range((pair_now_us - began) / 1000000, 7, 9); /* as long as the server asked for */
}

struct bad_case {
    enum rc rc;
    const char *words;
    struct answer answers[16];
};

static const struct bad_case bad[] = {
    { RC_REFUSED, "answered 404", { { 404, "", "<html>" } } },
    { RC_PROTOCOL, "not JSON", { { 200, "", "<html>" } } },
    { RC_PROTOCOL, "not JSON", { { 200, "", "[]" } } },
    { RC_PROTOCOL, "not JSON", { { 200, "", "{\"a\":[[[[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]]]}" } } },
    { RC_PROTOCOL, "\"newNonce\"", { { 200, "", "{}" } } },
    { RC_PROTOCOL, "\"newNonce\"", { { 200, "", "{\"newNonce\":" U("n") ",\"newNonce\":" U("m") "}" } } },
    { RC_PROTOCOL, "\"newAccount\"", { { 200, "", "{\"newNonce\":" U("n") ",\"newAccount\":\"http://ca.example/a\"}" } } },
    { RC_PROTOCOL, "\"newAccount\"", { { 200, "", "{\"newNonce\":" U("n") ",\"newAccount\":\"https://u@ca.example/a\"}" } } },
    { RC_PROTOCOL, "\"newAccount\"", { { 200, "", "{\"newNonce\":" U("n") ",\"newAccount\":7}" } } },
    { RC_PROTOCOL,
      "\"nonce\"",
      { { 200, "no-nonce", "{\"newNonce\":" U("n") ",\"newAccount\":" U("a") ",\"newOrder\":" U("o") "}" },
        { 200, "no-nonce", "" } } },
    { RC_INVALID,
      "could not be signed",
      { { 200, "Replay-Nonce: a\"b\r\n", "{\"newNonce\":" U("n") ",\"newAccount\":" U("a") ",\"newOrder\":" U("o") "}" } } },
    { RC_PROTOCOL, "\"account\"", { DIRECTORY, { 201, "", "{}" } } },
    { RC_PROTOCOL, "\"account\"", { DIRECTORY, { 201, "Location: http://ca.example/a\r\n", "{}" } } },
    { RC_REFUSED,
      "answered 400 (malformed): b\\x1b[2Jad",
      { DIRECTORY, { 400, "", "{\"type\":\"urn:ietf:params:acme:error:malformed\",\"detail\":\"b\\u001b[2Jad\"}" } } },
    { RC_REFUSED, "answered 429 (rateLimited)", { DIRECTORY, { 429, "Retry-After: 99\r\n", "{\"type\":\"x:rateLimited\"}" } } },
    { RC_REFUSED, "answered 500", { DIRECTORY, { 500, "", "" } } },
    { RC_REFUSED, "answered 302", { DIRECTORY, { 302, "Location: https://evil.example/\r\n", "" } } },
    { RC_REFUSED, "(badNonce)", { DIRECTORY, { 400, "", "{\"type\":\"urn:ietf:params:acme:error:badNonce\"}" } } },
    { RC_PROTOCOL, "\"order\"", { DIRECTORY, ACCOUNT, { 201, "", "{}" } } },
    { RC_PROTOCOL, "\"authorizations\"", { START, { 200, "", "{\"status\":\"pending\"}" } } },
    { RC_PROTOCOL, "\"authorizations\"", { START, { 200, "", "{\"status\":\"pending\",\"authorizations\":[1]}" } } },
    { RC_PROTOCOL, "\"status\"", { START, PENDING, { 200, "", "{}" } } },
    { RC_PROTOCOL, "none of our names", { START, PENDING, { 200, "", "{\"status\":\"pending\"}" } } },
    { RC_UNSUPPORTED,
      "no challenge that this box can meet",
      { START,
        PENDING,
        { 200, "",
          "{\"status\":\"pending\",\"identifier\":{\"value\":\"MAIL.office.example\"},\"challenges\":[{\"type\":\"dns-01\"},7]"
          "}" } } },
    { RC_PROTOCOL, "\"token\"", { START, PENDING, AUTHORIZATION("pending", "../../etc/passwd") } },
    { RC_PROTOCOL, "\"token\"", { START, PENDING, AUTHORIZATION("pending", "a=") } },
    { RC_PROTOCOL, "\"token\"", { START, PENDING, AUTHORIZATION("pending", "a/b") } },
    { RC_PROTOCOL, "\"token\"", { START, PENDING, AUTHORIZATION("pending", "a+b") } },
    { RC_PROTOCOL, "\"token\"", { START, PENDING, AUTHORIZATION("pending", "") } },
    { RC_REFUSED,
      "authorization is invalid: I saw\\x1b[2J a 404",
      { START, PENDING, AUTHORIZATION("pending", "tok-1"), { 200, "", "{}" }, AUTHORIZATION("invalid", "tok-1") } },
    { RC_TIMEOUT,
      "authorization is pending",
      { START, PENDING, AUTHORIZATION("pending", "tok-1"), { 200, "", "{}" }, AUTHORIZATION("pending", "tok-1") } },
    { RC_REFUSED,
      "order is invalid: CAA",
      { START, CHALLENGED, { 200, "", "{\"status\":\"invalid\",\"error\":{\"detail\":\"CAA\"}}" } } },
    { RC_PROTOCOL, "\"finalize\"", { START, CHALLENGED, { 200, "", "{\"status\":\"ready\"}" } } },
    { RC_PROTOCOL, "\"certificate\"", { START, CHALLENGED, READY, { 200, "", "{\"status\":\"valid\"}" } } },
    { RC_PROTOCOL, "\"certificate\"", { START, CHALLENGED, READY, VALID, { 200, "", "<html>" } } },
    { RC_PROTOCOL,
      "\"certificate\"",
      { START,
        CHALLENGED,
        READY,
        VALID,
        { 200, "", CERT "-----BEGIN EC PRIVATE KEY-----\nQUJD\n-----END EC PRIVATE KEY-----\n" } } },
    { RC_PROTOCOL,
      "\"certificate\"",
      { START, CHALLENGED, READY, VALID, { 200, "", CERT "-----BEGIN CERTIFICATE-----\nQUJD\n" } } },
    { RC_TOO_LONG, "too long for this box", { LONG_DIRECTORY } },
    { RC_PROTOCOL,
      "\"nonce\"",
      { DIRECTORY_WITHOUT_NONCE, { 200, "no-nonce-but:Replay-Nonce: " LONG LONG LONG LONG LONG "\r\n", "" } } },
    { RC_PROTOCOL,
      "none of our names",
      { START, PENDING, { 200, "", "{\"status\":\"pending\",\"identifier\":{\"value\":\"victim.example\"}}" } } },
    { RC_PROTOCOL, "\"issuer-domain-names\"", { START, PENDING, PERSISTENT("\"a b\"") } },
    { RC_PROTOCOL, "\"issuer-domain-names\"", { START, PENDING, PERSISTENT("") } },
    { RC_PROTOCOL, "\"issuer-domain-names\"", { START, PENDING, PERSISTENT("\"c.example; policy=wildcard\"") } },
    { RC_TIMEOUT,
      "order is processing",
      { START, CHALLENGED, READY, { 200, "Retry-After: 100000\r\n", "{\"status\":\"processing\"}" } } },
    { RC_REFUSED,
      "(caa): no; b\\x1b.example: forbidden; c: too",
      { DIRECTORY,
        { 403, "",
          "{\"type\":\"x:caa\",\"detail\":\"no\",\"subproblems\":[{\"detail\":\"forbidden\",\"identifier\":{\"value\":\"b\\u001b."
          "example\"}},7,"
          "{\"detail\":\"too\",\"identifier\":{\"value\":\"c\"}}]}" } } },
    { RC_REFUSED,
      "external account binding",
      { { 200, "",
          "{\"newNonce\":" U("n") ",\"newAccount\":" U("a") ",\"newOrder\":" U(
              "o") ",\"meta\":{\"externalAccountRequired\":true}}" } } },
};

static void servers_that_are_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        unsigned count = 0;
        while (count < 16 && bad[i].answers[count].status != 0)
            count++;
        uint64_t began = pair_now_us;
        enum rc rc = issue(bad[i].answers, count);
        if (rc != bad[i].rc || strstr(t.acme.why, bad[i].words) == NULL)
            fail_msg("case %zu: %s, %s", i, rc_name(rc), t.acme.why);
        assert_int_equal(t.chain.len, 0);
        assert_true(t.asked < 60 && (pair_now_us - began) / 1000 <= ACME_PATIENCE_MS + 20000);
    }
}

static void nonces_are_asked_for_and_tried_again(void **state)
{
    (void)state;
    static const struct answer answers[] = { DIRECTORY,
                                             { 400, "", "{\"type\":\"urn:ietf:params:acme:error:badNonce\"}" },
                                             { 400, "", "{\"type\":\"urn:ietf:params:acme:error:badNonce\"}" },
                                             ACCOUNT,
                                             { 429, "Retry-After: 99\r\n", "{\"type\":\"x:rateLimited\"}" } };
    assert_int_equal(issue(answers, 5), RC_REFUSED);
    assert_int_equal(t.asked, 5);
    assert_string_equal(t.acme.problem, "rateLimited");
    assert_int_equal(t.acme.retry_after_s, 99);
    static const struct answer never[] = { DIRECTORY, { 400, "", "{\"type\":\"urn:ietf:params:acme:error:badNonce\"}" } };
    assert_int_equal(issue(never, 2), RC_REFUSED);
    assert_int_equal(t.asked, 1 + ACME_TRIES);
}

static void sizes_are_bounded(void **state)
{
    (void)state;
    static char large[ACME_MEMORY_LEAST + 10], chain[ACME_MEMORY_LEAST + 10];
    memset(large, ' ', sizeof large - 1);
    memset(chain, 'x', sizeof chain - 1);
    memcpy(chain, "-----BEGIN CERTIFICATE-----\n", 28);
    const struct answer too_large[] = { { 200, "", large } };
    assert_int_equal(issue(too_large, 1), RC_TOO_LONG);
    const struct answer long_chain[] = { START, CHALLENGED, READY, VALID, { 200, "", chain } };
    assert_int_equal(issue(long_chain, sizeof long_chain / sizeof long_chain[0]), RC_TOO_LONG);
    assert_int_equal(t.chain.len, 0);
}

/* --- renewal --- */

#define PROBLEM(status, fields, type)                   \
    {                                                   \
        status, fields, "{\"type\":\"urn:x:" type "\"}" \
    }
#define FULL_DIRECTORY                                                                                                    \
    {                                                                                                                     \
        200, "", "{\"newNonce\":" U("n") ",\"newAccount\":" U("a") ",\"newOrder\":" U("o") ",\"renewalInfo\":" U("r") "}" \
    }

static void id_of_a_certificate(void **state)
{
    (void)state;
    /* What RFC 9773 4.1 shows, in the least of a certificate. */
    static const char der[] =
        "\x30\x3b\x30\x39\xa0\x03\x02\x01\x02\x02\x05\x00\x87\x65\x43\x21\x30\x00\xa3\x29\x30\x27\x30\x04\x06\x02\x55\x1d"
        "\x30\x1f\x06\x03\x55\x1d\x23\x04\x18\x30\x16\x80\x14\x69\x88\x5b\x6b\x87\x46\x40\x41\xe1\xb3\x7b\x84\x7b\xa0"
        "\xae\x2c\xde\x01\xc8\xd4";
    char memory[ACME_ID_MAX], copy[sizeof der];
    struct strbuf id = STRBUF(memory);
    assert_int_equal(acme_renewal_id(span_bytes(der, sizeof der - 1), &id), RC_OK);
    assert_string_equal(memory, "aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyE");
    for (size_t len = 0; len < sizeof der - 1; len++)
        assert_int_equal(acme_renewal_id(span_bytes(der, len), &id), RC_INVALID);
    memcpy(copy, der, sizeof der);
    copy[39] = 0x24; /* another extension */
    assert_int_equal(acme_renewal_id(span_bytes(copy, sizeof der - 1), &id), RC_INVALID);
    assert_string_equal(memory, "");
    assert_int_equal(acme_renewal_id(SPAN("\x30\x0e\x30\x0c\xa0\x03\x02\x01\x02\x02\x03\x01\x02\x03\x30\x00"), &id),
                     RC_INVALID); /* no extensions */
    struct strbuf small = strbuf_on(memory, 20);
    assert_int_equal(acme_renewal_id(span_bytes(der, sizeof der - 1), &small), RC_INVALID);
}

static void what_a_server_suggests(void **state)
{
    (void)state;
#define WINDOW(start, end) \
    "{\"suggestedWindow\":{\"start\":\"" start "\",\"end\":\"" end "\"},\"explanationURL\":\"http://x.example/\"}"
    static const struct {
        enum rc rc;
        uint32_t again_s;
        struct answer answer;
    } cases[] = {
        { RC_OK, 7200, { 200, "Retry-After: 7200\r\n", WINDOW("2026-01-01T00:00:00Z", "2026-01-01T00:00:01Z") } },
        { RC_OK, 60, { 200, "Retry-After: 0\r\n", WINDOW("2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z") } },
        { RC_OK, 21600, { 200, "", WINDOW("2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z") } },
        { RC_PROTOCOL, 86400, { 200, "Retry-After: 999999\r\n", WINDOW("2026-01-01T00:00:00Z", "2026-01-01T00:00:00Z") } },
        { RC_PROTOCOL, 21600, { 200, "", WINDOW("2026-01-01", "2026-01-02T00:00:00Z") } },
        { RC_PROTOCOL, 21600, { 200, "", "{}" } },
        { RC_REFUSED, 21600, { 404, "", "{}" } }
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct answer answers[] = { FULL_DIRECTORY, cases[i].answer };
        struct acme_renewal info;
        serve(answers, 2);
        assert_int_equal(open_it(), RC_OK);
        assert_int_equal(acme_renewal_info(&t.acme, SPAN("AA.BB"), &info), cases[i].rc);
        assert_int_equal(info.again_s, cases[i].again_s);
        assert_string_equal(info.explanation, "");
        assert_non_null(strstr(t.http.url, "https://ca.example/r/AA.BB"));
    }
}

/* --- what is tried again, and how --- */

static bool last_asked_for(const char *words)
{
    char memory[4096], *payload = strstr(t.last_post, "\"payload\":\"");
    size_t len = 0;
    assert_non_null(payload);
    payload += 11;
    struct strbuf text = STRBUF(memory);
    for (size_t i = 0; payload[i] != '"'; i++)
        strbuf_putc(&text, payload[i] == '-' ? '+' : payload[i] == '_' ? '/' : payload[i]);
    while (text.len % 4)
        strbuf_putc(&text, '=');
    assert_int_equal(base64_decode(strbuf_span(&text), (uint8_t *)memory, sizeof memory - 1, &len), RC_OK);
    memory[len] = '\0';
    return strstr(memory, words) != NULL;
}

static void what_an_order_does_without(void **state)
{
    (void)state;
    struct acme_wish wish = a_wish();
    wish.replaces = SPAN("AA.BB");
    wish.profile = SPAN("short");
    const struct answer stubborn[] = { FULL_DIRECTORY, ACCOUNT, PROBLEM(409, "", "alreadyReplaced"),
                                       PROBLEM(400, "", "invalidProfile"), PROBLEM(400, "", "rejectedIdentifier") };
    assert_int_equal(obtain(stubborn, 5, wish), RC_REFUSED);
    assert_int_equal(t.acme.dropped, ACME_DROPPED_REPLACES | ACME_DROPPED_PROFILE);
    assert_int_equal(t.asked, 5); /* no more than once without each */
    assert_false(last_asked_for("replaces") || last_asked_for("profile"));
    const struct answer busy[] = { FULL_DIRECTORY, ACCOUNT, PROBLEM(429, "Retry-After: 3600\r\n", "rateLimited") };
    assert_int_equal(obtain(busy, 3, wish), RC_REFUSED);
    assert_int_equal(t.asked, 3);
    assert_true(last_asked_for("replaces") && last_asked_for("\"profile\":\"short\""));
    const struct answer none[] = { DIRECTORY, ACCOUNT, PROBLEM(400, "", "malformed") }; /* no renewalInfo there */
    assert_int_equal(obtain(none, 3, wish), RC_REFUSED);
    assert_false(last_asked_for("replaces"));
}

static void orders_are_gone_on_with(void **state)
{
    (void)state;
    struct acme_wish wish = a_wish();
    wish.account = SPAN("https://ca.example/acct/1");
    wish.order = SPAN("https://ca.example/order/1");
    const struct answer good[] = { DIRECTORY, VALID, VALID, VALID, { 200, "", CERT } };
    const struct answer pending[] = { DIRECTORY, PROBLEM(503, "Retry-After: 3600\r\n", "busy") };
    const struct answer gone[] = { DIRECTORY, PROBLEM(404, "", "malformed"), PROBLEM(400, "", "accountDoesNotExist"), ACCOUNT,
                                   PROBLEM(403, "", "unauthorized") };
    const struct answer invalid[] = { DIRECTORY, { 200, "", "{\"status\":\"invalid\"}" }, ORDER, PROBLEM(500, "", "oops") };
    assert_int_equal(obtain(good, 5, wish), RC_PROTOCOL); /* it names no authorizations */
    assert_int_equal(obtain(pending, 2, wish), RC_REFUSED);
    assert_true(span_is(acme_order_url(&t.acme), "https://ca.example/order/1") && t.asked == 2);
    assert_int_equal(obtain(gone, 5, wish), RC_REFUSED);
    assert_true(acme_order_url(&t.acme).len == 0 && t.asked == 5);
    assert_int_equal(obtain(invalid, 4, wish), RC_REFUSED);
    assert_true(span_is(acme_order_url(&t.acme), "https://ca.example/order/1") && t.asked == 4);
}

static void contacts_that_are_none(void **state)
{
    (void)state;
    const struct answer answers[] = { DIRECTORY, ACCOUNT };
    struct acme_wish wish = a_wish();
    wish.contact = SPAN("a\",\"mailto:b@c.example");
    assert_int_equal(obtain(answers, 2, wish), RC_INVALID);
    assert_int_equal(t.asked, 1);
}

static void short_waits_are_waited_for(void **state)
{
    (void)state;
    const struct answer answers[] = { DIRECTORY, PROBLEM(503, "Retry-After: 20\r\n", "busy"), ACCOUNT,
                                      PROBLEM(429, "Retry-After: 21\r\n", "rateLimited") };
    uint64_t began = pair_now_us;
    assert_int_equal(issue(answers, 4), RC_REFUSED);
    assert_int_equal(t.asked, 4);
    assert_in_range((pair_now_us - began) / 1000000, 20, 22);
    assert_int_equal(t.acme.retry_after_s, 21);
}

/* A server that keeps us busy does not keep us for ever. */
static void a_dialogue_ends(void **state)
{
    (void)state;
    const struct answer answers[] = { START, CHALLENGED, READY, { 200, "Retry-After: 100\r\n", "{\"status\":\"processing\"}" } };
    assert_int_equal(issue(answers, sizeof answers / sizeof answers[0]), RC_TIMEOUT);
    assert_non_null(strstr(t.acme.why, "the order is processing"));
    t.acme.end = deadline_in_ms(0);
    struct acme_renewal info;
    assert_int_equal(acme_account(&t.acme, SPAN(""), NULL, true), RC_TIMEOUT);
    assert_non_null(strstr(t.acme.why, "too long"));
    assert_int_equal(acme_renewal_info(&t.acme, SPAN("A.B"), &info), RC_UNSUPPORTED);
}

static void time_passes(void)
{
    pair_now_us += 100000;
}

static int setup(void **state)
{
    (void)state;
    task_set_poll(time_passes);
    return random_init() == RC_OK && tls_init() == RC_OK ? 0 : -1;
}

static void what_cannot_be_prepared_is_not_asked_for(void **state)
{
    (void)state;
    static const struct answer answers[] = { START, CHALLENGED, VALID };
    static const enum rc errors[] = { RC_NOT_FOUND, RC_FULL, RC_CANCELLED };
    for (unsigned i = 0; i < sizeof errors / sizeof errors[0]; i++) {
        prepared_rc = errors[i];
        assert_int_equal(issue(answers, sizeof answers / sizeof answers[0]), errors[i]);
        assert_int_equal(t.prepared, 1);
        assert_non_null(strstr(t.last_post, "z/1")); /* nothing after it */
    }
    prepared_rc = RC_OK;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_cannot_be_prepared_is_not_asked_for),
        cmocka_unit_test(a_good_server),
        cmocka_unit_test(servers_that_are_refused),
        cmocka_unit_test(nonces_are_asked_for_and_tried_again),
        cmocka_unit_test(sizes_are_bounded),
        cmocka_unit_test(id_of_a_certificate),
        cmocka_unit_test(what_a_server_suggests),
        cmocka_unit_test(what_an_order_does_without),
        cmocka_unit_test(orders_are_gone_on_with),
        cmocka_unit_test(contacts_that_are_none),
        cmocka_unit_test(short_waits_are_waited_for),
        cmocka_unit_test(a_dialogue_ends),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
