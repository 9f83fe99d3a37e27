/* span, strbuf, utf8, log, rc */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "hal/base/log.h"
#include "hal/base/rc.h"
#include "hal/base/strbuf.h"
#include "hal/base/utf8.h"

static void spans_compare(void **state)
{
    (void)state;
    assert_true(span_eq(SPAN("ab"), SPAN("ab")));
    assert_false(span_eq(SPAN("ab"), SPAN("aB")));
    assert_true(span_eq_nocase(SPAN("a-B"), SPAN("A-b")));
    assert_false(span_eq_nocase(SPAN("[@"), SPAN("{`")));
    assert_true(span_is(span_of(NULL), ""));
    assert_true(span_is_nocase(SPAN("EHLO"), "ehlo"));
    assert_true(span_starts(SPAN("abc"), "ab") && !span_starts(SPAN("a"), "ab") && span_starts(SPAN("a"), ""));
    assert_true(span_starts_nocase(SPAN("MAIL FROM:<>"), "mail from:"));
    assert_true(span_ends_nocase(SPAN("x.ORG"), ".org") && !span_ends_nocase(SPAN("org"), ".org"));
    assert_true(span_cmp(SPAN("a"), SPAN("b")) < 0 && span_cmp(SPAN("ab"), SPAN("a")) > 0);
    assert_true(span_cmp(SPAN("a"), SPAN("a")) == 0 && span_cmp(SPAN(""), SPAN("a")) < 0);
    assert_true(span_cmp(SPAN("\xff"), SPAN("a")) > 0);
}

static void spans_are_cut_within_bounds(void **state)
{
    (void)state;
    struct span s = SPAN("hello");
    assert_true(span_is(span_sub(s, 1, 3), "ell"));
    assert_true(span_is(span_sub(s, 3, 99), "lo"));
    assert_true(span_is(span_sub(s, 9, 1), ""));
    assert_true(span_is(span_sub(s, 2, SIZE_MAX), "llo"));
    assert_true(span_is(span_from(s, 5), "") && span_is(span_from(s, 4), "o"));
    assert_true(span_is(span_from(span_of(NULL), 3), ""));
    assert_true(span_is(span_trim(SPAN(" \t a b\t ")), "a b"));
    assert_true(span_is(span_trim(SPAN(" \t ")), ""));
    assert_true(span_find(s, 0, 'l') == 2 && span_find(s, 3, 'l') == 3 && span_find(s, 4, 'l') == SIZE_MAX);
    assert_true(span_find(s, 99, 'h') == SIZE_MAX);
    assert_true(span_find_last(s, 'l') == 3 && span_find_last(s, 'x') == SIZE_MAX);
}

static void spans_split(void **state)
{
    (void)state;
    struct span rest = SPAN("a,b,"), item;
    bool more = true;
    assert_true(span_split(&rest, &more, ',', &item) && span_is(item, "a"));
    assert_true(span_split(&rest, &more, ',', &item) && span_is(item, "b"));
    assert_true(span_split(&rest, &more, ',', &item) && span_is(item, ""));
    assert_false(span_split(&rest, &more, ',', &item));
    rest = SPAN("");
    more = true;
    assert_true(span_split(&rest, &more, ',', &item) && span_is(item, ""));
    assert_false(span_split(&rest, &more, ',', &item));
}

static void spans_become_numbers(void **state)
{
    (void)state;
    uint64_t big = 7;
    uint32_t small = 7;
    assert_true(span_to_u64(SPAN("18446744073709551615"), &big) && big == UINT64_MAX);
    assert_false(span_to_u64(SPAN("18446744073709551616"), &big));
    assert_false(span_to_u64(SPAN("99999999999999999999"), &big));
    assert_true(big == UINT64_MAX);
    assert_true(span_to_u32(SPAN("4294967295"), &small) && small == UINT32_MAX);
    small = 7;
    static const char *const bad[] = { "4294967296", "", "-1", "+1", " 1", "1 ", "1x", "0x1" };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(span_to_u32(span_of(bad[i]), &small));
    assert_int_equal(small, 7);
}

