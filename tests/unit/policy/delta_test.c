/* policy/delta.c: patches as the host's tool makes them, in pieces of any size, and patches that break a rule. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "hal/base/bytes.h"
#include "policy/delta.h"
#include "policy/image.h"
#include "tests/support/list_image.h"
#include "toolchain/tools/common/delta_writer.h"

static struct byte_buffer base, target, patch, made;
static unsigned headers;
static enum rc sink_answer;

static enum rc take_header(void *ctx, const struct delta_header *h)
{
    (void)ctx;
    headers++;
    assert_memory_equal(h->base, patch.p + 8, 32);
    assert_memory_equal(h->target, patch.p + 40, 32);
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
    /* header, manifest with two sections and a signature, and some ten bytes */
    size_t head = IMAGE_MANIFEST_BYTES + 2 * IMAGE_SECTION_BYTES + IMAGE_SIGNATURE_HEAD_BYTES + IMAGE_SIGNATURE_BYTES;
    assert_in_range(patch.len, DELTA_HEADER_BYTES + head - 60, DELTA_HEADER_BYTES + head + 24);
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
    byte_buffer_fill(&patch, 7, 32);
    byte_buffer_fill(&patch, 9, 32);
    byte_buffer_u64(&patch, target_bytes);
}

static void operations(const char *bytes, size_t len)
{
    byte_buffer_add(&patch, bytes, len);
}
#define OPERATIONS(literal) operations(literal, sizeof(literal) - 1)

static void expect(enum rc wanted, bool complete, struct span bytes)
{
    for (size_t step = 1; step < 200; step += 66) {
        bool is_complete;
        assert_int_equal(apply(step, &is_complete), wanted);
        assert_int_equal(is_complete, complete);
        if (wanted == RC_OK) {
            assert_int_equal(made.len, bytes.len);
            assert_memory_equal(made.p, bytes.p, made.len);
        }
    }
}

static void operations_mean_what_the_format_says(void **state)
{
    (void)state;
    begin(16);
    OPERATIONS("\x08xy");   /* 2 bytes */
    OPERATIONS("\x0d\x04"); /* 3 of the base, 2 ahead of 0 */
    OPERATIONS("\x09\x00"); /* 2 of where that ended */
    OPERATIONS("\x11\x07"); /* 4, 4 back from 7 */
    OPERATIONS("\x0b");     /* 2 zeros */
    OPERATIONS("\x0czzz");  /* 3 bytes */
    expect(RC_OK, true,
           SPAN("xy23456"
                "3456\0\0"
                "zzz"));
}

static void numbers_are_added_to(void **state)
{
    (void)state;
    begin(30);
    OPERATIONS("\x26\x00\x02");     /* 9 bytes of the base, 1 more at 0, at 8 there is no number */
    OPERATIONS("\x12\x11\x03");     /* 4, 9 back, the sum is 2 less now: -1 */
    OPERATIONS("\x05\x01");         /* a plain one in between: 1, 1 back */
    OPERATIONS("\x22\x05\xa2\x03"); /* 8, 3 back from 4; the sum is 0xd0: carried on within the number, not behind it */
    OPERATIONS("\x11\x11");         /* nor does a plain one add, */
    OPERATIONS("\x13");             /* nor are zeros added to */
    expect(RC_OK, true,
           SPAN("112345678"
                "/123"
                "3"
                "\x01\x33\x33\x34"
                "5678"
                "0123"
                "\0\0\0\0"));
}

static void a_sum_goes_on_over_pieces(void **state)
{
    (void)state;
    begin(600);
    byte_buffer_free(&base);
    byte_buffer_fill(&base, 0, 600);
    byte_buffer_fill(&target, 0, 600);
    for (size_t i = 0; i < 600; i += DELTA_SUM_STEP)
        put_le32(target.p + i, UINT32_MAX);
    OPERATIONS("\xe2\x12\x00\x01"); /* 600, the sum is -1 */
    expect_target();
}

