#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "hal/base/domain.h"
#include "hal/base/punycode.h"

static char memory[DOMAIN_TEXT_MAX];

static enum rc canonical(struct span text)
{
    struct strbuf out = { memory, 3, sizeof memory, true };
    enum rc rc = domain_canonical(text, &out);
    assert_false(out.overflow);
    assert_int_equal(out.len, strlen(memory));
    if (rc != RC_OK)
        assert_int_equal(out.len, 0);
    return rc;
}

static void names_become_canonical(void **state)
{
    (void)state;
    static const char *const golden[][2] = {
        { "Example.COM", "example.com" },
        { "example.com.", "example.com" },
        { "_25._tcp.MX.example", "_25._tcp.mx.example" },
        { "localhost", "localhost" },
        { "xn--BCHER-kva.example", "xn--bcher-kva.example" },
        { "B\xc3\x9c"
          "cher.example",
          "xn--bcher-kva.example" },
        { "ma\xc3\xb1"
          "ana.com",
          "xn--maana-pta.com" },
        { "\xd0\x9f\xd0\xa0\xd0\x95\xd0\x97\xd0\x98\xd0\x94\xd0\x95\xd0\x9d\xd0\xa2.\xd0\xa0\xd0\xa4",
          "xn--d1abbgf6aiiy.xn--p1ai" },
        { "\xe4\xbe\x8b\xe3\x81\x88.\xe3\x83\x86\xe3\x82\xb9\xe3\x83\x88", "xn--r8jz45g.xn--zckzah" },
        { "\xce\x91\xce\x92\xce\x93.gr", "xn--mxacd.gr" },
        { "\xc5\x81\xc3\x93"
          "D\xc5\xb9.pl",
          "xn--d-uga0v4h.pl" },
    };
    for (size_t i = 0; i < sizeof golden / sizeof *golden; i++) {
        assert_int_equal(canonical(span_of(golden[i][0])), RC_OK);
        assert_string_equal(memory, golden[i][1]);
    }
}

static void malformed_names_are_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        ".",
        "..",
        ".com",
        "a..b",
        "a.b..",
        "a b",
        "a,b",
        "a\nb.com",
        "exa$mple",
        "user@host",
        "a/b",
        "1.2.3.4:25",
        "[1.2.3.4]",
        "a\xff.com",        /* not UTF-8 */
        "a\xc0\xaf.com",    /* overlong */
        "\xed\xa0\x80.com", /* surrogate */
        "a\xe2\x80\x8b"
        "b.com",         /* zero-width space */
        "u\xcc\x88.com", /* combining mark: not NFC */
        "a\xe3\x80\x82"
        "com",                  /* ideographic full stop */
        "\xef\xbc\xa1.com",     /* full-width A */
        "\xc2\xa0.com",         /* no-break space */
        "\xf3\xa0\x80\x81.com", /* tag */
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(canonical(span_of(bad[i])), RC_INVALID);
    assert_int_equal(canonical(SPAN("a\0b.com")), RC_INVALID);
}

static void lengths_are_bounded(void **state)
{
    (void)state;
    char text[300];
    memset(text, 'a', sizeof text);
    assert_int_equal(canonical(span_bytes(text, 63)), RC_OK);
    assert_int_equal(canonical(span_bytes(text, 64)), RC_TOO_LONG);
    text[63] = text[127] = text[191] = '.';
    assert_int_equal(canonical(span_bytes(text, 253)), RC_OK);
    assert_int_equal(strlen(memory), DOMAIN_MAX);
    assert_int_equal(canonical(span_bytes(text, 254)), RC_TOO_LONG);
    char large_memory[300];
    struct strbuf large = STRBUF(large_memory);
    assert_int_equal(domain_canonical(span_bytes(text, 254), &large), RC_TOO_LONG);
    text[253] = '.';
    assert_int_equal(canonical(span_bytes(text, 254)), RC_OK);
    /* 60 letters fit in a label, but not behind "xn--" */
    char label[63] = "\xc3\xbc";
    memset(label + 2, 'a', 58);
    assert_int_equal(canonical(span_bytes(label, 60)), RC_TOO_LONG);
    assert_int_equal(canonical(span_bytes(label, 50)), RC_OK);
    char small_memory[8];
    struct strbuf small = STRBUF(small_memory);
    assert_int_equal(domain_canonical(SPAN("abc.example"), &small), RC_TOO_LONG);
    assert_string_equal(small_memory, "");
}

