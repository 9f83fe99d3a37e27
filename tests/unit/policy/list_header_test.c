/* Each rule of a list's header (policy/LIST.md), broken alone in an image whose checksum and size are right: whoever means harm computes these
 * too. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "hal/base/bytes.h"
#include "hal/base/crc32.h"
#include "policy/list_block.h"
#include "toolchain/tools/common/list_writer.h"

#define AUTHOR "a"

static struct byte_buffer image;

static void make(void)
{
    struct list_source s = { .timestamp = 1589995512, .expires = 1591205112, .author = AUTHOR };
    static const char *const names[] = { "example.com", "example.net", "example.org" };
    s.domains = tool_alloc(3, sizeof *s.domains);
    for (; s.count < 3; s.count++) {
        s.domains[s.count] = (struct list_source_domain){ .name = tool_copy(span_of(names[s.count])),
                                                          .mode = LIST_ENFORCE,
                                                          .mx_count = 1 };
        s.domains[s.count].mx = tool_alloc(1, sizeof *s.domains[0].mx);
        s.domains[s.count].mx[0] = tool_copy(SPAN("mx.provider.example"));
    }
    assert_int_equal(list_write(&s, &image), RC_OK);
    list_source_free(&s);
}

static int tear_down(void **state)
{
    (void)state;
    byte_buffer_free(&image);
    return 0;
}

static void put(size_t at, unsigned bytes, uint64_t value)
{
    for (unsigned i = 0; i < bytes; i++)
        image.p[at + i] = (uint8_t)(value >> (8 * i));
}

/* Zeros to the policies' table, as many as the header's numbers ask for now. */
static void pad_table(const struct list *before)
{
    struct byte_buffer padded = { NULL, 0, 0 };
    uint32_t plain = get_le16(image.p + 50), coded = get_le32(image.p + 32) - plain, each = image.p[49] > 0 ? image.p[49] : 1;
    struct list_directory d = { .count = plain + (uint32_t)(((uint64_t)coded + each - 1) / each) + (get_le32(image.p + 20) >> 8) };
    byte_buffer_add(&padded, image.p, (size_t)before->policies.at);
    for (uint64_t have = list_directory_bytes(&before->policies); have < list_directory_bytes(&d); have++)
        byte_buffer_u8(&padded, 0);
    byte_buffer_add(&padded, image.p + before->policies.at, image.len - (size_t)before->policies.at);
    byte_buffer_free(&image);
    image = padded;
}

static enum rc open_mended(void)
{
    struct list l;
    size_t before = LIST_HEADER_BYTES + strlen(AUTHOR) + LIST_OWN_BYTES;
    put(52, 4, crc32_update(crc32_update(0, image.p, 52), image.p + LIST_HEADER_BYTES, before - LIST_HEADER_BYTES));
    struct span bytes = byte_buffer_span(&image);
    struct reader r = reader_on_span(&bytes);
    return list_open(&l, &r);
}

struct field {
    size_t at;
    unsigned bytes;
    uint64_t value;
};

static enum rc open_with(const struct field *fields, unsigned count)
{
    struct list before;
    make();
    struct span bytes = byte_buffer_span(&image);
    struct reader r = reader_on_span(&bytes);
    assert_int_equal(list_open(&before, &r), RC_OK);
    for (unsigned i = 0; i < count; i++)
        put(fields[i].at, fields[i].bytes, fields[i].value);
    pad_table(&before);
    enum rc rc = open_mended();
    byte_buffer_free(&image);
    return rc;
}

static void what_the_rules_allow_is_opened(void **state)
{
    (void)state;
    static const struct field most[][2] = {
        { { 6, 1, 3 }, { 49, 1, 1 } },
        { { 48, 1, LIST_BITS_MAX }, { 49, 1, 255 } },
        { { 8, 5, 1 }, { 16, 5, 253402300799 } },
        { { 8, 5, 7 }, { 16, 8, 7 } },
        { { 50, 2, 1024 }, { 32, 4, 2000 } },
        { { 21, 3, 1 }, { 49, 1, 1 } },
        { { 21, 3, 8191 }, { 16, 5, 253402300799 } },
        { { 32, 4, 0xfffffe }, { 49, 1, 255 } },
        { { 56, 1, ' ' }, { 28, 4, 3 } },
        { { 56, 1, '~' }, { 28, 4, 0 } },
    };
    for (unsigned i = 0; i < sizeof most / sizeof most[0]; i++)
        assert_int_equal(open_with(most[i], 2), RC_OK);
}

static void each_rule_is_checked(void **state)
{
    (void)state;
    static const struct field faults[][2] = {
        { { 0, 1, 'Q' }, { 3, 1, 'T' } },
        { { 4, 1, 2 }, { 5, 1, 1 } },
        { { 4, 1, 3 }, { 5, 1, 1 } },
        { { 21, 3, 8192 }, { 49, 1, 1 } },
        { { 21, 3, 0x10000 }, { 49, 1, 1 } },
        { { 6, 1, 0 }, { 49, 1, 1 } },
        { { 6, 1, 1 }, { 49, 1, 0 } },
        { { 48, 1, LIST_BITS_MAX + 1 }, { 49, 1, 1 } },
        { { 48, 1, 255 }, { 49, 1, 1 } },
        { { 8, 5, 0 }, { 16, 8, 7 } },
        { { 8, 5, UINT64_MAX }, { 16, 8, 7 } },
        { { 8, 5, 8 }, { 16, 8, 7 } },
        { { 8, 5, 8 }, { 16, 8, 253402300800 } },
        { { 13, 3, 0 }, { 49, 1, 1 } },
        { { 13, 3, 2 }, { 49, 1, 1 } },
        { { 13, 3, 0xffffff }, { 49, 1, 1 } },
        { { 28, 4, 4 }, { 49, 1, 1 } },
        { { 50, 2, 1025 }, { 32, 4, 2000 } },
        { { 50, 2, 4 }, { 49, 1, 1 } }, /* more plain policies than there are: the others' count comes round to one less */
        { { 32, 4, 0xffffff }, { 49, 1, 255 } },
        { { 56, 1, 0x1f }, { 28, 4, 3 } },
        { { 56, 1, 0x7f }, { 28, 4, 3 } },
    };
    for (unsigned i = 0; i < sizeof faults / sizeof faults[0]; i++) {
        enum rc rc = open_with(faults[i], 2);
        if (rc != RC_CORRUPT)
            fail_msg("the header with byte %zu at %llu is %s", faults[i][0].at, (unsigned long long)faults[i][0].value,
                     rc_name(rc));
    }
}

static void a_byte_more_or_less_is_corrupt(void **state)
{
    (void)state;
    make();
    assert_int_equal(open_mended(), RC_OK);
    image.len--;
    assert_int_equal(open_mended(), RC_CORRUPT);
    image.len++;
    byte_buffer_u8(&image, 0);
    assert_int_equal(open_mended(), RC_CORRUPT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(what_the_rules_allow_is_opened, tear_down),
        cmocka_unit_test_teardown(each_rule_is_checked, tear_down),
        cmocka_unit_test_teardown(a_byte_more_or_less_is_corrupt, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
