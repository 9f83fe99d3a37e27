#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "hal/base/ipaddr.h"

static const char *formatted(const struct ip_addr_any *a)
{
    static char memory[IP_TEXT_MAX];
    struct strbuf text = STRBUF(memory);
    ip_format(&text, a);
    assert_false(text.overflow);
    return memory;
}

static void addresses_parse_and_format(void **state)
{
    (void)state;
    static const char *const golden[][2] = {
        { "0.0.0.0", "0.0.0.0" },
        { "255.255.255.255", "255.255.255.255" },
        { "::", "::" },
        { "::1", "::1" },
        { "1::", "1::" },
        { "2001:DB8:0:0:8:800:200C:417A", "2001:db8::8:800:200c:417a" },
        { "2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1" },
        { "2001:0:0:1:0:0:0:1", "2001:0:0:1::1" },
        { "2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1" },
        { "1:2:3:4:5:6:7::", "1:2:3:4:5:6:7:0" },
        { "::2:3:4:5:6:7:8", "0:2:3:4:5:6:7:8" },
        { "::ffff:192.0.2.1", "::ffff:192.0.2.1" },
        { "::FFFF:c000:0201", "::ffff:192.0.2.1" },
        { "64:ff9b::192.0.2.33", "64:ff9b::c000:221" },
        { "1:2:3:4:5:6:7.8.9.10", "1:2:3:4:5:6:708:90a" },
        { "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff" },
    };
    for (size_t i = 0; i < sizeof golden / sizeof *golden; i++) {
        struct ip_addr_any a;
        assert_int_equal(ip_parse(span_of(golden[i][0]), &a), RC_OK);
        assert_string_equal(formatted(&a), golden[i][1]);
    }
}

static void nonsense_is_no_address(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "1.2.3",
        "1.2.3.4.5",
        "1.2.3.256",
        "01.2.3.4",
        "1.2.3.4 ",
        " 1.2.3.4",
        "1..2.3",
        "1.2.3.",
        "+1.2.3.4",
        "0x1.2.3.4",
        "4294967297.1.1.1",
        ":",
        ":::",
        "1::2::3",
        "1:2:3",
        "::12345",
        "1:2:3:4:5:6:7:8:9",
        "1:2:3:4:5:6:7:8::",
        "::1:2:3:4:5:6:7:8",
        ":1:2:3:4:5:6:7",
        "1:2:3:4:5:6:7:",
        "g::",
        "::1%eth0",
        "1.2.3.4::",
        "::1.2.3",
        "::1.2.3.4:5",
        "1:2:3:4:5:6:7:1.2.3.4",
        "[::1]",
        "::1/64",
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct ip_addr_any a = { IP_V4, { 9 } };
        assert_int_equal(ip_parse(span_of(bad[i]), &a), RC_INVALID);
        assert_int_equal(a.b[0], 9);
    }
    struct ip_addr_any a;
    assert_int_equal(ip_parse(SPAN("1.2.3.4\0"), &a), RC_INVALID);
}

static void networks_parse(void **state)
{
    (void)state;
    struct ip_net net;
    assert_int_equal(ip_net_parse(SPAN("10.0.0.5/24"), &net), RC_OK);
    assert_string_equal(formatted(&net.addr), "10.0.0.5");
    assert_int_equal(net.prefix_bits, 24);
    assert_int_equal(ip_net_parse(SPAN("10.0.0.5"), &net), RC_OK);
    assert_int_equal(net.prefix_bits, 32);
    assert_int_equal(ip_net_parse(SPAN("::1"), &net), RC_OK);
    assert_int_equal(net.prefix_bits, 128);
    assert_int_equal(ip_net_parse(SPAN("0.0.0.0/0"), &net), RC_OK);
    assert_int_equal(net.prefix_bits, 0);
    static const char *const bad[] = { "10.0.0.0/33", "::/129", "10.0.0.0/", "10.0.0.0/08", "10.0.0.0/-1", "/8", "10.0.0/8" };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(ip_net_parse(span_of(bad[i]), &net), RC_INVALID);
}

static bool contains(const char *network, const char *address)
{
    struct ip_net net;
    struct ip_addr_any a;
    assert_int_equal(ip_net_parse(span_of(network), &net), RC_OK);
    assert_int_equal(ip_parse(span_of(address), &a), RC_OK);
    return ip_net_contains(&net, &a);
}

static void networks_contain(void **state)
{
    (void)state;
    assert_true(contains("10.0.0.5/24", "10.0.0.255"));
    assert_false(contains("10.0.0.5/24", "10.0.1.0"));
    assert_true(contains("10.0.0.128/25", "10.0.0.128"));
    assert_false(contains("10.0.0.128/25", "10.0.0.127"));
    assert_true(contains("192.0.2.7", "192.0.2.7"));
    assert_false(contains("192.0.2.7", "192.0.2.6"));
    assert_true(contains("0.0.0.0/0", "1.2.3.4"));
    assert_true(contains("10.0.0.0/8", "::ffff:10.9.8.7"));
    assert_true(contains("::ffff:10.0.0.0/104", "10.9.8.7"));
    assert_true(contains("2001:db8::/33", "2001:db8:7fff::1"));
    assert_false(contains("2001:db8::/33", "2001:db8:8000::1"));
    assert_true(contains("::/0", "2001:db8::1"));
    /* A network of one family says nothing about the other. */
    assert_false(contains("::/0", "1.2.3.4"));
    assert_false(contains("::/0", "::ffff:1.2.3.4"));
    assert_false(contains("0.0.0.0/0", "::1"));
}

