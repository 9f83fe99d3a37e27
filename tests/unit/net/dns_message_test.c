#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "hal/base/bytes.h"
#include "net/dns_message.h"
#include "tests/support/dns_wire.h"

static struct dns_wire w;
static struct dns_response response;

static enum rc open_as(const char *name, enum dns_type type)
{
    return dns_response_open(wire_span(&w), 0x1234, span_of(name), type, &response);
}

static void a_query_has_these_bytes(void **state)
{
    (void)state;
    static const uint8_t golden[] = "\xbe\xef\x01\x10\0\1\0\0\0\0\0\1"
                                    "\2mx\7example\0\0\x0f\0\1"
                                    "\0\0\x29\x04\xd0\0\0\x80\0\0";
    uint8_t query[DNS_QUERY_BYTES];
    size_t len;
    assert_int_equal(dns_query_build(0xbeef, SPAN("mx.example"), DNS_MX, true, query, &len), RC_OK);
    assert_int_equal(len, sizeof golden);
    assert_memory_equal(query, golden, sizeof golden);
    assert_int_equal(dns_query_build(0xbeef, SPAN("mx.example"), DNS_MX, false, query, &len), RC_OK);
    assert_int_equal(len, sizeof golden - 11);
    assert_int_equal(query[11], 0);
    assert_int_equal(dns_query_build(1, SPAN(""), DNS_DNSKEY, false, query, &len), RC_OK);
    assert_memory_equal(query + 12, "\0\0\x30\0\1", 5);
}

static void only_names_that_fit_are_asked_for(void **state)
{
    (void)state;
    uint8_t query[DNS_QUERY_BYTES];
    size_t len;
    char name[260];
    memset(name, 'a', sizeof name);
    name[63] = name[127] = name[191] = '.';
    assert_int_equal(dns_query_build(1, span_bytes(name, 253), DNS_A, true, query, &len), RC_OK);
    assert_int_equal(len, DNS_QUERY_BYTES);
    assert_int_equal(dns_query_build(1, span_bytes(name, 254), DNS_A, true, query, &len), RC_INVALID);
    assert_int_equal(dns_query_build(1, span_bytes(name + 64, 64), DNS_A, true, query, &len), RC_INVALID);
    assert_int_equal(dns_query_build(1, SPAN("a..b"), DNS_A, true, query, &len), RC_INVALID);
    assert_int_equal(dns_query_build(1, SPAN(".b"), DNS_A, true, query, &len), RC_INVALID);
    assert_int_equal(dns_query_build(1, SPAN("b."), DNS_A, true, query, &len), RC_INVALID);
}

static void a_response_opens(void **state)
{
    (void)state;
    wire_answer(&w, "Mail.Example", DNS_A, 0);
    wire_a(&w, "mail.example", 300, 1);
    wire_soa(&w, "example", 60, 60);
    wire_rr(&w, WIRE_ADDITIONAL, "", DNS_TYPE_OPT, 0x01008000, NULL, 0);
    assert_int_equal(open_as("mail.example", DNS_A), RC_OK);
    assert_int_equal(response.answers, 1);
    assert_int_equal(response.authorities, 1);
    assert_int_equal(response.rcode, 16); /* OPT's upper bits */
    assert_false(response.truncated);
    size_t at = response.records_at;
    struct dns_rr rr;
    assert_int_equal(dns_rr_next(response.message, &at, &rr), RC_OK);
    assert_int_equal(rr.type, DNS_A);
    assert_int_equal(rr.rclass, DNS_CLASS_IN);
    assert_int_equal(rr.ttl_s, 300);
    assert_int_equal(rr.data_len, 4);
    assert_memory_equal(w.b + rr.data_at, "\xc0\0\2\1", 4);
    assert_true(dns_name_is(response.message, rr.owner_at, SPAN("mail.example")));
}

