#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "net/dns_answer.h"
#include "tests/support/dns_wire.h"

static struct dns_wire w;
static struct dns_answer answer;
static bool incomplete;

static enum rc read_as(const char *name, enum dns_type type)
{
    struct dns_response response;
    assert_int_equal(dns_response_open(wire_span(&w), 0x1234, span_of(name), type, &response), RC_OK);
    enum rc rc = dns_answer_read(&response, span_of(name), type, &answer, &incomplete);
    if (rc != RC_OK)
        assert_int_equal(answer.count, 0);
    return rc;
}

static bool data_is(unsigned index, const char *text)
{
    return span_is(dns_record_data(&answer, index), text);
}

static void addresses_are_found(void **state)
{
    (void)state;
    struct ip_addr_any a, want = ip_v4(192, 0, 2, 2);
    wire_answer(&w, "mail.example", DNS_A, 0);
    wire_a(&w, "mail.example", 300, 1);
    wire_a(&w, "MAIL.example", 200, 2);
    wire_a(&w, "other.example", 1, 3);
    assert_int_equal(read_as("mail.example", DNS_A), RC_OK);
    assert_int_equal(answer.outcome, DNS_FOUND);
    assert_int_equal(answer.security, DNS_UNVALIDATED);
    assert_int_equal(answer.count, 2);
    assert_int_equal(answer.ttl_s, 200);
    assert_string_equal(answer.name, "mail.example");
    assert_false(incomplete || answer.truncated);
    assert_true(dns_record_addr(&answer, 1, &a) && ip_eq(&a, &want));
    assert_false(dns_record_addr(&answer, 2, &a));
    assert_true(dns_record_data(&answer, 2).len == 0);
    wire_answer(&w, "mail.example", DNS_AAAA, 0);
    wire_rr(&w, WIRE_ANSWER, "mail.example", DNS_AAAA, 100000000, "\x20\1\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\1", 16);
    assert_int_equal(read_as("mail.example", DNS_AAAA), RC_OK);
    assert_true(dns_record_addr(&answer, 0, &a) && a.family == IP_V6 && a.b[15] == 1);
    assert_int_equal(answer.ttl_s, DNS_TTL_MAX_S);
}

static void a_referral_is_no_answer(void **state)
{
    (void)state;
    wire_answer(&w, "host.broken.example", DNS_A, 0);
    wire_rr(&w, WIRE_AUTHORITY, "broken.example", DNS_NS, 300, "\2ns\6broken\7example", 19);
    assert_int_equal(read_as("host.broken.example", DNS_A), RC_PROTOCOL);
}

static void aliases_are_followed_in_any_order(void **state)
{
    (void)state;
    wire_answer(&w, "www.example", DNS_A, 0);
    wire_a(&w, "c.example", 300, 7);
    wire_cname(&w, "b.example", 50, "C.example");
    wire_cname(&w, "www.example", 100, "b.example");
    assert_int_equal(read_as("www.example", DNS_A), RC_OK);
    assert_int_equal(answer.count, 1);
    assert_string_equal(answer.name, "c.example");
    assert_int_equal(answer.ttl_s, 50);
    /* Asked for itself, an alias is not followed. */
    wire_answer(&w, "www.example", DNS_CNAME, 0);
    wire_cname(&w, "www.example", 100, "b.example");
    wire_cname(&w, "b.example", 50, "c.example");
    assert_int_equal(read_as("www.example", DNS_CNAME), RC_OK);
    assert_int_equal(answer.count, 1);
    assert_true(data_is(0, "b.example"));
    assert_string_equal(answer.name, "www.example");
}

static void classless_reverse_zones_work(void **state)
{
    (void)state;
    wire_answer(&w, "1.2.0.192.in-addr.arpa", DNS_PTR, 0);
    wire_cname(&w, "1.2.0.192.in-addr.arpa", 100, "1.0/25.2.0.192.in-addr.arpa");
    wire_begin(&w, WIRE_ANSWER, "1.0/25.2.0.192.in-addr.arpa", DNS_PTR, 90);
    wire_name(&w, "Mail.Example");
    wire_end(&w);
    assert_int_equal(read_as("1.2.0.192.in-addr.arpa", DNS_PTR), RC_OK);
    assert_true(answer.count == 1 && data_is(0, "mail.example"));
    assert_string_equal(answer.name, "1.0/25.2.0.192.in-addr.arpa");
}

