/* net/stream.c and net/memory_stream.c: what a line is, what is buffered when, and which errors stay. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "net/memory_stream.h"
#include "net/tls_session.h"

static const struct deadline soon = { 1 };

/* Stands in for the TLS floor: says what it saw. */
static unsigned tls_starts;
static size_t tls_start_out_len;
static enum rc tls_start_result;
enum rc tls_session_start(struct stream *s, struct tls_params *p, struct deadline d)
{
    (void)p;
    (void)d;
    tls_starts++;
    tls_start_out_len = s->out_len;
    return tls_start_result;
}

struct fixture {
    struct stream s;
    struct memory_stream m;
    char written_text[8192];
    struct strbuf written;
    char line_text[64];
    struct strbuf line;
    bool bare;
};

static struct fixture f;

static void open_on(struct span input, size_t chunk)
{
    f.written = STRBUF(f.written_text);
    f.line = STRBUF(f.line_text);
    f.bare = false;
    memory_stream_init(&f.s, &f.m, input, &f.written);
    f.m.chunk = chunk;
}

static void expect_line(const char *text, bool bare)
{
    assert_int_equal(stream_read_line(&f.s, &f.line, &f.bare, soon), RC_OK);
    assert_string_equal(f.line.p, text);
    assert_int_equal(f.line.len, strlen(text));
    assert_int_equal(f.bare, bare);
}

static void lines_split_anywhere(void **state)
{
    (void)state;
    for (size_t chunk = 0; chunk < 12; chunk++) {
        open_on(SPAN("EHLO a\r\n\r\nMAIL\nx\ry\r\n\r\r\n\n"), chunk);
        expect_line("EHLO a", false);
        expect_line("", false);
        expect_line("MAIL", true);
        expect_line("x\ry", false);
        expect_line("\r", false);
        expect_line("", true);
        assert_int_equal(stream_read_line(&f.s, &f.line, &f.bare, soon), RC_CLOSED);
    }
}

static void nul_bytes_stay(void **state)
{
    (void)state;
    open_on(SPAN("a\0b\r\n"), 1);
    assert_int_equal(stream_read_line(&f.s, &f.line, &f.bare, soon), RC_OK);
    assert_int_equal(f.line.len, 3);
    assert_memory_equal(f.line.p, "a\0b", 3);
}

static void bare_lf_refused_without_asker(void **state)
{
    (void)state;
    open_on(SPAN("ok\r\nbad\nnext\r\n"), 0);
    assert_int_equal(stream_read_line(&f.s, &f.line, NULL, soon), RC_OK);
    assert_int_equal(stream_read_line(&f.s, &f.line, NULL, soon), RC_PROTOCOL);
    assert_int_equal(stream_read_line(&f.s, &f.line, NULL, soon), RC_PROTOCOL);
}

static void unfinished_line_is_no_line(void **state)
{
    (void)state;
    open_on(SPAN("QUIT"), 0);
    assert_int_equal(stream_read_line(&f.s, &f.line, &f.bare, soon), RC_CLOSED);
    open_on(SPAN("QUIT\r"), 0);
    assert_int_equal(stream_read_line(&f.s, &f.line, &f.bare, soon), RC_CLOSED);
}

static void line_of_exactly_the_capacity(void **state)
{
    (void)state;
    char input[80];
    struct strbuf in = STRBUF(input);
    for (unsigned i = 0; i < sizeof f.line_text - 1; i++)
        strbuf_putc(&in, 'x');
    strbuf_puts(&in, "\r\n");
    for (size_t chunk = 0; chunk < 70; chunk += 7) {
        open_on(strbuf_span(&in), chunk);
        assert_int_equal(stream_read_line(&f.s, &f.line, &f.bare, soon), RC_OK);
        assert_int_equal(f.line.len, sizeof f.line_text - 1);
    }
}

static void too_long_line_is_dropped_whole(void **state)
{
    (void)state;
    char input[5000];
    struct strbuf in = STRBUF(input);
    for (unsigned i = 0; i < 3000; i++)
        strbuf_putc(&in, 'x');
    strbuf_puts(&in, "\r\nnext\r\n");
    for (size_t chunk = 0; chunk < 2000; chunk += 333) {
        open_on(strbuf_span(&in), chunk);
        assert_int_equal(stream_read_line(&f.s, &f.line, &f.bare, soon), RC_TOO_LONG);
        assert_int_equal(f.line.len, sizeof f.line_text - 1);
        assert_true(f.line.overflow);
        assert_false(f.bare);
        expect_line("next", false);
    }
}

static void endless_line_ends_the_stream(void **state)
{
    (void)state;
    static char input[STREAM_LINE_SKIP_MAX + 3];
    memset(input, 'x', sizeof input);
    memcpy(input + STREAM_LINE_SKIP_MAX, "\r\n", 2);
    open_on(span_bytes(input, STREAM_LINE_SKIP_MAX), 0);
    assert_int_equal(stream_read_line(&f.s, &f.line, &f.bare, soon), RC_CLOSED);
    open_on(span_bytes(input, STREAM_LINE_SKIP_MAX + 2), 0);
    assert_int_equal(stream_read_line(&f.s, &f.line, &f.bare, soon), RC_PROTOCOL);
    assert_int_equal(f.s.broken, RC_PROTOCOL);
}

