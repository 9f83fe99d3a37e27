/* policy/verdict.c and verdict_outcome.c: every source, every demand, every outcome of an attempt, against rules written here a second
 * time and in another way; and the words, which operators read and other tools grep. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "policy/verdict.h"

#define PUBLISHED 1589995512 /* 2020-05-20T17:25:12Z */
#define EXPIRES 1591205112   /* 2020-06-03T17:25:12Z */
#define INSIDE 1590500000

static struct list_entry entry;
static struct verdict_domain d;
static struct verdict v;
static const struct span mx = { "mx.example.com", 14 };
static const struct span stranger = { "mx.example.net", 14 };

static void set_entry(enum list_mode mode)
{
    memset(&entry, 0, sizeof entry);
    entry.mode = mode;
    entry.mx_count = 2;
    static const char text[] = "mx.example.com\0.mail.example.org";
    memcpy(entry.text, text, sizeof text);
    entry.text_len = sizeof text;
}

static int set_up(void **state)
{
    (void)state;
    memset(&d, 0, sizeof d);
    d.domain = SPAN("example.com");
    d.now = INSIDE;
    return 0;
}

static void list_says(enum verdict_list_state list_state, enum list_mode mode)
{
    set_entry(mode);
    d.list.state = list_state;
    d.list.timestamp = PUBLISHED;
    d.list.expires = EXPIRES;
    d.list.entry = list_state == LIST_STATE_FOUND || list_state == LIST_STATE_EXPIRED ? &entry : NULL;
}

static void expect(enum verdict_source source, enum verdict_demand demand, bool testing, bool allowed)
{
    assert_string_equal(verdict_source_name(v.source), verdict_source_name(source));
    assert_string_equal(verdict_demand_name(v.demand), verdict_demand_name(demand));
    assert_int_equal(v.testing, testing);
    assert_int_equal(v.mx_allowed, allowed);
    assert_ptr_equal(v.reasons.p, v.text);
    assert_true(v.reasons.len > 0);
    assert_false(v.reasons.overflow);
}

static void expect_words(const char *words)
{
    assert_string_equal(v.text, words);
}

/* --- before --- */

static void enforce_demands_a_verified_name(void **state)
{
    (void)state;
    list_says(LIST_STATE_FOUND, LIST_ENFORCE);
    verdict_before(&v, &d, mx);
    expect(VERDICT_LIST, DEMAND_VERIFIED, false, true);
    assert_int_equal(v.recheck, EXPIRES);
    expect_words(
        "the preload list (published 2020-05-20, valid until 2020-06-03) says example.com must use TLS with a certificate for "
        "mx.example.com");
}

static void a_suffix_pattern_allows_one_label(void **state)
{
    (void)state;
    list_says(LIST_STATE_FOUND, LIST_ENFORCE);
    verdict_before(&v, &d, SPAN("a.mail.example.org"));
    expect(VERDICT_LIST, DEMAND_VERIFIED, false, true);
    verdict_before(&v, &d, SPAN("a.b.mail.example.org"));
    expect(VERDICT_LIST, DEMAND_VERIFIED, false, false);
}

static void testing_records_and_lets_go(void **state)
{
    (void)state;
    list_says(LIST_STATE_FOUND, LIST_TESTING);
    verdict_before(&v, &d, mx);
    expect(VERDICT_LIST, DEMAND_VERIFIED, true, true);
    assert_false(v.mx_mismatch);
    expect_words(
        "the preload list (published 2020-05-20, valid until 2020-06-03) says example.com is testing TLS with a certificate for "
        "mx.example.com: a failure is recorded and the mail goes all the same");
}

