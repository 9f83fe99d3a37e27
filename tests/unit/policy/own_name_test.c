/* policy/own_name.c: what each mixture of facts comes to, in order of weight, and what is said. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "policy/own_name.h"
#include "tests/support/unpacked.h"

static const struct own_facts good = { .address = OWN_ADDRESS_ITS,
                                       .answered = true,
                                       .our_greeting = true,
                                       .tls = TLS_UP,
                                       .our_leaf = true,
                                       .chain_valid = true,
                                       .name_matches = true };

static void each_fault_has_its_finding(void **state)
{
    (void)state;
    struct own_facts f = good;
    assert_int_equal(own_judge(&f), OWN_FINE);
    f.chain_valid = false;
    assert_int_equal(own_judge(&f), OWN_CHAIN);
    f.name_matches = false;
    assert_int_equal(own_judge(&f), OWN_NAME);
    f.no_clock = true; /* then nobody knows */
    assert_int_equal(own_judge(&f), OWN_NO_CLOCK);
    f.our_leaf = false;
    assert_int_equal(own_judge(&f), OWN_CERTIFICATE);
    f.tls = TLS_HANDSHAKE_FAILED;
    assert_int_equal(own_judge(&f), OWN_HANDSHAKE);
    f.tls = TLS_INJECTED;
    assert_int_equal(own_judge(&f), OWN_HANDSHAKE);
    static const enum verdict_tls_result missing[] = { TLS_NOT_OFFERED, TLS_STRIPPED, TLS_REFUSED_BY_SERVER };
    for (unsigned i = 0; i < 3; i++) {
        f.tls = missing[i];
        assert_int_equal(own_judge(&f), OWN_STRIPPED);
    }
    f.our_greeting = false;
    assert_int_equal(own_judge(&f), OWN_STRANGER);
    f.answered = false;
    assert_int_equal(own_judge(&f), OWN_UNREACHED);
    f.later = true;
    assert_int_equal(own_judge(&f), OWN_BUSY);
}

static void a_router_in_between_is_no_fault(void **state)
{
    (void)state;
    struct own_facts f = good;
    f.our_greeting = false; /* a filter that greets for us: the certificate says who it is */
    assert_int_equal(own_judge(&f), OWN_FINE);
    f.address = OWN_ADDRESS_OTHER;
    assert_int_equal(own_judge(&f), OWN_FINE);
    f.address = OWN_ADDRESS_INNER;
    assert_int_equal(own_judge(&f), OWN_INNER);
    f = (struct own_facts){ .address = OWN_ADDRESS_BEYOND };
    assert_int_equal(own_judge(&f), OWN_UNREACHED);
    f.our_leaf = true; /* before a handshake that is of no account */
    f.address = OWN_ADDRESS_OTHER;
    assert_int_equal(own_judge(&f), OWN_ELSEWHERE);
    f.later = true;
    assert_int_equal(own_judge(&f), OWN_BUSY);
}

static struct ip_addr_any ip(const char *text)
{
    struct ip_addr_any a;
    assert_int_equal(ip_parse(span_of(text), &a), RC_OK);
    return a;
}

static void addresses_by_kind(void **state)
{
    (void)state;
    static const struct {
        const char *a, *own;
        enum own_address kind;
    } cases[] = {
        { "203.0.113.5", "192.168.1.2", OWN_ADDRESS_BEYOND }, { "203.0.113.5", "203.0.113.5", OWN_ADDRESS_ITS },
        { "203.0.113.6", "203.0.113.5", OWN_ADDRESS_OTHER },  { "2001:db8::5", "203.0.113.5", OWN_ADDRESS_BEYOND },
        { "2001:db8::5", "2001:db8::6", OWN_ADDRESS_OTHER },  { "2001:db8::5", "fe80::6", OWN_ADDRESS_BEYOND },
        { "10.1.2.3", "10.1.2.3", OWN_ADDRESS_INNER },        { "127.0.0.1", "8.8.8.8", OWN_ADDRESS_INNER },
        { "172.16.0.1", "8.8.8.8", OWN_ADDRESS_INNER },       { "172.31.255.1", "8.8.8.8", OWN_ADDRESS_INNER },
        { "172.32.0.1", "10.0.0.1", OWN_ADDRESS_BEYOND },     { "172.15.0.1", "10.0.0.1", OWN_ADDRESS_BEYOND },
        { "192.168.9.9", "8.8.8.8", OWN_ADDRESS_INNER },      { "192.169.0.1", "10.0.0.1", OWN_ADDRESS_BEYOND },
        { "169.254.1.1", "8.8.8.8", OWN_ADDRESS_INNER },      { "100.64.0.1", "8.8.8.8", OWN_ADDRESS_INNER },
        { "100.127.0.1", "8.8.8.8", OWN_ADDRESS_INNER },      { "100.128.0.1", "10.0.0.1", OWN_ADDRESS_BEYOND },
        { "fd00::1", "8.8.8.8", OWN_ADDRESS_INNER },          { "fc12::1", "8.8.8.8", OWN_ADDRESS_INNER },
        { "fe80::1", "8.8.8.8", OWN_ADDRESS_INNER },          { "febf::1", "8.8.8.8", OWN_ADDRESS_INNER },
        { "fec0::1", "10.0.0.1", OWN_ADDRESS_BEYOND },        { "a00::1", "8.8.8.8", OWN_ADDRESS_BEYOND },
    };
    for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct ip_addr_any a = ip(cases[i].a), own[3] = { { .family = IP_NONE }, ip("10.9.9.9"), ip(cases[i].own) };
        assert_int_equal(own_address_kind(&a, own, 3), cases[i].kind);
    }
}

