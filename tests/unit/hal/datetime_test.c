#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "hal/base/datetime.h"

#define LAST_S INT64_C(253402300799)

static void rfc3339_times_parse(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t unix_s;
    } golden[] = {
        { "1970-01-01T00:00:00Z", 0 },
        { "2020-05-20T10:00:00.5-07:00", 1589994000 },
        { "2020-04-01T11:01:57.407817-07:00", 1585764117 },
        { "2020-05-20t17:00:00z", 1589994000 },
        { "2000-02-29T12:00:00+00:00", 951825600 },
        { "2024-02-29T23:59:59-00:00", 1709251199 },
        { "1970-01-01T01:00:00+01:00", 0 },
        { "1969-12-31T23:00:00-02:00", 3600 },
        { "2016-12-31T23:59:60Z", 1483228800 },
        { "2017-01-01T05:29:60+05:30", 1483228800 },
        { "2038-01-19T03:14:08Z", INT64_C(2147483648) },
        { "9999-12-31T23:59:59Z", LAST_S },
    };
    for (size_t i = 0; i < sizeof golden / sizeof *golden; i++) {
        int64_t value = -1;
        assert_int_equal(rfc3339_parse(span_of(golden[i].text), &value), RC_OK);
        assert_true(value == golden[i].unix_s);
    }
}

static void other_texts_are_no_rfc3339_time(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "2020",
        "2020-05-20",
        "2020-05-20T10:00:00",
        "2020-05-20 10:00:00Z",
        "2020-05-20T10:00Z",
        "2020-5-20T10:00:00Z",
        "2020-13-01T00:00:00Z",
        "2020-00-01T00:00:00Z",
        "2020-01-00T00:00:00Z",
        "2020-04-31T00:00:00Z",
        "2019-02-29T00:00:00Z",
        "2100-02-29T00:00:00Z",
        "2020-01-01T24:00:00Z",
        "2020-01-01T00:60:00Z",
        "2020-01-01T00:00:61Z",
        "2020-01-01T00:00:60Z",
        "2020-01-01T00:00:00.Z",
        "2020-01-01T00:00:00+24:00",
        "2020-01-01T00:00:00+00:60",
        "2020-01-01T00:00:00+0000",
        "2020-01-01T00:00:00Z ",
        " 2020-01-01T00:00:00Z",
        "2020-01-01T00:00:00ZZ",
        "+020-01-01T00:00:00Z",
        "1969-12-31T23:59:59Z",
        "9999-12-31T23:59:59-00:01",
        "1970-01-01T00:00:00+00:01",
        "20-05-20T10:00:00Z",
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        int64_t value = 77;
        assert_int_equal(rfc3339_parse(span_of(bad[i]), &value), RC_INVALID);
        assert_true(value == 77);
    }
}

static void times_format(void **state)
{
    (void)state;
    char memory[64];
    struct strbuf out = STRBUF(memory);
    rfc3339_format(&out, 1589994000);
    assert_string_equal(memory, "2020-05-20T17:00:00Z");
    strbuf_clear(&out);
    rfc5322_date_format(&out, 1589994000);
    assert_string_equal(memory, "Wed, 20 May 2020 17:00:00 +0000");
    strbuf_clear(&out);
    rfc5322_date_format(&out, 784111777);
    assert_string_equal(memory, "Sun, 6 Nov 1994 08:49:37 +0000");
    strbuf_clear(&out);
    rfc3339_format(&out, INT64_MAX);
    assert_string_equal(memory, "9999-12-31T23:59:59Z");
    strbuf_clear(&out);
    rfc3339_format(&out, INT64_MIN);
    assert_string_equal(memory, "1970-01-01T00:00:00Z");
}

/* Every day of the calendar there and back, against a count that a child could do. */
static void every_day_converts_there_and_back(void **state)
{
    (void)state;
    static const int lengths[12] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
    struct civil_time want = { 1970, 1, 1, 13, 14, 15, 4 }, got;
    for (int64_t day = 0; want.year < 2410; day++) {
        int64_t at = day * 86400 + 13 * 3600 + 14 * 60 + 15;
        civil_from_unix(at, &got);
        assert_memory_equal(&got, &want, sizeof got);
        assert_true(unix_from_civil(&want) == at);
        want.weekday = (want.weekday + 1) % 7;
        bool leap = want.year % 4 == 0 && (want.year % 100 != 0 || want.year % 400 == 0);
        if (++want.day > lengths[want.month - 1] + (want.month == 2 && leap)) {
            want.day = 1;
            want.year += want.month == 12;
            want.month = want.month % 12 + 1;
        }
    }
}

static void http_dates_parse(void **state)
{
    (void)state;
    int64_t value;
    assert_int_equal(http_date_parse(SPAN("Sun, 06 Nov 1994 08:49:37 GMT"), &value), RC_OK);
    assert_true(value == 784111777);
    static const char *const bad[] = {
        "Sun, 6 Nov 1994 08:49:37 GMT",   "Mon, 06 Nov 1994 08:49:37 GMT",
        "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994",
        "Sun, 06 Nov 1994 08:49:37 UTC",  "Sun, 06 Nov 1994 08:49:37",
        "Sun, 06 Nov 1994 08:49:37 GMT ", "Sun, 31 Nov 1994 08:49:37 GMT",
        "sun, 06 Nov 1994 08:49:37 GMT",  "",
        "Sun, 06 Foo 1994 08:49:37 GMT",  "Sun, 06 Nov 1994 25:49:37 GMT",
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(http_date_parse(span_of(bad[i]), &value), RC_INVALID);
}

static void durations_show_their_two_largest_units(void **state)
{
    (void)state;
    static const struct {
        int64_t seconds;
        const char *text;
    } golden[] = {
        { 0, "0 s" },
        { 45, "45 s" },
        { 60, "1 min" },
        { 725, "12 min 5 s" },
        { 720, "12 min" },
        { 3600, "1 h" },
        { 3659, "1 h" },
        { 3661, "1 h 1 min" },
        { 3 * 86400 + 4 * 3600 + 59, "3 d 4 h" },
        { 86400 + 59 * 60, "1 d" },
        { -90, "-1 min 30 s" },
    };
    for (size_t i = 0; i < sizeof golden / sizeof *golden; i++) {
        char memory[40];
        struct strbuf out = STRBUF(memory);
        duration_format(&out, golden[i].seconds);
        assert_string_equal(memory, golden[i].text);
    }
    char memory[40];
    struct strbuf out = STRBUF(memory);
    duration_format(&out, INT64_MIN);
    assert_string_equal(memory, "-106751991167300 d 15 h");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rfc3339_times_parse), cmocka_unit_test(other_texts_are_no_rfc3339_time),
        cmocka_unit_test(times_format),        cmocka_unit_test(every_day_converts_there_and_back),
        cmocka_unit_test(http_dates_parse),    cmocka_unit_test(durations_show_their_two_largest_units),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
