/* What a response shows of its resolver. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "net/dns_facts.h"
#include "tests/support/dns_wire.h"

static struct dns_facts facts_of(const struct dns_wire *w, enum dns_type type)
{
    struct dns_response r;
    struct dns_facts f;
    assert_int_equal(dns_response_open(wire_span(w), 0x1234, span_of(""), type, &r), RC_OK);
    dns_facts_read(&r, &f);
    return f;
}

static void opt(struct dns_wire *w)
{
    wire_rr(w, WIRE_ADDITIONAL, "", DNS_TYPE_OPT, 0x8000, "", 0);
}

static void a_signed_answer_with_edns(void **state)
{
    (void)state;
    struct dns_wire w = { 0 };
    wire_answer(&w, "", DNS_DNSKEY, DNS_NOERROR);
    wire_rr(&w, WIRE_ANSWER, "", DNS_DNSKEY, 5, "\1\1\3\10key", 7);
    wire_rr(&w, WIRE_ANSWER, "", DNS_RRSIG, 5, "sig", 3);
    opt(&w);
    struct dns_facts f = facts_of(&w, DNS_DNSKEY);
    assert_true(f.rcode == 0 && f.edns && f.signed_answer && !f.denial && !f.truncated);
}

static void what_is_missing_is_not_seen(void **state)
{
    (void)state;
    struct dns_wire w = { 0 };
    wire_answer(&w, "", DNS_DNSKEY, DNS_NOERROR);
    wire_rr(&w, WIRE_ANSWER, "", DNS_DNSKEY, 5, "\1\1\3\10key", 7);
    wire_rr(&w, WIRE_AUTHORITY, "", DNS_RRSIG, 5, "sig", 3); /* in the wrong place */
    struct dns_facts f = facts_of(&w, DNS_DNSKEY);
    assert_true(!f.edns && !f.signed_answer && !f.denial);
    struct dns_wire n = { 0 };
    wire_answer(&n, "", DNS_A, DNS_NAME_ERROR);
    wire_soa(&n, "", 5, 5);
    wire_rr(&n, WIRE_AUTHORITY, "", DNS_NSEC, 5, "\0next", 5); /* without its signature */
    opt(&n);
    f = facts_of(&n, DNS_A);
    assert_true(f.rcode == DNS_NAME_ERROR && f.edns && !f.denial);
}

static void a_denial_with_its_proof(void **state)
{
    (void)state;
    static const unsigned types[] = { DNS_NSEC, DNS_NSEC3 };
    for (unsigned i = 0; i < 2; i++) {
        struct dns_wire w = { 0 };
        wire_answer(&w, "", DNS_A, DNS_NAME_ERROR);
        wire_soa(&w, "", 5, 5);
        wire_rr(&w, WIRE_AUTHORITY, "", types[i], 5, "\0next", 5);
        wire_rr(&w, WIRE_AUTHORITY, "", DNS_RRSIG, 5, "sig", 3);
        assert_true(facts_of(&w, DNS_A).denial);
    }
}

static void an_error_without_its_question_shows_nothing(void **state)
{
    (void)state;
    static const uint8_t bare[12] = { 0x12, 0x34, 0x80, DNS_FORMERR };
    struct dns_response r;
    struct dns_facts f;
    assert_int_equal(dns_response_open(span_bytes(bare, sizeof bare), 0x1234, span_of(""), DNS_A, &r), RC_OK);
    dns_facts_read(&r, &f);
    assert_true(f.rcode == DNS_FORMERR && !f.edns && !f.signed_answer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_signed_answer_with_edns),
        cmocka_unit_test(what_is_missing_is_not_seen),
        cmocka_unit_test(a_denial_with_its_proof),
        cmocka_unit_test(an_error_without_its_question_shows_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
