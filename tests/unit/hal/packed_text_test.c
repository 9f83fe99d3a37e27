/* hal/base/packed_text.h on what toolchain/pack-texts made of a file of lines, in the place of the board's texts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "hal/base/strbuf.h"

__asm__(".pushsection .rodata\n.balign 4\n.globl packed_texts\npacked_texts:\n.incbin \"tests/vectors/texts/lines.packed\"\n"
        ".popsection\n");

#define LINE_MAX_BYTES 2048
#define LINES_LEAST 50

/* Where the packed text of that offset would be, were there anything. */
static const char *packed_at(size_t offset)
{
    return (const char *)(uintptr_t)(PACKED_TEXTS_AT + offset);
}

struct lines {
    FILE *file;
    char line[LINE_MAX_BYTES];
    size_t offset, len, count;
};

static struct lines lines_open(void)
{
    struct lines l = { .file = fopen("tests/vectors/texts/lines.txt", "r") };
    assert_non_null(l.file);
    return l;
}

static bool lines_next(struct lines *l)
{
    if (l->count++ > 0)
        l->offset += l->len + 1;
    if (fgets(l->line, sizeof l->line, l->file) == NULL) {
        fclose(l->file);
        assert_true(l->count > LINES_LEAST);
        return false;
    }
    l->len = strlen(l->line) - 1;
    l->line[l->len] = '\0';
    return true;
}

static const char *find_line(const char *begins)
{
    struct lines l = lines_open();
    while (lines_next(&l))
        if (strncmp(l.line, begins, strlen(begins)) == 0) {
            fclose(l.file);
            return packed_at(l.offset);
        }
    fail_msg("no line begins with %s", begins);
    return NULL;
}

static void every_line_is_read_as_it_was(void **state)
{
    (void)state;
    for (struct lines l = lines_open(); lines_next(&l);) {
        const char *text = packed_at(l.offset);
        struct text_reader r;
        assert_true(text_is_packed(text));
        assert_int_equal(text_length(text, SIZE_MAX), l.len);
        assert_int_equal(text_length(text, 3), l.len < 3 ? l.len : 3);
        text_open(&r, text);
        for (size_t i = 0; i <= l.len; i++)
            assert_int_equal(text_next(&r), l.line[i]);
    }
}

static void the_end_of_the_last_is_the_end(void **state)
{
    (void)state;
    struct lines l = lines_open();
    while (lines_next(&l))
        ;
    assert_int_equal(packed_texts.bytes, l.offset);
    assert_false(text_is_packed(packed_at(l.offset)));
    assert_false(text_is_packed(packed_at(0) - 1));
    assert_false(text_is_packed("plain"));
    assert_false(text_is_packed(NULL));
}

static void strbuf_puts_what_is_packed(void **state)
{
    (void)state;
    for (struct lines l = lines_open(); lines_next(&l);) {
        char memory[LINE_MAX_BYTES + 2];
        struct strbuf b = STRBUF(memory);
        strbuf_putc(&b, '<');
        strbuf_puts(&b, packed_at(l.offset));
        strbuf_putc(&b, '>');
        assert_int_equal(b.len, l.len + 2);
        assert_memory_equal(memory + 1, l.line, l.len);
    }
}

static void formats_and_their_texts_may_be_packed(void **state)
{
    (void)state;
    char memory[200];
    struct strbuf b = STRBUF(memory);
    const char *name = find_line("public name");
    (strbuf_printf)(&b, find_line("%s has"), "it", 3u, 40u, "on", name, 0x2au);
    assert_string_equal(memory, "it has 3 of 40    |   on|pub|002a%");
    strbuf_clear(&b);
    strbuf_printf(&b, "%s|%5.2s|%-5.1s|%.0s", name, name, name, name);
    assert_string_equal(memory, "public name of this box, as in its MX record and its certificate|   pu|p    |");
}

static void a_text_that_does_not_fit_is_cut(void **state)
{
    (void)state;
    char memory[7];
    struct strbuf b = STRBUF(memory);
    strbuf_puts(&b, find_line("public name"));
    assert_string_equal(memory, "public");
    assert_true(b.overflow);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_line_is_read_as_it_was),    cmocka_unit_test(the_end_of_the_last_is_the_end),
        cmocka_unit_test(strbuf_puts_what_is_packed),      cmocka_unit_test(formats_and_their_texts_may_be_packed),
        cmocka_unit_test(a_text_that_does_not_fit_is_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