static void timeout_keeps_the_stream(void **state)
{
    (void)state;
    open_on(SPAN(""), 0);
    f.m.at_end = RC_TIMEOUT;
    assert_int_equal(stream_read_line(&f.s, &f.line, &f.bare, soon), RC_TIMEOUT);
    f.m.at_end = RC_CANCELLED;
    assert_int_equal(stream_read_line(&f.s, &f.line, &f.bare, soon), RC_CANCELLED);
    f.m.input = SPAN("now\r\n");
    expect_line("now", false);
    assert_int_equal(f.s.bytes_in, 5);
}

static void broken_is_sticky(void **state)
{
    (void)state;
    char byte;
    size_t got;
    open_on(SPAN(""), 0);
    f.m.at_end = RC_RESET;
    assert_int_equal(stream_read(&f.s, &byte, 1, &got, soon), RC_RESET);
    f.m.input = SPAN("more");
    assert_int_equal(stream_read(&f.s, &byte, 1, &got, soon), RC_RESET);
    assert_int_equal(got, 0);
    assert_int_equal(stream_write(&f.s, SPAN("x"), soon), RC_RESET);
    assert_int_equal(stream_flush(&f.s, soon), RC_RESET);
    assert_int_equal(stream_starttls(&f.s, NULL, soon), RC_RESET);
    assert_true(stream_readable(&f.s));
    stream_close(&f.s, soon);
    assert_true(f.m.closed);
    assert_int_equal(f.written.len, 0);
}

static void replies_go_out_after_the_end(void **state)
{
    (void)state;
    open_on(SPAN("QUIT\r\n"), 0);
    expect_line("QUIT", false);
    assert_int_equal(stream_read_line(&f.s, &f.line, &f.bare, soon), RC_CLOSED);
    f.m.input = SPAN("QUIT\r\nghost\r\n");
    assert_int_equal(stream_read_line(&f.s, &f.line, &f.bare, soon), RC_CLOSED);
    assert_int_equal(stream_write(&f.s, SPAN("221 bye\r\n"), soon), RC_OK);
    stream_close(&f.s, soon);
    assert_string_equal(f.written.p, "221 bye\r\n");
    assert_true(f.m.closed);
    assert_false(f.m.aborted);
}

static void output_waits_for_a_waiting_read(void **state)
{
    (void)state;
    open_on(SPAN("A\r\nB\r\n"), 3);
    f.m.at_end = RC_TIMEOUT;
    expect_line("A", false);
    assert_int_equal(stream_write(&f.s, SPAN("1"), soon), RC_OK);
    expect_line("B", false);
    assert_int_equal(f.written.len, 0);
    assert_int_equal(stream_write(&f.s, SPAN("2"), soon), RC_OK);
    assert_int_equal(stream_read_line(&f.s, &f.line, &f.bare, soon), RC_TIMEOUT);
    assert_string_equal(f.written.p, "12");
    assert_int_equal(f.s.bytes_out, 2);
}

static void output_keeps_its_order(void **state)
{
    (void)state;
    static char data[5000];
    for (size_t i = 0; i < sizeof data; i++)
        data[i] = (char)('a' + i % 26);
    for (size_t step = 1; step < 2500; step += 311) {
        open_on(SPAN(""), 0);
        for (size_t at = 0; at < sizeof data; at += step)
            assert_int_equal(stream_write(&f.s, span_sub(span_bytes(data, sizeof data), at, step), soon), RC_OK);
        assert_true(sizeof data - f.written.len <= STREAM_OUT_BYTES);
        assert_int_equal(stream_flush(&f.s, soon), RC_OK);
        assert_int_equal(f.written.len, sizeof data);
        assert_memory_equal(f.written.p, data, sizeof data);
    }
}

static void failed_write_breaks(void **state)
{
    (void)state;
    char small[4];
    open_on(SPAN("more\r\n"), 0);
    struct strbuf little = STRBUF(small);
    f.m.written = &little;
    assert_int_equal(stream_write(&f.s, SPAN("too much"), soon), RC_OK);
    assert_int_equal(stream_flush(&f.s, soon), RC_FULL);
    assert_int_equal(stream_write(&f.s, SPAN("x"), soon), RC_FULL);
    assert_int_equal(stream_read_line(&f.s, &f.line, &f.bare, soon), RC_FULL);
}

