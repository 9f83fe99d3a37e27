/* The table of what a certificate authority may see: who gets an answer, and who does not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "firmware/challenges.h"
#include "hal/random.h"

static int clear(void **state)
{
    (void)state;
    challenges_clear();
    return 0;
}

static bool answers(const char *host, const char *token, const char *expected)
{
    return span_is(challenges_http(span_of(host), span_of(token)), expected);
}

static void only_this_token_of_this_host(void **state)
{
    (void)state;
    assert_true(answers("mail.example", "tok", ""));
    assert_int_equal(challenges_put("http-01", "mail.example", "tok", "tok.print"), RC_OK);
    assert_true(answers("mail.example", "tok", "tok.print"));
    assert_true(answers("Mail.Example", "tok", "tok.print"));
    assert_true(answers("mail.example", "TOK", ""));
    assert_true(answers("mail.example", "to", ""));
    assert_true(answers("mail.example", "", ""));
    assert_true(answers("other.example", "tok", ""));
    assert_true(answers("", "tok", ""));
    challenges_clear();
    assert_true(answers("mail.example", "tok", ""));
}

static void a_later_one_replaces(void **state)
{
    (void)state;
    for (unsigned i = 0; i <= CHALLENGES_MAX; i++)
        assert_int_equal(challenges_put("http-01", "mail.example", "old", "old.print"), RC_OK);
    assert_int_equal(challenges_put("http-01", "mail.example", "new", "new.print"), RC_OK);
    assert_true(answers("mail.example", "old", ""));
    assert_true(answers("mail.example", "new", "new.print"));
}

static void other_types_do_not_answer_http(void **state)
{
    (void)state;
    assert_int_equal(challenges_put("tls-alpn-01", "mail.example", "tok", "tok.print"), RC_OK);
    assert_true(answers("mail.example", "tok", ""));
    assert_int_equal(challenges_put("dns-01", "mail.example", "tok", "tok.print"), RC_UNSUPPORTED);
    assert_int_equal(challenges_put("", "mail.example", "tok", "tok.print"), RC_UNSUPPORTED);
}

static void refused_whole(void **state)
{
    (void)state;
    assert_int_equal(challenges_put("http-01", "", "tok", "tok.print"), RC_INVALID);
    assert_int_equal(challenges_put("http-01", "mail.example", "", "tok.print"), RC_INVALID);
    assert_int_equal(challenges_put("http-01", "mail.example", "tok", ""), RC_INVALID);
    assert_true(answers("", "tok", ""));
    assert_true(answers("mail.example", "", ""));
    static const char *const names[] = { "a.example", "b.example", "c.example" };
    for (unsigned i = 0; i <= CHALLENGES_MAX; i++)
        assert_int_equal(challenges_put("http-01", names[i], "tok", "tok.print"), i < CHALLENGES_MAX ? RC_OK : RC_FULL);
    assert_true(answers(names[CHALLENGES_MAX], "tok", ""));
    assert_true(answers(names[0], "tok", "tok.print"));
}

static bool shows(const char *sni, const char *names)
{
    struct tls_leaf_info info;
    struct tls_credentials *c = challenges_tls_alpn(span_of(sni));
    if (!c)
        return !names;
    tls_credentials_info(c, &info);
    tls_credentials_release(c);
    return names && span_is(span_of(info.names), names);
}

static void a_certificate_while_it_is_asked_for(void **state)
{
    (void)state;
    size_t before = tls_identity_memory()->used_bytes;
    assert_int_equal(challenges_put("http-01", "mail.example", "tok", "tok.print"), RC_OK);
    assert_true(shows("mail.example", NULL));
    assert_int_equal(challenges_put("tls-alpn-01", "mail.example", "tok", "tok.print"), RC_OK);
    assert_true(shows("mail.example", "mail.example"));
    assert_true(shows("MAIL.example", "mail.example"));
    assert_true(shows("other.example", NULL));
    assert_true(shows("", NULL));
    struct tls_credentials *first = challenges_tls_alpn(SPAN("mail.example")), *second = challenges_tls_alpn(SPAN("mail.example"));
    assert_ptr_equal(first, second); /* made once */
    tls_credentials_release(second);
    challenges_clear();
    assert_true(shows("mail.example", NULL));
    assert_true(tls_identity_memory()->used_bytes > before); /* who shakes hands with it keeps it */
    tls_credentials_release(first);
    assert_int_equal(tls_identity_memory()->used_bytes, before);
}

static void an_address_is_asked_for_by_its_reverse_name(void **state)
{
    (void)state;
    assert_int_equal(challenges_put("tls-alpn-01", "192.0.2.1", "tok", "tok.print"), RC_OK);
    assert_int_equal(challenges_put("tls-alpn-01", "2001:db8::1", "tok", "tok.print"), RC_OK);
    assert_true(shows("1.2.0.192.in-addr.arpa", "192.0.2.1"));
    assert_true(shows("1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa", "2001:db8::1"));
    assert_true(shows("2.2.0.192.in-addr.arpa", NULL));
}

static int start(void **state)
{
    (void)state;
    return random_init() == RC_OK && tls_init() == RC_OK ? 0 : -1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(only_this_token_of_this_host, clear),
        cmocka_unit_test_setup(a_later_one_replaces, clear),
        cmocka_unit_test_setup(other_types_do_not_answer_http, clear),
        cmocka_unit_test_setup(refused_whole, clear),
        cmocka_unit_test_setup(a_certificate_while_it_is_asked_for, clear),
        cmocka_unit_test_setup_teardown(an_address_is_asked_for_by_its_reverse_name, clear, clear),
    };
    return cmocka_run_group_tests(tests, start, NULL);
}
