/* Every type of setting refuses what it must with one line of words, and stores the canonical form; staged changes take effect on commit. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "firmware/flash_map.h"
#include "firmware/password.h"
#include "firmware/setting_value.h"
#include "firmware/settings_log.h"
#include "hal/random.h"
#include "tests/support/flash_sim.h"

#define FLASH_BYTES (64u << 20)

static char why_memory[300];
static struct strbuf why;

static const struct {
    const char *key, *value, *want; /* want NULL: refused */
} cases[] = {
    { "host.name", "Mail.Office.Example.", "mail.office.example" },
    { "host.name", "b\xc3\xbcro.example", "xn--bro-hoa.example" },
    { "host.name", "mail office", NULL },
    { "host.name", "mail.office.example\nset x", NULL },
    { "host.name", "-mail.example", NULL },
    { "host.name", "a234567890123456789012345678901234567890123456789012345678901234.example", NULL },
    { "net.address", "DHCP", "dhcp" },
    { "net.address", "192.0.2.7/24", "192.0.2.7/24" },
    { "net.address", "192.0.2.7", NULL },
    { "net.address", "192.0.2.7/33", NULL },
    { "net.address", "192.0.2.256/24", NULL },
    { "net.address", "2001:db8::1/64", NULL },
    { "net.address6", "AUTO", "auto" },
    { "net.address6", "2001:DB8::1/64", "2001:db8::1/64" },
    { "net.address6", "192.0.2.7/24", NULL },
    { "net.gateway", "192.0.2.1", "192.0.2.1" },
    { "net.gateway", "gateway.example", NULL },
    { "net.dns", "192.0.2.53, 192.0.2.54:5353", "192.0.2.53:53,192.0.2.54:5353" },
    { "net.dns", "192.0.2.53,", NULL },
    { "net.dns", "192.0.2.53:99999", NULL },
    { "net.dns_zone.Corp.Example", "10.0.0.53", "10.0.0.53:53" },
    { "net.dns_zone.bad zone", "10.0.0.53", NULL },
    { "mail.domains", "Office.example,second.example", "office.example,second.example" },
    { "mail.domains", "office.example,,second.example", NULL },
    { "mail.inside", "10.0.0.2", "10.0.0.2:25" },
    { "mail.inside", "Server.local:2525,[fd00::2]:25", "server.local:2525,[fd00::2]:25" },
    { "mail.inside", "server:0", NULL },
    { "mail.inside", "server:smtp", NULL },
    { "mail.inside_tls", "PIN", "pin" },
    { "mail.inside_tls", "maybe", NULL },
    { "mail.trusted", "10.0.0.0/8,fd00::/8", "10.0.0.0/8,fd00::/8" },
    { "mail.trusted", "10.0.0.0/8;fd00::/8", NULL },
    { "mail.trusted", "10.0.0.0/7", NULL },
    { "mail.trusted", "192.0.2.7,0.0.0.0/0", NULL },
    { "mail.trusted", "::/0", NULL },
    { "mail.trusted", "2000::/15", NULL },
    { "mail.trusted", "2001::/16,fc00::/7,fe80::/10", "2001::/16,fc00::/7,fe80::/10" },
    { "mail.trusted", "fc00::/6", NULL },
    { "mail.trusted", "::ffff:0.0.0.0/96", NULL },
    { "mail.balancers", "0.0.0.0/0", NULL },
    { "acme.names", "n1.example, N1.example,n2.example,n1.example.", "n1.example,n2.example" },
    { "acme.names", "n1.example,n1.example.com", "n1.example,n1.example.com" },
    { "mail.size_max", "20M", "20971520" },
    { "mail.size_max", "1K", NULL },
    { "mail.size_max", "20 MB", NULL },
    { "mail.life_days", "5", "5" },
    { "mail.life_days", "-5", NULL },
    { "mail.life_days", "99999999999999999999999", NULL },
    { "mail.smarthost", "smtp.provider.example", "smtp.provider.example:587" },
    { "mail.exception.shop.example", "2026-12-31T12:00:00+02:00 waits for their new certificate",
      "2026-12-31T10:00:00Z waits for their new certificate" },
    { "mail.exception.shop.example", "tomorrow", NULL },
    { "mail.postmaster", "it@Office.Example", "it@office.example" },
    { "mail.postmaster", "office.example", NULL },
    { "mail.route.shop.example", "10.0.0.9:2525", "10.0.0.9:2525" },
    { "mail.user.printer", "seven77", NULL },
    { "mail.user.printer", "pbkdf2-sha256:1000:MDEy", NULL },
    { "mail.user.two words", "a good password", NULL },
    { "mail.user_senders.printer", "Scan@Office.Example, Second.example", "Scan@office.example,second.example" },
    { "mail.user_senders.printer", "scan@", NULL },
    { "mail.quota_user", "100001", NULL },
    { "mail.postmaster", "", NULL },
    { "no.such.key", "1", NULL },
    { "mail.route.", "10.0.0.9", NULL },
};

