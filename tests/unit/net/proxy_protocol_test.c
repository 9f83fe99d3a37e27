/* The PROXY protocol, version 2: each kind of header, what is wrong with some, and what we write. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "net/memory_stream.h"
#include "net/proxy_protocol.h"

#define SIG "\r\n\r\n\0\r\nQUIT\n"
#define TCP4 SIG "\x21\x11\0\x0c\xc0\0\x02\x07\xc6\x33\x64\x01\x30\x39\0\x19"
#define V6_A "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01"
#define V6_B "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x02"
#define MAPPED "\0\0\0\0\0\0\0\0\0\0\xff\xff\xc0\0\x02\x07"

static const struct deadline never = { UINT64_MAX };
static struct stream s;
static struct memory_stream m;

static struct ip_endpoint endpoint(const char *text)
{
    struct ip_endpoint e;
    assert_int_equal(ip_endpoint_parse(span_of(text), 0, &e), RC_OK);
    return e;
}

static enum rc read_header(struct span input, size_t chunk)
{
    memory_stream_init(&s, &m, input, NULL);
    m.chunk = chunk;
    s.peer = endpoint("10.0.0.9:40000");
    s.local = endpoint("10.0.0.1:25");
    return proxy_header_read(&s, never);
}

static void assert_ends(const char *peer, const char *local)
{
    char memory[IP_ENDPOINT_TEXT_MAX];
    struct strbuf text = STRBUF(memory);
    ip_endpoint_format(&text, &s.peer);
    assert_string_equal(memory, peer);
    strbuf_clear(&text);
    ip_endpoint_format(&text, &s.local);
    assert_string_equal(memory, local);
}

/* What follows the header stays where it was: nothing is read ahead of a TLS handshake. */
static void assert_rest(const char *rest)
{
    assert_int_equal(stream_peek(&s).len, 0);
    assert_int_equal(m.input.len - m.pos, strlen(rest));
    assert_memory_equal(m.input.p + m.pos, rest, strlen(rest));
}

static void headers_name_the_client(void **state)
{
    (void)state;
    for (size_t chunk = 0; chunk < 30; chunk++) {
        assert_int_equal(read_header(SPAN(TCP4 "EHLO x\r\n"), chunk), RC_OK);
        assert_ends("192.0.2.7:12345", "198.51.100.1:25");
        assert_rest("EHLO x\r\n");
    }
    assert_int_equal(read_header(SPAN(SIG "\x21\x21\0\x24" V6_A V6_B "\x30\x39\x02\x4b"), 0), RC_OK);
    assert_ends("[2001:db8::1]:12345", "[2001:db8::2]:587");
    assert_int_equal(read_header(SPAN(SIG "\x21\x21\0\x24" MAPPED V6_B "\x30\x39\x02\x4b"), 0), RC_OK);
    assert_ends("192.0.2.7:12345", "[2001:db8::2]:587");
}

static void extensions_are_read_and_dropped(void **state)
{
    (void)state;
    assert_int_equal(read_header(SPAN(SIG "\x21\x11\0\x11\xc0\0\x02\x07\xc6\x33\x64\x01\x30\x39\0\x19\x04\0\x02zzrest"), 3), RC_OK);
    assert_ends("192.0.2.7:12345", "198.51.100.1:25");
    assert_rest("rest");
}

static void local_and_unknown_families_keep_the_balancers_address(void **state)
{
    (void)state;
    assert_int_equal(read_header(SPAN(SIG "\x20\0\0\0rest"), 0), RC_OK);
    assert_ends("10.0.0.9:40000", "10.0.0.1:25");
    assert_rest("rest");
    assert_int_equal(read_header(SPAN(SIG "\x20\x11\0\x0c\xc0\0\x02\x07\xc6\x33\x64\x01\x30\x39\0\x19rest"), 0), RC_OK);
    assert_ends("10.0.0.9:40000", "10.0.0.1:25");
    assert_rest("rest");
    assert_int_equal(read_header(SPAN(SIG "\x21\x31\0\x03xyzrest"), 0), RC_OK);
    assert_ends("10.0.0.9:40000", "10.0.0.1:25");
    assert_rest("rest");
}

