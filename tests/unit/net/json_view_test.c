/* net/json_view.c: what is JSON and what is not, and values looked up in it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "net/json_view.h"

static void what_is_json(void **state)
{
    (void)state;
    static const char *const good[] = {
        "{}",
        "[]",
        " [ 1 , 2 ] ",
        "0",
        "-0.5e+10",
        "1E5",
        "\"\"",
        "true",
        "false",
        "null",
        "{\"a\":{\"b\":[{},[],\"\\u00fc\\ud83d\\ude00\"]}}",
        "\t\r\n{ \"a\" : 1 }\n",
        "\"\xc3\xbc\"",
        "[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]",
    };
    static const struct span bad[] = {
        SPAN(""),           SPAN(" "),         SPAN("{"),           SPAN("}"),           SPAN("[1,]"),
        SPAN("[,1]"),       SPAN("{\"a\"}"),   SPAN("{\"a\":}"),    SPAN("{a:1}"),       SPAN("{,}"),
        SPAN("[1 2]"),      SPAN("1 2"),       SPAN("{} x"),        SPAN("01"),          SPAN("+1"),
        SPAN("1."),         SPAN(".5"),        SPAN("1e"),          SPAN("-"),           SPAN("0x10"),
        SPAN("NaN"),        SPAN("True"),      SPAN("nul"),         SPAN("'a'"),         SPAN("\"a"),
        SPAN("\"\\x\""),    SPAN("\"\\u12\""), SPAN("\"\\u0000\""), SPAN("\"\0\""),      SPAN("\"\n\""),
        SPAN("\"\xff\""),   SPAN("\"\xc3\""),  SPAN("\"\\ud800\""), SPAN("\"\\udc00\""), SPAN("\"\\ud800\\u0041\""),
        SPAN("\"\\"),       SPAN("{}\0"),      SPAN("[1}"),         SPAN("{\"a\":1]"),   SPAN("/* */1"),
        SPAN("{\"a\":1,}"),
    };
    struct json_view v;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        if (json_view_open(span_of(good[i]), &v) != RC_OK)
            fail_msg("refused: %s", good[i]);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        if (json_view_open(bad[i], &v) != RC_INVALID)
            fail_msg("taken: %.*s", (int)bad[i].len, bad[i].p);
    char deep[64];
    memset(deep, '[', sizeof deep);
    assert_int_equal(json_view_open(span_bytes(deep, sizeof deep), &v), RC_TOO_LONG);
    assert_int_equal(json_view_open(SPAN("[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]"), &v), RC_TOO_LONG);
}

static void members(void **state)
{
    (void)state;
    struct json_view v, m, n;
    char memory[32];
    struct strbuf text = STRBUF(memory);
    uint64_t number;
    assert_int_equal(json_view_open(SPAN(" {\"a\":1 ,\"b\":\"x\\n\\\"y\\u00e9\\ud83d\\ude00\", \"c\":{\"a\":[true,null,\"z\"]},"
                                         "\"d\":1.5,\"twice\":1,\"e\":18446744073709551616,\"twice\":2,\"f\":-1}"),
                                    &v),
                     RC_OK);
    assert_int_equal(json_view_member(&v, "a", &m), RC_OK);
    assert_true(json_view_u64(&m, &number) && number == 1);
    assert_int_equal(json_view_member_text(&v, "a", &text), RC_INVALID);
    assert_int_equal(json_view_member_text(&v, "b", &text), RC_OK);
    assert_string_equal(memory, "x\n\"y\xc3\xa9\xf0\x9f\x98\x80");
    assert_int_equal(json_view_member(&v, "c", &m), RC_OK);
    assert_int_equal(json_view_member(&m, "a", &n), RC_OK);
    size_t cursor = 0;
    assert_true(json_view_each(&n, &cursor, &m) && json_view_true(&m));
    assert_true(json_view_each(&n, &cursor, &m) && m.type == JSON_NULL && !json_view_true(&m));
    assert_true(json_view_each(&n, &cursor, &m) && span_is(m.text, "\"z\""));
    assert_false(json_view_each(&n, &cursor, &m));
    static const char *const numbers[] = { "d", "e", "f", "b" };
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(json_view_member(&v, numbers[i], &m), RC_OK);
        assert_false(json_view_u64(&m, &number));
    }
    assert_int_equal(json_view_member(&v, "twice", &m), RC_INVALID);
    assert_int_equal(json_view_member(&v, "none", &m), RC_NOT_FOUND);
    assert_int_equal(json_view_member_text(&v, "none", &text), RC_NOT_FOUND);
    assert_int_equal(json_view_member(&n, "a", &m), RC_NOT_FOUND);
    cursor = 0;
    assert_false(json_view_each(&v, &cursor, &m));
    char little[4];
    struct strbuf small = STRBUF(little);
    assert_int_equal(json_view_member_text(&v, "b", &small), RC_TOO_LONG);
    assert_int_equal(small.len, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(what_is_json), cmocka_unit_test(members) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