static void a_host_that_the_policy_does_not_name(void **state)
{
    (void)state;
    list_says(LIST_STATE_FOUND, LIST_ENFORCE);
    verdict_before(&v, &d, stranger);
    expect(VERDICT_LIST, DEMAND_VERIFIED, false, false);
    assert_true(v.mx_mismatch);
    expect_words(
        "the preload list (published 2020-05-20, valid until 2020-06-03) says example.com must use TLS with a certificate for "
        "mx.example.com, *.mail.example.org\n"
        "mx.example.net is none of the mail hosts that the list names for example.com (mx.example.com, *.mail.example.org): it is "
        "skipped");
    list_says(LIST_STATE_FOUND, LIST_TESTING);
    verdict_before(&v, &d, stranger);
    expect(VERDICT_LIST, DEMAND_VERIFIED, true, true);
    assert_true(v.mx_mismatch);
    assert_non_null(strstr(v.text, "it is used all the same, and that is recorded as a failure"));
}

static void a_domain_as_a_whole(void **state)
{
    (void)state;
    list_says(LIST_STATE_FOUND, LIST_ENFORCE);
    verdict_for_domain(&v, &d);
    expect(VERDICT_LIST, DEMAND_VERIFIED, false, true);
    assert_false(v.mx_mismatch);
    assert_non_null(strstr(v.text, "with a certificate for mx.example.com, *.mail.example.org"));
}

static void an_ended_list_is_opportunistic(void **state)
{
    (void)state;
    list_says(LIST_STATE_EXPIRED, LIST_ENFORCE);
    d.now = EXPIRES + 1;
    verdict_before(&v, &d, mx);
    expect(VERDICT_OPPORTUNISTIC, DEMAND_NONE, false, true);
    assert_int_equal(v.recheck, 0);
    expect_words(
        "example.com is in the preload list (published 2020-05-20, valid until 2020-06-03), but that list has ended: its policy is "
        "not enforced until a newer list is loaded\n"
        "no policy asks for more: TLS is used if offered, with any certificate");
}

static void enforcement_does_not_end_by_doubtful_time(void **state)
{
    (void)state;
    list_says(LIST_STATE_FOUND, LIST_ENFORCE);
    d.now = 0;
    verdict_before(&v, &d, mx);
    expect(VERDICT_LIST, DEMAND_VERIFIED, false, true);
    assert_non_null(strstr(
        v.text, "\nthis box has no time that it can trust and cannot tell whether the list is still valid: it counts as valid"));
    d.now = EXPIRES + 86400;
    verdict_before(&v, &d, mx);
    expect(VERDICT_LIST, DEMAND_VERIFIED, false, true);
    assert_int_equal(v.recheck, 0);
    assert_non_null(strstr(v.text, "\nby this box's clock the list ended on 2020-06-03, but that clock is not confirmed"));
}

static void unlisted_and_no_list(void **state)
{
    (void)state;
    list_says(LIST_STATE_ABSENT, LIST_ENFORCE);
    verdict_before(&v, &d, mx);
    expect(VERDICT_OPPORTUNISTIC, DEMAND_NONE, false, true);
    expect_words("example.com is not in the preload list (published 2020-05-20, valid until 2020-06-03)\n"
                 "no policy asks for more: TLS is used if offered, with any certificate");
    list_says(LIST_STATE_NONE, LIST_ENFORCE);
    verdict_before(&v, &d, mx);
    expect(VERDICT_OPPORTUNISTIC, DEMAND_NONE, false, true);
    expect_words("there is no preload list on this box\nno policy asks for more: TLS is used if offered, with any certificate");
}

static void a_damaged_list_makes_mail_wait(void **state)
{
    (void)state;
    list_says(LIST_STATE_DAMAGED, LIST_ENFORCE);
    verdict_before(&v, &d, mx);
    expect(VERDICT_LIST, DEMAND_UNKNOWN, false, true);
    list_says(LIST_STATE_FOUND, LIST_ENFORCE);
    d.list.entry = NULL;
    verdict_before(&v, &d, mx);
    expect(VERDICT_LIST, DEMAND_UNKNOWN, false, true);
    assert_non_null(strstr(v.text, "the preload list on this box is damaged"));
}