static void what_is_no_header_is_refused(void **state)
{
    (void)state;
    assert_int_equal(read_header(SPAN("EHLO client.example\r\n"), 0), RC_PROTOCOL);
    assert_int_equal(read_header(SPAN("PROXY TCP4 192.0.2.7 198.51.100.1 1 25\r\n"), 0), RC_PROTOCOL);
    assert_int_equal(read_header(SPAN("\r\n\r\n\0\r\nQUIT\r\x21\x11\0\x0c\xc0\0\x02\x07\xc6\x33\x64\x01\x30\x39\0\x19"), 0),
                     RC_PROTOCOL);
    assert_int_equal(read_header(SPAN(SIG "\x11\x11\0\x0c\xc0\0\x02\x07\xc6\x33\x64\x01\x30\x39\0\x19"), 0), RC_PROTOCOL);
    assert_int_equal(read_header(SPAN(SIG "\x22\x11\0\x0c\xc0\0\x02\x07\xc6\x33\x64\x01\x30\x39\0\x19"), 0), RC_PROTOCOL);
    assert_int_equal(read_header(SPAN(SIG "\x21\x11\0\x0b\xc0\0\x02\x07\xc6\x33\x64\x01\x30\x39\0"), 0), RC_PROTOCOL);
    assert_int_equal(read_header(SPAN(SIG "\x21\x21\0\x0c\xc0\0\x02\x07\xc6\x33\x64\x01\x30\x39\0\x19"), 0), RC_PROTOCOL);
    assert_int_equal(read_header(SPAN(SIG "\x21\x11\x08\x01"), 0), RC_TOO_LONG);
}

static void a_header_that_is_cut_is_never_half_believed(void **state)
{
    (void)state;
    const struct span whole = SPAN(TCP4);
    for (size_t len = 0; len < whole.len; len++) {
        assert_int_equal(read_header(span_sub(whole, 0, len), 0), RC_CLOSED);
        assert_ends("10.0.0.9:40000", "10.0.0.1:25");
    }
}

static void what_we_write_is_what_we_read(void **state)
{
    (void)state;
    static const char *const pairs[][2] = {
        { "192.0.2.7:12345", "198.51.100.1:25" },
        { "[2001:db8::1]:12345", "[2001:db8::2]:587" },
        { "192.0.2.7:12345", "[2001:db8::2]:587" },
        { "[2001:db8::1]:12345", "198.51.100.1:25" },
    };
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
        char memory[128];
        struct strbuf written = STRBUF(memory);
        struct ip_endpoint client = endpoint(pairs[i][0]);
        memory_stream_init(&s, &m, SPAN(""), &written);
        s.peer = endpoint(pairs[i][1]);
        assert_int_equal(proxy_header_write(&s, &client, never), RC_OK);
        assert_int_equal(stream_flush(&s, never), RC_OK);
        assert_int_equal(written.len, i == 0 ? 28 : 52);
        assert_int_equal(read_header(strbuf_span(&written), 0), RC_OK);
        assert_ends(pairs[i][0], pairs[i][1]);
    }
}

static void nobody_is_local(void **state)
{
    (void)state;
    static const struct ip_endpoint nobody;
    char memory[128];
    struct strbuf written = STRBUF(memory);
    memory_stream_init(&s, &m, SPAN(""), &written);
    s.peer = endpoint("198.51.100.1:25");
    assert_int_equal(proxy_header_write(&s, &nobody, never), RC_OK);
    assert_int_equal(stream_flush(&s, never), RC_OK);
    assert_int_equal(written.len, 16);
    assert_memory_equal(memory, SIG "\x20\0\0\0", 16);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(headers_name_the_client),
        cmocka_unit_test(extensions_are_read_and_dropped),
        cmocka_unit_test(local_and_unknown_families_keep_the_balancers_address),
        cmocka_unit_test(what_is_no_header_is_refused),
        cmocka_unit_test(a_header_that_is_cut_is_never_half_believed),
        cmocka_unit_test(what_we_write_is_what_we_read),
        cmocka_unit_test(nobody_is_local),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
