/* net/smtp_address.c: paths in every spelling, parameters, xtext. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "net/smtp_address.h"
#include "tests/support/unpacked.h"

struct good_path {
    const char *text, *local, *domain, *full, *rest;
    const char *flags; /* n null, u utf8, r source route, l literal, p routing local part */
};

static const struct good_path good_paths[] = {
    { "<>", "", "", "", "", "n" },
    { "<> BODY=7BIT", "", "", "", " BODY=7BIT", "n" },
    { "<a@b.example>", "a", "b.example", "a@b.example", "", "" },
    { "<A.B@Example.COM> SIZE=3", "A.B", "example.com", "A.B@Example.COM", " SIZE=3", "" },
    { "<a@b.example.>", "a", "b.example", "a@b.example", "", "" },
    { "<a@b>", "a", "b", "a@b", "", "" },
    { "<postmaster>", "postmaster", "", "postmaster", "", "" },
    { "<PostMaster>", "PostMaster", "", "PostMaster", "", "" },
    { "<@r.example:a@b.example>", "a", "b.example", "a@b.example", "", "r" },
    { "<@r.example,@[192.0.2.9]:a@b.example>", "a", "b.example", "a@b.example", "", "r" },
    { "<\"a b\"@c.example>", "\"a b\"", "c.example", "\"a b\"@c.example", "", "" },
    { "<\"a\\\"b\\\\\"@c.example>", "\"a\\\"b\\\\\"", "c.example", "\"a\\\"b\\\\\"@c.example", "", "" },
    { "<\"a>b\"@c.example> X", "\"a>b\"", "c.example", "\"a>b\"@c.example", " X", "" },
    { "<\"a@b\"@c.example>", "\"a@b\"", "c.example", "\"a@b\"@c.example", "", "p" },
    { "<\"\"@c.example>", "\"\"", "c.example", "\"\"@c.example", "", "" },
    { "<a%d.example@c.example>", "a%d.example", "c.example", "a%d.example@c.example", "", "p" },
    { "<d.example!a@c.example>", "d.example!a", "c.example", "d.example!a@c.example", "", "p" },
    { "<a@[192.0.2.1]>", "a", "[192.0.2.1]", "a@[192.0.2.1]", "", "l" },
    { "<a@[ipv6:2001:DB8::0001]>", "a", "[IPv6:2001:db8::1]", "a@[ipv6:2001:DB8::0001]", "", "l" },
    { "<a..b.@c.example>", "a..b.", "c.example", "a..b.@c.example", "", "" },
    { "<!#$%&'*+-/=?^_`{|}~@c.example>", "!#$%&'*+-/=?^_`{|}~", "c.example", "!#$%&'*+-/=?^_`{|}~@c.example", "", "p" },
    { "<j\xc3\xb6rg@c.example>", "j\xc3\xb6rg", "c.example", "j\xc3\xb6rg@c.example", "", "u" },
    { "<a@b\xc3\xbc"
      "cher.example>",
      "a", "xn--bcher-kva.example",
      "a@b\xc3\xbc"
      "cher.example",
      "", "u" },
    { "a@b.example", "a", "b.example", "a@b.example", "", "" },
    { "a@b.example SIZE=1", "a", "b.example", "a@b.example", " SIZE=1", "" },
};

static void good(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof good_paths / sizeof good_paths[0]; i++) {
        const struct good_path *g = &good_paths[i];
        struct smtp_address a;
        struct span rest;
        const char *why;
        if (smtp_path_parse(span_of(g->text), &a, &rest, &why) != RC_OK)
            fail_msg("%s: %s", g->text, why);
        assert_string_equal(a.local, g->local);
        assert_string_equal(a.domain, g->domain);
        assert_string_equal(a.full, g->full);
        assert_true(span_is(rest, g->rest));
        assert_int_equal(a.null, strchr(g->flags, 'n') != NULL);
        assert_int_equal(a.utf8, strchr(g->flags, 'u') != NULL);
        assert_int_equal(a.source_route, strchr(g->flags, 'r') != NULL);
        assert_int_equal(a.literal, strchr(g->flags, 'l') != NULL);
        assert_int_equal(smtp_local_is_routing(&a), strchr(g->flags, 'p') != NULL);
    }
}