static int set_up(void **state)
{
    (void)state;
    struct flash_map map;
    flash_sim_init(FLASH_BYTES, 256u << 10, 4);
    task_set_poll(flash_poll);
    assert_int_equal(flash_map_compute(flash_geometry(), &map), RC_OK);
    assert_int_equal(settings_log_open(map.settings.addr, map.settings.size_bytes), RC_OK);
    settings_load();
    settings_discard();
    why = STRBUF(why_memory);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    flash_sim_free();
    return 0;
}

static void each_value_is_checked_on_entry(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        enum rc rc = settings_stage(span_of(cases[i].key), span_of(cases[i].value), &why);
        if ((rc == RC_OK) != (cases[i].want != NULL))
            print_error("%s = %s: %s %s\n", cases[i].key, cases[i].value, rc_name(rc), why_memory);
        assert_int_equal(rc == RC_OK, cases[i].want != NULL);
        if (rc != RC_OK) {
            assert_true(why.len > 0);
            assert_null(strchr(why_memory, '\n'));
            continue;
        }
        struct setting_view v;
        bool found = false;
        for (unsigned n = 0; settings_view_at(NULL, n, &v); n++)
            if (v.is_staged && span_eq_nocase(span_of(v.key), span_of(cases[i].key))) {
                assert_string_equal(v.value, cases[i].want);
                found = true;
            }
        assert_true(found);
        settings_discard();
    }
}

static void an_overlong_value_is_refused(void **state)
{
    (void)state;
    static char big[SETTING_VALUE_MAX + 2];
    memset(big, 'a', sizeof big - 1);
    assert_int_equal(settings_stage(SPAN("mail.smarthost_user"), span_of(big), &why), RC_INVALID);
    assert_int_equal(settings_stage(SPAN("host.name"), span_of(big), &why), RC_INVALID);
}

static void nothing_takes_effect_before_commit(void **state)
{
    (void)state;
    assert_int_equal(settings_stage(SPAN("host.name"), SPAN("mail.office.example"), &why), RC_OK);
    assert_string_equal(settings_get("host.name"), "");
    assert_int_equal(settings_staged(), 1);
    assert_int_equal(settings_commit(&why), RC_OK);
    assert_string_equal(settings_get("host.name"), "mail.office.example");
    assert_int_equal(settings_staged(), 0);
}

static void committed_values_survive_a_restart(void **state)
{
    (void)state;
    struct flash_map map;
    assert_int_equal(settings_stage(SPAN("mail.route.shop.example"), SPAN("10.0.0.9"), &why), RC_OK);
    assert_int_equal(settings_stage(SPAN("mail.life_days"), SPAN("3"), &why), RC_OK);
    assert_int_equal(settings_commit(&why), RC_OK);
    assert_int_equal(settings_stage(SPAN("mail.life_days"), SPAN("4"), &why), RC_OK);
    assert_int_equal(flash_map_compute(flash_geometry(), &map), RC_OK);
    assert_int_equal(settings_log_open(map.settings.addr, map.settings.size_bytes), RC_OK);
    settings_load();
    assert_string_equal(settings_get_member("mail.route.", SPAN("shop.example")), "10.0.0.9:25");
    assert_int_equal(settings_get_number("mail.life_days"), 3);
    assert_int_equal(settings_staged(), 0);
}

