/* Plain policies of a list (policy/LIST.md), which lie in the image as the decoder holds them: each rule, broken alone in an image whose
 * checksum and size are right. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "hal/base/bytes.h"
#include "hal/base/crc32.h"
#include "policy/list_block.h"
#include "toolchain/tools/common/list_writer.h"

#define LINE_BYTES 5
#define M (SYMBOLS - 26 + 'm' - 'a')
#define X (SYMBOLS - 26 + 'x' - 'a')
enum { ALONE = PATTERN_END, RELATIVE = PATTERN_END | PATTERN_RELATIVE };

/* One name, whose policy is the first of the table. */
static void make(struct byte_buffer *image, struct list *l, struct span *bytes, struct reader *r)
{
    struct list_source s = { .timestamp = 1589995512, .expires = 1591205112, .author = "a" };
    static const char *const names[] = { "example.com", "example.net" };
    s.domains = tool_alloc(2, sizeof *s.domains);
    for (; s.count < 2; s.count++) {
        s.domains[s.count] = (struct list_source_domain){ .name = tool_copy(span_of(names[s.count])),
                                                          .mode = LIST_ENFORCE,
                                                          .mx_count = 1 };
        s.domains[s.count].mx = tool_alloc(1, sizeof *s.domains[0].mx);
        s.domains[s.count].mx[0] = tool_copy(SPAN("mx.provider.example"));
    }
    assert_int_equal(list_write(&s, image), RC_OK);
    list_source_free(&s);
    *bytes = byte_buffer_span(image);
    *r = reader_on_span(bytes);
    assert_int_equal(list_open(l, r), RC_OK);
    assert_int_equal(l->shared, 1);
}

/* A line of one block, its length as a number by 10 and none taken off. */
static void put_line(struct byte_buffer *image, size_t len)
{
    assert_true(len < 3 * 1024);
    uint32_t h = (uint32_t)(len >> 10) + 1, ones = h > 1;
    uint64_t bits = 10 << 8; /* 5 bits, 4 bits, 8 bits */
    bits = bits << 1 | ones;
    if (ones)
        bits = bits << 2 | (h & 1); /* the zero, and the lower bit of h */
    bits = (bits << 10 | (len & 1023)) << (ones ? 2 : 4);
    byte_buffer_u8(image, LINE_BYTES);
    for (unsigned i = 0; i < 4; i++)
        byte_buffer_u8(image, (uint8_t)(bits >> (24 - 8 * i)));
}

/* What is found where the policy is this. */
static enum rc find(const uint8_t *policy, size_t len, struct list_entry *e)
{
    struct byte_buffer small = { NULL, 0, 0 }, image = { NULL, 0, 0 };
    struct list l;
    struct span bytes;
    struct reader r;
    make(&small, &l, &bytes, &r);
    byte_buffer_add(&image, small.p, (size_t)l.policies.at);
    for (unsigned i = 0; i < LIST_TABLE_BYTES; i++)
        byte_buffer_u8(&image, 0);
    put_line(&image, len);
    byte_buffer_add(&image, policy, len);
    put_le32(image.p + 44, (uint32_t)(LINE_BYTES + len));
    image.p[50] = 1;
    size_t head = LIST_HEADER_BYTES + 1 + LIST_OWN_BYTES;
    put_le32(image.p + 52, crc32_update(crc32_update(0, image.p, 52), image.p + LIST_HEADER_BYTES, head - LIST_HEADER_BYTES));
    bytes = byte_buffer_span(&image);
    r = reader_on_span(&bytes);
    assert_int_equal(list_open(&l, &r), RC_OK);
    enum rc rc = list_find(&l, SPAN("example.com"), e);
    byte_buffer_free(&small);
    byte_buffer_free(&image);
    return rc;
}

static void what_the_rules_allow_is_found(void **state)
{
    (void)state;
    struct list_entry e;
    uint8_t most[2 * LIST_MX_MAX];
    assert_int_equal(find((const uint8_t[]){ M, X, RELATIVE }, 3, &e), RC_OK);
    assert_int_equal(e.mx_count, 1);
    assert_string_equal(list_entry_mx(&e, 0), "mx.example.com");
    assert_int_equal(find((const uint8_t[]){ RELATIVE, M, X, ALONE | PATTERN_DOT }, 4, &e), RC_OK);
    assert_string_equal(list_entry_mx(&e, 0), "example.com");
    assert_string_equal(list_entry_mx(&e, 1), ".mx");
    for (unsigned i = 0; i < sizeof most; i++)
        most[i] = i % 2 ? ALONE : M;
    assert_int_equal(find(most, sizeof most, &e), RC_OK);
    assert_int_equal(e.mx_count, LIST_MX_MAX);
}

static void each_rule_is_checked(void **state)
{
    (void)state;
    static const struct {
        const char *what;
        size_t len;
        uint8_t policy[4];
    } faults[] = {
        { "no pattern", 0, { 0 } },
        { "no end", 2, { M, X } },
        { "no end behind another", 4, { M, RELATIVE, M, X } },
        { "an end within", 3, { M, SYMBOL_END, ALONE } },
        { "no symbol", 2, { SYMBOLS, ALONE } },
        { "no symbol either", 2, { PATTERN_END - 1, ALONE } },
        { "no symbol behind one", 2, { M, PATTERN_END - 64 } },
        { "an unknown flag", 2, { M, PATTERN_END | 8 } },
        { "nothing at all", 1, { ALONE } },
        { "before and behind", 2, { M, RELATIVE | PATTERN_DASHED } },
    };
    struct list_entry e;
    for (unsigned i = 0; i < sizeof faults / sizeof faults[0]; i++) {
        enum rc rc = find(faults[i].policy, faults[i].len, &e);
        if (rc != RC_CORRUPT)
            fail_msg("%s is %s", faults[i].what, rc_name(rc));
    }
}

static void what_is_too_long_is_corrupt(void **state)
{
    (void)state;
    struct list_entry e;
    uint8_t many[2 * (LIST_MX_MAX + 1)], long_one[2048];
    for (unsigned i = 0; i < sizeof many; i++)
        many[i] = i % 2 ? ALONE : M;
    assert_int_equal(find(many, sizeof many, &e), RC_CORRUPT);
    memset(long_one, M, sizeof long_one);
    for (size_t len = 300; len < sizeof long_one;
         len += 181) { /* one pattern as long as no name is, then more than an entry holds */
        long_one[len - 1] = ALONE;
        assert_int_equal(find(long_one, len, &e), RC_CORRUPT);
        long_one[len - 1] = M;
    }
    for (unsigned i = 0; i < sizeof long_one; i++)
        long_one[i] = i % 100 == 99 ? RELATIVE : M;
    assert_int_equal(find(long_one, 1000, &e), RC_CORRUPT); /* only when it is written out */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_the_rules_allow_is_found),
        cmocka_unit_test(each_rule_is_checked),
        cmocka_unit_test(what_is_too_long_is_corrupt),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