static void appends_saturate_and_stay_marked(void **state)
{
    (void)state;
    char memory[6];
    struct strbuf b = STRBUF(memory);
    strbuf_puts(&b, "abc");
    strbuf_putc(&b, 'd');
    strbuf_add(&b, SPAN("e"));
    assert_false(b.overflow);
    strbuf_add(&b, span_of(NULL));
    assert_false(b.overflow);
    strbuf_putc(&b, 'f');
    assert_true(b.overflow);
    assert_string_equal(memory, "abcde");
    strbuf_truncate(&b, 2);
    strbuf_truncate(&b, 4);
    assert_string_equal(memory, "ab");
    assert_true(b.overflow);
    strbuf_add(&b, SPAN("123456"));
    assert_string_equal(memory, "ab123");
    strbuf_clear(&b);
    assert_false(b.overflow);
    strbuf_printf(&b, "%d-%s", 12, "xy");
    assert_false(!strcmp(memory, "") || b.overflow);
    assert_string_equal(memory, "12-xy");
    strbuf_printf(&b, "%s", "");
    assert_false(b.overflow);
    strbuf_printf(&b, "%s", "z");
    assert_true(b.overflow);
    assert_true(span_is(strbuf_span(&b), "12-xy"));
    strbuf_clear(&b);
    strbuf_printf(&b, "%s", "123456789");
    assert_string_equal(memory, "12345");
    assert_int_equal(b.len, 5);
}

/* As the C library formats it. */
static void expect_like_libc(const char *format, ...) __attribute__((format(printf, 1, 2)));
static void expect_like_libc(const char *format, ...)
{
    char ours[200], theirs[200];
    struct strbuf b = STRBUF(ours);
    va_list ap, again;
    va_start(ap, format);
    va_copy(again, ap);
    strbuf_vprintf(&b, format, ap);
    vsnprintf(theirs, sizeof theirs, format, again);
    va_end(again);
    va_end(ap);
    assert_string_equal(ours, theirs);
    assert_int_equal(b.len, strlen(theirs));
    assert_false(b.overflow);
}

static void formats_are_those_of_printf(void **state)
{
    (void)state;
    static const char three[3] = { 'a', 'b', 'c' }; /* no NUL */
    expect_like_libc("plain %% and %c%c", 'x', '%');
    expect_like_libc("%s|%8s|%-8s|%2s|%-2s|%.2s|%.0s|%-6.3s|%.9s", "text", "text", "text", "text", "text", "text", "text", "text",
                     "text");
    expect_like_libc("%.3s|%.*s|%.*s|", three, 2, three, -1, "whole");
    expect_like_libc("%d %d %d %5d|%-5d|%05d|%05d|%2d|%-2d|", 0, -1, 7, -42, -42, -42, 42, -12345, 12345);
    expect_like_libc("%d %d %u %x %X", INT32_MAX, INT32_MIN, UINT32_MAX, UINT32_MAX, 0xabcdef12u);
    expect_like_libc("%lld %lld %llu %llx %016llx %10llu|%-10lld|", (long long)INT64_MAX, (long long)INT64_MIN,
                     (unsigned long long)UINT64_MAX, 0x0123456789abcdefull, 0xfull, 123ull, -123ll);
    expect_like_libc("%ld %lu %lx %zu %zx %08X %04x %02d %6u|%-2u|%03u", -1L, 4000000000ul, 255ul, sizeof three, sizeof three,
                     0xbeefu, 0xbeu, 5, 17u, 3u, 1000u);
    char memory[8];
    struct strbuf b = STRBUF(memory);
    strbuf_printf(&b, "%s=%d", "count", 12345);
    assert_string_equal(memory, "count=1");
    assert_true(b.overflow);
}

static const char *printable(struct span s, size_t max)
{
    static char memory[100];
    struct strbuf b = STRBUF(memory);
    strbuf_add_printable(&b, s, max);
    assert_true(b.len <= max && !b.overflow);
    return memory;
}

static void peer_text_becomes_printable(void **state)
{
    (void)state;
    assert_string_equal(printable(SPAN("a b~"), 10), "a b~");
    assert_string_equal(printable(SPAN("\r\n\\\x7f\xff\0"), 50), "\\x0d\\x0a\\x5c\\x7f\\xff\\x00");
    assert_string_equal(printable(SPAN("0123456789"), 10), "0123456789");
    assert_string_equal(printable(SPAN("0123456789x"), 10), "0123456...");
    assert_string_equal(printable(SPAN("01234\n"), 8), "01234...");
    assert_string_equal(printable(SPAN("012\n34"), 8), "012...");
    assert_string_equal(printable(SPAN("0123"), 2), "..");
    assert_string_equal(printable(SPAN("0"), 0), "");
}