static void other_questions_are_not_ours(void **state)
{
    (void)state;
    wire_answer(&w, "mail.example", DNS_A, 0);
    assert_int_equal(open_as("mail.example", DNS_A), RC_OK);
    assert_int_equal(open_as("mail.example", DNS_AAAA), RC_NOT_FOUND);
    assert_int_equal(open_as("mail.exampl", DNS_A), RC_NOT_FOUND);
    assert_int_equal(open_as("mail", DNS_A), RC_NOT_FOUND);
    assert_int_equal(open_as("mail.example.org", DNS_A), RC_NOT_FOUND);
    assert_int_equal(open_as("", DNS_A), RC_NOT_FOUND);
    assert_int_equal(dns_response_open(wire_span(&w), 0x1235, SPAN("mail.example"), DNS_A, &response), RC_NOT_FOUND);
    w.b[w.len - 1] = 3; /* class CH */
    assert_int_equal(open_as("mail.example", DNS_A), RC_NOT_FOUND);
    w.b[w.len - 1] = 1;
    w.b[2] &= 0x7f; /* a query */
    assert_int_equal(open_as("mail.example", DNS_A), RC_NOT_FOUND);
    w.b[2] = 0x88; /* a status response */
    assert_int_equal(open_as("mail.example", DNS_A), RC_NOT_FOUND);
    w.b[2] = 0x81;
    w.b[5] = 2; /* two questions */
    assert_int_equal(open_as("mail.example", DNS_A), RC_NOT_FOUND);
    w.b[5] = 0; /* none */
    assert_int_equal(open_as("mail.example", DNS_A), RC_NOT_FOUND);
    w.b[3] |= DNS_FORMERR; /* none, because it could not be read */
    assert_int_equal(open_as("mail.example", DNS_A), RC_OK);
    assert_int_equal(response.rcode, DNS_FORMERR);
}

static void a_truncated_response_is_not_walked(void **state)
{
    (void)state;
    wire_answer(&w, "mail.example", DNS_A, 0);
    w.b[2] |= 2;
    w.b[7] = 9; /* nine answers that are not there */
    assert_int_equal(open_as("mail.example", DNS_A), RC_OK);
    assert_true(response.truncated);
    w.b[2] &= (uint8_t)~2;
    assert_int_equal(open_as("mail.example", DNS_A), RC_PROTOCOL);
}

static void every_cut_is_noticed(void **state)
{
    (void)state;
    wire_answer(&w, "mail.example", DNS_MX, 0);
    wire_mx(&w, "mail.example", 300, 10, "mx.example");
    wire_soa(&w, "example", 60, 60);
    wire_rr(&w, WIRE_ADDITIONAL, "", DNS_TYPE_OPT, 0x8000, "\0\x0a\0\1x", 5);
    for (size_t len = 0; len < w.len; len++) {
        uint8_t copy[512]; /* at the end of memory that the sanitizer watches */
        memcpy(copy + sizeof copy - len, w.b, len);
        assert_int_not_equal(
            dns_response_open(span_bytes(copy + sizeof copy - len, len), 0x1234, SPAN("mail.example"), DNS_MX, &response), RC_OK);
    }
    assert_int_equal(open_as("mail.example", DNS_MX), RC_OK);
}

static enum rc read_name(const char *bytes, size_t len, size_t at, char *text, size_t *end)
{
    struct strbuf out = strbuf_on(text, DOMAIN_TEXT_MAX);
    return dns_name_read(span_bytes(bytes, len), at, &out, end);
}

static void names_are_read(void **state)
{
    (void)state;
    static const char bytes[] = "\3Net\0\2mX\300\0\1a\300\5"; /* 0: net; 5: mx.net; 10: a.mx.net; then a root from the NUL */
    char text[DOMAIN_TEXT_MAX];
    size_t end;
    assert_int_equal(read_name(bytes, sizeof bytes, 0, text, &end), RC_OK);
    assert_string_equal(text, "net");
    assert_int_equal(end, 5);
    assert_int_equal(read_name(bytes, sizeof bytes, 5, text, &end), RC_OK);
    assert_string_equal(text, "mx.net");
    assert_int_equal(end, 10);
    assert_int_equal(read_name(bytes, sizeof bytes, 10, text, &end), RC_OK);
    assert_string_equal(text, "a.mx.net");
    assert_int_equal(end, 14);
    assert_int_equal(read_name(bytes, sizeof bytes, 14, text, &end), RC_OK);
    assert_string_equal(text, "");
    assert_int_equal(end, 15);
    assert_true(dns_name_is(span_bytes(bytes, sizeof bytes), 10, SPAN("A.mx.net")));
    assert_false(dns_name_is(span_bytes(bytes, sizeof bytes), 10, SPAN("a.mx.ne")));
    assert_false(dns_name_is(span_bytes(bytes, sizeof bytes), 10, SPAN("a.mx.net.x")));
    assert_true(dns_name_is(span_bytes(bytes, sizeof bytes), 14, SPAN("")));
}

