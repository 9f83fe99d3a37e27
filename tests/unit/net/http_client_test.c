/* net/http_client.c: whole exchanges as scripts, also with servers that mean harm. Each connection has a script of its own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "net/http_client.h"
#include "tests/support/script_stream.h"
#include "tests/support/tls_pair.h" /* the clock */

#define CONNECTIONS_MAX 8
#define ASK(host, path) "< GET " path " HTTP/1.1\n< Host: " host "\n< User-Agent: test\n< Accept-Encoding: identity\n< \n"
#define GET "< GET /x HTTP/1.1\n< Host: a.example\n< User-Agent: test\n< Accept-Encoding: identity\n< \n"
#define OK200 "> HTTP/1.1 200 OK\n"

static struct {
    const char *const *script; /* one a connection */
    unsigned count, opened;
    size_t chunk;
    struct stream stream;
    struct script_stream peer[CONNECTIONS_MAX];
    char asked[CONNECTIONS_MAX][URL_TEXT_MAX];
    struct http_client client;
    char body[512], seen[512];
    enum rc body_rc;
} t;

static enum rc connect_script(void *ctx, const struct url *to, struct strbuf *why)
{
    (void)ctx;
    if (t.opened == t.count) {
        strbuf_puts(why, "nobody is there");
        return RC_REFUSED;
    }
    struct strbuf asked = STRBUF(t.asked[t.opened]);
    strbuf_add(&asked, to->origin);
    script_stream_init(&t.stream, &t.peer[t.opened], t.script[t.opened], t.chunk);
    t.opened++;
    return RC_OK;
}

static void begin(const char *const *script, unsigned count, size_t chunk)
{
    memset(&t, 0, sizeof t);
    t.script = script;
    t.count = count;
    t.chunk = chunk;
    http_client_init(&t.client, &t.stream, connect_script, NULL, "test");
}

static void note_field(void *ctx, struct span name, struct span value)
{
    struct strbuf *b = ctx;
    strbuf_printf(b, "%.*s=%.*s;", (int)name.len, name.p, (int)value.len, value.p);
}

static enum rc ask_for(const char *url, enum http_method method)
{
    struct strbuf seen = STRBUF(t.seen), body = STRBUF(t.body);
    struct http_request r = { .method = method,
                              .url = span_of(url),
                              .redirects = HTTP_REDIRECTS_MAX,
                              .body = method == HTTP_POST ? SPAN("{}") : SPAN(""),
                              .body_max = 100,
                              .on_field = note_field,
                              .field_ctx = &seen };
    enum rc rc = http_request(&t.client, &r);
    t.body_rc = rc == RC_OK ? http_read_all(&t.client, &body) : rc;
    return rc;
}

static enum rc ask(const char *url)
{
    return ask_for(url, HTTP_GET);
}

static void scripts_were_followed(void)
{
    assert_int_equal(t.opened, t.count);
    for (unsigned i = 0; i < t.count; i++)
        assert_string_equal(script_stream_verdict(&t.peer[i]), "");
}

static const size_t chunks[] = { 1, 2, 3, 7, 0 };
#define EACH_CHUNK for (size_t k = 0; k < sizeof chunks / sizeof chunks[0]; k++)

static void a_get_with_a_length(void **state)
{
    (void)state;
    static const char *const script[] = { GET OK200
                                          "> Content-Length: 5\n> ETag: \"v1\"\n> Date: Sun, 06 Nov 1994 08:49:37 GMT\n> \n"
                                          ">_hello" };
    EACH_CHUNK
    {
        begin(script, 1, chunks[k]);
        assert_int_equal(ask("https://a.example/x"), RC_OK);
        assert_int_equal(t.body_rc, RC_OK);
        assert_string_equal(t.body, "hello");
        assert_int_equal(t.client.head.status, 200);
        assert_int_equal(t.client.head.date, 784111777);
        assert_non_null(strstr(t.seen, "ETag=\"v1\";"));
        assert_string_equal(t.asked[0], "https://a.example");
        http_client_close(&t.client);
        assert_true(t.peer[0].closed && !t.peer[0].aborted);
        scripts_were_followed();
    }
}

