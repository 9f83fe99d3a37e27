/* No open relay in any spelling: each address form against each kind of client. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "firmware/relay_rules.h"

static const struct {
    const char *path;
    bool trusted;
    enum relay_decision want;
    const char *address; /* NULL: not looked at */
} cases[] = {
    { "<anna@office.example>", false, RELAY_TAKE_IN, "anna@office.example" },
    { "<Anna@OFFICE.Example>", false, RELAY_TAKE_IN, "Anna@OFFICE.Example" },
    { "<anna@office.example.>", false, RELAY_TAKE_IN, NULL },
    { "<@elsewhere.example:anna@office.example>", false, RELAY_TAKE_IN, "anna@office.example" },
    { "<postmaster>", false, RELAY_TAKE_IN, "postmaster@office.example" },
    { "<PostMaster>", false, RELAY_TAKE_IN, "postmaster@office.example" },
    { "<postmaster@second.example>", false, RELAY_TAKE_IN, "postmaster@second.example" },
    { "<abuse@second.example>", false, RELAY_TAKE_IN, "abuse@second.example" },
    { "<victim@elsewhere.example>", false, RELAY_DENIED, NULL },
    { "<victim@ELSEWHERE.example.>", false, RELAY_DENIED, NULL },
    { "<@office.example:victim@elsewhere.example>", false, RELAY_DENIED, NULL },
    { "<@office.example,@second.example:victim@elsewhere.example>", false, RELAY_DENIED, NULL },
    { "<victim%elsewhere.example@office.example>", false, RELAY_BAD_ADDRESS, NULL },
    { "<elsewhere.example!victim@office.example>", false, RELAY_BAD_ADDRESS, NULL },
    { "<\"victim@elsewhere.example\"@office.example>", false, RELAY_BAD_ADDRESS, NULL },
    { "<\"victim%elsewhere.example\"@office.example>", false, RELAY_BAD_ADDRESS, NULL },
    { "<victim@sub.office.example>", false, RELAY_DENIED, NULL },
    { "<victim@notoffice.example>", false, RELAY_DENIED, NULL },
    { "<victim@[192.0.2.1]>", false, RELAY_DENIED, NULL },
    { "<victim@[IPv6:2001:db8::1]>", false, RELAY_DENIED, NULL },
    { "<victim@elsewhere.example>", true, RELAY_OUT, "victim@elsewhere.example" },
    { "<victim@[192.0.2.1]>", true, RELAY_OUT, NULL },
    { "<anna@office.example>", true, RELAY_TAKE_IN, NULL },
};

static void each_spelling_gets_its_answer(void **state)
{
    (void)state;
    char address_memory[SMTP_PATH_MAX + 1], domain_memory[DOMAIN_TEXT_MAX];
    struct strbuf address = STRBUF(address_memory), domain = STRBUF(domain_memory);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct relay_facts facts = { cases[i].trusted, "office.example,second.example", "", true };
        struct smtp_address rcpt;
        struct span rest;
        const char *why = NULL;
        assert_int_equal(smtp_path_parse(span_of(cases[i].path), &rcpt, &rest, &why), RC_OK);
        enum relay_decision got = relay_decide(&facts, &rcpt, &address, &domain);
        if (got != cases[i].want)
            print_error("%s trusted=%d: got %d\n", cases[i].path, cases[i].trusted, got);
        assert_int_equal(got, cases[i].want);
        if (cases[i].address)
            assert_string_equal(address_memory, cases[i].address);
    }
}

static void nothing_is_taken_in_without_an_office_server(void **state)
{
    (void)state;
    const struct relay_facts facts = { false, "office.example", "", false };
    char address_memory[SMTP_PATH_MAX + 1], domain_memory[DOMAIN_TEXT_MAX];
    struct strbuf address = STRBUF(address_memory), domain = STRBUF(domain_memory);
    struct smtp_address rcpt;
    struct span rest;
    const char *why = NULL;
    assert_int_equal(smtp_path_parse(SPAN("<anna@office.example>"), &rcpt, &rest, &why), RC_OK);
    assert_int_equal(relay_decide(&facts, &rcpt, &address, &domain), RELAY_NO_INSIDE);
    assert_int_equal(smtp_path_parse(SPAN("<postmaster>"), &rcpt, &rest, &why), RC_OK);
    assert_int_equal(relay_decide(&facts, &rcpt, &address, &domain), RELAY_NO_INSIDE);
}

static void the_set_postmaster_gets_bare_postmaster_mail(void **state)
{
    (void)state;
    const struct relay_facts facts = { false, "office.example", "it@office.example", true };
    char address_memory[SMTP_PATH_MAX + 1], domain_memory[DOMAIN_TEXT_MAX];
    struct strbuf address = STRBUF(address_memory), domain = STRBUF(domain_memory);
    struct smtp_address rcpt;
    struct span rest;
    const char *why = NULL;
    assert_int_equal(smtp_path_parse(SPAN("<postmaster>"), &rcpt, &rest, &why), RC_OK);
    assert_int_equal(relay_decide(&facts, &rcpt, &address, &domain), RELAY_TAKE_IN);
    assert_string_equal(address_memory, "it@office.example");
    assert_string_equal(domain_memory, "office.example");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_spelling_gets_its_answer),
        cmocka_unit_test(nothing_is_taken_in_without_an_office_server),
        cmocka_unit_test(the_set_postmaster_gets_bare_postmaster_mail),
    };
    return cmocka_run_group_tests_name("relay_rules", tests, NULL, NULL);
}
