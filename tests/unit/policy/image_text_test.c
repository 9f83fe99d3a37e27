/* policy/image_text.c: what is written is read back, and no changed, lost or added character of a line is taken for a good one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "policy/image_text.h"

static char memory[IMAGE_TEXT_LINE_MAX + 1];
static struct strbuf text;
static struct image_text_line line;

static enum rc parse(const char *s)
{
    return image_text_parse(span_of(s), &line);
}

static void lines_of_every_length(void **state)
{
    uint8_t data[IMAGE_TEXT_BYTES];
    (void)state;
    for (size_t len = 1; len <= sizeof data; len++) {
        memset(data, (int)(0xa0 + len), sizeof data);
        text = STRBUF(memory);
        image_text_data(&text, UINT32_MAX - (uint32_t)len, span_bytes(data, len));
        assert_false(text.overflow);
        assert_int_equal(image_text_parse(strbuf_span(&text), &line), RC_OK);
        assert_int_equal(line.kind, IMAGE_TEXT_DATA);
        assert_int_equal(line.number, UINT32_MAX - len);
        assert_int_equal(line.len, len);
        assert_memory_equal(line.data, data, len);
    }
}

static void the_format_stays(void **state)
{
    (void)state;
    text = STRBUF(memory);
    image_text_data(&text, 7, SPAN("PIMG"));
    assert_string_equal(memory, "7 UElNRw== 7a6e40b2");
    text = STRBUF(memory);
    image_text_begin(&text, 187269);
    assert_string_equal(memory, "begin postern-image 187269");
    assert_int_equal(parse(memory), RC_OK);
    assert_int_equal(line.kind, IMAGE_TEXT_BEGIN);
    assert_int_equal(line.size_bytes, 187269);
    text = STRBUF(memory);
    image_text_end(&text, 2601);
    assert_string_equal(memory, "end 2601");
    assert_int_equal(parse(memory), RC_OK);
    assert_int_equal(line.kind, IMAGE_TEXT_END);
    assert_int_equal(line.number, 2601);
}

static void every_damage_is_seen(void **state)
{
    (void)state;
    text = STRBUF(memory);
    image_text_data(&text, 1234, SPAN("some bytes of an image"));
    for (size_t at = 0; at < text.len; at++) {
        char changed[sizeof memory];
        for (unsigned c = 0x20; c < 0x7f; c++) {
            memcpy(changed, memory, sizeof memory);
            changed[at] = (char)c;
            bool same = changed[at] == memory[at] || (at > text.len - 9 && (changed[at] | 0x20) == (memory[at] | 0x20));
            bool comment = at == 0 && (c == '#');
            if (!same && !comment && parse(changed) == RC_OK)
                fail_msg("'%s' is taken", changed);
        }
        memcpy(changed, memory, at);
        memcpy(changed + at, memory + at + 1, sizeof memory - at - 1); /* one lost */
        assert_int_not_equal(parse(changed), RC_OK);
    }
}

static void what_is_passed_over(void **state)
{
    static const char *const lines[] = { "", "  ", "\t", "# 1 UElNRw== 00000000", "########" };
    (void)state;
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        assert_int_equal(parse(lines[i]), RC_OK);
        assert_int_equal(line.kind, IMAGE_TEXT_NOTHING);
    }
}

static void what_is_no_line(void **state)
{
    static const char *const lines[] = { "hello",
                                         "begin postern-image",
                                         "begin postern-image x",
                                         "begin postern-image 99999999999999999999",
                                         "end",
                                         "end -1",
                                         "1 UElNRw==",
                                         "1  00000000",
                                         "1 UElNRw== 123456789",
                                         "1 UElNRw== 1234567",
                                         "0 UElNRw== 00000000" };
    (void)state;
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++)
        assert_int_not_equal(parse(lines[i]), RC_OK);
    /* Right checksums do not make them good: too many bytes, none, no base64. */
    char long_memory[300];
    struct strbuf b = STRBUF(long_memory);
    uint8_t data[IMAGE_TEXT_BYTES + 3] = { 0 };
    image_text_data(&b, 1, span_bytes(data, sizeof data));
    assert_int_equal(parse(long_memory), RC_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_of_every_length), cmocka_unit_test(the_format_stays), cmocka_unit_test(every_damage_is_seen),
        cmocka_unit_test(what_is_passed_over),   cmocka_unit_test(what_is_no_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