static void bodies_in_chunks(void **state)
{
    (void)state;
    static const char *const script[] = { GET OK200 "> Transfer-Encoding: chunked\n> \n> 5;a=b\n> hello\n> 00001\n> !\n> 0\n"
                                                    "> Trailer: x\n> \n" GET OK200 "> Content-Length: 2\n> \n>_ok" };
    EACH_CHUNK
    {
        begin(script, 1, chunks[k]);
        assert_int_equal(ask("https://a.example/x"), RC_OK);
        assert_int_equal(t.body_rc, RC_OK);
        assert_string_equal(t.body, "hello!");
        assert_int_equal(ask("https://a.example/x"), RC_OK);
        assert_string_equal(t.body, "ok");
        scripts_were_followed();
    }
}

static void bodies_up_to_the_end(void **state)
{
    (void)state;
    static const char *const script[] = { GET OK200 "> \n>_hello\nclose", GET OK200 "> \n>_hello\nreset" };
    EACH_CHUNK
    {
        begin(script, 2, chunks[k]);
        assert_int_equal(ask("https://a.example/x"), RC_OK);
        assert_int_equal(t.body_rc, RC_OK);
        assert_string_equal(t.body, "hello");
        assert_int_equal(ask("https://a.example/x"), RC_OK);
        assert_int_equal(t.body_rc, RC_RESET); /* an end without close_notify is no end */
        scripts_were_followed();
    }
}

static void interim_answers_are_passed_over(void **state)
{
    (void)state;
    static const char *const script[] = { GET "> HTTP/1.1 100 Continue\n> \n> HTTP/1.1 103 Hints\n> Link: </a>\n> \n" OK200
                                              "> Content-Length: 0\n> \n" };
    begin(script, 1, 0);
    assert_int_equal(ask("https://a.example/x"), RC_OK);
    assert_string_equal(t.seen, "Content-Length=0;");
    scripts_were_followed();
#define C "> HTTP/1.1 100 Continue\n> \n"
    static const char *const many[] = { GET C C C C C C C C };
    begin(many, 1, 0);
    assert_int_equal(ask("https://a.example/x"), RC_PROTOCOL);
    assert_int_equal(t.client.head.fault, HTTP_FAULT_UNASKED);
}

/* What ends the exchange, by name; the connection is never used again. */
static void answers_that_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *script;
        enum rc rc;
        enum http_fault fault;
    } cases[] = {
        { GET "close", RC_CLOSED, HTTP_FAULT_NONE },
        { GET "reset", RC_RESET, HTTP_FAULT_NONE },
        { GET "timeout", RC_TIMEOUT, HTTP_FAULT_NONE },
        { GET ">_HTTP/1.1 2\nclose", RC_CLOSED, HTTP_FAULT_TRUNCATED },
        { GET OK200 "> Content-Length: 5\nclose", RC_CLOSED, HTTP_FAULT_TRUNCATED },
        { GET OK200 "> Content-Length: 5\n> \n>_hell\nclose", RC_CLOSED, HTTP_FAULT_TRUNCATED },
        { GET OK200 "> Content-Length: 5\n> \n>_hell\nreset", RC_RESET, HTTP_FAULT_NONE },
        { GET OK200 "> Content-Length: 5\n> \n>_hell\ntimeout", RC_TIMEOUT, HTTP_FAULT_NONE },
        { GET OK200 "> Content-Length: 101\n> \n"
                    "> 34567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123",
          RC_TOO_LONG, HTTP_FAULT_BODY_TOO_LARGE },
        { GET OK200 "> \n> 34567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123",
          RC_TOO_LONG, HTTP_FAULT_BODY_TOO_LARGE },
        { GET "> 220 mail.example ESMTP", RC_PROTOCOL, HTTP_FAULT_STATUS_LINE },
        { GET ">_HTTP/1.1 200 OK\\n", RC_PROTOCOL, HTTP_FAULT_LINE_END },
        { GET OK200 "> Transfer-Encoding: chunked\n> \n> 5\n> hello\n> x", RC_PROTOCOL, HTTP_FAULT_CHUNK },
        { GET OK200 "> Transfer-Encoding: chunked\n> \n> 5\n> hello!\n> 0\n> \n", RC_PROTOCOL, HTTP_FAULT_CHUNK },
        { GET OK200 "> Transfer-Encoding: chunked\n> \n> fffffffffffffffff\n> x", RC_PROTOCOL, HTTP_FAULT_CHUNK },
        { GET OK200 "> Transfer-Encoding: chunked\n> \n> 5\n> hello\nclose", RC_CLOSED, HTTP_FAULT_TRUNCATED },
        { GET OK200 "> Transfer-Encoding: chunked\n> \n> 5\n> hello\n> 0\nclose", RC_CLOSED, HTTP_FAULT_TRUNCATED },
        { GET OK200 "> Transfer-Encoding: chunked\n> \n> 5\n>_he\nclose", RC_CLOSED, HTTP_FAULT_TRUNCATED },
    };
    EACH_CHUNK for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
    {
        begin(&cases[i].script, 1, chunks[k]);
        (void)ask("https://a.example/x");
        if (t.body_rc != cases[i].rc || t.client.head.fault != cases[i].fault || t.client.why[0] == '\0')
            fail_msg("case %zu: %s, %s", i, rc_name(t.body_rc), t.client.why);
        assert_true(t.peer[0].aborted && !t.client.open);
    }
}