static void words_say_who_what_and_what_to_do(void **state)
{
    (void)state;
    char memory[200];
    struct strbuf out = STRBUF(memory);
    own_finding_words(&out, OWN_STRANGER, "mail.example [203.0.113.5]", "router ready");
    assert_string_equal(
        memory, "mail.example [203.0.113.5]: another server answers (router ready): lead port 25 to this box, or mend the DNS");
    strbuf_clear(&out);
    own_finding_words(&out, OWN_FINE, "mail.example", "");
    assert_string_equal(memory, "mail.example: seen from outside all is well");
    for (unsigned f = OWN_FINE; f < OWN_FINDINGS; f++) {
        strbuf_clear(&out);
        own_finding_words(&out, (enum own_finding)f, "", "");
        assert_true(out.len > 10 && !out.overflow && strlen(own_finding_name((enum own_finding)f)) > 1);
        for (unsigned g = 0; g < f; g++)
            assert_string_not_equal(own_finding_name((enum own_finding)f), own_finding_name((enum own_finding)g));
    }
}

/* --- TLSA --- */

static const struct own_keys keys = { { 1 }, { 2 }, { 3 }, true };

/* "311n": usage, selector, matching, and whose hash: k of the key, n of the next, l of the leaf, x of nobody. */
static const char *fault(const char *records)
{
    struct own_tlsa t = { 0 };
    for (; *records; records += 4 + (records[4] == ' ')) {
        uint8_t wire[35] = { (uint8_t)(records[0] - '0'), (uint8_t)(records[1] - '0'), (uint8_t)(records[2] - '0') };
        const uint8_t none[32] = { 9 };
        memcpy(wire + 3,
               records[3] == 'k'   ? keys.spki_sha256
               : records[3] == 'n' ? keys.next_spki_sha256
               : records[3] == 'l' ? keys.leaf_sha256
                                   : none,
               32);
        own_tlsa_add(&t, span_bytes(wire, sizeof wire), &keys);
    }
    return unpacked(own_tlsa_fault(&t));
}

static void records_that_fit(void **state)
{
    (void)state;
    static const char *const fine[] = { "", "311k", "301l", "311k 311n", "211x", "302x", "310x", "111x", "011x", "211x 311k" };
    for (unsigned i = 0; i < sizeof fine / sizeof fine[0]; i++)
        assert_null(fault(fine[i]));
}

static void records_that_do_not(void **state)
{
    (void)state;
    static const char *const none[] = { "311x", "301x", "311n", "311l", "301k", "311x 311n", "011k 311x" };
    for (unsigned i = 0; i < sizeof none / sizeof none[0]; i++)
        assert_non_null(strstr(fault(none[i]), "no TLSA record fits"));
    assert_non_null(strstr(fault("311k 311x"), "neither"));
    assert_non_null(strstr(fault("211x 311x"), "neither")); /* the anchor may fit */
}

static void records_of_any_length_do_no_harm(void **state)
{
    (void)state;
    uint8_t wire[67] = { 3, 1, 1, 1 };
    for (size_t len = 0; len <= sizeof wire; len++) {
        struct own_tlsa t = { 0 };
        own_tlsa_add(&t, span_bytes(wire, len), &keys);
        assert_int_equal(t.fits, len == 35);
        assert_int_equal(t.strange, len > 3 && len != 35);
    }
    struct own_keys alone = keys;
    struct own_tlsa t = { 0 };
    uint8_t next[35] = { 3, 1, 1, 2 };
    alone.has_next = false;
    own_tlsa_add(&t, span_bytes(next, sizeof next), &alone);
    assert_int_equal(t.strange, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_fault_has_its_finding),
        cmocka_unit_test(a_router_in_between_is_no_fault),
        cmocka_unit_test(addresses_by_kind),
        cmocka_unit_test(words_say_who_what_and_what_to_do),
        cmocka_unit_test(records_that_fit),
        cmocka_unit_test(records_that_do_not),
        cmocka_unit_test(records_of_any_length_do_no_harm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