static void endless_aliases_are_refused(void **state)
{
    (void)state;
    wire_answer(&w, "a.example", DNS_A, 0);
    wire_cname(&w, "a.example", 100, "b.example");
    wire_cname(&w, "b.example", 100, "a.example");
    assert_int_equal(read_as("a.example", DNS_A), RC_PROTOCOL);
    for (unsigned links = DNS_CNAME_CHAIN_MAX; links <= DNS_CNAME_CHAIN_MAX + 1; links++) {
        char from[2] = "a", to[2] = "b";
        wire_answer(&w, "a", DNS_A, 0);
        for (unsigned i = 0; i < links; i++, from[0]++, to[0]++)
            wire_cname(&w, from, 100, to);
        wire_a(&w, from, 100, 1);
        assert_int_equal(read_as("a", DNS_A), links <= DNS_CNAME_CHAIN_MAX ? RC_OK : RC_PROTOCOL);
    }
}

static void an_alias_without_its_target_is_incomplete(void **state)
{
    (void)state;
    wire_answer(&w, "www.example", DNS_A, 0);
    wire_cname(&w, "www.example", 100, "elsewhere.test");
    wire_soa(&w, "example", 60, 60); /* says nothing about elsewhere.test */
    assert_int_equal(read_as("www.example", DNS_A), RC_OK);
    assert_true(incomplete);
    assert_string_equal(answer.name, "elsewhere.test");
    assert_int_equal(answer.ttl_s, 100);
    wire_soa(&w, "test", 60, 30);
    assert_int_equal(read_as("www.example", DNS_A), RC_OK);
    assert_false(incomplete);
    assert_int_equal(answer.outcome, DNS_NODATA);
    assert_int_equal(answer.ttl_s, 30);
}

static void negative_answers_hold_as_the_soa_says(void **state)
{
    (void)state;
    static const struct {
        uint32_t ttl_s, minimum_s, want_s;
    } golden[] = { { 600, 300, 300 }, { 200, 300, 200 }, { 86400, 86400, DNS_NEGATIVE_TTL_MAX_S }, { 0, 300, 0 } };
    for (size_t i = 0; i < sizeof golden / sizeof *golden; i++) {
        wire_answer(&w, "no.example", DNS_MX, DNS_NAME_ERROR);
        wire_soa(&w, "example", golden[i].ttl_s, golden[i].minimum_s);
        assert_int_equal(read_as("no.example", DNS_MX), RC_OK);
        assert_int_equal(answer.outcome, DNS_NXDOMAIN);
        assert_int_equal(answer.ttl_s, golden[i].want_s);
    }
    wire_answer(&w, "no.example", DNS_MX, 0);
    assert_int_equal(read_as("no.example", DNS_MX), RC_OK);
    assert_int_equal(answer.outcome, DNS_NODATA);
    assert_false(incomplete);
    assert_int_equal(answer.ttl_s, 0);
    wire_soa(&w, "other.example", 60, 60);
    assert_int_equal(read_as("no.example", DNS_MX), RC_OK);
    assert_int_equal(answer.ttl_s, 0);
    wire_answer(&w, "no.example", DNS_MX, 0);
    wire_rr(&w, WIRE_ANSWER, "example", DNS_SOA, 60,
            "\0\0"
            "12345678901234567890",
            22); /* not its section */
    assert_int_equal(read_as("no.example", DNS_MX), RC_OK);
    assert_int_equal(answer.ttl_s, 0);
    wire_soa(&w, "", 60, 60);
    assert_int_equal(read_as("no.example", DNS_MX), RC_OK);
    assert_int_equal(answer.ttl_s, 60);
}

static void an_alias_to_nowhere_does_not_exist(void **state)
{
    (void)state;
    wire_answer(&w, "www.example", DNS_A, DNS_NAME_ERROR);
    wire_cname(&w, "www.example", 20, "gone.example");
    wire_soa(&w, "example", 60, 60);
    assert_int_equal(read_as("www.example", DNS_A), RC_OK);
    assert_int_equal(answer.outcome, DNS_NXDOMAIN);
    assert_string_equal(answer.name, "gone.example");
    assert_int_equal(answer.ttl_s, 20);
}