static void unset_goes_back_to_the_default(void **state)
{
    (void)state;
    assert_int_equal(settings_stage(SPAN("mail.life_days"), SPAN("3"), &why), RC_OK);
    assert_int_equal(settings_commit(&why), RC_OK);
    assert_int_equal(settings_stage_unset(SPAN("mail.life_days"), &why), RC_OK);
    assert_int_equal(settings_get_number("mail.life_days"), 3);
    assert_int_equal(settings_commit(&why), RC_OK);
    assert_int_equal(settings_get_number("mail.life_days"), 5);
    assert_int_equal(settings_stage_unset(SPAN("mail.life_days"), &why), RC_NOT_FOUND);
}

static void too_many_changes_are_refused_and_lose_nothing(void **state)
{
    (void)state;
    char key[64];
    enum rc rc = RC_OK;
    unsigned n = 0;
    for (; rc == RC_OK && n < 1000; n++) {
        struct strbuf k = STRBUF(key);
        strbuf_printf(&k, "mail.route.d%u.example", n);
        rc = settings_stage(strbuf_span(&k), SPAN("10.0.0.9"), &why);
    }
    assert_int_equal(rc, RC_FULL);
    assert_int_equal(settings_commit(&why), RC_OK);
    assert_string_equal(settings_get_member("mail.route.", SPAN("d0.example")), "10.0.0.9:25");
    assert_int_equal(settings_stage(SPAN("host.name"), SPAN("a-rather-long-name-for-a-mail-gateway.office.example"), &why), RC_OK);
    for (unsigned i = 0; i < 20; i++) {
        struct strbuf k = STRBUF(key);
        strbuf_printf(&k, "mail.route.e%u.example", i);
        assert_int_equal(settings_stage(strbuf_span(&k), SPAN("10.0.0.9"), &why), RC_OK);
    }
    assert_int_equal(settings_commit(&why), RC_FULL);
    assert_string_equal(settings_get("host.name"), "");
    assert_string_equal(settings_get_member("mail.route.", SPAN("d0.example")), "10.0.0.9:25");
}

/* Neither what is staged nor what lies in flash has the password; what was kept is taken again as it is. */
static void a_password_is_kept_as_its_hash(void **state)
{
    (void)state;
    char kept[PASSWORD_TEXT_MAX];
    struct setting_view v;
    assert_int_equal(random_init(), RC_OK);
    assert_int_equal(settings_stage(SPAN("mail.user.printer"), SPAN("correct horse"), &why), RC_OK);
    assert_true(settings_view_at("mail.user.", 0, &v));
    assert_true(v.is_secret);
    assert_true(password_is_kept_form(span_of(v.value)));
    assert_int_equal(settings_commit(&why), RC_OK);
    const char *value = settings_get_member("mail.user.", SPAN("printer"));
    assert_int_equal(password_check(SPAN("correct horse"), span_of(value)), RC_OK);
    assert_int_equal(password_check(SPAN("correct house"), span_of(value)), RC_REFUSED);
    struct strbuf copy = STRBUF(kept);
    strbuf_puts(&copy, value);
    settings_load();
    assert_string_equal(settings_get_member("mail.user.", SPAN("printer")), kept);
    assert_int_equal(settings_stage(SPAN("mail.user.printer"), strbuf_span(&copy), &why), RC_OK);
    assert_int_equal(settings_commit(&why), RC_OK);
    assert_string_equal(settings_get_member("mail.user.", SPAN("printer")), kept);
}

