/* policy/delta.c: patches as the host's tool makes them, in pieces of any size, and patches that break a rule. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "hal/base/bytes.h"
#include "policy/delta.h"
#include "tests/support/list_image.h"
#include "toolchain/tools/common/delta_writer.h"

static struct byte_buffer base, target, patch, made;
static unsigned headers;
static enum rc sink_answer;

static enum rc take_header(void *ctx, const struct delta_header *h)
{
    (void)ctx;
    (void)h;
    headers++;
    return sink_answer;
}

static enum rc take_bytes(void *ctx, struct span bytes)
{
    (void)ctx;
    byte_buffer_add(&made, bytes.p, bytes.len);
    return RC_OK;
}

static enum rc apply(size_t step, bool *complete)
{
    static const struct delta_sink sink = { take_header, take_bytes, NULL };
    struct span b = byte_buffer_span(&base), p = byte_buffer_span(&patch);
    struct reader r = reader_on_span(&b);
    struct delta d;
    enum rc rc = RC_OK;
    headers = 0;
    byte_buffer_free(&made);
    delta_init(&d, &r, &sink);
    for (size_t at = 0; rc == RC_OK && at < p.len; at += step)
        rc = delta_push(&d, span_sub(p, at, step));
    *complete = delta_complete(&d);
    if (rc != RC_OK)
        assert_int_equal(delta_push(&d, SPAN("more")), rc);
    return rc;
}

static int tear_down(void **state)
{
    (void)state;
    sink_answer = RC_OK;
    byte_buffer_free(&base);
    byte_buffer_free(&target);
    byte_buffer_free(&patch);
    byte_buffer_free(&made);
    return 0;
}

static void expect_target(void)
{
    static const size_t steps[] = { 1, 3, 72, 1000, 1 << 20 };
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        bool complete;
        assert_int_equal(apply(steps[i], &complete), RC_OK);
        assert_true(complete);
        assert_int_equal(headers, 1);
        assert_int_equal(made.len, target.len);
        assert_memory_equal(made.p, target.p, target.len);
    }
}

static void patches_between_lists(void **state)
{
    static const struct {
        unsigned domains, without;
    } cases[] = { { 500, 0 }, { 501, 0 }, { 499, 0 }, { 500, 50 }, { 1500, 3 }, { 1, 0 } };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        list_image_make(&base, 1, 500, 0);
        list_image_make(&target, 2, cases[i].domains, cases[i].without);
        assert_int_equal(delta_write(byte_buffer_span(&base), byte_buffer_span(&target), &patch), RC_OK);
        assert_true(patch.len < target.len + 100);
        expect_target();
        tear_down(NULL);
    }
}

static void what_did_not_change_is_not_sent(void **state)
{
    (void)state;
    list_image_make(&base, 1, 500, 0);
    list_image_make(&target, 2, 500, 0);
    assert_int_equal(delta_write(byte_buffer_span(&base), byte_buffer_span(&target), &patch), RC_OK);
    /* header, manifest with signatures, and some ten bytes */
    assert_in_range(patch.len, DELTA_HEADER_BYTES + 1024, DELTA_HEADER_BYTES + 1024 + 24);
    expect_target();
}

static void only_lists_have_patches(void **state)
{
    (void)state;
    list_image_make(&base, 1, 5, 0);
    list_image_make(&target, 2, 5, 0);
    byte_buffer_u8(&target, 0); /* something behind it */
    assert_int_equal(delta_write(byte_buffer_span(&base), byte_buffer_span(&target), &patch), RC_INVALID);
    assert_int_equal(delta_write(SPAN("no image"), byte_buffer_span(&base), &patch), RC_INVALID);
}

/* --- by hand: the base is 0123456789 --- */

static void begin(uint64_t target_bytes)
{
    tear_down(NULL);
    byte_buffer_add(&base, "0123456789", 10);
    byte_buffer_add(&patch, "PDLT", 4);
    byte_buffer_u32(&patch, DELTA_FORMAT);
    byte_buffer_fill(&patch, 7, 64);
    byte_buffer_u64(&patch, target_bytes);
}