static void malformed_names_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t len, at;
    } bad[] = {
        { "", 0, 0 },
        { "\3ab", 3, 0 },         /* label past the end */
        { "\3abc", 4, 0 },        /* no end */
        { "\300\0", 2, 0 },       /* to itself */
        { "\1a\300\2\0", 5, 0 },  /* to itself behind a label */
        { "\1a\300\0\0", 5, 0 },  /* to its own start */
        { "\300\2\300\0", 4, 2 }, /* forward from behind */
        { "\300\2\0", 3, 0 },     /* forward */
        { "\300", 1, 0 },         /* half a pointer */
        { "\100a\0", 3, 0 },      /* reserved label types */
        { "\200a\0", 3, 0 },
        { "\1a\0", 3, 7 }, /* beyond the message */
    };
    char text[DOMAIN_TEXT_MAX], reserved[256] = { 0 };
    size_t end;
    for (unsigned type = 0x40; type < 0xc0; type++) { /* as lengths they would fit */
        memset(reserved + 1, 'a', type);
        reserved[0] = (char)type;
        assert_int_equal(read_name(reserved, sizeof reserved, 0, text, &end), RC_PROTOCOL);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(read_name(bad[i].bytes, bad[i].len, bad[i].at, text, &end), RC_PROTOCOL);
        assert_false(dns_name_is(span_bytes(bad[i].bytes, bad[i].len), bad[i].at, SPAN("a")));
    }
}

static void a_name_has_at_most_255_bytes(void **state)
{
    (void)state;
    char bytes[260], text[DOMAIN_TEXT_MAX];
    size_t end;
    memset(bytes, 'a', sizeof bytes);
    bytes[0] = bytes[64] = bytes[128] = 63;
    bytes[192] = 61;
    bytes[254] = 0;
    assert_int_equal(read_name(bytes, sizeof bytes, 0, text, &end), RC_OK);
    assert_int_equal(strlen(text), DOMAIN_MAX);
    assert_int_equal(end, 255);
    bytes[192] = 62;
    bytes[255] = 0;
    assert_int_equal(read_name(bytes, sizeof bytes, 0, text, &end), RC_PROTOCOL);
}

/* Pointers that go back step by step could make a short message expensive: the total length bounds them. */
static void long_pointer_chains_end(void **state)
{
    (void)state;
    static char bytes[3 + 2000 * 4];
    size_t len = 3, end;
    char text[DOMAIN_TEXT_MAX];
    memcpy(bytes, "\1a", 3);
    for (size_t target = 0; len + 4 <= sizeof bytes; target = len - 4) {
        bytes[len++] = 1;
        bytes[len++] = 'b';
        put_be16((uint8_t *)bytes + len, (uint16_t)(0xc000 | target));
        len += 2;
    }
    assert_int_equal(read_name(bytes, len, 3 + 4 * 100, text, &end), RC_OK);
    assert_int_equal(strlen(text), 2 * 101 + 1);
    assert_int_equal(read_name(bytes, len, len - 4, text, &end), RC_PROTOCOL);
}

static void bytes_that_text_cannot_show_are_told_apart(void **state)
{
    (void)state;
    static const char *const odd[] = { "\3a.b",
                                       "\3a b",
                                       "\3a\"b",
                                       "\3a\\b",
                                       "\3a\xff"
                                       "b",
                                       "\3a\nb" };
    char text[DOMAIN_TEXT_MAX];
    size_t end = 0;
    for (size_t i = 0; i < sizeof odd / sizeof *odd; i++) {
        assert_int_equal(read_name(odd[i], 5, 0, text, &end), RC_INVALID);
        assert_int_equal(end, 5);
        assert_string_equal(text, "");
    }
    assert_int_equal(read_name("\3a/b", 5, 0, text, &end), RC_OK);
    assert_string_equal(text, "a/b");
    /* One label "a.b" is not the two labels a and b. */
    assert_false(dns_name_is(span_bytes("\3a.b", 5), 0, SPAN("a.b")));
}

static void a_record_checks_its_bounds(void **state)
{
    (void)state;
    size_t at = 0;
    struct dns_rr rr;
    static const char bytes[] = "\0\0\1\0\1\x80\0\0\1\0\2xy";
    assert_int_equal(dns_rr_next(span_bytes(bytes, 13), &at, &rr), RC_OK);
    assert_int_equal(at, 13);
    assert_int_equal(rr.ttl_s, 0); /* top bit set */
    for (size_t len = 0; len < 13; len++) {
        at = 0;
        assert_int_equal(dns_rr_next(span_bytes(bytes, len), &at, &rr), RC_PROTOCOL);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_query_has_these_bytes),
        cmocka_unit_test(only_names_that_fit_are_asked_for),
        cmocka_unit_test(a_response_opens),
        cmocka_unit_test(other_questions_are_not_ours),
        cmocka_unit_test(a_truncated_response_is_not_walked),
        cmocka_unit_test(every_cut_is_noticed),
        cmocka_unit_test(names_are_read),
        cmocka_unit_test(malformed_names_are_refused),
        cmocka_unit_test(a_name_has_at_most_255_bytes),
        cmocka_unit_test(long_pointer_chains_end),
        cmocka_unit_test(bytes_that_text_cannot_show_are_told_apart),
        cmocka_unit_test(a_record_checks_its_bounds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
