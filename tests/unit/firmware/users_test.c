/* Logins against the settings: names, sender rules, and what a wrong one costs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "firmware/flash_map.h"
#include "firmware/login_guard.h"
#include "firmware/settings.h"
#include "firmware/settings_log.h"
#include "firmware/users.h"
#include "hal/random.h"
#include "hal/task.h"
#include "tests/support/flash_sim.h"
#include "tests/support/tls_pair.h"

/* The clock runs only while somebody waits: a punishment of seconds takes no time here. */
static void poll(void)
{
    flash_poll();
    pair_now_us += 1000;
}

static void set(const char *key, const char *value)
{
    char words[200];
    struct strbuf why = STRBUF(words);
    assert_int_equal(settings_stage(span_of(key), span_of(value), &why), RC_OK);
    assert_int_equal(settings_commit(&why), RC_OK);
}

static int set_up(void **state)
{
    (void)state;
    struct flash_map map;
    flash_sim_init(64u << 20, 256u << 10, 4);
    task_set_poll(poll);
    assert_int_equal(random_init(), RC_OK);
    assert_int_equal(flash_map_compute(flash_geometry(), &map), RC_OK);
    assert_int_equal(settings_log_open(map.settings.addr, map.settings.size_bytes), RC_OK);
    settings_load();
    set("mail.domains", "office.example");
    assert_false(users_any());
    set("mail.user.printer", "correct horse");
    set("mail.user_senders.printer", "scan@office.example,scans.example");
    set("mail.user.anna", "battery staple");
    assert_true(users_any());
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    flash_sim_free();
    return 0;
}

static enum login try(const char *from, const char *user, const char *password, const char *want)
{
    char memory[USER_NAME_MAX];
    struct strbuf name = STRBUF(memory);
    struct ip_addr_any peer;
    uint32_t wait_s;
    assert_int_equal(ip_parse(span_of(from), &peer), RC_OK);
    enum login login = users_login(&peer, span_of(user), span_of(password), &name, &wait_s);
    if (login == LOGIN_OK)
        assert_string_equal(memory, want);
    assert_int_equal(wait_s > 0, login == LOGIN_SHUT_OUT);
    return login;
}

static void a_user_is_known_by_his_name_with_or_without_our_domain(void **state)
{
    (void)state;
    assert_int_equal(try("192.0.2.1", "anna", "battery staple", "anna"), LOGIN_OK);
    assert_int_equal(try("192.0.2.1", "Anna@Office.Example", "battery staple", "anna"), LOGIN_OK);
    assert_int_equal(try("192.0.2.1", "printer", "correct horse", "printer"), LOGIN_OK);
}

static void others_are_refused_and_shut_out_in_the_end(void **state)
{
    (void)state;
    for (unsigned i = 0; i < LOGIN_FAILURES_MAX; i++) {
        uint64_t since_us = pair_now_us;
        assert_int_equal(try("192.0.2.5", "anna", "guess", ""), LOGIN_WRONG);
        assert_true(pair_now_us - since_us >= 1000000u << (i < 2 ? i : 2));
    }
    assert_int_equal(try("192.0.2.5", "anna", "battery staple", "anna"), LOGIN_SHUT_OUT);
    pair_now_us += LOGIN_SHUT_OUT_MS * 1000ull;
    assert_int_equal(try("192.0.2.5", "anna", "battery staple", "anna"), LOGIN_OK);
    assert_int_equal(try("192.0.2.2", "anna", "correct horse", ""), LOGIN_WRONG);
    assert_int_equal(try("192.0.2.2", "anna@elsewhere.example", "battery staple", ""), LOGIN_WRONG);
    assert_int_equal(try("192.0.2.3", "bob", "battery staple", ""), LOGIN_WRONG);
    assert_int_equal(try("192.0.2.3", "", "", ""), LOGIN_WRONG);
    assert_int_equal(try("192.0.2.4", "anna", "", ""), LOGIN_WRONG);
}

static void an_address_list_binds_its_user_alone(void **state)
{
    (void)state;
    assert_true(users_may_send_as("anna", SPAN("anyone@elsewhere.example")));
    assert_true(users_may_send_as("anna", SPAN("")));
    assert_true(users_may_send_as("printer", SPAN("Scan@Office.example")));
    assert_true(users_may_send_as("printer", SPAN("x@scans.example")));
    assert_false(users_may_send_as("printer", SPAN("x@sub.scans.example")));
    assert_false(users_may_send_as("printer", SPAN("anna@office.example")));
    assert_false(users_may_send_as("printer", SPAN("scans.example")));
    assert_false(users_may_send_as("printer", SPAN("")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_user_is_known_by_his_name_with_or_without_our_domain, set_up, tear_down),
        cmocka_unit_test_setup_teardown(others_are_refused_and_shut_out_in_the_end, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_address_list_binds_its_user_alone, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