static void an_exception_holds_until_its_end(void **state)
{
    (void)state;
    list_says(LIST_STATE_FOUND, LIST_ENFORCE);
    d.exception.present = true;
    d.exception.until = INSIDE + 1;
    d.exception.reason = SPAN("they change\nproviders");
    verdict_before(&v, &d, stranger);
    expect(VERDICT_EXCEPTION, DEMAND_NONE, false, true);
    assert_int_equal(v.recheck, INSIDE + 1);
    expect_words("a local exception for example.com holds until 2020-05-26 13:33 UTC (they change\\x0aproviders): no policy is "
                 "enforced, TLS "
                 "is used if offered, with any certificate");
    d.exception.until = INSIDE;
    verdict_before(&v, &d, mx);
    expect(VERDICT_LIST, DEMAND_VERIFIED, false, true);
    assert_non_null(
        strstr(v.text, "a local exception for example.com ended on 2020-05-26 13:33 UTC and is no longer used\nthe preload list"));
}

static void an_exception_needs_a_clock(void **state)
{
    (void)state;
    list_says(LIST_STATE_FOUND, LIST_ENFORCE);
    d.exception.present = true;
    d.exception.until = INSIDE;
    d.now = 0;
    verdict_before(&v, &d, mx);
    expect(VERDICT_LIST, DEMAND_VERIFIED, false, true);
    assert_non_null(strstr(v.text, "has no time that it can trust: it is not used until the clock is set\n"));
}

static void an_exception_also_answers_for_a_damaged_list(void **state)
{
    (void)state;
    list_says(LIST_STATE_DAMAGED, LIST_ENFORCE);
    d.exception.present = true;
    d.exception.until = INSIDE + 1;
    verdict_before(&v, &d, mx);
    expect(VERDICT_EXCEPTION, DEMAND_NONE, false, true);
}

static void what_the_operator_named_comes_first(void **state)
{
    (void)state;
    for (int demand = DEMAND_NONE; demand <= DEMAND_UNKNOWN; demand++) {
        list_says(LIST_STATE_FOUND, LIST_ENFORCE);
        d.exception.present = true;
        d.exception.until = INSIDE + 1;
        d.local.present = true;
        d.local.host = SPAN("smart.example.net");
        d.local.demand = (enum verdict_demand)demand;
        verdict_before(&v, &d, SPAN("smart.example.net"));
        expect(VERDICT_LOCAL, (enum verdict_demand)demand, false, true);
        verdict_before(&v, &d, mx);
        expect(VERDICT_LOCAL, (enum verdict_demand)demand, false, false);
    }
    d.local.demand = DEMAND_VERIFIED;
    d.local.first_hop_only = true;
    verdict_for_domain(&v, &d);
    expect_words(
        "this box is set to send mail for example.com to smart.example.net: TLS with a valid certificate for smart.example.net is "
        "required\n"
        "only the way to smart.example.net is assured: how mail travels on to example.com is up to that host\n"
        "the preload list (published 2020-05-20, valid until 2020-06-03) has a policy for example.com, which this box cannot check "
        "behind that host");
}

static void long_names_are_cut_not_spilled(void **state)
{
    (void)state;
    static char longest[DOMAIN_MAX];
    memset(longest, 'x', sizeof longest);
    list_says(LIST_STATE_FOUND, LIST_ENFORCE);
    d.domain = span_bytes(longest, sizeof longest);
    d.list.expires = INT64_MAX;
    d.list.timestamp = -1;
    entry.mx_count = 3;
    memset(entry.text, 0, sizeof entry.text);
    for (unsigned i = 0; i < 3; i++)
        memset(entry.text + i * 254, 'y', 253);
    verdict_before(&v, &d, span_bytes(longest, sizeof longest));
    assert_true(v.reasons.overflow);
    assert_true(strlen(v.text) < VERDICT_REASONS_MAX);
    assert_false(v.mx_allowed);
    assert_non_null(strstr(v.text, "published an unknown date, valid until an unknown date"));
}

/* --- after --- */

static struct verdict_outcome o;
static struct verdict_attempt a;

