/* net/url.c: what is a URL of ours, its canonical form, and what a Location leads to. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "net/url.h"

static void canonical_forms(void **state)
{
    (void)state;
    static const char *const good[][2] = {
        { "https://lists.example/list.bin", "https://lists.example/list.bin" },
        { "HTTPS://Lists.Example:443", "https://lists.example/" },
        { "http://a.example:80/", "http://a.example/" },
        { "http://a.example:443/", "http://a.example:443/" },
        { "https://a.example:8443/x?y=1&z=/?", "https://a.example:8443/x?y=1&z=/?" },
        { "https://a.example?q", "https://a.example/?q" },
        { "https://192.0.2.7:14000/dir", "https://192.0.2.7:14000/dir" },
        { "https://[2001:DB8::0:7]/a", "https://[2001:db8::7]/a" },
        { "https://[2001:db8::7]:444/a", "https://[2001:db8::7]:444/a" },
        { "https://b\xc3\xbc"
          "cher.example/%7e",
          "https://xn--bcher-kva.example/%7e" },
        { "https://a.example/a/../b", "https://a.example/a/../b" },
    };
    char memory[URL_TEXT_MAX];
    struct strbuf out = STRBUF(memory);
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        assert_int_equal(url_canonical(span_of(good[i][0]), &out), RC_OK);
        assert_string_equal(memory, good[i][1]);
    }
}

static void what_is_refused(void **state)
{
    (void)state;
    static const struct span bad[] = {
        SPAN(""),
        SPAN("https://"),
        SPAN("https:///x"),
        SPAN("ftp://a.example/"),
        SPAN("https:/a.example/"),
        SPAN("//a.example/"),
        SPAN("https://user@a.example/"),
        SPAN("https://user:pw@a.example/"),
        SPAN("https://a.example:0/"),
        SPAN("https://a.example:65536/"),
        SPAN("https://a.example:/"),
        SPAN("https://a.example:+1/"),
        SPAN("https://a.example:00443/x y"),
        SPAN("https://a.example/\r\nX: y"),
        SPAN("https://a.example/\0"),
        SPAN("https://a.example/\x7f"),
        SPAN("https://a.example/\xc3\xbc"),
        SPAN("https://a.example/a\\b"),
        SPAN("https://a.example/\"<>"),
        SPAN("https://a.example/%"),
        SPAN("https://a.example/%4"),
        SPAN("https://a.example/%zz"),
        SPAN("https://a.example/#f"),
        SPAN("https://a..example/"),
        SPAN("https://-a.example/"),
        SPAN("https://a_b.example/"),
        SPAN("https://1.2.3/"),
        SPAN("https://01.2.3.4/"),
        SPAN("https://2001:db8::7/"),
        SPAN("https://[2001:db8::7/"),
        SPAN("https://[2001:db8::7]x/"),
        SPAN("https://[192.0.2.7]/"),
        SPAN("https://[a.example]/"),
        SPAN("https://[]/"),
    };
    char memory[URL_TEXT_MAX];
    struct strbuf out = STRBUF(memory);
    struct url u;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        if (url_canonical(bad[i], &out) != RC_INVALID)
            fail_msg("taken: %.*s", (int)bad[i].len, bad[i].p);
        assert_int_equal(out.len, 0);
        assert_int_equal(url_parse(bad[i], &u), RC_INVALID);
        assert_int_equal(u.origin.len + u.target.len + u.host.len, 0);
    }
}

static void length_is_bounded(void **state)
{
    (void)state;
    char text[URL_MAX + 2], memory[URL_TEXT_MAX], small[20];
    struct strbuf out = STRBUF(memory), little = STRBUF(small);
    memset(text, 'a', sizeof text);
    memcpy(text, "https://a.example/", 18);
    assert_int_equal(url_canonical(span_bytes(text, URL_MAX), &out), RC_OK);
    assert_int_equal(url_canonical(span_bytes(text, URL_MAX + 1), &out), RC_TOO_LONG);
    assert_int_equal(out.len, 0);
    assert_int_equal(url_canonical(span_bytes(text, 40), &little), RC_TOO_LONG);
    assert_int_equal(little.len, 0);
    assert_int_equal(url_resolve(span_bytes(text, URL_MAX), SPAN("b"), &out), RC_OK);
    assert_int_equal(url_resolve(span_bytes(text, 40), span_bytes(text + 18, URL_MAX - 17), &out), RC_TOO_LONG);
}

static void parts(void **state)
{
    (void)state;
    struct url u;
    assert_int_equal(url_parse(SPAN("https://[2001:db8::7]:444/a/b?c"), &u), RC_OK);
    assert_true(u.https && u.host_is_address && u.port == 444);
    assert_true(span_is(u.host, "2001:db8::7"));
    assert_true(span_is(u.authority, "[2001:db8::7]:444"));
    assert_true(span_is(u.origin, "https://[2001:db8::7]:444"));
    assert_true(span_is(u.target, "/a/b?c"));
    assert_int_equal(url_parse(SPAN("http://a.example"), &u), RC_OK);
    assert_true(!u.https && !u.host_is_address && u.port == 80 && u.target.len == 0);
}

/* RFC 3986 5.4, as far as it is http. */
static void references(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        { "g", "http://a.example/b/c/g" },
        { "./g", "http://a.example/b/c/g" },
        { "g/", "http://a.example/b/c/g/" },
        { "/g", "http://a.example/g" },
        { "//g.example", "http://g.example/" },
        { "//G.example:80/x", "http://g.example/x" },
        { "?y", "http://a.example/b/c/d;p?y" },
        { "g?y", "http://a.example/b/c/g?y" },
        { "#s", "http://a.example/b/c/d;p?q" },
        { "g#s", "http://a.example/b/c/g" },
        { "g?y#s", "http://a.example/b/c/g?y" },
        { ";x", "http://a.example/b/c/;x" },
        { "", "http://a.example/b/c/d;p?q" },
        { ".", "http://a.example/b/c/" },
        { "./", "http://a.example/b/c/" },
        { "..", "http://a.example/b/" },
        { "../", "http://a.example/b/" },
        { "../g", "http://a.example/b/g" },
        { "../..", "http://a.example/" },
        { "../../g", "http://a.example/g" },
        { "../../../g", "http://a.example/g" },
        { "/./g", "http://a.example/g" },
        { "/../g", "http://a.example/g" },
        { "g.", "http://a.example/b/c/g." },
        { "..g", "http://a.example/b/c/..g" },
        { "./g/.", "http://a.example/b/c/g/" },
        { "g/../h", "http://a.example/b/c/h" },
        { "g;x=1/./y", "http://a.example/b/c/g;x=1/y" },
        { "g?y/../x", "http://a.example/b/c/g?y/../x" },
        { "https://b.example", "https://b.example/" },
        { "HTTPS://B.example:443/x/../y?z", "https://b.example/y?z" },
    };
    static const struct span bad[] = {
        SPAN("mailto:a@b"),  SPAN("javascript:alert(1)"),
        SPAN("http:g"),      SPAN("a b"),
        SPAN("/\r\n"),       SPAN("//u@g/"),
        SPAN("https://"),    SPAN("/%"),
        SPAN("//"),          SPAN("///x"),
        SPAN("ftp://x/"),    SPAN("https://a.example\0"),
        SPAN("/\xc3\xbc/x"), SPAN("\\\\x"),
    };
    char memory[URL_TEXT_MAX];
    struct strbuf out = STRBUF(memory);
    struct span base = SPAN("http://a.example/b/c/d;p?q");
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(url_resolve(base, span_of(cases[i][0]), &out), RC_OK);
        assert_string_equal(memory, cases[i][1]);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        if (url_resolve(base, bad[i], &out) != RC_INVALID)
            fail_msg("taken: %.*s as %s", (int)bad[i].len, bad[i].p, memory);
        assert_int_equal(out.len, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(canonical_forms), cmocka_unit_test(what_is_refused), cmocka_unit_test(length_is_bounded),
        cmocka_unit_test(parts),           cmocka_unit_test(references),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
