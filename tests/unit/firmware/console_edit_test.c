/* The line editor key by key: what the line becomes and what the terminal is sent. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "firmware/console_edit.h"

static struct console_edit e;

static int set_up(void **state)
{
    (void)state;
    edit_init(&e);
    edit_start_line(&e);
    return 0;
}

static enum edit_result type(const char *keys)
{
    enum edit_result r = EDIT_MORE;
    for (; *keys; keys++)
        r = edit_byte(&e, (uint8_t)*keys);
    return r;
}

static void cr_lf_and_crlf_each_end_one_line(void **state)
{
    (void)state;
    assert_int_equal(type("status\r"), EDIT_LINE);
    assert_string_equal(e.line, "status");
    edit_start_line(&e);
    assert_int_equal(type("\n"), EDIT_MORE); /* the LF of that CRLF */
    assert_int_equal(type("queue\n"), EDIT_LINE);
    assert_string_equal(e.line, "queue");
    edit_start_line(&e);
    assert_int_equal(type("\n"), EDIT_LINE); /* an empty line */
    assert_int_equal(e.len, 0);
}

static void input_is_echoed_and_no_escape_is_sent(void **state)
{
    (void)state;
    type("show\bx\x15list\x17time \x01\x05\r");
    assert_null(strchr(e.echo.p, 0x1b));
    assert_non_null(strstr(e.echo.p, "show"));
}

static void keys_change_the_line(void **state)
{
    static const struct {
        const char *keys, *line;
    } cases[] = {
        { "shw\b\bow\r", "sow" },
        { "shw\x1b[Do\r", "show" },
        { "how\x01s\r", "show" },
        { "how\x1b[Hs\x1b[F!\r", "show!" },
        { "sshow\x01\x1b[3~\r", "show" },
        { "sshow\x01\x04\r", "show" },
        { "set mail.domains x\x17y\r", "set mail.domains y" },
        { "abc\x15"
          "d\r",
          "d" },
        { "abcdef\x1b[D\x1b[D\x0b\r", "abcd" },
        { "\x1bOC\x1b[Dab\r", "ab" },
        { "a\x07\x02"
          "b\r",
          "ba" },
        { "b\xc3\xbcro\b\b\b\x7f\r", "" },
        { "b\xc3\xbcro\b\b\x7f\r", "b" },
        { "\x1b[1;5Cab\r", "ab" },
        { "\x1bxab\r", "ab" },
        { "\x1b\x1b[Dab\r", "ab" },
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        set_up(NULL);
        assert_int_equal(type(cases[i].keys), EDIT_LINE);
        assert_string_equal(e.line, cases[i].line);
    }
}

static void history_goes_up_and_down(void **state)
{
    (void)state;
    const char *lines[] = { "one", "two", "two", "three" };
    for (size_t i = 0; i < 4; i++) {
        type(lines[i]);
        type("\r");
        edit_remember(&e);
        edit_start_line(&e);
    }
    type("\x1b[A\x1b[A\x1b[A");
    assert_string_equal(e.line, "one");
    type("\x1b[A");
    assert_string_equal(e.line, "one");
    type("\x1b[B");
    assert_string_equal(e.line, "two");
    type("\x1b[B\x1b[B");
    assert_string_equal(e.line, "");
}

static void history_forgets_the_oldest_and_never_overflows(void **state)
{
    (void)state;
    char line[120];
    for (unsigned i = 0; i < 200; i++) {
        struct strbuf b = STRBUF(line);
        strbuf_printf(&b, "set mail.route.some-rather-long-domain-name-number-%u.example 10.0.0.%u", i, i % 250);
        type(line);
        type("\r");
        edit_remember(&e);
        edit_start_line(&e);
        strbuf_clear(&e.echo);
    }
    assert_true(e.history_len <= sizeof e.history);
    type("\x1b[A");
    assert_string_equal(e.line, line);
    for (unsigned i = 0; i < 300; i++) {
        strbuf_clear(&e.echo);
        type("\x1b[A");
    }
    assert_true(e.len > 10);
}

static void an_overlong_line_is_told_and_dropped(void **state)
{
    (void)state;
    for (unsigned i = 0; i < CONSOLE_LINE_MAX + 50; i++) {
        strbuf_clear(&e.echo);
        assert_int_equal(edit_byte(&e, 'a'), EDIT_MORE);
    }
    assert_int_equal(edit_byte(&e, '\r'), EDIT_TOO_LONG);
    edit_start_line(&e);
    strbuf_clear(&e.echo);
    assert_int_equal(type("ok\r"), EDIT_LINE);
    assert_string_equal(e.line, "ok");
}

static void cancel_gives_the_line_up(void **state)
{
    (void)state;
    assert_int_equal(type("factory-reset\x03"), EDIT_CANCEL);
}

static void a_hidden_line_is_not_echoed(void **state)
{
    (void)state;
    e.hidden = true;
    type("secret\r");
    assert_string_equal(e.echo.p, "\r\n");
}

/* A terminal of one line: what stands there after the echo so far. */
static struct {
    char text[2 * CONSOLE_LINE_MAX];
    size_t cursor, len;
} terminal;

static void show_on_terminal(struct console_edit *edit)
{
    for (size_t i = 0; i < edit->echo.len; i++) {
        char c = edit->echo.p[i];
        if (c == '\b') {
            assert_true(terminal.cursor > 0);
            terminal.cursor--;
            continue;
        }
        assert_true(terminal.cursor < sizeof terminal.text);
        terminal.text[terminal.cursor++] = c;
        if (terminal.cursor > terminal.len)
            terminal.len = terminal.cursor;
    }
    assert_false(edit->echo.overflow);
    strbuf_clear(&edit->echo);
}

static void a_long_line_is_redrawn_whole(void **state)
{
    (void)state;
    memset(&terminal, 0, sizeof terminal);
    e.flush = show_on_terminal;
    for (unsigned i = 0; i < 900; i++)
        type(i % 10 ? "a" : "b");
    type("\x01x\x05y\x15short");
    show_on_terminal(&e);
    assert_string_equal(e.line, "short");
    assert_int_equal(terminal.cursor, 5);
    assert_memory_equal(terminal.text, "short ", 6);
    for (size_t i = 5; i < terminal.len; i++)
        assert_int_equal(terminal.text[i], ' ');
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(cr_lf_and_crlf_each_end_one_line, set_up),
        cmocka_unit_test_setup(input_is_echoed_and_no_escape_is_sent, set_up),
        cmocka_unit_test_setup(keys_change_the_line, set_up),
        cmocka_unit_test_setup(history_goes_up_and_down, set_up),
        cmocka_unit_test_setup(history_forgets_the_oldest_and_never_overflows, set_up),
        cmocka_unit_test_setup(an_overlong_line_is_told_and_dropped, set_up),
        cmocka_unit_test_setup(cancel_gives_the_line_up, set_up),
        cmocka_unit_test_setup(a_hidden_line_is_not_echoed, set_up),
        cmocka_unit_test_setup(a_long_line_is_redrawn_whole, set_up),
    };
    return cmocka_run_group_tests_name("console_edit", tests, NULL, NULL);
}
