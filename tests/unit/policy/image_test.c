/* policy/image.c: what the writer makes is read back; no damaged container is taken for a good one, or reads outside its bytes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "hal/base/bytes.h"
#include "hal/base/crc32.h"
#include "hal/crypto/sha256.h"
#include "toolchain/tools/common/image_writer.h"

static struct byte_buffer made;
static struct span bytes;
static struct reader reader;
static struct image image;
static const struct image_source_section sections[] = {
    { IMAGE_POLICIES, { "the policies", 12 } },
    { (enum image_section)77, { "?", 1 } },
    { IMAGE_ROOTS, { "the roots, a little longer than sixteen", 39 } },
};

static struct image_source source(void)
{
    return (struct image_source){ .kind = IMAGE_LIST,
                                  .board = "any",
                                  .version = 7,
                                  .created = 1589995512,
                                  .expires = 1591205112,
                                  .sections = sections,
                                  .count = 3 };
}

static int set_up(void **state)
{
    (void)state;
    struct image_source s = source();
    assert_int_equal(image_write(&s, &made), RC_OK);
    bytes = byte_buffer_span(&made);
    reader = reader_on_span(&bytes);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    byte_buffer_free(&made);
    return 0;
}

/* Makes the manifest's CRC right again after a test has changed the manifest. */
static void mend_crc(void)
{
    put_le32(made.p + 64 + 3 * 56 + 4, crc32_update(0, made.p, 64 + 3 * 56));
}

static void the_manifest_is_read_back(void **state)
{
    (void)state;
    assert_int_equal(image_open(&image, &reader), RC_OK);
    assert_int_equal(image.kind, IMAGE_LIST);
    assert_string_equal(image.board, "any");
    assert_int_equal(image.version, 7);
    assert_int_equal(image.created, 1589995512);
    assert_int_equal(image.expires, 1591205112);
    assert_int_equal(image.size_bytes, made.len);
    assert_int_equal(image.section_count, 3);
    assert_int_equal(image.signature_count, 0);
    struct reader part;
    struct reader_part place;
    char text[64] = "";
    assert_int_equal(image_section_reader(&image, IMAGE_ROOTS, &part, &place), RC_OK);
    assert_int_equal(part.size_bytes, 39);
    assert_int_equal(reader_get(&part, 0, text, 39), RC_OK);
    assert_string_equal(text, "the roots, a little longer than sixteen");
    assert_int_equal(image_section_reader(&image, IMAGE_ANCHORS, &part, &place), RC_NOT_FOUND);
}

static unsigned pauses;
static void count_pause(void)
{
    pauses++;
}

static void sections_are_checked_by_hash(void **state)
{
    (void)state;
    assert_int_equal(image_open(&image, &reader), RC_OK);
    assert_int_equal(image_section_check(&image, IMAGE_POLICIES, NULL), RC_OK);
    assert_int_equal(image_section_check(&image, IMAGE_ROOTS, count_pause), RC_OK);
    assert_int_equal(image_section_check(&image, IMAGE_CODE, NULL), RC_NOT_FOUND);
    made.p[made.len - 1] ^= 1;
    assert_int_equal(image_section_check(&image, IMAGE_ROOTS, NULL), RC_CORRUPT);
    assert_int_equal(image_section_check(&image, IMAGE_POLICIES, NULL), RC_OK);
}

static void a_long_section_lets_others_run(void **state)
{
    (void)state;
    struct byte_buffer big = { NULL, 0, 0 }, written = { NULL, 0, 0 };
    byte_buffer_fill(&big, 0x5a, 40000);
    struct image_source_section section = { IMAGE_CODE, byte_buffer_span(&big) };
    struct image_source s = source();
    s.sections = &section;
    s.count = 1;
    assert_int_equal(image_write(&s, &written), RC_OK);
    struct span all = byte_buffer_span(&written);
    struct reader r = reader_on_span(&all);
    assert_int_equal(image_open(&image, &r), RC_OK);
    pauses = 0;
    assert_int_equal(image_section_check(&image, IMAGE_CODE, count_pause), RC_OK);
    assert_in_range(pauses, 9, 10);
    byte_buffer_free(&big);
    byte_buffer_free(&written);
}

static void a_slot_may_be_larger_than_the_image(void **state)
{
    (void)state;
    byte_buffer_fill(&made, 0xff, 5000);
    bytes = byte_buffer_span(&made);
    reader = reader_on_span(&bytes);
    assert_int_equal(image_open(&image, &reader), RC_OK);
    assert_int_equal(image.size_bytes, made.len - 5000);
    assert_int_equal(image_section_check(&image, IMAGE_ROOTS, NULL), RC_OK);
}

