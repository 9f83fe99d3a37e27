/* policy.json under the sanitizers: what good files become, and that a file cut or changed anywhere ends in errors that can be read. The words of
 * each rule are tested in tests/tools/test_postern_list.py. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "hal/base/utf8.h"
#include "toolchain/tools/common/policy_json.h"

static const char text[] =
    "{\"policies\": {\"b.example\": {\"policy-alias\": \"p\"}, \"A.example\": {\"mode\": \"enforce\", \"mxs\": "
    "[\"MX.example.com.\", \".example.net\"]},\n \"b\303\274cher.example\": {\"mode\": \"testing\", \"mxs\": "
    "[\"mx.a.example\"]}},\n"
    "\"policy-aliases\": {\"p\": {\"mode\": \"testing\", \"mxs\": [\"a.b\"]}}, \"timestamp\": \"2020-05-20T10:25:12.7-07:00\", "
    "\"expires\": 1591205112, \"version\": \"0.1\", \"author\": \"Some\\u00f6ne\"}";

static enum rc open_text(struct span bytes, struct policy_json *p, struct policy_report *r)
{
    FILE *f = fmemopen(NULL, bytes.len + 1, "w+");
    assert_non_null(f);
    assert_int_equal(fwrite(bytes.p, 1, bytes.len, f), bytes.len);
    fflush(f);
    rewind(f);
    FILE *in = bytes.len > 0 ? f : fopen("/dev/null", "rb");
    enum rc rc = policy_json_open(p, in, r, NULL);
    if (in != f)
        fclose(in);
    fclose(f);
    return rc;
}

static void a_good_file(void **state)
{
    (void)state;
    static const char *const names[] = { "A.example", "b.example", "xn--bcher-kva.example" };
    struct policy_report r = { .file = "f" };
    struct policy_json p;
    struct list_source_domain d;
    assert_int_equal(open_text(span_bytes(text, sizeof text - 1), &p, &r), RC_OK);
    assert_int_equal(r.warnings, 1); /* the author's letter */
    assert_int_equal(p.timestamp, 1589995512);
    assert_int_equal(p.expires, 1591205112);
    assert_int_equal(p.count, 3);
    for (unsigned pass = 0; pass < 2; pass++) {
        assert_int_equal(policy_json_rewind(&p), RC_OK);
        for (unsigned i = 0; i < 3; i++) {
            assert_int_equal(policy_json_next(&p, &d), RC_OK);
            assert_true(span_eq_nocase(span_of(d.name), span_of(names[i])));
            assert_int_equal(p.line, i == 2 ? 2 : 1);
        }
        assert_int_equal(policy_json_next(&p, &d), RC_NOT_FOUND);
    }
    assert_int_equal(policy_json_rewind(&p), RC_OK);
    assert_int_equal(policy_json_next(&p, &d), RC_OK);
    assert_int_equal(d.mode, LIST_ENFORCE);
    assert_string_equal(d.mx[0], "mx.example.com");
    assert_string_equal(d.mx[1], ".example.net");
    assert_null(p.alias);
    assert_int_equal(policy_json_next(&p, &d), RC_OK);
    assert_string_equal(p.alias->name, "p");
    assert_string_equal(d.mx[0], "a.b");
    policy_json_close(&p);
    byte_buffer_free(&r.messages);
}

static void expect_clean(struct span bytes)
{
    struct policy_report r = { .file = "f" };
    struct policy_json p;
    enum rc rc = open_text(bytes, &p, &r);
    assert_true(rc == RC_OK || rc == RC_INVALID);
    assert_int_equal(rc == RC_OK, r.errors == 0);
    assert_true(utf8_valid(byte_buffer_span(&r.messages)));
    assert_int_equal(r.errors + r.warnings > 0, r.messages.len > 0);
    if (rc == RC_OK)
        policy_json_close(&p);
    byte_buffer_free(&r.messages);
}

static void cut_and_changed(void **state)
{
    (void)state;
    static const char tries[] = "\0\"\\{}[],:.* x\n\xff";
    char changed[sizeof text];
    for (size_t i = 0; i < sizeof text - 1; i++) {
        if (i % 7 == 0)
            expect_clean(span_bytes(text, i));
        memcpy(changed, text, sizeof text);
        changed[i] = tries[i % (sizeof tries - 1)];
        expect_clean(span_bytes(changed, sizeof text - 1));
    }
}

static void aliases_are_bounded(void **state)
{
    (void)state;
    struct byte_buffer b = { NULL, 0, 0 };
    struct policy_report r = { .file = "f" };
    struct policy_json p;
    char item[80];
    byte_buffer_add(&b, "{\"policies\": {", 14);
    for (unsigned i = 0; i < POLICY_ALIASES_MAX + 10; i++) {
        int len = snprintf(item, sizeof item, "%s\"d%u.example\": {\"policy-alias\": \"p%u\"}", i > 0 ? "," : "", i, i);
        byte_buffer_add(&b, item, (size_t)len);
    }
    byte_buffer_add(&b, "}}", 2);
    assert_int_equal(open_text(byte_buffer_span(&b), &p, &r), RC_INVALID);
    byte_buffer_u8(&r.messages, 0);
    assert_non_null(strstr((char *)r.messages.p, "more than 4096 aliases"));
    byte_buffer_free(&r.messages);
    byte_buffer_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_good_file),
        cmocka_unit_test(cut_and_changed),
        cmocka_unit_test(aliases_are_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
