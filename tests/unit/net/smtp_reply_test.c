/* net/smtp_reply.c: replies, also from servers that mean harm. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "net/memory_stream.h"
#include "net/smtp_reply.h"

static const struct deadline soon = { UINT64_MAX };

struct reply_case {
    struct span in;
    enum rc rc;
    unsigned code, lines;
    const char *enhanced, *text;
    bool truncated;
};

static const struct reply_case cases[] = {
    { SPAN("250 ok\r\n"), RC_OK, 250, 1, "0.0.0", "ok", false },
    { SPAN("250\r\n"), RC_OK, 250, 1, "0.0.0", "", false },
    { SPAN("250 \r\n"), RC_OK, 250, 1, "0.0.0", "", false },
    { SPAN("550 5.1.1 no such user\r\n"), RC_OK, 550, 1, "5.1.1", "no such user", false },
    { SPAN("550 5.1.1\r\n"), RC_OK, 550, 1, "5.1.1", "", false },
    { SPAN("550 4.1.1 classes differ\r\n"), RC_OK, 550, 1, "0.0.0", "4.1.1 classes differ", false },
    { SPAN("550 5.1.1.2 four parts\r\n"), RC_OK, 550, 1, "0.0.0", "5.1.1.2 four parts", false },
    { SPAN("550 5.255.9 largest\r\n"), RC_OK, 550, 1, "5.255.9", "largest", false },
    { SPAN("550 5.256.1 too big\r\n"), RC_OK, 550, 1, "0.0.0", "5.256.1 too big", false },
    { SPAN("550 5..1 a part is missing\r\n"), RC_OK, 550, 1, "0.0.0", "5..1 a part is missing", false },
    { SPAN("550 5.0001.1 four digits\r\n"), RC_OK, 550, 1, "0.0.0", "5.0001.1 four digits", false },
    { SPAN("599 ok\r\n"), RC_OK, 599, 1, "0.0.0", "ok", false },
    { SPAN("550 5.999.1 too big\r\n"), RC_OK, 550, 1, "0.0.0", "5.999.1 too big", false },
    { SPAN("250-2.0.0 one\r\n250-2.0.0 two\r\n250 2.0.0 three\r\n"), RC_OK, 250, 3, "2.0.0", "one / two / three", false },
    { SPAN("250-a\r\n250\r\n"), RC_OK, 250, 2, "0.0.0", "a / ", false },
    { SPAN("554 \x1b[2Jj\xc3\xb6\r\n"), RC_OK, 554, 1, "0.0.0", "\\x1b[2Jj\\xc3\\xb6", false },
    { SPAN("250 a\rb\r\n"), RC_OK, 250, 1, "0.0.0", "a\\x0db", false },
    { SPAN("250-a\r\n251 b\r\n"), RC_PROTOCOL, 0, 0, "0.0.0", "codes differ between the lines of a reply: 251 b", false },
    { SPAN("550-5.1.1 a\r\n551 b\r\n"), RC_PROTOCOL, 0, 0, "0.0.0", "codes differ between the lines of a reply: 551 b", false },
    { SPAN("250-a\r\nb\r\n"), RC_PROTOCOL, 0, 0, "0.0.0", "not an SMTP reply: b", false },
    { SPAN("250 ok\n"), RC_PROTOCOL, 0, 0, "0.0.0", "a reply line that ends in a bare LF: 250 ok", false },
    { SPAN("25 ok\r\n"), RC_PROTOCOL, 0, 0, "0.0.0", "not an SMTP reply: 25 ok", false },
    { SPAN("25\r\n"), RC_PROTOCOL, 0, 0, "0.0.0", "not an SMTP reply: 25", false },
    { SPAN("2x0 ok\r\n"), RC_PROTOCOL, 0, 0, "0.0.0", "not an SMTP reply: 2x0 ok", false },
    { SPAN("2500 ok\r\n"), RC_PROTOCOL, 0, 0, "0.0.0", "not an SMTP reply: 2500 ok", false },
    { SPAN("150 ok\r\n"), RC_PROTOCOL, 0, 0, "0.0.0", "not an SMTP reply: 150 ok", false },
    { SPAN("600 ok\r\n"), RC_PROTOCOL, 0, 0, "0.0.0", "not an SMTP reply: 600 ok", false },
    { SPAN("\r\n"), RC_PROTOCOL, 0, 0, "0.0.0", "not an SMTP reply: ", false },
    { SPAN("HTTP/1.1 400\r\n"), RC_PROTOCOL, 0, 0, "0.0.0", "not an SMTP reply: HTTP/1.1 400", false },
    { SPAN("25\0 ok\r\n"), RC_PROTOCOL, 0, 0, "0.0.0", "not an SMTP reply: 25\\x00 ok", false },
    { SPAN("250-a\r\n"), RC_CLOSED, 0, 0, "0.0.0", "a", false },
    { SPAN("250 ok"), RC_CLOSED, 0, 0, "0.0.0", "", false },
    { SPAN(""), RC_CLOSED, 0, 0, "0.0.0", "", false },
};

static void goldens(void **state)
{
    (void)state;
    static const size_t chunks[] = { 1, 2, 3, 7, 1000 };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        for (size_t k = 0; k < sizeof chunks / sizeof chunks[0]; k++) {
            const struct reply_case *c = &cases[i];
            struct stream s;
            struct memory_stream m;
            struct smtp_reply r;
            memory_stream_init(&s, &m, c->in, NULL);
            m.chunk = chunks[k];
            enum rc rc = smtp_reply_read(&s, &r, NULL, NULL, soon);
            char enhanced[16];
            struct strbuf e = STRBUF(enhanced);
            strbuf_printf(&e, "%u.%u.%u", r.enhanced[0], r.enhanced[1], r.enhanced[2]);
            if (rc != c->rc || r.code != c->code || strcmp(r.text, c->text) != 0)
                fail_msg("%.*s: %s %u \"%s\"", (int)c->in.len, c->in.p, rc_name(rc), r.code, r.text);
            assert_int_equal(r.lines, c->lines);
            assert_string_equal(enhanced, c->enhanced);
            assert_int_equal(r.truncated, c->truncated);
        }
    }
}

static void one_reply_at_a_time(void **state)
{
    (void)state;
    struct stream s;
    struct memory_stream m;
    struct smtp_reply r;
    memory_stream_init(&s, &m, SPAN("220 a\r\n250-b\r\n250 c\r\n"), NULL);
    assert_int_equal(smtp_reply_read(&s, &r, NULL, NULL, soon), RC_OK);
    assert_int_equal(r.code, 220);
    assert_int_equal(smtp_reply_read(&s, &r, NULL, NULL, soon), RC_OK);
    assert_string_equal(r.text, "b / c");
    assert_int_equal(smtp_reply_read(&s, &r, NULL, NULL, soon), RC_CLOSED);
}

static void collect(void *ctx, struct span text, bool last)
{
    struct strbuf *b = ctx;
    strbuf_add(b, text);
    strbuf_puts(b, last ? "." : ",");
}

static void lines_are_shown_whole(void **state)
{
    (void)state;
    struct stream s;
    struct memory_stream m;
    struct smtp_reply r;
    char memory[64];
    struct strbuf b = STRBUF(memory);
    memory_stream_init(&s, &m, SPAN("250-mx\r\n250-SIZE 5\r\n250 2.1.0 X\r\n"), NULL);
    assert_int_equal(smtp_reply_read(&s, &r, collect, &b, soon), RC_OK);
    assert_string_equal(memory, "mx,SIZE 5,2.1.0 X.");
}

static char big[2 * 1024 * 1024];

static enum rc read_big(size_t len, struct smtp_reply *r)
{
    struct stream s;
    struct memory_stream m;
    memory_stream_init(&s, &m, span_bytes(big, len), NULL);
    return smtp_reply_read(&s, r, NULL, NULL, soon);
}

static void endless_lines(void **state)
{
    (void)state;
    struct smtp_reply r;
    struct strbuf b = STRBUF(big);
    for (unsigned i = 0; i < SMTP_REPLY_LINES_MAX - 1; i++)
        strbuf_puts(&b, "250-x\r\n");
    size_t before = b.len;
    strbuf_puts(&b, "250 x\r\n");
    assert_int_equal(read_big(b.len, &r), RC_OK);
    assert_int_equal(r.lines, SMTP_REPLY_LINES_MAX);
    strbuf_truncate(&b, before);
    for (unsigned i = 0; i < 1000; i++)
        strbuf_puts(&b, "250-x\r\n");
    assert_int_equal(read_big(b.len, &r), RC_PROTOCOL);
    assert_int_equal(r.code, 0);
}

static void overlong_text_is_cut(void **state)
{
    (void)state;
    struct smtp_reply r;
    memset(big, 'a', sizeof big);
    memcpy(big, "550 5.7.1 ", 10);
    memcpy(big + 1024 * 1024, "\r\n", 2);
    assert_int_equal(read_big(1024 * 1024 + 2, &r), RC_OK);
    assert_int_equal(r.code, 550);
    assert_int_equal(r.enhanced[1], 7);
    assert_true(r.truncated);
    assert_int_equal(strlen(r.text), SMTP_REPLY_TEXT_MAX - 1);
    memcpy(big + 1024 * 1024, "a\n", 2);
    assert_int_equal(read_big(1024 * 1024 + 2, &r), RC_PROTOCOL);
    assert_false(r.truncated);
    memcpy(big, "550-", 4);
    memcpy(big + 1024 * 1024, "\r\nbad\r\n", 7);
    assert_int_equal(read_big(1024 * 1024 + 7, &r), RC_PROTOCOL);
    assert_false(r.truncated);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(goldens),       cmocka_unit_test(one_reply_at_a_time),  cmocka_unit_test(lines_are_shown_whole),
        cmocka_unit_test(endless_lines), cmocka_unit_test(overlong_text_is_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