static void a_name_that_is_not_there_has_no_records(void **state)
{
    (void)state;
    wire_answer(&w, "mail.example", DNS_A, DNS_NAME_ERROR);
    wire_a(&w, "mail.example", 300, 1);
    assert_int_equal(read_as("mail.example", DNS_A), RC_PROTOCOL);
}

static void mail_exchangers_keep_their_preference(void **state)
{
    (void)state;
    wire_answer(&w, "example", DNS_MX, 0);
    wire_mx(&w, "example", 300, 10, "MX1.example");
    wire_mx(&w, "example", 300, 65535, "mx2.example");
    assert_int_equal(read_as("example", DNS_MX), RC_OK);
    assert_int_equal(answer.count, 2);
    assert_int_equal(answer.record[0].preference, 10);
    assert_int_equal(answer.record[1].preference, 65535);
    assert_true(data_is(0, "mx1.example") && data_is(1, "mx2.example"));
    wire_answer(&w, "example", DNS_MX, 0);
    wire_mx(&w, "example", 300, 0, "");
    assert_int_equal(read_as("example", DNS_MX), RC_OK);
    assert_int_equal(answer.count, 1);
    assert_int_equal(answer.record[0].len, 0);
}

static void names_unfit_for_hosts_are_left_out(void **state)
{
    (void)state;
    wire_answer(&w, "example", DNS_MX, 0);
    wire_mx(&w, "example", 300, 10, "m x.example");
    wire_mx(&w, "example", 300, 10, "mx/1.example");
    wire_mx(&w, "example", 300, 10, "mx\n.example");
    assert_int_equal(read_as("example", DNS_MX), RC_OK);
    assert_int_equal(answer.outcome, DNS_FOUND);
    assert_true(answer.truncated && answer.count == 0);
    wire_mx(&w, "example", 300, 20, "good.example");
    assert_int_equal(read_as("example", DNS_MX), RC_OK);
    assert_true(answer.truncated && answer.count == 1 && data_is(0, "good.example"));
}

static void txt_strings_are_joined(void **state)
{
    (void)state;
    wire_answer(&w, "_mta-sts.example", DNS_TXT, 0);
    wire_rr(&w, WIRE_ANSWER, "_mta-sts.example", DNS_TXT, 60, "\7v=STSv1\0\6; id=1", 16);
    assert_int_equal(read_as("_mta-sts.example", DNS_TXT), RC_OK);
    assert_true(answer.count == 1 && data_is(0, "v=STSv1; id=1"));
}

static void wire_long_txt(size_t len)
{
    static const char zeros[255];
    wire_begin(&w, WIRE_ANSWER, "t.example", DNS_TXT, 60);
    while (len > 0) {
        uint8_t piece = (uint8_t)(len < 255 ? len : 255);
        wire_bytes(&w, &piece, 1);
        wire_bytes(&w, zeros, piece);
        len -= piece;
    }
    wire_end(&w);
}

static void overlong_txt_records_are_left_out(void **state)
{
    (void)state;
    wire_answer(&w, "t.example", DNS_TXT, 0);
    wire_long_txt(DNS_TXT_MAX + 1);
    wire_long_txt(DNS_TXT_MAX);
    assert_int_equal(read_as("t.example", DNS_TXT), RC_OK);
    assert_true(answer.truncated && answer.count == 1);
    assert_int_equal(dns_record_data(&answer, 0).len, DNS_TXT_MAX);
}

static void what_does_not_fit_is_left_out(void **state)
{
    (void)state;
    wire_answer(&w, "mail.example", DNS_A, 0);
    for (unsigned i = 0; i <= DNS_RECORDS_MAX; i++)
        wire_a(&w, "mail.example", 300, (uint8_t)i);
    assert_int_equal(read_as("mail.example", DNS_A), RC_OK);
    assert_true(answer.truncated && answer.count == DNS_RECORDS_MAX);
    wire_answer(&w, "t.example", DNS_TXT, 0);
    wire_long_txt(DNS_TXT_MAX);
    wire_long_txt(DNS_TXT_MAX);
    wire_long_txt(500);
    assert_int_equal(read_as("t.example", DNS_TXT), RC_OK);
    assert_true(answer.truncated && answer.count == 2);
    assert_true(answer.data_len == DNS_TXT_MAX + 500);
}

