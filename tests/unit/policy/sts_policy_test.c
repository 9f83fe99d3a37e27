/* MTA-STS by RFC 8461: its own examples, each rule of its grammar broken once, and what is left open by it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "policy/sts_policy.h"
#include "tests/support/unpacked.h"

static enum rc read_records(struct sts_records *r, const char *one, const char *two)
{
    memset(r, 0, sizeof *r);
    sts_records_add(r, span_of(one));
    if (two != NULL)
        sts_records_add(r, span_of(two));
    return sts_records_result(r);
}

static void records_that_hold(void **state)
{
    (void)state;
    static const struct {
        const char *txt, *id;
    } cases[] = {
        { "v=STSv1; id=20160831085700Z;", "20160831085700Z" }, /* the RFC's own */
        { "v=STSv1; id=1", "1" },
        { "v=STSv1;id=a;", "a" },
        { "v=STSv1; \t ext.ens-i_on=x:/<y> ;\tid=b ; ", "b" },
        { "v=STSv1; id=first; id=second;", "first" },
        { "v=STSv1; id=01234567890123456789012345678901;", "01234567890123456789012345678901" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct sts_records r;
        assert_int_equal(read_records(&r, cases[i].txt, "v=spf1 -all"), RC_OK);
        assert_string_equal(r.id, cases[i].id);
    }
}

static void records_that_do_not(void **state)
{
    (void)state;
    static const char *const broken[] = {
        "v=STSv1;",
        "v=STSv1; id=;",
        "v=STSv1; id=a-b;",
        "v=STSv1; id=012345678901234567890123456789012;",
        "v=STSv1; ID=1;",
        "v=STSv1; id=1;;",
        "v=STSv1;; id=1",
        "v=STSv1; id=1; x",
        "v=STSv1; id=1; x=;",
        "v=STSv1; id=1; x=a=b;",
        "v=STSv1; id=1; _x=a;",
        "v=STSv1; id=1; x=a b;",
        "v=STSv1; id =1;",
        "v=STSv1; id= 1;",
        "v=STSv1; id=1; x=\303\251;",
    };
    static const char *const others[] = {
        "", "v=STSv2; id=1;", "v=stsv1; id=1;", "v=STSv1 ; id=1;", " v=STSv1; id=1;", "v=STSv10; id=1"
    };
    struct sts_records r;
    for (size_t i = 0; i < sizeof broken / sizeof broken[0]; i++) {
        assert_int_equal(read_records(&r, broken[i], NULL), RC_INVALID);
        assert_string_equal(r.id, "");
    }
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        assert_int_equal(read_records(&r, others[i], NULL), RC_NOT_FOUND);
}

static void several_records_are_none(void **state)
{
    (void)state;
    struct sts_records r;
    assert_int_equal(read_records(&r, "v=STSv1; id=1;", "v=STSv1; id=1;"), RC_INVALID);
    assert_int_equal(read_records(&r, "v=STSv1; id=1;", "v=STSv1; broken"), RC_INVALID);
    assert_int_equal(read_records(&r, "v=STSv1; id=1;", "v=STSv2; id=2;"), RC_OK);
}

static void the_example_of_the_rfc(void **state)
{
    (void)state;
    struct sts_policy p;
    const char *why;
    struct span file = SPAN(
        "version: STSv1\nmode: enforce\nmx: mail.example.com\nmx: *.example.net\nmx: backupmx.example.com\nmax_age: 604800\n");
    assert_int_equal(sts_policy_parse(file, &p, &why), RC_OK);
    assert_int_equal(p.mode, STS_ENFORCE);
    assert_int_equal(p.max_age_s, 604800);
    assert_int_equal(p.mx_count, 3);
    assert_string_equal(sts_policy_mx(&p, 0), "mail.example.com");
    assert_string_equal(sts_policy_mx(&p, 1), ".example.net");
    assert_string_equal(sts_policy_mx(&p, 2), "backupmx.example.com");
    assert_null(sts_policy_mx(&p, 3));
    assert_true(sts_policy_allows(&p, SPAN("mail.example.com")));
    assert_true(sts_policy_allows(&p, SPAN("any.example.net")));
    assert_false(sts_policy_allows(&p, SPAN("example.net")));
    assert_false(sts_policy_allows(&p, SPAN("two.labels.example.net")));
    assert_false(sts_policy_allows(&p, SPAN("mail.example.org")));
}

#define REST "mode: testing\nmax_age: 86400\nmx: mx.example.com"

