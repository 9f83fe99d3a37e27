/* The pieces of a JSON text, and what is refused: also when the text comes in blocks of any size. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "toolchain/tools/common/json_split.h"

struct fixture {
    struct json_split json;
    FILE *file;
};

static struct fixture *start(struct span text)
{
    struct fixture *f = tool_alloc(1, sizeof *f);
    f->file = tmpfile();
    assert_non_null(f->file);
    assert_int_equal(fwrite(text.p, 1, text.len, f->file), text.len);
    rewind(f->file);
    json_split_start(&f->json, f->file);
    return f;
}

static void stop(struct fixture *f)
{
    json_split_free(&f->json);
    fclose(f->file);
    free(f);
}

static void expect_member(struct fixture *f, const char *name, unsigned line)
{
    char *got;
    unsigned at;
    assert_int_equal(json_split_member(&f->json, &got, &at), RC_OK);
    assert_string_equal(got, name);
    assert_int_equal(at, line);
    free(got);
}

static void expect_end(struct fixture *f)
{
    char *name;
    unsigned line;
    assert_int_equal(json_split_member(&f->json, &name, &line), RC_NOT_FOUND);
}

static void expect_number(struct fixture *f, double number)
{
    cJSON *value;
    assert_int_equal(json_split_value(&f->json, &value), RC_OK);
    assert_true(cJSON_IsNumber(value) && value->valuedouble == number);
    cJSON_Delete(value);
}

static void members_within_members(void **state)
{
    (void)state;
    struct fixture *f = start(
        SPAN(" {\"a\": 1,\r\n\"b\\u00e9\\\"\":{ \"c\" :2.5e1 , \"d\":{}},\n\n\"e\"\n:[{\"}\":\"]\\\\\"}]}\n "));
    cJSON *value;
    assert_int_equal(json_split_object(&f->json), RC_OK);
    expect_member(f, "a", 1);
    assert_int_equal(json_split_object(&f->json), RC_NOT_FOUND);
    expect_number(f, 1);
    expect_member(f, "b\303\251\"", 2);
    assert_int_equal(json_split_object(&f->json), RC_OK);
    expect_member(f, "c", 2);
    expect_number(f, 25);
    expect_member(f, "d", 2);
    assert_int_equal(json_split_object(&f->json), RC_OK);
    expect_end(f);
    expect_end(f);
    expect_member(f, "e", 4);
    assert_int_equal(json_split_value(&f->json, &value), RC_OK);
    assert_string_equal(cJSON_GetArrayItem(value, 0)->child->string, "}");
    assert_string_equal(cJSON_GetArrayItem(value, 0)->child->valuestring, "]\\");
    cJSON_Delete(value);
    expect_end(f);
    assert_int_equal(json_split_finish(&f->json), RC_OK);
    stop(f);
}

/* A text over several blocks, whose members lie across their borders. */
static void across_blocks(void **state)
{
    (void)state;
    struct byte_buffer text = { NULL, 0, 0 };
    char item[64];
    byte_buffer_add(&text, "{", 1);
    for (unsigned i = 0; i < 20000; i++) {
        int len = snprintf(item, sizeof item, "%s\n\"\303\251%u\": {\"x\": [%u]}", i > 0 ? "," : "", i, i);
        byte_buffer_add(&text, item, (size_t)len);
    }
    byte_buffer_add(&text, "}", 1);
    struct fixture *f = start(byte_buffer_span(&text));
    assert_int_equal(json_split_object(&f->json), RC_OK);
    for (unsigned i = 0; i < 20000; i++) {
        cJSON *value;
        snprintf(item, sizeof item, "\303\251%u", i);
        expect_member(f, item, i + 2);
        assert_int_equal(json_split_value(&f->json, &value), RC_OK);
        assert_int_equal(cJSON_GetArrayItem(value->child, 0)->valueint, (int)i);
        cJSON_Delete(value);
    }
    expect_end(f);
    assert_int_equal(json_split_finish(&f->json), RC_OK);
    assert_int_equal(f->json.taken_bytes, text.len);
    stop(f);
    byte_buffer_free(&text);
}

static void a_value_too_long_is_passed_over(void **state)
{
    (void)state;
    struct byte_buffer text = { NULL, 0, 0 };
    cJSON *value;
    byte_buffer_add(&text, "{\"a\": [\"", 8);
    byte_buffer_fill(&text, 'x', JSON_VALUE_MAX * 3);
    byte_buffer_add(&text, "\"], \"b\": 7}", 11);
    struct fixture *f = start(byte_buffer_span(&text));
    assert_int_equal(json_split_object(&f->json), RC_OK);
    expect_member(f, "a", 1);
    assert_int_equal(json_split_value(&f->json, &value), RC_TOO_LONG);
    assert_true(f->json.text.cap < JSON_VALUE_MAX * 3);
    expect_member(f, "b", 1);
    expect_number(f, 7);
    expect_end(f);
    stop(f);
    byte_buffer_free(&text);
}

