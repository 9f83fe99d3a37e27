/* net/http_message.c: heads line by line, good ones and those that are refused by name. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "net/http_message.h"
#include "tests/support/unpacked.h"

static struct http_head head;

/* Feeds the lines of text (LF between them); the last one's result. */
static enum rc feed(const char *text, bool to_head)
{
    struct span rest = span_of(text), line;
    bool more = true;
    enum rc rc = RC_OK;
    http_head_init(&head, to_head);
    while (rc == RC_OK && !head.complete && span_split(&rest, &more, '\n', &line))
        rc = http_head_line(&head, line, false, NULL, NULL);
    return rc;
}

static void heads_that_are_good(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        unsigned status;
        enum http_framing framing;
        bool keep_alive;
        uint64_t length;
    } cases[] = {
        { "HTTP/1.1 200 OK\nContent-Length: 5\n\n", 200, HTTP_BODY_LENGTH, true, 5 },
        { "HTTP/1.1 200\ncontent-length:5  \n\n", 200, HTTP_BODY_LENGTH, true, 5 },
        { "HTTP/1.1 200 \nContent-Length: 5\nConnection: x, Close\n\n", 200, HTTP_BODY_LENGTH, false, 5 },
        { "HTTP/1.0 200 OK\nContent-Length: 5\n\n", 200, HTTP_BODY_LENGTH, false, 5 },
        { "HTTP/1.0 200 OK\nContent-Length: 5\nConnection: keep-alive\n\n", 200, HTTP_BODY_LENGTH, true, 5 },
        { "HTTP/1.1 200 OK\n\n", 200, HTTP_BODY_TO_CLOSE, false, 0 },
        { "HTTP/1.1 200 OK\nTransfer-Encoding: Chunked\n\n", 200, HTTP_BODY_CHUNKED, true, 0 },
        { "HTTP/1.1 304 Not Modified\nContent-Length: 9\n\n", 304, HTTP_BODY_NONE, true, 9 },
        { "HTTP/1.1 204 No Content\n\n", 204, HTTP_BODY_NONE, true, 0 },
        { "HTTP/1.1 103 Early Hints\nLink: </a>\n\n", 103, HTTP_BODY_NONE, true, 0 },
        { "HTTP/1.9 599 x\nContent-Length: 18446744073709551615\n\n", 599, HTTP_BODY_LENGTH, true, UINT64_MAX },
        { "HTTP/1.1 200 OK\nX-Empty:\nX: \ta\tb\xc3\xbc\nContent-Encoding: identity\nContent-Length: 0\n\n", 200, HTTP_BODY_LENGTH,
          true, 0 },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(feed(cases[i].text, false), RC_OK);
        assert_true(head.complete && head.fault == HTTP_FAULT_NONE);
        assert_int_equal(head.status, cases[i].status);
        assert_int_equal(head.framing, cases[i].framing);
        assert_int_equal(head.keep_alive, cases[i].keep_alive);
        assert_int_equal(head.length, cases[i].length);
    }
    assert_int_equal(feed("HTTP/1.1 200 OK\nContent-Length: 7\n\n", true), RC_OK);
    assert_true(head.framing == HTTP_BODY_NONE && head.has_length && head.length == 7 && head.keep_alive);
}