static void judge(enum verdict_demand demand, bool testing, bool mismatch)
{
    memset(&v, 0, sizeof v);
    v.source = VERDICT_LIST;
    v.demand = demand;
    v.testing = testing;
    v.mx_mismatch = mismatch;
    v.mx_allowed = !mismatch || testing;
    a.mx_host = mx;
    verdict_after(&o, &v, &a);
}

static bool proof_is_enough(enum verdict_demand demand)
{
    bool up = a.tls == TLS_UP && !a.plaintext_retry;
    bool enough[] = { [DEMAND_NONE] = true,
                      [DEMAND_ENCRYPT] = up,
                      [DEMAND_VERIFIED] = up && a.chain_valid && a.name_matches,
                      [DEMAND_PINNED] = up && a.pin_matches,
                      [DEMAND_DANE] = up && a.dane_matches,
                      [DEMAND_UNKNOWN] = false };
    return enough[demand];
}

static enum verdict_action expected_action(enum verdict_demand demand, bool testing, bool mismatch)
{
    if (demand == DEMAND_UNKNOWN || ((mismatch || !proof_is_enough(demand)) && !testing))
        return VERDICT_NEXT_HOST;
    bool broken = !a.plaintext_retry && (a.tls == TLS_INJECTED || a.tls == TLS_HANDSHAKE_FAILED);
    return broken ? VERDICT_RETRY_PLAINTEXT : VERDICT_SEND;
}

static void check_one(enum verdict_demand demand, bool testing, bool mismatch)
{
    judge(demand, testing, mismatch);
    assert_int_equal(o.action, expected_action(demand, testing, mismatch));
    assert_int_equal(o.policy_failed, mismatch || !proof_is_enough(demand));
    assert_true(o.reasons.len > 0);
    assert_false(o.reasons.overflow);
    assert_ptr_equal(o.reasons.p, o.text);
    assert_true(o.report < REPORT_COUNT);
    bool success = o.report == REPORT_SUCCESS_VERIFIED || o.report == REPORT_SUCCESS_ENCRYPTED;
    if (success) {
        assert_true(a.tls == TLS_UP && !a.plaintext_retry);
        assert_false(o.policy_failed);
    }
    /* The one promise: with a demand that is not only tested, nothing leaves over a connection that did not meet it. */
    if (demand != DEMAND_NONE && !testing && o.action != VERDICT_NEXT_HOST)
        assert_true(a.tls == TLS_UP && !a.plaintext_retry && proof_is_enough(demand) && !mismatch);
}

static void every_demand_meets_every_attempt(void **state)
{
    (void)state;
    unsigned cases = 0;
    for (unsigned bits = 0; bits < 32; bits++) {
        for (int tls = TLS_NOT_OFFERED; tls <= TLS_UP; tls++) {
            a = (struct verdict_attempt){ .tls = (enum verdict_tls_result)tls,
                                          .plaintext_retry = bits & 1,
                                          .chain_valid = bits & 2,
                                          .name_matches = bits & 4,
                                          .pin_matches = bits & 8,
                                          .dane_matches = bits & 16 };
            for (int demand = DEMAND_NONE; demand <= DEMAND_UNKNOWN; demand++) {
                for (unsigned more = 0; more < 4; more++, cases++)
                    check_one((enum verdict_demand)demand, more & 1, more & 2);
            }
        }
    }
    assert_int_equal(cases, 32 * 6 * 6 * 4);
}

static void try_tls(enum verdict_tls_result tls, const char *cause)
{
    a = (struct verdict_attempt){ .tls = tls, .cause_name = cause, .cause_text = "" };
}

