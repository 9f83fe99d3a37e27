/* Heads as clients send them, as proxies do, and as nobody should. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "hal/base/strbuf.h"
#include "net/http_request_head.h"

static char kept[9000];

/* Looked at in memory of its own size, so that the sanitizer sees each byte beyond; views then lie in kept. */
static enum rc look(struct span bytes, struct http_request_head *h)
{
    assert_true(bytes.len <= sizeof kept);
    char *copy = malloc(bytes.len ? bytes.len : 1);
    if (bytes.len)
        memcpy(copy, bytes.p, bytes.len);
    enum rc rc = http_request_head_look(span_bytes(copy, bytes.len), h);
    free(copy);
    memcpy(kept, bytes.p, bytes.len);
    enum rc again = http_request_head_look(span_bytes(kept, bytes.len), h);
    assert_int_equal(again, rc);
    return rc;
}

static void expect(const char *text, const char *method, const char *target, const char *host)
{
    struct http_request_head h;
    assert_int_equal(look(span_of(text), &h), RC_OK);
    assert_true(span_is(h.method, method));
    assert_true(span_is(h.target, target));
    assert_true(span_is(h.host, host));
    assert_int_equal(h.bytes, strlen(text));
}

static void refused(struct span bytes, unsigned status)
{
    struct http_request_head h;
    assert_int_equal(look(bytes, &h), RC_PROTOCOL);
    assert_int_equal(h.status, status);
    assert_true(strlen(h.why) > 10);
}

static void heads_that_are_understood(void **state)
{
    (void)state;
    expect("GET / HTTP/1.1\r\nHost: mail.office.example\r\n\r\n", "GET", "/", "mail.office.example");
    expect("HEAD /a/b?c=%20d#e HTTP/1.0\r\nhost:Mail.Office.Example.:80\r\n\r\n", "HEAD", "/a/b?c=%20d#e", "Mail.Office.Example");
    expect("POST /x HTTP/1.7\r\nA: \xc3\xbc\tb\r\nHOST: \t192.0.2.1:8080 \r\nContent-Length: 9\r\n\r\n", "POST", "/x", "192.0.2.1");
    expect("GET / HTTP/1.1\r\nHost: [2001:db8::1]\r\n\r\n", "GET", "/", "2001:db8::1");
    expect("GET / HTTP/1.1\r\nHost: [2001:db8::1]:80\r\n\r\n", "GET", "/", "2001:db8::1");
    expect("GET / HTTP/1.1\r\nHost: a.example:\r\n\r\n", "GET", "/", "a.example");
}

static void an_absolute_target_says_the_host(void **state)
{
    (void)state;
    expect("GET http://a.example/x HTTP/1.1\r\nHost: b.example\r\n\r\n", "GET", "/x", "a.example");
    expect("GET HTTP://a.example:80 HTTP/1.1\r\nHost: b.example\r\n\r\n", "GET", "/", "a.example");
    refused(SPAN("GET http://a.example/x HTTP/1.1\r\n\r\n"), 400);
    refused(SPAN("GET http:///x HTTP/1.1\r\nHost: b.example\r\n\r\n"), 400);
    refused(SPAN("GET http://u@a.example/x HTTP/1.1\r\nHost: b.example\r\n\r\n"), 400);
    refused(SPAN("GET https://a.example/x HTTP/1.1\r\nHost: a.example\r\n\r\n"), 400);
}

static void only_the_head_is_taken(void **state)
{
    (void)state;
    struct http_request_head h;
    struct span two = SPAN("GET /1 HTTP/1.1\r\nHost: a.example\r\n\r\nGET /2 HTTP/1.1\r\nHost: b.example\r\n\r\n");
    assert_int_equal(look(two, &h), RC_OK);
    assert_int_equal(h.bytes, two.len / 2);
    assert_true(span_is(h.target, "/1"));
}

static void every_beginning_wants_more(void **state)
{
    (void)state;
    struct http_request_head h;
    struct span whole = SPAN("GET http://c.example/x HTTP/1.1\r\nA: b\r\nHost: a.example\r\nB: c\r\n\r\n");
    for (size_t n = 0; n < whole.len; n++)
        assert_int_equal(look(span_sub(whole, 0, n), &h), RC_NOT_FOUND);
    assert_int_equal(look(whole, &h), RC_OK);
}

#define HOST "\r\nHost: a.example\r\n\r\n"