static void heads_that_are_refused(void **state)
{
    (void)state;
#define OK "HTTP/1.1 200 OK\n"
    static const struct {
        const char *text;
        enum http_fault fault;
    } cases[] = {
        { "HTTP/2 200\n", HTTP_FAULT_STATUS_LINE },
        { "HTTP/2.0 200 OK\n", HTTP_FAULT_STATUS_LINE },
        { "HTTP/1.1  200 OK\n", HTTP_FAULT_STATUS_LINE },
        { "HTTP/1.1 20 OK\n", HTTP_FAULT_STATUS_LINE },
        { "HTTP/1.1 2000\n", HTTP_FAULT_STATUS_LINE },
        { "HTTP/1.1 099 OK\n", HTTP_FAULT_STATUS_LINE },
        { "HTTP/1.1 -20 OK\n", HTTP_FAULT_STATUS_LINE },
        { "HTTP/1.x 200 OK\n", HTTP_FAULT_STATUS_LINE },
        { "220 mail.example ESMTP\n", HTTP_FAULT_STATUS_LINE },
        { "\n", HTTP_FAULT_STATUS_LINE },
        { OK "Content-Length: 5\nContent-Length: 5\n", HTTP_FAULT_LENGTH_TWICE },
        { OK "Content-Length: 5\nContent-Length: 6\n", HTTP_FAULT_LENGTH_TWICE },
        { OK "Content-Length: 5, 5\n", HTTP_FAULT_LENGTH },
        { OK "Content-Length: +5\n", HTTP_FAULT_LENGTH },
        { OK "Content-Length: -1\n", HTTP_FAULT_LENGTH },
        { OK "Content-Length: 0x5\n", HTTP_FAULT_LENGTH },
        { OK "Content-Length: 18446744073709551616\n", HTTP_FAULT_LENGTH },
        { OK "Content-Length:\n", HTTP_FAULT_LENGTH },
        { OK "Content-Length: 5\nTransfer-Encoding: chunked\n\n", HTTP_FAULT_LENGTH_AND_CODING },
        { OK "Transfer-Encoding: chunked\nContent-Length: 5\n\n", HTTP_FAULT_LENGTH_AND_CODING },
        { OK "Transfer-Encoding: gzip, chunked\n", HTTP_FAULT_TRANSFER_CODING },
        { OK "Transfer-Encoding: chunked\nTransfer-Encoding: chunked\n", HTTP_FAULT_TRANSFER_CODING },
        { OK "Transfer-Encoding: xchunked\n", HTTP_FAULT_TRANSFER_CODING },
        { OK "Transfer-Encoding:\n", HTTP_FAULT_TRANSFER_CODING },
        { "HTTP/1.0 200 OK\nTransfer-Encoding: chunked\n", HTTP_FAULT_TRANSFER_CODING },
        { OK "Content-Encoding: gzip\n", HTTP_FAULT_CONTENT_CODING },
        { OK " folded: x\n", HTTP_FAULT_FOLDED },
        { OK "A: b\n\tc\n", HTTP_FAULT_FOLDED },
        { OK "no colon\n", HTTP_FAULT_FIELD },
        { OK ": x\n", HTTP_FAULT_FIELD },
        { OK "Content-Length : 5\n", HTTP_FAULT_FIELD },
        { OK "A b: c\n", HTTP_FAULT_FIELD },
        { OK "A\xc3\xbc: c\n", HTTP_FAULT_FIELD },
        { OK "A: b\x01\n", HTTP_FAULT_FIELD },
        { OK "A: b\x7f\n", HTTP_FAULT_FIELD },
        { OK "A: b\rContent-Length: 5\n", HTTP_FAULT_LINE_END },
        { "HTTP/1.1 101 Switching Protocols\n\n", HTTP_FAULT_UNASKED },
        { "HTTP/1.1 206 Partial Content\nContent-Length: 5\n\n", HTTP_FAULT_RANGE },
        { "HTTP/1.1 206 Partial Content\nContent-Range: bytes */5\n\n", HTTP_FAULT_RANGE },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        enum rc rc = feed(cases[i].text, false);
        if (rc == RC_OK || head.fault != cases[i].fault)
            fail_msg("case %zu: rc %d, %s", i, (int)rc, http_fault_text(head.fault));
        assert_false(head.complete);
    }
}

static void ranges(void **state)
{
    (void)state;
    static const struct {
        const char *value;
        uint64_t from, to, size;
    } good[] = {
        { "bytes 0-1023/146515", 0, 1023, 146515 },
        { "Bytes 5-5/6", 5, 5, 6 },
        { "bytes 5-9/*", 5, 9, UINT64_MAX },
    };
    static const char *const bad[] = { "bytes 5-4/10", "bytes 0-10/10",  "bytes 0-9",       "items 0-9/10",
                                       "bytes -9/10",  "bytes 0-/10",    "bytes 0-9/",      "bytes 0-9/1x",
                                       "bytes */*",    "bytes 0 - 9/10", "bytes 0-9/10/10", "",
                                       "bytes=0-9/10", "bytes 0/9-10",   "bytes a-9/10" };
    char text[100];
    struct strbuf b = STRBUF(text);
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        strbuf_clear(&b);
        strbuf_printf(&b, "HTTP/1.1 206 x\nContent-Range: %s\n\n", good[i].value);
        assert_int_equal(feed(text, false), RC_OK);
        assert_true(head.has_range && head.range_from == good[i].from && head.range_to == good[i].to);
        assert_true(head.of_size == good[i].size);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        strbuf_clear(&b);
        strbuf_printf(&b, "HTTP/1.1 206 x\nContent-Range: %s\n\n", bad[i]);
        if (feed(text, false) != RC_PROTOCOL || head.fault != HTTP_FAULT_RANGE)
            fail_msg("taken: %s", bad[i]);
    }
    assert_int_equal(feed("HTTP/1.1 416 x\nContent-Range: bytes */146515\nContent-Length: 0\n\n", false), RC_OK);
    assert_true(!head.has_range && head.of_size == 146515);
}