static void json_strings_are_escaped(void **state)
{
    (void)state;
    char memory[100];
    struct strbuf b = STRBUF(memory);
    strbuf_add_json(&b, SPAN("a\"b\\\b\f\n\r\t\x01\x7f\0/\xc3\xbc"));
    assert_string_equal(memory, "\"a\\\"b\\\\\\b\\f\\n\\r\\t\\u0001\\u007f\\u0000/\xc3\xbc\"");
    strbuf_clear(&b);
    strbuf_add_json(&b, SPAN("\xc3"
                             "a\xff\xe2\x82"));
    assert_string_equal(memory, "\"\xef\xbf\xbd"
                                "a\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"");
    strbuf_clear(&b);
    strbuf_add_hex(&b, SPAN("\x00\xfa\x09"));
    assert_string_equal(memory, "00fa09");
}

static void utf8_is_strict(void **state)
{
    (void)state;
    static const char *const good[] = {
        "", "a", "\xc2\x80", "\xdf\xbf", "\xe0\xa0\x80", "\xed\x9f\xbf", "\xee\x80\x80", "\xf0\x90\x80\x80", "\xf4\x8f\xbf\xbf"
    };
    static const char *const bad[] = { "\x80",
                                       "\xc0\x80",
                                       "\xc1\xbf",
                                       "\xe0\x9f\xbf",
                                       "\xed\xa0\x80",
                                       "\xed\xbf\xbf",
                                       "\xf0\x8f\xbf\xbf",
                                       "\xf4\x90\x80\x80",
                                       "\xf5\x80\x80\x80",
                                       "\xff",
                                       "\xc3",
                                       "\xe2\x82",
                                       "\xe2\x82"
                                       "a",
                                       "a\xc3(" };
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        assert_true(utf8_valid(span_of(good[i])));
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(utf8_valid(span_of(bad[i])));
    uint32_t cp = 0;
    assert_true(utf8_decode(SPAN("x\xf0\x9f\x93\xa7"), 1, &cp) == 4 && cp == 0x1f4e7);
    assert_true(utf8_decode(SPAN("x"), 1, &cp) == 0);
}

static char logged[LOG_TEXT_MAX + 100];

static void sink(enum log_level level, enum log_area area, const char *event, const char *text)
{
    struct strbuf b = STRBUF(logged);
    strbuf_printf(&b, "%s %s %s %s", log_level_name(level), log_area_name(area), event, text);
    assert_false(b.overflow);
}

static void a_log_event_is_one_line(void **state)
{
    (void)state;
    char longer[LOG_TEXT_MAX + 2];
    log_event(LOG_SMTP, "early", "to nobody");
    log_set_sink(sink);
    log_event(LOG_SMTP, "deliver", "sid=%u mx=%s", 7u, "mx\r\n.org");
    assert_string_equal(logged, "info smtp deliver sid=7 mx=mx??.org");
    log_event_at(LOG_ALERT, LOG_TASK, "stack", "%s", "");
    assert_string_equal(logged, "alert task stack ");
    memset(longer, 'x', sizeof longer);
    longer[LOG_TEXT_MAX + 1] = '\0';
    log_event(LOG_DNS, "e", "%s", longer);
    assert_int_equal(strlen(logged), strlen("info dns e ") + LOG_TEXT_MAX);
    assert_string_equal(logged + strlen(logged) - 4, "x...");
    longer[LOG_TEXT_MAX] = '\0';
    log_event(LOG_DNS, "e", "%s", longer);
    assert_string_equal(logged + strlen(logged) - 4, "xxxx");
    log_set_sink(NULL);
    log_event(LOG_SMTP, "late", "dropped");
    assert_string_equal(logged + strlen(logged) - 4, "xxxx");
}

static void every_code_has_a_name(void **state)
{
    (void)state;
    for (unsigned i = 0; i < RC_COUNT; i++)
        assert_true(strlen(rc_name((enum rc)i)) > 1);
    assert_string_equal(rc_name(RC_TOO_LONG), "too-long");
    assert_string_equal(rc_name((enum rc)RC_COUNT), "unknown");
    for (unsigned i = 0; i < LOG_AREA_COUNT; i++)
        assert_true(strlen(log_area_name((enum log_area)i)) > 1);
    assert_string_equal(log_area_name(LOG_AREA_COUNT), "unknown");
    assert_string_equal(log_level_name((enum log_level)9), "unknown");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(formats_are_those_of_printf),
        cmocka_unit_test(spans_compare),
        cmocka_unit_test(spans_are_cut_within_bounds),
        cmocka_unit_test(spans_split),
        cmocka_unit_test(spans_become_numbers),
        cmocka_unit_test(appends_saturate_and_stay_marked),
        cmocka_unit_test(peer_text_becomes_printable),
        cmocka_unit_test(json_strings_are_escaped),
        cmocka_unit_test(utf8_is_strict),
        cmocka_unit_test(a_log_event_is_one_line),
        cmocka_unit_test(every_code_has_a_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