static void erased_flash_is_no_image(void **state)
{
    (void)state;
    memset(made.p, 0xff, made.len);
    assert_int_equal(image_open(&image, &reader), RC_NOT_FOUND);
    assert_null(image.reader);
    made.p[63] = 0xfe;
    assert_int_equal(image_open(&image, &reader), RC_CORRUPT);
    bytes.len = reader.size_bytes = 10;
    assert_int_equal(image_open(&image, &reader), RC_CORRUPT);
}

static void every_flip_in_the_manifest_is_seen(void **state)
{
    (void)state;
    for (size_t at = 0; at < 64 + 3 * 56 + 12; at++) {
        for (unsigned bit = 0; bit < 8; bit++) {
            made.p[at] ^= (uint8_t)(1u << bit);
            enum rc rc = image_open(&image, &reader);
            bool count_of_signatures = at >= 64 + 3 * 56 + 8;
            assert_true(rc == RC_CORRUPT || (count_of_signatures && rc == RC_OK));
            if (rc == RC_CORRUPT)
                assert_int_equal(image.section_count, 0);
            made.p[at] ^= (uint8_t)(1u << bit);
        }
    }
}

static void cut_images_are_corrupt(void **state)
{
    (void)state;
    for (size_t len = 0; len < made.len; len++) {
        char *exact = tool_alloc(len, 1);
        memcpy(exact, made.p, len);
        struct span cut = span_bytes(exact, len);
        struct reader r = reader_on_span(&cut);
        assert_int_equal(image_open(&image, &r), RC_CORRUPT);
        free(exact);
    }
}

/* A manifest whose CRC is right, made by somebody who means harm. */
static void hostile_manifests_are_refused(void **state)
{
    (void)state;
    static const struct {
        unsigned at;
        uint64_t value;
    } cases[] = {
        { 48, 0 },                    /* size: none */
        { 48, UINT64_MAX },           /* beyond the slot */
        { 64 + 8, 0 },                /* a section over the manifest */
        { 64 + 8, UINT64_MAX - 3 },   /* an offset that wraps */
        { 64 + 16, UINT64_MAX },      /* a size that wraps */
        { 64 + 56 + 8, 64 },          /* out of order */
        { 64 + 112 + 16, 38 },        /* bytes after the last section */
        { 64 + 112, IMAGE_POLICIES }, /* a type twice */
        { 32, UINT64_MAX },           /* created before 1970 */
        { 40, UINT64_MAX },           /* expires before 1970 */
        { 8, 0x0a796e61 },            /* board "any\n" */
        { 8, 0x7f796e61 },            /* board "any\x7f" */
        { 8, 0x6120796e61 },          /* board "any a" */
        { 8, 0x6100796e61 },          /* board "any", NUL, "a" */
        { 8, 0 },                     /* no board */
        { 0, 0x0001000158474d49 },    /* magic */
        { 0, 0x00010002474d4950 },    /* format */
        { 0, 0x00000001474d4950 },    /* kind */
        { 0, 0x00050001474d4950 },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint64_t old = get_le64(made.p + cases[i].at);
        put_le64(made.p + cases[i].at, cases[i].value);
        mend_crc();
        assert_int_equal(image_open(&image, &reader), RC_CORRUPT);
        put_le64(made.p + cases[i].at, old);
        mend_crc();
        assert_int_equal(image_open(&image, &reader), RC_OK);
    }
}

/* A manifest of the least that image_open takes but for what its arguments say; sections are empty. */
static enum rc open_made_of(unsigned section_count, uint32_t room, uint32_t signature_count, const char *board)
{
    static uint8_t b[4096];
    size_t head = 64 + section_count * 56u;
    struct span all = span_bytes(b, head + room);
    struct reader r = reader_on_span(&all);
    memset(b, 0, sizeof b);
    memcpy(b, "PIMG\x01\x00\x01\x00", 8);
    memcpy(b + 8, board, strnlen(board, 16));
    b[24] = 'x'; /* version: no end of the board's name */
    put_le64(b + 48, head + room);
    put_le32(b + 56, section_count);
    put_le32(b + 60, room);
    for (unsigned n = 0; n < section_count; n++) {
        put_le32(b + 64 + n * 56, n + 1);
        put_le64(b + 64 + n * 56 + 8, head + room);
    }
    memcpy(b + head, "PSIG", 4);
    put_le32(b + head + 4, crc32_update(0, b, head));
    put_le32(b + head + 8, signature_count);
    return image_open(&image, &r);
}