static const struct {
    struct span text;
    enum rc rc;
    const char *why;
} bad_paths[] = {
    { SPAN(""), RC_INVALID, "empty or malformed local part" },
    { SPAN("<"), RC_INVALID, "empty or malformed local part" },
    { SPAN("<a@b.example"), RC_INVALID, "no closing '>'" },
    { SPAN("<a@b.example>x"), RC_INVALID, "unexpected text after the address" },
    { SPAN("<>x"), RC_INVALID, "unexpected text after the address" },
    { SPAN("<a>"), RC_INVALID, "the address has no domain" },
    { SPAN("<@r.example:postmaster>"), RC_INVALID, "the address has no domain" },
    { SPAN("<@b.example>"), RC_INVALID, "malformed source route" },
    { SPAN("<@r.example:@b.example>"), RC_INVALID, "malformed source route" },
    { SPAN("<@r.example,a@b.example>"), RC_INVALID, NULL },
    { SPAN("<a@>"), RC_INVALID, "malformed domain" },
    { SPAN("<a@b..example>"), RC_INVALID, "malformed domain" },
    { SPAN("<a@.example>"), RC_INVALID, "malformed domain" },
    { SPAN("<a@b.example..>"), RC_INVALID, "malformed domain" },
    { SPAN("<a@b.example@c.example>"), RC_INVALID, "unexpected character in the address" },
    { SPAN("<a b@c.example>"), RC_INVALID, NULL },
    { SPAN("<a@b.example >"), RC_INVALID, "unexpected character in the address" },
    { SPAN("< a@b.example>"), RC_INVALID, "empty or malformed local part" },
    { SPAN("<a\0b@c.example>"), RC_INVALID, NULL },
    { SPAN("<a@c.ex\0ample>"), RC_INVALID, NULL },
    { SPAN("<\"a\0\"@c.example>"), RC_INVALID, "control character in the address" },
    { SPAN("<\"a\\\0\"@c.example>"), RC_INVALID, "control character in the address" },
    { SPAN("<\"a\r\n\"@c.example>"), RC_INVALID, "control character in the address" },
    { SPAN("<\"a\tb\"@c.example>"), RC_INVALID, "control character in the address" },
    { SPAN("<\"a@c.example>"), RC_INVALID, "unfinished quoted string" },
    { SPAN("<\"a\\"), RC_INVALID, "unfinished quoted string" },
    { SPAN("<\"a\"b@c.example>"), RC_INVALID, NULL },
    { SPAN("<a\x7f@c.example>"), RC_INVALID, NULL },
    { SPAN("<a\xff@c.example>"), RC_INVALID, "invalid UTF-8 in the local part" },
    { SPAN("<a\xc0\xaf@c.example>"), RC_INVALID, "invalid UTF-8 in the local part" },
    { SPAN("<a\xc2\x85@c.example>"), RC_INVALID, "invalid UTF-8 in the local part" },
    { SPAN("<\"a\xed\xa0\x80\"@c.example>"), RC_INVALID, "invalid UTF-8 in the local part" },
    { SPAN("<a@\xff.example>"), RC_INVALID, "malformed domain" },
    { SPAN("<a@[192.0.2.1>"), RC_INVALID, "unfinished address literal" },
    { SPAN("<a@[192.0.2.256]>"), RC_INVALID, "malformed or unknown address literal" },
    { SPAN("<a@[2001:db8::1]>"), RC_INVALID, "malformed or unknown address literal" },
    { SPAN("<a@[IPv6:192.0.2.1]>"), RC_INVALID, "malformed or unknown address literal" },
    { SPAN("<a@[x400:foo]>"), RC_INVALID, "malformed or unknown address literal" },
    { SPAN("<a@[]>"), RC_INVALID, "malformed or unknown address literal" },
    { SPAN("<a@[192.0.2.1].>"), RC_INVALID, "unexpected character in the address" },
    { SPAN("<<a@b.example>>"), RC_INVALID, NULL },
    { SPAN("a@b.example>"), RC_INVALID, "unexpected character in the address" },
};

static void bad(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof bad_paths / sizeof bad_paths[0]; i++) {
        struct smtp_address a;
        struct span rest;
        const char *why;
        enum rc rc = smtp_path_parse(bad_paths[i].text, &a, &rest, &why);
        why = unpacked(why);
        if (rc != bad_paths[i].rc || why == NULL || (bad_paths[i].why != NULL && strcmp(why, bad_paths[i].why) != 0))
            fail_msg("%.*s: %s, %s", (int)bad_paths[i].text.len, bad_paths[i].text.p, rc_name(rc), why);
        assert_string_equal(a.full, "");
        assert_string_equal(a.domain, "");
    }
}