static void malformed_data_spoil_the_message(void **state)
{
    (void)state;
    static const struct {
        enum dns_type type;
        const char *data;
        size_t len;
    } bad[] = {
        { DNS_A, "\1\2\3", 3 },    { DNS_A, "\1\2\3\4\5", 5 }, { DNS_AAAA, "\1\2\3\4", 4 }, { DNS_TLSA, "\3\1", 2 },
        { DNS_TXT, "", 0 },        { DNS_TXT, "\5abcd", 5 },   { DNS_TXT, "\1a\4bc", 5 },   { DNS_MX, "\0\1", 2 },
        { DNS_MX, "\0\1\0x", 4 },  { DNS_MX, "\0\1\5ab", 5 },  { DNS_PTR, "", 0 },          { DNS_PTR, "\1a\0b", 4 },
        { DNS_NS, "\300\377", 2 }, { DNS_CNAME, "\1a", 2 },
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        wire_answer(&w, "x.example", bad[i].type, 0);
        wire_rr(&w, WIRE_ANSWER, "x.example", bad[i].type, 60, bad[i].data, bad[i].len);
        assert_int_equal(read_as("x.example", bad[i].type), RC_PROTOCOL);
    }
    wire_answer(&w, "x.example", DNS_A, 0);
    wire_rr(&w, WIRE_ANSWER, "x.example", DNS_CNAME, 60, "\1a\0x", 4);
    assert_int_equal(read_as("x.example", DNS_A), RC_PROTOCOL);
}

static void other_classes_and_sections_don_t_count(void **state)
{
    (void)state;
    wire_answer(&w, "x.example", DNS_A, 0);
    wire_a(&w, "x.example", 60, 1);
    w.b[w.len - 11] = 3; /* class CH */
    wire_rr(&w, WIRE_ADDITIONAL, "x.example", DNS_A, 60, "\1\2\3\4", 4);
    assert_int_equal(read_as("x.example", DNS_A), RC_OK);
    assert_int_equal(answer.outcome, DNS_NODATA);
}

static void tlsa_records_come_as_on_the_wire(void **state)
{
    (void)state;
    wire_answer(&w, "_25._tcp.mx.example", DNS_TLSA, 0);
    wire_rr(&w, WIRE_ANSWER, "_25._tcp.mx.example", DNS_TLSA, 60, "\3\1\1abcdefgh", 11);
    wire_rr(&w, WIRE_ANSWER, "_25._tcp.mx.example", DNS_RRSIG, 60, "signature", 9);
    assert_int_equal(read_as("_25._tcp.mx.example", DNS_TLSA), RC_OK);
    assert_true(answer.count == 1 && data_is(0, "\3\1\1abcdefgh"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses_are_found),
        cmocka_unit_test(a_referral_is_no_answer),
        cmocka_unit_test(aliases_are_followed_in_any_order),
        cmocka_unit_test(classless_reverse_zones_work),
        cmocka_unit_test(endless_aliases_are_refused),
        cmocka_unit_test(an_alias_without_its_target_is_incomplete),
        cmocka_unit_test(negative_answers_hold_as_the_soa_says),
        cmocka_unit_test(an_alias_to_nowhere_does_not_exist),
        cmocka_unit_test(a_name_that_is_not_there_has_no_records),
        cmocka_unit_test(mail_exchangers_keep_their_preference),
        cmocka_unit_test(names_unfit_for_hosts_are_left_out),
        cmocka_unit_test(txt_strings_are_joined),
        cmocka_unit_test(overlong_txt_records_are_left_out),
        cmocka_unit_test(what_does_not_fit_is_left_out),
        cmocka_unit_test(malformed_data_spoil_the_message),
        cmocka_unit_test(other_classes_and_sections_don_t_count),
        cmocka_unit_test(tlsa_records_come_as_on_the_wire),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