static void peek_skip_and_exact(void **state)
{
    (void)state;
    char got[8];
    size_t len;
    open_on(SPAN("PROXYrest-of-it"), 0);
    assert_int_equal(stream_peek(&f.s).len, 0);
    assert_int_equal(stream_read_exact(&f.s, got, 5, soon), RC_OK);
    assert_memory_equal(got, "PROXY", 5);
    assert_true(span_is(stream_peek(&f.s), "rest-of-it"));
    stream_skip(&f.s, 5);
    assert_int_equal(stream_read(&f.s, got, sizeof got, &len, soon), RC_OK);
    assert_int_equal(len, 5);
    assert_memory_equal(got, "of-it", 5);
    stream_skip(&f.s, 99);
    assert_int_equal(stream_read_exact(&f.s, got, 1, soon), RC_CLOSED);
    assert_int_equal(stream_read(&f.s, got, 0, &len, soon), RC_INVALID);
}

static void large_reads_bypass_the_buffer(void **state)
{
    (void)state;
    static char data[4000], got[4000];
    for (size_t i = 0; i < sizeof data; i++)
        data[i] = (char)(i * 7);
    open_on(span_bytes(data, sizeof data), 1500);
    assert_int_equal(stream_read_exact(&f.s, got, sizeof got, soon), RC_OK);
    assert_memory_equal(got, data, sizeof data);
    assert_int_equal(f.s.bytes_in, sizeof data);
}

static void starttls_refuses_buffered_plaintext(void **state)
{
    (void)state;
    tls_starts = 0;
    open_on(SPAN("STARTTLS\r\nMAIL FROM:<evil@x.test>\r\n"), 0);
    expect_line("STARTTLS", false);
    assert_int_equal(stream_starttls(&f.s, NULL, soon), RC_PROTOCOL);
    assert_int_equal(stream_read_line(&f.s, &f.line, &f.bare, soon), RC_PROTOCOL);
    assert_int_equal(tls_starts, 0);
}

static void starttls_flushes_then_starts(void **state)
{
    (void)state;
    tls_starts = 0;
    tls_start_result = RC_OK;
    open_on(SPAN("STARTTLS\r\n"), 0);
    expect_line("STARTTLS", false);
    assert_int_equal(stream_write(&f.s, SPAN("220 go\r\n"), soon), RC_OK);
    assert_int_equal(stream_starttls(&f.s, NULL, soon), RC_OK);
    assert_int_equal(tls_starts, 1);
    assert_int_equal(tls_start_out_len, 0);
    assert_string_equal(f.written.p, "220 go\r\n");
}

static void failed_handshake_breaks(void **state)
{
    (void)state;
    open_on(SPAN(""), 0);
    tls_start_result = RC_TLS;
    assert_int_equal(stream_starttls(&f.s, NULL, soon), RC_TLS);
    assert_int_equal(stream_write(&f.s, SPAN("in the clear"), soon), RC_TLS);
    stream_close(&f.s, soon);
    assert_int_equal(f.written.len, 0);
    assert_true(f.m.closed);
}

static void verdict_on_bad_line_is_sent(void **state)
{
    (void)state;
    open_on(SPAN("x\ny"), 0);
    assert_int_equal(stream_write(&f.s, SPAN("500 no\r\n"), soon), RC_OK);
    assert_int_equal(stream_read_line(&f.s, &f.line, NULL, soon), RC_PROTOCOL);
    stream_close(&f.s, soon);
    assert_string_equal(f.written.p, "500 no\r\n");
}

static void close_and_abort_are_idempotent(void **state)
{
    (void)state;
    open_on(SPAN("x"), 0);
    assert_int_equal(stream_write(&f.s, SPAN("lost"), soon), RC_OK);
    stream_abort(&f.s);
    assert_true(f.m.aborted);
    stream_close(&f.s, soon);
    stream_abort(&f.s);
    assert_int_equal(f.written.len, 0);
    assert_int_equal(stream_write(&f.s, SPAN("x"), soon), RC_CLOSED);
    assert_true(stream_readable(&f.s));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_split_anywhere),
        cmocka_unit_test(nul_bytes_stay),
        cmocka_unit_test(bare_lf_refused_without_asker),
        cmocka_unit_test(unfinished_line_is_no_line),
        cmocka_unit_test(line_of_exactly_the_capacity),
        cmocka_unit_test(too_long_line_is_dropped_whole),
        cmocka_unit_test(endless_line_ends_the_stream),
        cmocka_unit_test(timeout_keeps_the_stream),
        cmocka_unit_test(broken_is_sticky),
        cmocka_unit_test(replies_go_out_after_the_end),
        cmocka_unit_test(output_waits_for_a_waiting_read),
        cmocka_unit_test(output_keeps_its_order),
        cmocka_unit_test(failed_write_breaks),
        cmocka_unit_test(peek_skip_and_exact),
        cmocka_unit_test(large_reads_bypass_the_buffer),
        cmocka_unit_test(starttls_refuses_buffered_plaintext),
        cmocka_unit_test(starttls_flushes_then_starts),
        cmocka_unit_test(failed_handshake_breaks),
        cmocka_unit_test(verdict_on_bad_line_is_sent),
        cmocka_unit_test(close_and_abort_are_idempotent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