static void times(void **state)
{
    (void)state;
    assert_int_equal(feed("HTTP/1.1 503 x\nRetry-After: 120\nDate: Sun, 06 Nov 1994 08:49:37 GMT\n\n", false), RC_OK);
    assert_int_equal(head.retry_after_s, 120);
    assert_int_equal(head.date, 784111777);
    assert_int_equal(
        feed("HTTP/1.1 503 x\nRetry-After: Sun, 06 Nov 1994 08:50:37 GMT\nDate: Sun, 06 Nov 1994 08:49:37 GMT\n\n", false), RC_OK);
    assert_int_equal(head.retry_after_s, 60);
    assert_int_equal(
        feed("HTTP/1.1 503 x\nRetry-After: Sun, 06 Nov 1994 08:00:00 GMT\nDate: Sun, 06 Nov 1994 08:49:37 GMT\n\n", false), RC_OK);
    assert_int_equal(head.retry_after_s, 0);
    assert_int_equal(feed("HTTP/1.1 503 x\nRetry-After: soon\nDate: yesterday\n\n", false), RC_OK);
    assert_true(head.retry_after_s == -1 && head.date == 0);
    assert_int_equal(feed("HTTP/1.1 503 x\nRetry-After: 99999999999999999999\n\n", false), RC_OK);
    assert_int_equal(head.retry_after_s, -1);
    assert_int_equal(feed("HTTP/1.1 503 x\nRetry-After: 9999999999999\n\n", false), RC_OK);
    assert_int_equal(head.retry_after_s, 366LL * 86400);
    assert_int_equal(feed("HTTP/1.1 200 x\nDate: Sun, 06 Nov 1994 08:49:37 GMT\nAge: 60\n\n", false), RC_OK);
    assert_int_equal(head.date, 784111837);
    assert_int_equal(feed("HTTP/1.1 200 x\nDate: Sun, 06 Nov 1994 08:49:37 GMT\nAge: 100000\n\n", false), RC_OK);
    assert_int_equal(head.date, 0);
    assert_int_equal(feed("HTTP/1.1 200 x\nDate: Mon, 06 Nov 1994 08:49:37 GMT\n\n", false), RC_OK);
    assert_int_equal(head.date, 0);
}

static void heads_are_bounded(void **state)
{
    (void)state;
    static char long_value[HTTP_HEAD_BYTES_MAX];
    memset(long_value, 'a', sizeof long_value);
    long_value[0] = 'X';
    long_value[1] = ':';
    http_head_init(&head, false);
    assert_int_equal(http_head_line(&head, SPAN("HTTP/1.1 200 OK"), false, NULL, NULL), RC_OK);
    for (unsigned i = 0; i < HTTP_FIELDS_MAX; i++)
        assert_int_equal(http_head_line(&head, SPAN("A: b"), false, NULL, NULL), RC_OK);
    assert_int_equal(http_head_line(&head, SPAN("A: b"), false, NULL, NULL), RC_TOO_LONG);
    assert_int_equal(head.fault, HTTP_FAULT_HEAD_TOO_LARGE);
    http_head_init(&head, false);
    assert_int_equal(http_head_line(&head, SPAN("HTTP/1.1 200 OK"), false, NULL, NULL), RC_OK);
    assert_int_equal(http_head_line(&head, span_bytes(long_value, 8000), false, NULL, NULL), RC_OK);
    assert_int_equal(http_head_line(&head, span_bytes(long_value, 8300), false, NULL, NULL), RC_OK);
    assert_int_equal(
        http_head_line(&head, SPAN("Long-enough: to cross the bound of all lines together, whatever is in it"), false, NULL, NULL),
        RC_TOO_LONG);
    http_head_init(&head, false);
    assert_int_equal(http_head_line(&head, SPAN("HTTP/1.1 200 OK"), false, NULL, NULL), RC_OK);
    assert_int_equal(http_head_line(&head, SPAN("Set-Cookie: very long"), true, NULL, NULL), RC_OK);
    assert_int_equal(http_head_line(&head, SPAN("Content-Length: 5"), true, NULL, NULL), RC_TOO_LONG);
}

static void chunk_sizes(void **state)
{
    (void)state;
    static const struct {
        struct span line;
        uint64_t size;
    } good[] = {
        { SPAN("0"), 0 },           { SPAN("fF"), 255 },   { SPAN("000a"), 10 },
        { SPAN("5;ext=\"x\""), 5 }, { SPAN("5 ;ext"), 5 }, { SPAN("fffffffffffffff"), 0xfffffffffffffff },
    };
    static const struct span bad[] = { SPAN(""),
                                       SPAN("g"),
                                       SPAN("-1"),
                                       SPAN("+1"),
                                       SPAN(" 5"),
                                       SPAN("0x5"),
                                       SPAN("5 5"),
                                       SPAN("5\r"),
                                       SPAN(";ext"),
                                       SPAN("5;a\x01"),
                                       SPAN("5\0"),
                                       SPAN("5,5"),
                                       SPAN("10000000000000000"),
                                       SPAN("5G"),
                                       SPAN("5:") };
    uint64_t size;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        assert_int_equal(http_chunk_size(good[i].line, &size), RC_OK);
        assert_true(size == good[i].size);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        if (http_chunk_size(bad[i], &size) != RC_PROTOCOL)
            fail_msg("taken: %.*s", (int)bad[i].len, bad[i].p);
}

static void every_fault_has_words(void **state)
{
    (void)state;
    for (unsigned f = 0; f < HTTP_FAULT_COUNT; f++)
        assert_in_range(strlen(unpacked(http_fault_text((enum http_fault)f))), 5, 79); /* a row of its table ends in NUL */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(heads_that_are_good),
        cmocka_unit_test(heads_that_are_refused),
        cmocka_unit_test(ranges),
        cmocka_unit_test(times),
        cmocka_unit_test(heads_are_bounded),
        cmocka_unit_test(chunk_sizes),
        cmocka_unit_test(every_fault_has_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