static void failures_are_reported_by_name(void **state)
{
    (void)state;
    static const struct {
        const char *cause;
        enum verdict_report report;
    } cases[] = {
        { "wrong-name", REPORT_CERTIFICATE_HOST_MISMATCH },
        { "expired", REPORT_CERTIFICATE_EXPIRED },
        { "self-signed", REPORT_CERTIFICATE_NOT_TRUSTED },
        { "untrusted-root", REPORT_CERTIFICATE_NOT_TRUSTED },
        { "missing-intermediate", REPORT_CERTIFICATE_NOT_TRUSTED },
        { "not-yet-valid", REPORT_VALIDATION_FAILURE },
        { "no-common-version", REPORT_VALIDATION_FAILURE },
        { "", REPORT_VALIDATION_FAILURE },
        { NULL, REPORT_VALIDATION_FAILURE },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        try_tls(TLS_UP, cases[i].cause);
        judge(DEMAND_VERIFIED, false, false);
        assert_string_equal(verdict_report_name(o.report), verdict_report_name(cases[i].report));
        try_tls(TLS_HANDSHAKE_FAILED, cases[i].cause);
        judge(DEMAND_VERIFIED, true, false);
        assert_string_equal(verdict_report_name(o.report), verdict_report_name(cases[i].report));
    }
    a = (struct verdict_attempt){ .tls = TLS_UP, .chain_valid = true };
    judge(DEMAND_VERIFIED, false, false);
    assert_int_equal(o.report, REPORT_CERTIFICATE_HOST_MISMATCH);
}

static void missing_tls_is_reported_against_a_policy_only(void **state)
{
    (void)state;
    static const enum verdict_tls_result without[] = { TLS_NOT_OFFERED, TLS_STRIPPED, TLS_REFUSED_BY_SERVER };
    for (size_t i = 0; i < 3; i++) {
        try_tls(without[i], "");
        judge(DEMAND_NONE, false, false);
        assert_int_equal(o.report, REPORT_PLAINTEXT);
        judge(DEMAND_VERIFIED, false, false);
        assert_int_equal(o.report, REPORT_STARTTLS_NOT_SUPPORTED);
        judge(DEMAND_VERIFIED, true, false);
        assert_int_equal(o.report, REPORT_STARTTLS_NOT_SUPPORTED);
    }
    a = (struct verdict_attempt){ .tls = TLS_HANDSHAKE_FAILED, .plaintext_retry = true };
    judge(DEMAND_VERIFIED, true, false);
    assert_int_equal(o.report, REPORT_PLAINTEXT);
}

static void successes_are_reported(void **state)
{
    (void)state;
    a = (struct verdict_attempt){ .tls = TLS_UP, .chain_valid = true, .name_matches = true };
    judge(DEMAND_NONE, false, false);
    assert_int_equal(o.report, REPORT_SUCCESS_VERIFIED);
    judge(DEMAND_VERIFIED, false, false);
    assert_int_equal(o.report, REPORT_SUCCESS_VERIFIED);
    judge(DEMAND_VERIFIED, true, true);
    assert_int_equal(o.report, REPORT_VALIDATION_FAILURE);
    try_tls(TLS_UP, "self-signed");
    judge(DEMAND_NONE, false, false);
    assert_int_equal(o.report, REPORT_SUCCESS_ENCRYPTED);
    judge(DEMAND_ENCRYPT, false, false);
    assert_int_equal(o.report, REPORT_SUCCESS_ENCRYPTED);
    a.pin_matches = true;
    judge(DEMAND_PINNED, false, false);
    assert_int_equal(o.report, REPORT_SUCCESS_VERIFIED);
    judge(DEMAND_PINNED, false, true);
    assert_int_equal(o.report, REPORT_VALIDATION_FAILURE);
}