static void files_that_hold(void **state)
{
    (void)state;
    static const struct {
        const char *file;
        enum sts_mode mode;
        uint32_t max_age_s;
        const char *mx;
    } cases[] = {
        { "version: STSv1\r\nmode: enforce\r\nmx: MX.Example.COM.\r\nmax_age: 0\r\n", STS_ENFORCE, 0, "mx.example.com" },
        { "mx:mx.example.com\nmax_age:1\nmode:testing\nversion:STSv1", STS_TESTING, 1, "mx.example.com" },
        { "version: STSv1\nmode: none\nmax_age: 86400", STS_NONE, 86400, NULL },
        { "version: STSv1  \nmode:\t none \nmax_age: 9999999999\nmx: a.example\n\n \r\n", STS_NONE, STS_MAX_AGE_S, "a.example" },
        { "version: STSv1\nversion: STSv2\nmode: enforce\nmode: none\nmax_age: 5\nmax_age: x y\nmx: a.example", STS_ENFORCE, 5,
          "a.example" },
        { "version: STSv1\nx-new.field: any \303\251 value: here\n" REST, STS_TESTING, 86400, "mx.example.com" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct sts_policy p;
        assert_int_equal(sts_policy_parse(span_of(cases[i].file), &p, NULL), RC_OK);
        assert_int_equal(p.mode, cases[i].mode);
        assert_int_equal(p.max_age_s, cases[i].max_age_s);
        assert_int_equal(p.mx_count, cases[i].mx != NULL);
        if (cases[i].mx != NULL)
            assert_string_equal(sts_policy_mx(&p, 0), cases[i].mx);
    }
}

static void files_that_do_not(void **state)
{
    (void)state;
    static const struct {
        const char *file, *why;
    } cases[] = {
        { "", "no version" },
        { REST, "no version" },
        { "version: STSv2\n" REST, "version is not" },
        { "version: stsv1\n" REST, "version is not" },
        { "Version: STSv1\n" REST, "no version" },
        { "version: STSv1\nmax_age: 1\nmx: a.example", "no mode" },
        { "version: STSv1\nmode: enforce\nmx: a.example", "no max_age" },
        { "version: STSv1\nmode: enforce\nmax_age: 1", "no mx" },
        { "version: STSv1\nmode: testing\nmax_age: 1", "no mx" },
        { "version: STSv1\nmode: Enforce\nmax_age: 1\nmx: a.example", "mode is not" },
        { "version: STSv1\nmode: report\nmax_age: 1\nmx: a.example", "mode is not" },
        { "version: STSv1\nmode: testing\nmax_age: -1\nmx: a.example", "max_age is not" },
        { "version: STSv1\nmode: testing\nmax_age: 1d\nmx: a.example", "max_age is not" },
        { "version: STSv1\nmode: testing\nmax_age: 12345678901\nmx: a.example", "max_age is not" },
        { "version: STSv1\nmx: *\n" REST, "not a host name" },
        { "version: STSv1\nmx: *.*.example\n" REST, "not a host name" },
        { "version: STSv1\nmx: .example.com\n" REST, "not a host name" },
        { "version: STSv1\nmx: a..example\n" REST, "not a host name" },
        { "version: STSv1\nmx: a.example b.example\n" REST, "not a host name" },
        { "version: STSv1\nmx: _mx.example\n" REST, "not a host name" },
        { "version: STSv1\nmx: -mx.example\n" REST, "not a host name" },
        { "version: STSv1\nmx: 192.0.2.1\n" REST, "not a host name" },
        { "version: STSv1\nmx: [192.0.2.1]\n" REST, "not a host name" },
        { "version: STSv1\nmx: b\303\274cher.example\n" REST, "A-labels" },
        { "version: STSv1\nmx:\n" REST, "a line is not" },
        { "version: STSv1\nhello\n" REST, "a line is not" },
        { "version: STSv1\n<html>: x\n" REST, "a line is not" },
        { "version: STSv1\rmode: enforce\n" REST, "a line is not" },
        { "version: STSv1\nx: a\001b\n" REST, "a line is not" },
        { " version: STSv1\n" REST, "a line is not" },
        { "version : STSv1\n" REST, "a line is not" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct sts_policy p, zero;
        const char *why;
        memset(&zero, 0, sizeof zero);
        assert_int_equal(sts_policy_parse(span_of(cases[i].file), &p, &why), RC_INVALID);
        assert_non_null(strstr(unpacked(why), cases[i].why));
        assert_memory_equal(&p, &zero, sizeof p);
    }
}

static void bounds(void **state)
{
    (void)state;
    static char memory[STS_POLICY_FILE_BYTES + 100];
    struct strbuf b = STRBUF(memory);
    struct sts_policy p;
    strbuf_puts(&b, "version: STSv1\n" REST "\n");
    for (unsigned i = 1; i < STS_MX_MAX; i++)
        strbuf_printf(&b, "mx: *.m%u.example\n", i);
    assert_int_equal(sts_policy_parse(strbuf_span(&b), &p, NULL), RC_OK);
    assert_int_equal(p.mx_count, STS_MX_MAX);
    strbuf_puts(&b, "mx: one.more.example\n");
    assert_int_equal(sts_policy_parse(strbuf_span(&b), &p, NULL), RC_TOO_LONG);
    strbuf_clear(&b);
    strbuf_puts(&b, "version: STSv1\n" REST "\n");
    for (unsigned i = 0; i < 5; i++)
        strbuf_printf(&b, "mx: %u.%063u.%063u.%063u.example\n", i, 0u, 0u, 0u);
    assert_int_equal(sts_policy_parse(strbuf_span(&b), &p, NULL), RC_TOO_LONG);
    strbuf_clear(&b);
    strbuf_puts(&b, "version: STSv1\n" REST "\n");
    while (b.len < STS_POLICY_FILE_BYTES)
        strbuf_putc(&b, '\n');
    assert_int_equal(sts_policy_parse(strbuf_span(&b), &p, NULL), RC_OK);
    strbuf_putc(&b, '\n');
    assert_int_equal(sts_policy_parse(strbuf_span(&b), &p, NULL), RC_TOO_LONG);
}

static void media_types(void **state)
{
    (void)state;
    static const char *const good[] = { "text/plain", "Text/Plain; charset=utf-8", "text/plain ;x", " text/plain" };
    static const char *const bad[] = { "", "text/html", "text/plainx", "text", "application/octet-stream; text/plain" };
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        assert_true(sts_media_type(span_of(good[i])));
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_false(sts_media_type(span_of(bad[i])));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(records_that_hold),
        cmocka_unit_test(records_that_do_not),
        cmocka_unit_test(several_records_are_none),
        cmocka_unit_test(the_example_of_the_rfc),
        cmocka_unit_test(files_that_hold),
        cmocka_unit_test(files_that_do_not),
        cmocka_unit_test(bounds),
        cmocka_unit_test(media_types),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