static unsigned times_told;

static void hear(void)
{
    times_told++;
}

/* It leaves alone what the operator has staged, and is as thorough with a value. */
static void one_change_at_once(void **state)
{
    (void)state;
    struct flash_map map;
    assert_int_equal(random_init(), RC_OK);
    settings_on_change(hear);
    assert_int_equal(settings_stage(SPAN("mail.life_days"), SPAN("3"), &why), RC_OK);
    assert_int_equal(settings_change(SPAN("mail.hold.Shop.Example"), SPAN("why not"), &why), RC_OK);
    assert_string_equal(settings_get_member("mail.hold.", SPAN("shop.example")), "why not");
    assert_int_equal(settings_change(SPAN("mail.user.printer"), SPAN("correct horse"), &why), RC_OK);
    assert_true(password_is_kept_form(span_of(settings_get_member("mail.user.", SPAN("printer")))));
    assert_int_equal(times_told, 2);
    assert_int_equal(settings_change(SPAN("mail.life_days"), SPAN("many"), &why), RC_INVALID);
    assert_int_equal(settings_change(SPAN("no.such.key"), SPAN("1"), &why), RC_NOT_FOUND);
    assert_int_equal(times_told, 2);
    assert_int_equal(settings_staged(), 1);
    assert_int_equal(settings_get_number("mail.life_days"), 5);
    assert_int_equal(flash_map_compute(flash_geometry(), &map), RC_OK);
    assert_int_equal(settings_log_open(map.settings.addr, map.settings.size_bytes), RC_OK);
    settings_load();
    assert_string_equal(settings_get_member("mail.hold.", SPAN("shop.example")), "why not");
    assert_int_equal(settings_change(SPAN("mail.hold.shop.example"), SPAN(""), &why), RC_OK);
    assert_null(settings_get_member("mail.hold.", SPAN("shop.example")));
    assert_int_equal(settings_change(SPAN("mail.hold.[ipv6:2001:DB8::1]"), SPAN("y"), &why), RC_OK);
    assert_string_equal(settings_get_member("mail.hold.", SPAN("[IPv6:2001:db8::1]")), "y");
    assert_int_equal(settings_change(SPAN("mail.hold.192.0.2.1"), SPAN("y"), &why), RC_NOT_FOUND);
    assert_int_equal(settings_change(SPAN("mail.route.[192.0.2.1]"), SPAN("192.0.2.2"), &why),
                     RC_NOT_FOUND); /* nobody looks for it */
}

static void lists_answer_membership(void **state)
{
    (void)state;
    struct ip_addr_any a = ip_v4(10, 1, 2, 3), b = ip_v4(11, 1, 2, 3);
    assert_true(setting_cidrs_contain("192.0.2.0/24,10.0.0.0/8", &a));
    assert_false(setting_cidrs_contain("192.0.2.0/24,10.0.0.0/8", &b));
    assert_false(setting_cidrs_contain("", &a));
    assert_true(setting_domains_contain("a.example,b.example", SPAN("b.example")));
    assert_false(setting_domains_contain("a.example,b.example", SPAN("example")));
    assert_false(setting_domains_contain("", SPAN("")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(each_value_is_checked_on_entry, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_overlong_value_is_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(nothing_takes_effect_before_commit, set_up, tear_down),
        cmocka_unit_test_setup_teardown(committed_values_survive_a_restart, set_up, tear_down),
        cmocka_unit_test_setup_teardown(unset_goes_back_to_the_default, set_up, tear_down),
        cmocka_unit_test_setup_teardown(too_many_changes_are_refused_and_lose_nothing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_password_is_kept_as_its_hash, set_up, tear_down),
        cmocka_unit_test_setup_teardown(one_change_at_once, set_up, tear_down),
        cmocka_unit_test(lists_answer_membership),
    };
    return cmocka_run_group_tests_name("settings", tests, NULL, NULL);
}