static void request_lines_that_are_none(void **state)
{
    (void)state;
    static const struct span bad[] = {
        SPAN("GET /" HOST),
        SPAN("GET" HOST),
        SPAN("\r\nGET / HTTP/1.1" HOST),
        SPAN("GET  HTTP/1.1" HOST),
        SPAN("GET /  HTTP/1.1" HOST),
        SPAN("GET / HTTP/1.1 " HOST),
        SPAN(" GET / HTTP/1.1" HOST),
        SPAN("GET /a b HTTP/1.1" HOST),
        SPAN("GET /a\tb HTTP/1.1" HOST),
        SPAN("GET /\xc3\xbc HTTP/1.1" HOST),
        SPAN("GET a HTTP/1.1" HOST),
        SPAN("OPTIONS * HTTP/1.1" HOST),
        SPAN("CONNECT a.example:443 HTTP/1.1" HOST),
        SPAN("G\"T / HTTP/1.1" HOST),
        SPAN("GET / HTTP/1" HOST),
        SPAN("GET / HTTP/1.10" HOST),
        SPAN("GET / http/1.1" HOST),
        SPAN("GET / HTTP/x.1" HOST),
    };
    for (unsigned i = 0; i < sizeof bad / sizeof bad[0]; i++)
        refused(bad[i], 400);
    refused(SPAN("GET / HTTP/2.0" HOST), 505);
    refused(SPAN("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), 505);
}

static void lines_that_two_could_read_differently(void **state)
{
    (void)state;
    refused(SPAN("GET / HTTP/1.1\nHost: a.example\n\n"), 400);
    refused(SPAN("GET / HTTP/1.1\r\nHost: a.example\n\r\n"), 400);
    refused(SPAN("GET / HTTP/1.1\r\nA: b\rHost: a.example\r\n\r\n"), 400);
    refused(SPAN("GET / HTTP/1.1\r\nA: b\r\n c" HOST), 400);
    refused(SPAN("GET / HTTP/1.1\r\nA : b" HOST), 400);
    refused(SPAN("GET / HTTP/1.1\r\nA" HOST), 400);
    refused(SPAN("GET / HTTP/1.1\r\n: b" HOST), 400);
    refused(SPAN("GET / HTTP/1.1\r\nA: \x00" HOST), 400);
    refused(SPAN("GET / HTTP/1.1\r\nA: \x7f" HOST), 400);
    refused(SPAN("GET / HTTP/1.1\r\nHost: a.example" HOST), 400);
    refused(SPAN("GET / HTTP/1.1\r\nA: b\r\n\r\n"), 400);
    refused(SPAN("GET / HTTP/1.0\r\n\r\n"), 400);
}

static void what_is_no_text_is_told_at_once(void **state)
{
    (void)state;
    refused(SPAN("\x16\x03\x01"), 400);
    refused(SPAN("GE\x00"), 400);
}

static void hosts_that_are_none(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",           " ",          "a b",      "a.example:x", "a.example:65536", "a.example:80:80", "a.example/x", "u@a.example",
        "-a.example", "a..b",       ".",        "1.2.3",       "1.2.3.4.5",       "[1.2.3.4]",       "[::1",        "[::1]x",
        "::1",        "a\texample", "\xc3\xbc", "a_b.example", "a.example,b",     "a.example\"",     "<a>",         "a.example..",
    };
    for (unsigned i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        char text[200];
        struct strbuf b = STRBUF(text);
        strbuf_printf(&b, "GET / HTTP/1.1\r\nHost: %s\r\n\r\n", bad[i]);
        refused(strbuf_span(&b), 400);
    }
}

static void too_many_lines(void **state)
{
    (void)state;
    char text[2000];
    struct http_request_head h;
    struct strbuf b = STRBUF(text);
    strbuf_puts(&b, "GET / HTTP/1.1\r\nHost: a.example\r\n");
    for (unsigned i = 1; i < HTTP_REQUEST_FIELDS_MAX; i++)
        strbuf_puts(&b, "A: b\r\n");
    size_t most = b.len;
    strbuf_puts(&b, "\r\n");
    assert_int_equal(look(strbuf_span(&b), &h), RC_OK);
    strbuf_truncate(&b, most);
    strbuf_puts(&b, "A: b\r\n");
    refused(strbuf_span(&b), 431);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(heads_that_are_understood),
        cmocka_unit_test(an_absolute_target_says_the_host),
        cmocka_unit_test(only_the_head_is_taken),
        cmocka_unit_test(every_beginning_wants_more),
        cmocka_unit_test(request_lines_that_are_none),
        cmocka_unit_test(lines_that_two_could_read_differently),
        cmocka_unit_test(what_is_no_text_is_told_at_once),
        cmocka_unit_test(hosts_that_are_none),
        cmocka_unit_test(too_many_lines),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