/* Takes everything, as a reader of {"name": value, ...} would; how it ended. */
static enum rc read_all(struct fixture *f)
{
    char *name;
    unsigned line;
    cJSON *value;
    enum rc rc = json_split_object(&f->json);
    while (rc == RC_OK && (rc = json_split_member(&f->json, &name, &line)) == RC_OK) {
        free(name);
        rc = json_split_value(&f->json, &value);
        cJSON_Delete(value);
    }
    return rc == RC_NOT_FOUND && f->json.depth == 0 ? json_split_finish(&f->json) : rc;
}

static void faults_have_places(void **state)
{
    (void)state;
    static const struct {
        struct span text;
        const char *error;
    } cases[] = {
        { SPAN(""), "line 1, column 1: not JSON at the end of the file" },
        { SPAN("{"), "line 1, column 2: not JSON: a name is missing at the end of the file" },
        { SPAN("{\"a\""), "line 1, column 5: not JSON: a colon is missing at the end of the file" },
        { SPAN("{\"a\":"), "line 1, column 6: not JSON: a value is missing at the end of the file" },
        { SPAN("{\"a\":}"), "line 1, column 6: not JSON: a value is missing at: }" },
        { SPAN("{\"a\":[1"), "line 1, column 8: not JSON: a value is missing at the end of the file" },
        { SPAN("{\"a\":[1}}"), "line 1, column 8: not JSON at: }" },
        { SPAN("{\"a\":1]"), "line 1, column 7: not JSON: a comma or the end of the object is missing at: ]" },
        { SPAN("{\"a\":1 2}"), "line 1, column 8: not JSON: a comma or the end of the object is missing at: 2}" },
        { SPAN("{,}"), "line 1, column 2: not JSON: a name is missing at: ,}" },
        { SPAN("{\"a\":1,}"), "line 1, column 8: not JSON: a name is missing at: }" },
        { SPAN("{\"\303\251\":\n \"\303\251\" x}"),
          "line 2, column 6: not JSON: a comma or the end of the object is missing at: x}" },
        { SPAN("{\"a\":\"\\x\"}"), "line 1, column 7: not JSON at: \\x5cx\"" },
        { SPAN("{\"a\\\":1}"), "line 1, column 9: a string does not end at the end of the file" },
        { SPAN("{\"a\": \"b\0\"}"), "line 1, column 9: a NUL character at: \\x00\"}" },
        { SPAN("{\"a\": \"b\\u0000\"}"), "line 1, column 9: a NUL character at: \\x5cu0000" },
        { SPAN("{\"a\\u0000\": 1}"), "line 1, column 4: a NUL character at: \\x5cu0000" },
        { SPAN("{\"a\": \"\xf4\x90\x80\x80\"}"), "line 1, column 9: bytes that are not UTF-8 at: \\x90\\x80\\x80\"}" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct fixture *f = start(cases[i].text);
        enum rc rc = read_all(f);
        assert_int_equal(rc, RC_INVALID);
        assert_string_equal(f->json.error, cases[i].error);
        stop(f);
    }
}

/* An escaped backslash before u0000 is no escape: the text is a backslash and "u0000". */
static void a_backslash_is_no_nul(void **state)
{
    (void)state;
    struct fixture *f = start(SPAN("{\"a\": \"\\\\u0000\"}"));
    assert_int_equal(read_all(f), RC_OK);
    stop(f);
}

/* Any bytes end in some code, without a fault that the sanitizers see. */
static void cut_and_changed(void **state)
{
    (void)state;
    static const char text[] = "{\"a\": [1, {\"b\": \"\\u00e9\303\251\"}, null], \"c\": \"\\\\\", \"d\": -1.5e3}";
    for (size_t i = 0; i < sizeof text - 1; i++) {
        struct fixture *f = start(span_bytes(text, i));
        assert_int_not_equal(read_all(f), RC_OK);
        stop(f);
        for (unsigned c = 0; c < 256; c += 3) {
            char changed[sizeof text];
            memcpy(changed, text, sizeof text);
            changed[i] = (char)c;
            f = start(span_bytes(changed, sizeof text - 1));
            enum rc rc = read_all(f);
            assert_true(rc == RC_OK || rc == RC_INVALID || rc == RC_NOT_FOUND);
            stop(f);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(members_within_members),          cmocka_unit_test(across_blocks),
        cmocka_unit_test(a_value_too_long_is_passed_over), cmocka_unit_test(faults_have_places),
        cmocka_unit_test(a_backslash_is_no_nul),           cmocka_unit_test(cut_and_changed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