static void the_words_of_an_outcome(void **state)
{
    (void)state;
    a = (struct verdict_attempt){ .tls = TLS_STRIPPED };
    judge(DEMAND_VERIFIED, false, false);
    assert_string_equal(o.text,
                        "mx.example.com offers no STARTTLS, and filler stands in its place: a device on the way seems to strip it\n"
                        "the mail does not go through mx.example.com: it waits unless another host of the domain will do");
    judge(DEMAND_NONE, false, false);
    assert_string_equal(o.text,
                        "mx.example.com offers no STARTTLS, and filler stands in its place: a device on the way seems to strip it\n"
                        "the mail goes without encryption");
    a = (struct verdict_attempt){ .tls = TLS_UP,
                                  .cause_name = "wrong-name",
                                  .cause_text = "the certificate does not name the host",
                                  .detail = SPAN("it names mail.example.net"),
                                  .chain_valid = true };
    judge(DEMAND_VERIFIED, false, false);
    assert_string_equal(o.text,
                        "mx.example.com uses TLS, but its certificate proves nothing: the certificate does not name the host "
                        "(wrong-name; it names mail.example.net)\n"
                        "the mail does not go through mx.example.com: it waits unless another host of the domain will do");
    judge(DEMAND_VERIFIED, true, false);
    assert_non_null(
        strstr(o.text, "\nthe policy is not met, but it is only being tested: this is recorded and the mail goes all the same"));
    a = (struct verdict_attempt){ .tls = TLS_HANDSHAKE_FAILED, .cause_name = "closed", .cause_text = "the peer closed" };
    judge(DEMAND_NONE, false, false);
    assert_string_equal(o.text, "the TLS handshake with mx.example.com failed: the peer closed (closed)\n"
                                "a new connection will be tried without TLS");
    a = (struct verdict_attempt){ .tls = TLS_UP, .chain_valid = true, .name_matches = true };
    judge(DEMAND_VERIFIED, false, false);
    assert_string_equal(o.text, "mx.example.com uses TLS and showed a valid certificate for its name");
}

static void a_talkative_peer_is_cut(void **state)
{
    (void)state;
    static char many[5000];
    memset(many, 'z', sizeof many - 1);
    a = (struct verdict_attempt){ .tls = TLS_HANDSHAKE_FAILED, .cause_name = many, .cause_text = many, .detail = span_of(many) };
    judge(DEMAND_VERIFIED, false, false);
    assert_true(strlen(o.text) < sizeof o.text);
    assert_int_equal(o.action, VERDICT_NEXT_HOST);
}

static void names_are_distinct(void **state)
{
    (void)state;
    for (int i = 0; i < REPORT_COUNT; i++) {
        for (int j = 0; j < i; j++)
            assert_string_not_equal(verdict_report_name((enum verdict_report)i), verdict_report_name((enum verdict_report)j));
    }
    assert_string_equal(verdict_source_name(VERDICT_STS), "mta-sts");
    assert_string_equal(verdict_demand_name(DEMAND_VERIFIED), "verified");
    assert_string_equal(verdict_source_name((enum verdict_source)99), "unknown");
    assert_string_equal(verdict_report_name(REPORT_CERTIFICATE_HOST_MISMATCH), "certificate-host-mismatch");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(enforce_demands_a_verified_name, set_up),
        cmocka_unit_test_setup(a_suffix_pattern_allows_one_label, set_up),
        cmocka_unit_test_setup(testing_records_and_lets_go, set_up),
        cmocka_unit_test_setup(a_host_that_the_policy_does_not_name, set_up),
        cmocka_unit_test_setup(a_domain_as_a_whole, set_up),
        cmocka_unit_test_setup(an_ended_list_is_opportunistic, set_up),
        cmocka_unit_test_setup(enforcement_does_not_end_by_doubtful_time, set_up),
        cmocka_unit_test_setup(unlisted_and_no_list, set_up),
        cmocka_unit_test_setup(a_damaged_list_makes_mail_wait, set_up),
        cmocka_unit_test_setup(an_exception_holds_until_its_end, set_up),
        cmocka_unit_test_setup(an_exception_needs_a_clock, set_up),
        cmocka_unit_test_setup(an_exception_also_answers_for_a_damaged_list, set_up),
        cmocka_unit_test_setup(what_the_operator_named_comes_first, set_up),
        cmocka_unit_test_setup(long_names_are_cut_not_spilled, set_up),
        cmocka_unit_test(every_demand_meets_every_attempt),
        cmocka_unit_test(failures_are_reported_by_name),
        cmocka_unit_test(missing_tls_is_reported_against_a_policy_only),
        cmocka_unit_test(successes_are_reported),
        cmocka_unit_test(the_words_of_an_outcome),
        cmocka_unit_test(a_talkative_peer_is_cut),
        cmocka_unit_test(names_are_distinct),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