static void operations(const char *bytes, size_t len)
{
    byte_buffer_add(&patch, bytes, len);
}
#define OPERATIONS(literal) operations(literal, sizeof(literal) - 1)

static void expect(enum rc wanted, bool complete, const char *text)
{
    for (size_t step = 1; step < 200; step += 66) {
        bool is_complete;
        assert_int_equal(apply(step, &is_complete), wanted);
        assert_int_equal(is_complete, complete);
        if (wanted == RC_OK) {
            assert_int_equal(made.len, strlen(text));
            assert_memory_equal(made.p, text, made.len);
        }
    }
}

static void operations_mean_what_the_format_says(void **state)
{
    (void)state;
    begin(14);
    OPERATIONS("\x04xy");   /* 2 bytes */
    OPERATIONS("\x07\x04"); /* 3 of the base, 2 ahead of 0 */
    OPERATIONS("\x05\x00"); /* 2 of where that ended */
    OPERATIONS("\x09\x07"); /* 4, 4 back from 7 */
    OPERATIONS("\x06zzz");  /* 3 bytes */
    expect(RC_OK, true,
           "xy23456"
           "3456"
           "zzz");
}

static void what_breaks_a_rule(void **state)
{
    (void)state;
    begin(10);
    OPERATIONS("\x00"); /* no bytes */
    expect(RC_CORRUPT, false, "");
    begin(10);
    OPERATIONS("\x01\x00"); /* copies none */
    expect(RC_CORRUPT, false, "");
    begin(10);
    OPERATIONS("\x16"
               "01234567890"); /* more than the target */
    expect(RC_CORRUPT, false, "");
    begin(20);
    OPERATIONS("\x17\x00"); /* more than the base */
    expect(RC_CORRUPT, false, "");
    begin(20);
    OPERATIONS("\x05\x12"); /* over the base's end by one */
    expect(RC_CORRUPT, false, "");
    begin(20);
    OPERATIONS("\x05\x01"); /* before its start */
    expect(RC_CORRUPT, false, "");
    begin(20);
    OPERATIONS("\x03\xfe\xff\xff\xff\x0f"); /* far beyond */
    expect(RC_CORRUPT, false, "");
    begin(20);
    OPERATIONS("\x84\x00xy"); /* a number with a needless byte */
    expect(RC_CORRUPT, false, "");
    begin(UINT64_MAX);
    OPERATIONS("\x84\x80\x80\x80\x80\x01xy"); /* over 32 bits */
    expect(RC_CORRUPT, false, "");
    begin(2);
    OPERATIONS("\x04xy\x04"); /* goes on behind its end */
    expect(RC_CORRUPT, false, "");
    begin(10);
    patch.p[4] = 2; /* a later format */
    expect(RC_CORRUPT, false, "");
}

static void what_is_cut_is_not_complete(void **state)
{
    (void)state;
    begin(6);
    expect(RC_OK, false, "");
    OPERATIONS("\x04xy\x09\x00");
    for (patch.len = 1; patch.len < DELTA_HEADER_BYTES + 5; patch.len++) {
        bool complete;
        assert_int_equal(apply(1, &complete), RC_OK);
        assert_false(complete);
    }
    expect(RC_OK, true, "xy0123");
}

static void the_sink_may_refuse(void **state)
{
    (void)state;
    begin(4);
    OPERATIONS("\x08xyxy");
    sink_answer = RC_REFUSED;
    expect(RC_REFUSED, false, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(patches_between_lists, tear_down),
        cmocka_unit_test_teardown(what_did_not_change_is_not_sent, tear_down),
        cmocka_unit_test_teardown(only_lists_have_patches, tear_down),
        cmocka_unit_test_teardown(operations_mean_what_the_format_says, tear_down),
        cmocka_unit_test_teardown(what_breaks_a_rule, tear_down),
        cmocka_unit_test_teardown(what_is_cut_is_not_complete, tear_down),
        cmocka_unit_test_teardown(the_sink_may_refuse, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