static void counts_have_bounds(void **state)
{
    (void)state;
    assert_int_equal(open_made_of(1, 16, 0, "any"), RC_OK);
    assert_int_equal(open_made_of(8, 16, 0, "any"), RC_OK);
    assert_int_equal(open_made_of(9, 16, 0, "any"), RC_CORRUPT);
    assert_int_equal(open_made_of(0, 16, 0, "any"), RC_CORRUPT);
    assert_int_equal(open_made_of(1, 16 + 8 * 104, 8, "any"), RC_OK);
    assert_int_equal(open_made_of(1, 16 + 8 * 104, 9, "any"), RC_CORRUPT);
    assert_int_equal(open_made_of(1, 16 + 8 * 104 - 1, 8, "any"), RC_CORRUPT);
    assert_int_equal(open_made_of(1, 16 + 8 * 104 + 1, 0, "any"), RC_CORRUPT);
    assert_int_equal(open_made_of(1, 16 + 104, UINT32_MAX / 104 + 1, "any"), RC_CORRUPT); /* a product that wraps */
    assert_int_equal(open_made_of(1, 15, 0, "any"), RC_CORRUPT);
    assert_int_equal(open_made_of(1, 16, 0, "a-name-of-fiftee"), RC_CORRUPT); /* no NUL after it */
    assert_int_equal(open_made_of(1, 16, 0, "a-name-of-fifte"), RC_OK);
}

static unsigned reads_left;
static enum rc read_fails(void *ctx, uint64_t offset, void *out, size_t len)
{
    (void)ctx;
    return reads_left-- == 0 ? RC_IO : reader_get(&reader, offset, out, len);
}

static void a_failing_read_is_not_a_damaged_image(void **state)
{
    (void)state;
    struct reader r = { .read = read_fails, .size_bytes = made.len };
    uint8_t hash[32];
    struct image_signature s;
    enum rc rc = RC_IO;
    put_le32(made.p + 64 + 3 * 56 + 8, 1);
    for (unsigned n = 0; rc == RC_IO && n < 20; n++) {
        reads_left = n;
        rc = image_open(&image, &r);
        assert_int_equal(rc == RC_IO ? 0 : 3, image.section_count);
    }
    assert_int_equal(rc, RC_OK);
    reads_left = 0;
    assert_int_equal(image_section_check(&image, IMAGE_ROOTS, NULL), RC_IO);
    reads_left = 0;
    assert_int_equal(image_manifest_hash(&image, hash), RC_IO);
    reads_left = 0;
    assert_int_equal(image_signature(&image, 0, &s), RC_IO);
}

static void signatures_are_given_as_written(void **state)
{
    (void)state;
    uint8_t *room = made.p + 64 + 3 * 56;
    put_le32(room + 8, 2);
    put_le32(room + 16 + 104, IMAGE_ECDSA_P256_SHA256);
    memset(room + 16 + 104 + 8, 0x11, 32);
    memset(room + 16 + 104 + 40, 0x22, 64);
    assert_int_equal(image_open(&image, &reader), RC_OK);
    struct image_signature s;
    assert_int_equal(image_signature(&image, 1, &s), RC_OK);
    assert_int_equal(s.algorithm, IMAGE_ECDSA_P256_SHA256);
    assert_int_equal(s.key_id[31], 0x11);
    assert_int_equal(s.signature[0], 0x22);
    assert_int_equal(s.signature[63], 0x22);
    assert_int_equal(image_signature(&image, 2, &s), RC_NOT_FOUND);
    uint8_t expected[32], found[32];
    sha256_of(span_bytes(made.p, 64 + 3 * 56), expected);
    assert_int_equal(image_manifest_hash(&image, found), RC_OK);
    assert_memory_equal(found, expected, 32);
    put_le32(room + 8, 9);
    assert_int_equal(image_open(&image, &reader), RC_CORRUPT);
}

static void the_writer_refuses_what_the_reader_would(void **state)
{
    (void)state;
    struct byte_buffer out = { NULL, 0, 0 };
    struct image_source_section twice[] = { sections[0], sections[0] };
    struct image_source s = source();
    s.sections = twice;
    s.count = 2;
    assert_int_equal(image_write(&s, &out), RC_INVALID);
    s = source();
    s.board = "a-name-of-sixteen";
    assert_int_equal(image_write(&s, &out), RC_INVALID);
    s = source();
    s.count = 0;
    assert_int_equal(image_write(&s, &out), RC_INVALID);
    byte_buffer_free(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_manifest_is_read_back, set_up, tear_down),
        cmocka_unit_test_setup_teardown(sections_are_checked_by_hash, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_long_section_lets_others_run, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_slot_may_be_larger_than_the_image, set_up, tear_down),
        cmocka_unit_test_setup_teardown(erased_flash_is_no_image, set_up, tear_down),
        cmocka_unit_test_setup_teardown(every_flip_in_the_manifest_is_seen, set_up, tear_down),
        cmocka_unit_test_setup_teardown(cut_images_are_corrupt, set_up, tear_down),
        cmocka_unit_test_setup_teardown(hostile_manifests_are_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(counts_have_bounds, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_failing_read_is_not_a_damaged_image, set_up, tear_down),
        cmocka_unit_test_setup_teardown(signatures_are_given_as_written, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_writer_refuses_what_the_reader_would, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
