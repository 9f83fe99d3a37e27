/* firmware/identity.c: what becomes of a stored certificate at boot. An operator's key is never replaced without being asked for. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "firmware/alerts.h"
#include "firmware/flash_map.h"
#include "firmware/identity.h"
#include "firmware/settings.h"
#include "firmware/settings_log.h"
#include "hal/random.h"
#include "tests/support/flash_sim.h"
#include "tests/support/tls_pair.h"

#define FLASH_BYTES (64u << 20)

static char chain_text[TLS_PEM_MAX], key_text[TLS_PEM_MAX], why_text[300];
static struct span chain, key;

static void poll(void)
{
    pair_now_us += 1000;
    flash_poll();
}

static void put(const char *name, struct span value)
{
    assert_int_equal(settings_log_put(span_of(name), value), RC_OK);
}

static bool is_stored(const char *name, struct span value)
{
    char memory[SETTINGS_LOG_VALUE_MAX];
    size_t len;
    return settings_log_get(span_of(name), memory, sizeof memory, &len) == RC_OK && span_eq(span_bytes(memory, len), value);
}

/* What the box shows; the alert's text, or "" while it is down. */
static bool shows_self_signed(void)
{
    struct tls_leaf_info info;
    assert_true(identity_info(&info));
    return info.self_signed;
}

static const char *alert(void)
{
    const char *text = alert_text(ALERT_CERT_STORED);
    return text ? text : "";
}

/* A box that has never run. */
static int set_up(void **state)
{
    (void)state;
    struct flash_map map;
    flash_sim_init(FLASH_BYTES, 256u << 10, 4);
    task_set_poll(poll);
    assert_int_equal(flash_map_compute(flash_geometry(), &map), RC_OK);
    assert_int_equal(settings_log_open(map.settings.addr, map.settings.size_bytes), RC_OK);
    settings_load();
    alert_clear(ALERT_CERT_STORED);
    chain = pair_read_file("rsa", "pem", chain_text);
    key = pair_read_file("rsa", "key", key_text);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    flash_sim_free();
    return 0;
}

static void import(void)
{
    struct strbuf why = STRBUF(why_text);
    assert_int_equal(identity_import(chain, key, &why), RC_OK);
}

static void first_boot_makes_a_pair_that_stays(void **state)
{
    (void)state;
    char made[SETTINGS_LOG_VALUE_MAX];
    size_t len;
    identity_init();
    assert_true(shows_self_signed());
    assert_true(is_stored("tls/self", SPAN("1")));
    assert_int_equal(settings_log_get(SPAN("tls/key.0"), made, sizeof made, &len), RC_OK);
    identity_init();
    assert_true(is_stored("tls/key.0", span_bytes(made, len)));
    assert_string_equal(alert(), "");
}

static void an_imported_pair_is_used(void **state)
{
    (void)state;
    import();
    identity_init();
    assert_false(shows_self_signed());
    assert_true(is_stored("tls/key.0", key));
    assert_string_equal(alert(), "");
}

/* As long as there is no memory for it. */
static void an_imported_pair_outlives_want_of_memory(void **state)
{
    (void)state;
    struct tls_credentials *held[64];
    struct strbuf why = STRBUF(why_text);
    unsigned n = 0;
    import();
    while (n < 64 && tls_credentials_load(chain, key, &held[n], &why) == RC_OK)
        n++;
    assert_true(n > 0 && n < 64);
    identity_init();
    while (n > 0)
        tls_credentials_release(held[--n]);
    assert_non_null(strstr(alert(), "no-memory"));
    assert_true(is_stored("tls/key.0", key) && is_stored("tls/chain.0", chain));
    identity_init();
    assert_false(shows_self_signed());
}

static uint64_t flash_address_of(struct span text)
{
    const uint8_t *at = memmem(flash_sim_bytes(), FLASH_BYTES, text.p, text.len);
    assert_non_null(at);
    return (uint64_t)(at - flash_sim_bytes());
}

static void a_failing_read_replaces_nothing(void **state)
{
    (void)state;
    import();
    uint64_t at = flash_address_of(span_sub(key, 0, 200));
    flash_sim_fail_reads(at, 16);
    identity_init();
    assert_true(shows_self_signed());
    assert_non_null(strstr(alert(), "a temporary one is shown"));
    flash_sim_fail_reads(0, 0);
    assert_true(is_stored("tls/key.0", key));
    identity_init();
    assert_false(shows_self_signed());
}

static unsigned reads_left;

static void poll_until_the_device_recovers(void)
{
    poll();
    if (reads_left > 0 && --reads_left == 0)
        flash_sim_fail_reads(0, 0);
}

static void a_read_that_fails_once_is_tried_again(void **state)
{
    (void)state;
    import();
    flash_sim_fail_reads(flash_address_of(span_sub(key, 0, 200)), 16);
    reads_left = 10;
    task_set_poll(poll_until_the_device_recovers);
    identity_init();
    assert_false(shows_self_signed());
    assert_string_equal(alert(), "");
}

static void a_broken_imported_pair_is_kept(void **state)
{
    (void)state;
    import();
    put("tls/chain.0", SPAN("no certificate"));
    identity_init();
    assert_true(shows_self_signed());
    assert_non_null(strstr(alert(), "cannot be loaded"));
    assert_true(is_stored("tls/chain.0", SPAN("no certificate")) && is_stored("tls/key.0", key));
    import();
    assert_false(shows_self_signed());
    assert_string_equal(alert(), "");
}

static void a_key_that_is_missing_beside_a_chain_is_no_first_boot(void **state)
{
    (void)state;
    import();
    assert_int_equal(settings_log_delete(SPAN("tls/key.0")), RC_OK);
    identity_init();
    assert_true(is_stored("tls/chain.0", chain));
    assert_non_null(strstr(alert(), "cannot be loaded"));
}

static void a_broken_pair_of_our_own_is_replaced(void **state)
{
    (void)state;
    identity_init();
    put("tls/key.0", SPAN("no key"));
    identity_init();
    assert_true(shows_self_signed());
    assert_false(is_stored("tls/key.0", SPAN("no key")));
    assert_string_equal(alert(), "");
}

/* What is made although the flash takes nothing serves until the next start. */
static void a_pair_that_cannot_be_stored_is_shown(void **state)
{
    (void)state;
    flash_sim_fail(FLASH_PROGRAM, 1);
    identity_init();
    flash_sim_fail(FLASH_PROGRAM, 0);
    assert_true(shows_self_signed());
    assert_non_null(strstr(alert(), "could not be stored"));
}

static int start_tls(void **state)
{
    (void)state;
    return random_init() == RC_OK && tls_init() == RC_OK ? 0 : -1;
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(first_boot_makes_a_pair_that_stays),
        CASE(an_imported_pair_is_used),
        CASE(an_imported_pair_outlives_want_of_memory),
        CASE(a_failing_read_replaces_nothing),
        CASE(a_read_that_fails_once_is_tried_again),
        CASE(a_broken_imported_pair_is_kept),
        CASE(a_key_that_is_missing_beside_a_chain_is_no_first_boot),
        CASE(a_broken_pair_of_our_own_is_replaced),
        CASE(a_pair_that_cannot_be_stored_is_shown),
    };
    return cmocka_run_group_tests(tests, start_tls, NULL);
}