#define RULE(literal) literal, sizeof(literal) - 1
static void what_breaks_a_rule(void **state)
{
    static const struct {
        uint64_t target_bytes;
        const char *bytes;
        size_t len;
    } cases[] = {
        { 10, RULE("\x00") },         /* no bytes */
        { 10, RULE("\x01\x00") },     /* copies none */
        { 10, RULE("\x02\x00\x00") }, /* and adds */
        { 10, RULE("\x03") },         /* no zeros */
        { 10, RULE("\x2c"
                   "01234567890") }, /* more than the target: bytes, a copy, */
        { 9, RULE("\x29\x00") },
        { 9, RULE("\x2a\x00\x00") },                                    /* with a sum, */
        { 10, RULE("\x2f") },                                           /* zeros */
        { 20, RULE("\x2d\x00") },                                       /* more than the base */
        { 20, RULE("\x2e\x00\x00") },                                   /* with a sum */
        { 20, RULE("\x09\x12") },                                       /* over the base's end by one */
        { 20, RULE("\x05\x14") },                                       /* behind it */
        { 20, RULE("\x05\x01") },                                       /* before its start */
        { 20, RULE("\x06\x01\x00") },                                   /* with a sum */
        { 20, RULE("\x05\xfe\xff\xff\xff\x0f") },                       /* far beyond */
        { 20, RULE("\x05\xff\xff\xff\xff\x0f") },                       /* far before */
        { 20, RULE("\x88\x00xy") },                                     /* a number with a needless byte */
        { UINT64_MAX, RULE("\x88\x80\x80\x80\x80\x01xy") },             /* over 32 bits */
        { UINT64_MAX, RULE("\x88\x80\x80\x80\x10xy") },                 /* the same in five bytes */
        { 20, RULE("\x12\x00\x88\x80\x80\x80\x10") },                   /* a sum over 32 bits */
        { 2, RULE("\x08xy\x08") },                                      /* goes on behind its end */
        { 20, RULE("\x88\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01xy") }, /* over 64 bits */
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        begin(cases[i].target_bytes);
        operations(cases[i].bytes, cases[i].len);
        expect(RC_CORRUPT, false, SPAN(""));
    }
    for (size_t at = 0; at < 8; at++) { /* no patch, or one of a later format */
        begin(2);
        OPERATIONS("\x08xy");
        patch.p[at]++;
        expect(RC_CORRUPT, false, SPAN(""));
    }
}

static void what_is_cut_is_not_complete(void **state)
{
    (void)state;
    begin(6);
    expect(RC_OK, false, SPAN(""));
    OPERATIONS("\x08xy\x11\x00");
    for (patch.len = 1; patch.len < DELTA_HEADER_BYTES + 5; patch.len++) {
        bool complete;
        assert_int_equal(apply(1, &complete), RC_OK);
        assert_false(complete);
    }
    expect(RC_OK, true, SPAN("xy0123"));
    OPERATIONS("\x88"); /* a number begins behind the end */
    expect(RC_OK, false, SPAN("xy0123"));
}

static unsigned reads, failing_read;

static enum rc read_with_a_fault(void *ctx, uint64_t offset, void *out, size_t len)
{
    (void)ctx;
    memcpy(out, base.p + offset, len);
    return ++reads == failing_read ? RC_IO : RC_OK;
}

/* Nothing is made of what could not be read, nor of what comes after it. */
static void a_base_that_cannot_be_read(void **state)
{
    (void)state;
    begin(600);
    byte_buffer_fill(&base, 'x', 600);
    OPERATIONS("\xc1\x12\x00"); /* 600 of the base, piece by piece */
    struct delta_sink sink = { take_header, take_bytes, NULL };
    struct reader r = { read_with_a_fault, NULL, base.len };
    for (failing_read = 1; failing_read < 4; failing_read++) {
        struct delta d;
        reads = 0;
        byte_buffer_free(&made);
        delta_init(&d, &r, &sink);
        assert_int_equal(delta_push(&d, byte_buffer_span(&patch)), RC_IO);
        assert_int_equal(made.len, (failing_read - 1) * DELTA_COPY_BYTES);
        assert_false(delta_complete(&d));
    }
}

static void the_sink_may_refuse(void **state)
{
    (void)state;
    begin(4);
    OPERATIONS("\x10xyxy");
    sink_answer = RC_REFUSED;
    expect(RC_REFUSED, false, SPAN(""));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(patches_between_lists, tear_down),
        cmocka_unit_test_teardown(what_did_not_change_is_not_sent, tear_down),
        cmocka_unit_test_teardown(only_lists_have_patches, tear_down),
        cmocka_unit_test_teardown(operations_mean_what_the_format_says, tear_down),
        cmocka_unit_test_teardown(numbers_are_added_to, tear_down),
        cmocka_unit_test_teardown(a_sum_goes_on_over_pieces, tear_down),
        cmocka_unit_test_teardown(what_breaks_a_rule, tear_down),
        cmocka_unit_test_teardown(what_is_cut_is_not_complete, tear_down),
        cmocka_unit_test_teardown(a_base_that_cannot_be_read, tear_down),
        cmocka_unit_test_teardown(the_sink_may_refuse, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