static void endpoints_parse_and_format(void **state)
{
    (void)state;
    static const char *const golden[][2] = {
        { "192.0.2.1", "192.0.2.1:53" },         { "192.0.2.1:5353", "192.0.2.1:5353" }, { "2001:db8::1", "[2001:db8::1]:53" },
        { "[2001:db8::1]", "[2001:db8::1]:53" }, { "[::1]:65535", "[::1]:65535" },       { "::", "[::]:53" },
    };
    static const char *const bad[] = { "",     "192.0.2.1:", "192.0.2.1:0", "192.0.2.1:65536", "[::1]:",  "[::1",
                                       "::1]", "[::1]53",    "[1.2.3.4]:5", "[1.2.3.4]",       "host:25", "1.2.3.4:5:6",
                                       "[]:5", "[",          "]:5" };
    for (size_t i = 0; i < sizeof golden / sizeof *golden; i++) {
        char memory[IP_ENDPOINT_TEXT_MAX];
        struct strbuf text = STRBUF(memory);
        struct ip_endpoint e;
        assert_int_equal(ip_endpoint_parse(span_of(golden[i][0]), 53, &e), RC_OK);
        ip_endpoint_format(&text, &e);
        assert_string_equal(memory, golden[i][1]);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct ip_endpoint e;
        assert_int_equal(ip_endpoint_parse(span_of(bad[i]), 53, &e), RC_INVALID);
    }
}

static void the_longest_texts_fit(void **state)
{
    (void)state;
    struct ip_endpoint e = { { IP_V6, { 0 } }, 65535 };
    memset(e.addr.b, 0xff, 16);
    char memory[IP_ENDPOINT_TEXT_MAX];
    struct strbuf text = STRBUF(memory);
    ip_endpoint_format(&text, &e);
    assert_false(text.overflow);
    assert_string_equal(memory, "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535");
}

static void loopback_and_equality(void **state)
{
    (void)state;
    struct ip_addr_any a = ip_v4(127, 9, 9, 9), b = ip_v4(127, 9, 9, 9), six;
    assert_true(ip_is_loopback(&a));
    assert_true(ip_eq(&a, &b));
    b.b[3] = 1;
    assert_false(ip_eq(&a, &b));
    b.b[3] = 9;
    b.b[4] = 77; /* beyond an IPv4 address: not looked at */
    assert_true(ip_eq(&a, &b));
    assert_int_equal(ip_parse(SPAN("::1"), &six), RC_OK);
    assert_true(ip_is_loopback(&six));
    assert_false(ip_eq(&a, &six));
    assert_int_equal(ip_parse(SPAN("::ffff:127.0.0.1"), &six), RC_OK);
    assert_true(ip_is_loopback(&six));
    a = ip_v4(128, 0, 0, 1);
    assert_false(ip_is_loopback(&a));
}

static void reverse_names(void **state)
{
    (void)state;
    char memory[80];
    struct strbuf text = STRBUF(memory);
    struct ip_addr_any a = ip_v4(192, 0, 2, 10);
    ip_reverse_name(&text, &a);
    assert_string_equal(memory, "10.2.0.192.in-addr.arpa");
    strbuf_clear(&text);
    assert_int_equal(ip_parse(SPAN("2001:db8::567:89ab"), &a), RC_OK);
    ip_reverse_name(&text, &a);
    assert_string_equal(memory, "b.a.9.8.7.6.5.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa");
}

static void literals(void **state)
{
    (void)state;
    static const char *const bad[] = { "",
                                       "[",
                                       "[]",
                                       "]",
                                       "[192.0.2.1",
                                       "192.0.2.1]",
                                       "192.0.2.1",
                                       "[[192.0.2.1]]",
                                       "[IPv6:",
                                       "[IPv6:]",
                                       "[2001:db8::1]",
                                       "[IPv6:192.0.2.1]",
                                       "[192.0.2.1]." };
    char memory[IP_TEXT_MAX + 8];
    struct strbuf text = STRBUF(memory);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(ip_literal_canonical(span_of(bad[i]), &text), RC_INVALID);
    assert_string_equal(memory, "");
    assert_int_equal(ip_literal_canonical(SPAN("[192.0.2.1]"), &text), RC_OK);
    assert_string_equal(memory, "[192.0.2.1]");
    strbuf_clear(&text);
    assert_int_equal(ip_literal_canonical(SPAN("[ipv6:2001:DB8::01]"), &text), RC_OK);
    assert_string_equal(memory, "[IPv6:2001:db8::1]");
}

static void one_source(void **state)
{
    (void)state;
    static const struct {
        const char *a, *b;
        bool same;
    } cases[] = {
        { "192.0.2.1", "192.0.2.1", true },
        { "192.0.2.1", "192.0.2.2", false },
        { "2001:db8:0:1::1", "2001:db8:0:1:ffff:ffff:ffff:ffff", true },
        { "2001:db8:0:1::1", "2001:db8:0:2::1", false },
        { "192.0.2.1", "c000:201::", false },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct ip_addr_any a, b;
        assert_int_equal(ip_parse(span_of(cases[i].a), &a), RC_OK);
        assert_int_equal(ip_parse(span_of(cases[i].b), &b), RC_OK);
        assert_int_equal(ip_same_source(&a, &b), cases[i].same);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses_parse_and_format),
        cmocka_unit_test(nonsense_is_no_address),
        cmocka_unit_test(networks_parse),
        cmocka_unit_test(networks_contain),
        cmocka_unit_test(endpoints_parse_and_format),
        cmocka_unit_test(the_longest_texts_fit),
        cmocka_unit_test(loopback_and_equality),
        cmocka_unit_test(reverse_names),
        cmocka_unit_test(literals),
        cmocka_unit_test(one_source),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