static void a_kept_connection(void **state)
{
    (void)state;
    static const char *const script[] = { GET OK200 "> Content-Length: 2\n> \n>_ab\n" GET OK200
                                                    "> Content-Length: 2\n> Connection: close\n> \n>_cd",
                                          GET OK200 "> Content-Length: 2\n> \n>_ef\nclose",
                                          GET OK200 "> Content-Length: 2\n> \n>_gh",
                                          "< GET /x HTTP/1.1\n< Host: b.example:8443\n< User-Agent: test\n"
                                          "< Accept-Encoding: identity\n< \n> HTTP/1.1 404 no\n> Content-Length: 0\n> \n" };
    begin(script, 4, 0);
    for (unsigned i = 0; i < 4; i++) {
        static const char *const bodies[] = { "ab", "cd", "ef", "gh" };
        assert_int_equal(ask("https://a.example/x"), RC_OK);
        assert_string_equal(t.body, bodies[i]);
    }
    assert_int_equal(ask("https://b.example:8443/x"), RC_OK);
    assert_int_equal(t.client.head.status, 404);
    assert_string_equal(t.asked[3], "https://b.example:8443");
    assert_int_equal(t.opened, 4); /* the third one's end was seen before the next request was written to it */
}

/* The server ends a kept connection just as the next request goes out. */
static void a_connection_lost_while_idle(void **state)
{
    (void)state;
    static const char *const script[] = { GET OK200 "> Content-Length: 2\n> \n>_ab\n" GET "reset",
                                          GET OK200 "> Content-Length: 2\n> \n>_cd" };
    begin(script, 2, 0);
    assert_int_equal(ask("https://a.example/x"), RC_OK);
    assert_int_equal(ask("https://a.example/x"), RC_OK);
    assert_string_equal(t.body, "cd");
    scripts_were_followed();
    static const char *const post[] = { GET OK200
                                        "> Content-Length: 2\n> \n>_ab\n"
                                        "< POST /x HTTP/1.1\n< Host: a.example\n< User-Agent: test\n< Accept-Encoding: identity\n"
                                        "< Content-Length: 2\n< \n<_{}\nreset",
                                        "" };
    begin(post, 2, 0);
    assert_int_equal(ask("https://a.example/x"), RC_OK);
    assert_int_equal(ask_for("https://a.example/x", HTTP_POST), RC_RESET);
    assert_int_equal(t.opened, 1);
    static const char *const first[] = { GET "reset", "" };
    begin(first, 2, 0);
    assert_int_equal(ask("https://a.example/x"), RC_RESET); /* a fresh connection's failure is no reason to try again */
    assert_int_equal(t.opened, 1);
}

/* An answer that waits before the question was asked belongs to nobody: the connection that it came on is not used again. */
static void an_answer_before_the_question(void **state)
{
    (void)state;
    static const char *const script[] = { GET OK200 "> Content-Length: 2\n> \n>_ab\n>~HTTP/1.1 200 forged\\r\\n\n" GET OK200
                                                    "> Content-Length: 2\n> \n>_no",
                                          GET OK200 "> Content-Length: 2\n> \n>_cd" };
    begin(script, 2, 0);
    assert_int_equal(ask("https://a.example/x"), RC_OK);
    assert_int_equal(ask("https://a.example/x"), RC_OK);
    assert_string_equal(t.body, "cd");
    assert_int_equal(t.opened, 2);
}

#define MOVED(to) "> HTTP/1.1 302 Found\n> Location: " to "\n> Content-Length: 3\n> ETag: \"no\"\n> \n>_abc\n"

