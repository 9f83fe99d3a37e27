/* policy/anchors.c: what the writer makes of DS records is read back, and of the root's own two. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "policy/anchors.h"
#include "toolchain/tools/common/image_writer.h"

static struct byte_buffer made;
static struct span bytes;
static struct reader reader;
static struct anchors anchors;
static struct anchor anchor;
static char why_text[200];

static enum rc make(struct span text)
{
    struct strbuf why = STRBUF(why_text);
    byte_buffer_free(&made);
    enum rc rc = anchors_write(text, &made, &why);
    bytes = byte_buffer_span(&made);
    reader = reader_on_span(&bytes);
    return rc;
}

static int tear_down(void **state)
{
    (void)state;
    byte_buffer_free(&made);
    return 0;
}

static void both_keys_of_the_root_are_built_in(void **state)
{
    (void)state;
    static const uint8_t begin_2017[] = { 0xe0, 0x6d, 0x44, 0xb8 }, end_2024[] = { 0xc0, 0xfb, 0x2b, 0x16 };
    assert_int_equal(make(SPAN("")), RC_OK);
    assert_int_equal(anchors_open(&anchors, &reader), RC_OK);
    assert_int_equal(anchors.count, 2);
    assert_int_equal(anchors_get(&anchors, 0, &anchor), RC_OK);
    assert_int_equal(anchor.key_tag, 20326);
    assert_int_equal(anchor.algorithm, 8);
    assert_int_equal(anchor.digest_type, ANCHOR_SHA256);
    assert_memory_equal(anchor.digest, begin_2017, 4);
    assert_int_equal(anchors_get(&anchors, 1, &anchor), RC_OK);
    assert_int_equal(anchor.key_tag, 38696);
    assert_memory_equal(anchor.digest + 28, end_2024, 4);
    assert_int_equal(anchors_get(&anchors, 2, &anchor), RC_NOT_FOUND);
}

#define DIGEST "00112233445566778899aabbccddeeff00112233445566778899AABBCCDDEEFF"

static void records_are_taken_as_they_are_published(void **state)
{
    (void)state;
    assert_int_equal(make(SPAN("; a comment\n\n. 172800 IN DS 7 13 2 " DIGEST "\r\n.\tIN\tDS\t8 13 4 00\n. IN DS 9 8 2 "
                               "0011223344556677 8899aabbccddeeff 0011223344556677 8899AABBCCDDEEFF")),
                     RC_OK);
    assert_int_equal(anchors_open(&anchors, &reader), RC_OK);
    assert_int_equal(anchors.count, 2);
    assert_int_equal(anchors_get(&anchors, 1, &anchor), RC_OK);
    assert_int_equal(anchor.key_tag, 9);
    assert_int_equal(anchor.digest[31], 0xff);
    assert_int_equal(anchors_get(&anchors, 0, &anchor), RC_OK);
    assert_int_equal(anchor.algorithm, 13);
}

static void what_is_no_anchor_is_named(void **state)
{
    (void)state;
    static const struct {
        struct span text;
        const char *words;
    } cases[] = {
        { { "; nothing", 9 }, "no DS record" },
        { { ". IN DS 7 13 4 00\n", 18 }, "no DS record" },
        { { "example. IN DS 7 13 2 " DIGEST, 22 + 64 }, "line 1" },
        { { "\n. IN DNSKEY 257 3 8 AwEA", 25 }, "line 2" },
        { { ". IN DS 7 13 2 " DIGEST "0", 15 + 65 }, "line 1" },
        { { ". IN DS 7 13 2 " DIGEST, 15 + 63 }, "line 1" },
        { { ". IN DS 65536 13 2 " DIGEST, 19 + 64 }, "line 1" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(make(cases[i].text), RC_INVALID);
        assert_non_null(strstr(why_text, cases[i].words));
    }
    struct byte_buffer many = { NULL, 0, 0 };
    for (unsigned i = 0; i < ANCHORS_MAX + 1; i++)
        byte_buffer_add(&many, ". IN DS 7 13 2 " DIGEST "\n", 15 + 64 + 1);
    assert_int_equal(make(byte_buffer_span(&many)), RC_INVALID);
    assert_non_null(strstr(why_text, "line 9: more"));
    byte_buffer_free(&many);
}

static void damage_is_seen(void **state)
{
    (void)state;
    assert_int_equal(make(SPAN("")), RC_OK);
    for (size_t at = 0; at < ANCHORS_HEADER_BYTES; at++) {
        made.p[at] ^= 0x11;
        assert_int_equal(anchors_open(&anchors, &reader), RC_CORRUPT);
        assert_int_equal(anchors.count, 0);
        made.p[at] ^= 0x11;
    }
    made.p[ANCHORS_HEADER_BYTES + 3] = 1; /* SHA-1 */
    assert_int_equal(anchors_open(&anchors, &reader), RC_OK);
    assert_int_equal(anchors_get(&anchors, 0, &anchor), RC_CORRUPT);
    for (size_t len = 0; len < made.len; len++) {
        struct span cut = span_bytes(made.p, len);
        struct reader r = reader_on_span(&cut);
        assert_int_equal(anchors_open(&anchors, &r), RC_CORRUPT);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(both_keys_of_the_root_are_built_in, tear_down),
        cmocka_unit_test_teardown(records_are_taken_as_they_are_published, tear_down),
        cmocka_unit_test_teardown(what_is_no_anchor_is_named, tear_down),
        cmocka_unit_test_teardown(damage_is_seen, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