/* RFC 3492 section 7.1: (A) Arabic, (B) Chinese, (I) Russian with its capital taken as it is, (L) Japanese */
static void punycode_gives_the_samples_of_the_rfc(void **state)
{
    (void)state;
    static const struct {
        uint32_t cp[24];
        size_t count;
        const char *text;
    } golden[] = {
        { { 0x0644, 0x064A, 0x0647, 0x0645, 0x0627, 0x0628, 0x062A, 0x0643, 0x0644, 0x0645, 0x0648, 0x0634, 0x0639, 0x0631, 0x0628,
            0x064A, 0x061F },
          17,
          "egbpdaj6bu4bxfgehfvwxn" },
        { { 0x4ED6, 0x4EEC, 0x4E3A, 0x4EC0, 0x4E48, 0x4E0D, 0x8BF4, 0x4E2D, 0x6587 }, 9, "ihqwcrb4cv8a8dqg056pqjye" },
        { { 0x0033, 0x5E74, 0x0042, 0x7D44, 0x91D1, 0x516B, 0x5148, 0x751F }, 8, "3B-ww4c5e180e575a65lsy2b" },
        { { 0x002D, 0x003E, 0x0020, 0x0024, 0x0031, 0x002E, 0x0030, 0x0030, 0x0020, 0x003C, 0x002D }, 11, "-> $1.00 <--" },
    };
    for (size_t i = 0; i < sizeof golden / sizeof *golden; i++) {
        char text_memory[64];
        struct strbuf text = STRBUF(text_memory);
        assert_int_equal(punycode_encode(golden[i].cp, golden[i].count, &text), RC_OK);
        assert_string_equal(text_memory, golden[i].text);
    }
    char tiny_memory[5];
    struct strbuf tiny = STRBUF(tiny_memory);
    assert_int_equal(punycode_encode(golden[0].cp, golden[0].count, &tiny), RC_TOO_LONG);
}

static void host_names_are_stricter(void **state)
{
    (void)state;
    static const char *const good[] = { "mx.example.org",
                                        "MX.Example.org.",
                                        "localhost",
                                        "3com.com",
                                        "a-b.c",
                                        "xn--bcher-kva.de",
                                        "b\xc3\xbc"
                                        "cher.de",
                                        "1.2.3.4x" };
    static const char *const bad[] = { "", ".", "a_b.c", "-a.b", "a-.b", "a.-b", "1.2.3.4", "example.123", "a..b", "a b" };
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        assert_true(domain_is_hostname(span_of(good[i])));
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(domain_is_hostname(span_of(bad[i])));
}

static void within_is_by_label(void **state)
{
    (void)state;
    assert_true(domain_is_within(SPAN("example.org"), SPAN("example.org")));
    assert_true(domain_is_within(SPAN("a.b.example.org"), SPAN("example.org")));
    assert_false(domain_is_within(SPAN("badexample.org"), SPAN("example.org")));
    assert_false(domain_is_within(SPAN("org"), SPAN("example.org")));
    assert_true(domain_is_within(SPAN("example.org"), SPAN("")));
    assert_int_equal(domain_labels(SPAN("")), 0);
    assert_int_equal(domain_labels(SPAN("org")), 1);
    assert_int_equal(domain_labels(SPAN("a.example.org")), 3);
}

static void patterns_match_one_label(void **state)
{
    (void)state;
    assert_true(domain_matches_pattern(SPAN("mx.example.org"), SPAN("mx.example.org")));
    assert_false(domain_matches_pattern(SPAN("mx2.example.org"), SPAN("mx.example.org")));
    static const char *const wild[] = { ".example.org", "*.example.org" };
    for (size_t i = 0; i < 2; i++) {
        assert_true(domain_matches_pattern(SPAN("mx.example.org"), span_of(wild[i])));
        assert_false(domain_matches_pattern(SPAN("a.mx.example.org"), span_of(wild[i])));
        assert_false(domain_matches_pattern(SPAN("example.org"), span_of(wild[i])));
        assert_false(domain_matches_pattern(SPAN("mxexample.org"), span_of(wild[i])));
        assert_false(domain_matches_pattern(SPAN(".example.org"), span_of(wild[i])));
    }
    assert_false(domain_matches_pattern(SPAN("mx.example.org"), SPAN("*")));
    assert_false(domain_matches_pattern(SPAN("mx."), SPAN(".")));
    assert_false(domain_matches_pattern(SPAN("mx."), SPAN("*.")));
    assert_false(domain_matches_pattern(SPAN(""), SPAN("")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_become_canonical),   cmocka_unit_test(malformed_names_are_refused),
        cmocka_unit_test(lengths_are_bounded),      cmocka_unit_test(punycode_gives_the_samples_of_the_rfc),
        cmocka_unit_test(host_names_are_stricter),  cmocka_unit_test(within_is_by_label),
        cmocka_unit_test(patterns_match_one_label),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