static void redirects_are_followed(void **state)
{
    (void)state;
    static const char *const script[] = { GET MOVED("/y") ASK("a.example", "/y") MOVED("z?1") ASK("a.example", "/z?1")
                                              MOVED("//b.example/w#frag"),
                                          ASK("b.example", "/w") OK200 "> Content-Length: 2\n> \n>_ok" };
    begin(script, 2, 0);
    assert_int_equal(ask("https://a.example/x"), RC_OK);
    assert_string_equal(t.body, "ok");
    assert_string_equal(t.seen, "Content-Length=2;"); /* those of the redirects are not the answer's */
    assert_string_equal(t.client.url, "https://b.example/w");
    assert_int_equal(t.client.redirected, 3);
    scripts_were_followed();
}

static void redirects_that_are_not(void **state)
{
    (void)state;
    static const struct {
        const char *script;
        enum http_fault fault;
    } cases[] = {
        { GET MOVED("/x"), HTTP_FAULT_REDIRECT_LOOP },
        { GET MOVED("/y") ASK("a.example", "/y") MOVED("https://a.example:443/x"), HTTP_FAULT_REDIRECT_LOOP },
        { GET MOVED("http://a.example/y"), HTTP_FAULT_INSECURE },
        { GET MOVED("ftp://a.example/y"), HTTP_FAULT_LOCATION },
        { GET MOVED("https://u@a.example/y"), HTTP_FAULT_LOCATION },
        { GET "> HTTP/1.1 302 Found\n> Content-Length: 0\n> \n", HTTP_FAULT_LOCATION },
        { GET "> HTTP/1.1 302 Found\n> Location: /y\n> Location: /z\n> Content-Length: 0\n> \n", HTTP_FAULT_LOCATION },
        { GET MOVED("/1") ASK("a.example", "/1") MOVED("/2") ASK("a.example", "/2") MOVED("/3") ASK("a.example", "/3") MOVED("/4")
              ASK("a.example", "/4") MOVED("/5") ASK("a.example", "/5") MOVED("/6"),
          HTTP_FAULT_REDIRECTS_MANY },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        begin(&cases[i].script, 1, 0);
        enum rc rc = ask("https://a.example/x");
        if ((rc == RC_OK) != (cases[i].fault == HTTP_FAULT_NONE) || t.client.head.fault != cases[i].fault)
            fail_msg("case %zu: %s, %s", i, rc_name(rc), t.client.why);
        scripts_were_followed();
    }
    static const char *const up[] = { GET MOVED("https://a.example/x"), GET OK200 "> Content-Length: 2\n> \n>_ok" };
    begin(up, 2, 0);
    assert_int_equal(ask("http://a.example/x"), RC_OK);
    scripts_were_followed();
}

static void a_post_is_never_redirected(void **state)
{
    (void)state;
    static const char *const script[] = { "< POST /x HTTP/1.1\n< Host: a.example\n< User-Agent: test\n< Accept-Encoding: identity\n"
                                          "< Content-Length: 2\n< \n<_{}\n" MOVED("/y") };
    begin(script, 1, 0);
    assert_int_equal(ask_for("https://a.example/x", HTTP_POST), RC_OK);
    assert_int_equal(t.client.head.status, 302);
    assert_non_null(strstr(t.seen, "Location=/y;"));
    scripts_were_followed();
}

static void a_head_has_no_body(void **state)
{
    (void)state;
    static const char *const script[] = {
        "< HEAD /x HTTP/1.1\n< Host: a.example\n< User-Agent: test\n< Accept-Encoding: identity\n< \n" OK200
        "> Content-Length: 500\n> \n" GET OK200 "> Content-Length: 2\n> \n>_ok"
    };
    begin(script, 1, 0);
    assert_int_equal(ask_for("https://a.example/x", HTTP_HEAD), RC_OK);
    assert_true(t.body_rc == RC_OK && t.body[0] == '\0' && t.client.head.length == 500);
    assert_int_equal(ask("https://a.example/x"), RC_OK);
    assert_string_equal(t.body, "ok");
    scripts_were_followed();
}

/* A short rest is read to keep the connection, a long one is not. */
static void unread_bodies(void **state)
{
    (void)state;
    struct http_request r = { .url = SPAN("https://a.example/x"), .body_max = 100000 };
    static const char *const short_rest[] = { GET OK200 "> Content-Length: 5\n> \n>_hello\n" GET OK200
                                                        "> Content-Length: 0\n> \n" };
    begin(short_rest, 1, 0);
    assert_int_equal(http_request(&t.client, &r), RC_OK);
    assert_int_equal(http_request(&t.client, &r), RC_OK);
    scripts_were_followed();
    static const char *const long_rest[] = { GET OK200 "> Content-Length: 99999\n> \n>_hello",
                                             GET OK200 "> Content-Length: 0\n> \n" };
    begin(long_rest, 2, 0);
    assert_int_equal(http_request(&t.client, &r), RC_OK);
    assert_int_equal(http_request(&t.client, &r), RC_OK);
    assert_true(t.peer[0].aborted);
    assert_int_equal(t.opened, 2);
}