static enum rc parse_sized(size_t local, size_t label, struct smtp_address *a)
{
    char memory[1024];
    struct strbuf b = STRBUF(memory);
    struct span rest;
    const char *why;
    strbuf_putc(&b, '<');
    for (size_t i = 0; i < local; i++)
        strbuf_putc(&b, 'l');
    strbuf_putc(&b, '@');
    for (size_t i = 0; i < label; i++)
        strbuf_putc(&b, i % 50 == 49 ? '.' : 'd');
    strbuf_puts(&b, ".example>");
    return smtp_path_parse(strbuf_span(&b), a, &rest, &why);
}

static void bounds(void **state)
{
    (void)state;
    struct smtp_address a;
    assert_int_equal(parse_sized(64, 180, &a), RC_OK);
    assert_int_equal(parse_sized(256, 40, &a), RC_OK);
    assert_int_equal(strlen(a.full), 256 + 1 + 48);
    assert_int_equal(parse_sized(257, 40, &a), RC_TOO_LONG);
    assert_int_equal(parse_sized(10, 245, &a), RC_OK);
    assert_int_equal(parse_sized(10, 246, &a), RC_TOO_LONG);
    assert_int_equal(parse_sized(256, 120, &a), RC_TOO_LONG);
}

static void local_names(void **state)
{
    (void)state;
    static const struct {
        const char *path;
        bool is;
    } cases[] = {
        { "<postmaster>", true },
        { "<PostMaster@x.example>", true },
        { "<\"postmaster\"@x.example>", true },
        { "<\"post\\master\"@x.example>", true },
        { "<postmasters@x.example>", false },
        { "<postmaste@x.example>", false },
        { "<\"postmaster\\ \"@x.example>", false },
        { "<\"\"@x.example>", false },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct smtp_address a;
        struct span rest;
        const char *why;
        assert_int_equal(smtp_path_parse(span_of(cases[i].path), &a, &rest, &why), RC_OK);
        assert_int_equal(smtp_local_is(&a, "postmaster"), cases[i].is);
    }
}

static void params(void **state)
{
    (void)state;
    struct span rest = SPAN("  SIZE=10 SMTPUTF8   X-a=b=c "), keyword, value;
    bool bad_one;
    assert_true(smtp_param_next(&rest, &keyword, &value, &bad_one));
    assert_true(span_is(keyword, "SIZE") && span_is(value, "10"));
    assert_true(smtp_param_next(&rest, &keyword, &value, &bad_one));
    assert_true(span_is(keyword, "SMTPUTF8") && value.len == 0);
    assert_true(smtp_param_next(&rest, &keyword, &value, &bad_one));
    assert_true(span_is(keyword, "X-a") && span_is(value, "b=c"));
    assert_false(smtp_param_next(&rest, &keyword, &value, &bad_one));
    assert_false(bad_one);
    static const struct span bads[] = { SPAN("X=1"),     SPAN(" =1"),     SPAN(" X="),      SPAN(" -X=1"), SPAN(" X=\x01"),
                                        SPAN(" X=a\tb"), SPAN(" X=\xff"), SPAN(" X\x80=1"), SPAN(" X=a\0") };
    for (size_t i = 0; i < sizeof bads / sizeof bads[0]; i++) {
        rest = bads[i];
        assert_false(smtp_param_next(&rest, &keyword, &value, &bad_one));
        assert_true(bad_one);
    }
}

static void xtext(void **state)
{
    (void)state;
    char memory[16];
    struct strbuf b = STRBUF(memory);
    assert_int_equal(xtext_decode(SPAN("a+2Bb+3Dc+20d"), &b), RC_OK);
    assert_string_equal(memory, "a+b=c d");
    assert_int_equal(xtext_decode(SPAN("+e2+82+AC"), &b), RC_OK);
    assert_string_equal(memory, "\xe2\x82\xac");
    assert_int_equal(xtext_decode(SPAN("a=b"), &b), RC_INVALID);
    assert_int_equal(xtext_decode(SPAN("a b"), &b), RC_INVALID);
    assert_int_equal(xtext_decode(SPAN("a+4"), &b), RC_INVALID);
    assert_int_equal(xtext_decode(SPAN("a+4G"), &b), RC_INVALID);
    assert_int_equal(xtext_decode(SPAN("\x80"), &b), RC_INVALID);
    assert_int_equal(xtext_decode(SPAN("0123456789abcdef"), &b), RC_TOO_LONG);
    char text[64];
    struct strbuf e = STRBUF(text);
    xtext_encode(&e, SPAN("a+b=c d\x80\0"));
    assert_string_equal(text, "a+2Bb+3Dc+20d+80+00");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good),        cmocka_unit_test(bad),    cmocka_unit_test(bounds),
        cmocka_unit_test(local_names), cmocka_unit_test(params), cmocka_unit_test(xtext),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