/* A server that gives a byte now and then, for ever. */
static enum rc drip(void *ctx, void *buf, size_t cap, size_t *got, struct deadline d)
{
    static const char head[] = "HTTP/1.1 200 OK\r\nContent-Length: 99999\r\n\r\n";
    size_t *at = ctx;
    (void)d;
    (void)cap;
    *(char *)buf = *at < sizeof head - 1 ? head[*at] : 'x';
    *got = 1;
    if ((*at)++ >= sizeof head - 1)
        pair_now_us += 8000;
    return RC_OK;
}

static enum rc swallow(void *ctx, struct span data, struct deadline d)
{
    (void)ctx;
    (void)data;
    (void)d;
    return RC_OK;
}

static bool never_readable(void *ctx)
{
    (void)ctx;
    return false;
}

static void close_nothing(void *ctx, bool abort)
{
    (void)ctx;
    (void)abort;
}

static size_t dripped;

static enum rc connect_drip(void *ctx, const struct url *to, struct strbuf *why)
{
    static const struct stream_ops ops = { drip, swallow, never_readable, close_nothing };
    (void)ctx;
    (void)to;
    (void)why;
    dripped = 0;
    stream_init(&t.stream, &ops, &dripped);
    return RC_OK;
}

static void a_body_that_drips(void **state)
{
    (void)state;
    struct http_request r = { .url = SPAN("https://a.example/x"), .body_max = 100000 };
    uint8_t buf[100];
    size_t got;
    enum rc rc;
    http_client_init(&t.client, &t.stream, connect_drip, NULL, "test");
    pair_now_us = 0;
    assert_int_equal(http_request(&t.client, &r), RC_OK);
    while ((rc = http_read(&t.client, buf, sizeof buf, &got)) == RC_OK)
        assert_true(got > 0 && dripped < 10000);
    assert_int_equal(rc, RC_TOO_SLOW);
    assert_in_range(pair_now_us / 1000, HTTP_PATIENCE_MS, HTTP_PATIENCE_MS + 100);
    assert_false(t.client.open);
}

static void requests_that_are_not_sound(void **state)
{
    (void)state;
    static const char *const none[] = { "" };
    begin(none, 1, 0);
    struct http_field f = { "If-None-Match", SPAN("a\r\nX: y") };
    struct http_request r = { .url = SPAN("https://a.example/x"), .field = &f, .fields = 1 };
    assert_int_equal(http_request(&t.client, &r), RC_INVALID);
    f = (struct http_field){ "Bad name", SPAN("a") };
    assert_int_equal(http_request(&t.client, &r), RC_INVALID);
    r = (struct http_request){ .url = SPAN("https://a.example/x y") };
    assert_int_equal(http_request(&t.client, &r), RC_INVALID);
    r = (struct http_request){ .url = SPAN("https://a.example") };
    assert_int_equal(http_request(&t.client, &r), RC_INVALID);
    r = (struct http_request){ .url = SPAN("https://a.example/"), .body = SPAN("x") };
    assert_int_equal(http_request(&t.client, &r), RC_INVALID);
    assert_int_equal(t.opened, 0);
    begin(none, 0, 0);
    assert_int_equal(ask("https://a.example/x"), RC_REFUSED);
    assert_string_equal(t.client.why, "nobody is there");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_get_with_a_length),
        cmocka_unit_test(bodies_in_chunks),
        cmocka_unit_test(bodies_up_to_the_end),
        cmocka_unit_test(interim_answers_are_passed_over),
        cmocka_unit_test(answers_that_are_refused),
        cmocka_unit_test(a_kept_connection),
        cmocka_unit_test(a_connection_lost_while_idle),
        cmocka_unit_test(an_answer_before_the_question),
        cmocka_unit_test(redirects_are_followed),
        cmocka_unit_test(redirects_that_are_not),
        cmocka_unit_test(a_post_is_never_redirected),
        cmocka_unit_test(a_head_has_no_body),
        cmocka_unit_test(unread_bodies),
        cmocka_unit_test(a_body_that_drips),
        cmocka_unit_test(requests_that_are_not_sound),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
