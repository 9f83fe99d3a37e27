/* firmware/cert_store.c: a key is made once and never replaced while it may still be there; what is stored for one directory is not used for
 * another. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "firmware/cert_store.h"
#include "firmware/settings_log.h"
#include "hal/random.h"
#include "hal/task.h"
#include "net/tls.h"
#include "net/x509_key.h"
#include "tests/support/flash_sim.h"

#define AREA (64u * 1024)

static char first_text[X509_KEY_PEM_MAX], second_text[X509_KEY_PEM_MAX];
static struct strbuf first, second;

static int set_up(void **state)
{
    (void)state;
    flash_sim_init(AREA, 4096, 4);
    task_set_poll(flash_poll);
    assert_int_equal(settings_log_open(0, AREA), RC_OK);
    first = STRBUF(first_text);
    second = STRBUF(second_text);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    flash_sim_free();
    return 0;
}

static void assert_same_key(void)
{
    assert_true(first.len > 100);
    assert_string_equal(first_text, second_text);
}

static void keys_are_made_once(void **state)
{
    (void)state;
    uint8_t pin[2][32];
    assert_int_equal(cert_store_current_key(&first), RC_NOT_FOUND);
    assert_int_equal(cert_store_next_pin(pin[0]), RC_NOT_FOUND);
    assert_int_equal(cert_store_next_key(&second), RC_OK);
    assert_int_equal(cert_store_next_pin(pin[0]), RC_OK);
    assert_int_equal(cert_store_account_key(&first), RC_OK);
    assert_string_not_equal(first_text, second_text);
    assert_int_equal(settings_log_open(0, AREA), RC_OK);
    strbuf_puts(&second, "what stood there before");
    assert_int_equal(cert_store_account_key(&second), RC_OK);
    assert_same_key();
    assert_int_equal(cert_store_next_pin(pin[1]), RC_OK);
    assert_memory_equal(pin[0], pin[1], 32);
}

static void a_flash_that_fails_for_a_while_costs_no_key(void **state)
{
    (void)state;
    assert_int_equal(cert_store_account_key(&first), RC_OK);
    flash_sim_fail_reads(0, AREA);
    assert_int_equal(cert_store_account_key(&second), RC_IO);
    flash_sim_fail_reads(0, 0);
    assert_int_equal(cert_store_account_key(&second), RC_OK);
    assert_same_key();
}

static void what_is_no_key_is_replaced(void **state)
{
    (void)state;
    static const char too_long[X509_KEY_PEM_MAX + 10] = { '-' };
    const struct span bad[] = { SPAN(""), SPAN("no key"), span_bytes(too_long, sizeof too_long),
                                span_bytes(too_long, X509_KEY_PEM_MAX) };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(settings_log_put(SPAN("acme/key"), bad[i]), RC_OK);
        assert_int_equal(cert_store_account_key(&first), RC_OK);
        assert_int_equal(cert_store_account_key(&second), RC_OK);
        assert_same_key();
    }
}

/* Nobody may be told of a key that is not on flash. */
static void a_key_that_is_not_stored_is_wiped(void **state)
{
    (void)state;
    static const char nothing[X509_KEY_PEM_MAX];
    flash_sim_fail(FLASH_SYNC, 1);
    assert_int_equal(cert_store_account_key(&first), RC_IO);
    assert_memory_equal(first_text, nothing, sizeof nothing);
}

static void a_state_that_cannot_be_read_starts_anew(void **state)
{
    (void)state;
    struct cert_state s, got;
    cert_store_load(&s);
    s.failures = 3;
    s.hold = RENEWAL_HOLD_FRESH;
    s.failed_at = 1589995512;
    memset(s.why, 'w', CERT_WHY_MAX - 1);
    assert_int_equal(cert_store_save(&s), RC_OK);
    memset(&got, 0xff, sizeof got);
    cert_store_load(&got);
    assert_memory_equal(&got, &s, sizeof s);
    for (unsigned fault = 0; fault < 3; fault++) {
        struct cert_state bad = s;
        bad.version += fault == 0;
        bad.hold += fault == 1;
        struct span record = cert_store_record(&bad);
        record.len = fault == 2 ? 47 : record.len;
        assert_int_equal(settings_log_put(SPAN(CERT_STATE_KEY), record), RC_OK);
        memset(&got, 0xff, sizeof got);
        cert_store_load(&got);
        assert_int_equal(got.version, CERT_STATE_VERSION);
        assert_int_equal(got.failures + got.hold + got.failed_at, 0);
        assert_string_equal(got.why, "");
        uint32_t jitter = got.jitter;
        cert_store_load(&got);
        assert_int_not_equal(got.jitter, jitter);
    }
}

static void a_url_is_of_one_directory(void **state)
{
    (void)state;
    char memory[CERT_ACCOUNT_MAX], longest[CERT_ACCOUNT_MAX];
    struct strbuf url = STRBUF(memory);
    assert_int_equal(cert_store_url(CERT_ACCOUNT, 1, &url), RC_NOT_FOUND);
    assert_int_equal(cert_store_put_url(CERT_ACCOUNT, 1, SPAN("https://a.test/1")), RC_OK);
    assert_int_equal(cert_store_url(CERT_ACCOUNT, 1, &url), RC_OK);
    assert_string_equal(memory, "https://a.test/1");
    assert_int_equal(cert_store_url(CERT_ACCOUNT, 2, &url), RC_NOT_FOUND);
    assert_string_equal(memory, "");
    uint64_t programs = flash_sim_count(FLASH_PROGRAM);
    assert_int_equal(cert_store_put_url(CERT_ACCOUNT, 1, SPAN("https://a.test/1")), RC_OK);
    assert_int_equal(cert_store_put_url(CERT_ORDER, 1, SPAN("")), RC_OK);
    assert_int_equal(flash_sim_count(FLASH_PROGRAM), programs); /* only what is new */
    memset(longest, 'u', sizeof longest);
    assert_int_equal(cert_store_put_url(CERT_ACCOUNT, 1, span_bytes(longest, sizeof longest)), RC_TOO_LONG);
    assert_int_equal(cert_store_put_url(CERT_ACCOUNT, 1, span_bytes(longest, sizeof longest - 1)), RC_OK);
    assert_int_equal(cert_store_url(CERT_ACCOUNT, 1, &url), RC_OK);
    assert_int_equal(url.len, sizeof longest - 1);
    assert_int_equal(cert_store_put_url(CERT_ACCOUNT, 1, SPAN("")), RC_OK);
    assert_int_equal(cert_store_url(CERT_ACCOUNT, 1, &url), RC_NOT_FOUND);
    assert_int_equal(settings_log_put(SPAN(CERT_ACCOUNT), SPAN("\1\0\0\0")), RC_OK);
    assert_int_equal(cert_store_url(CERT_ACCOUNT, 1, &url), RC_NOT_FOUND);
}

/* All at once, or nothing. */
static void an_account_takes_its_next_key_or_goes(void **state)
{
    (void)state;
    static const char *const of_account[] = { CERT_ACCOUNT, CERT_ORDER, CERT_RECORD };
    char memory[CERT_ACCOUNT_MAX], gone[X509_KEY_PEM_MAX];
    struct strbuf url = STRBUF(memory), old = STRBUF(gone);
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(cert_store_put_url(of_account[i], 1, SPAN("https://a.test/1")), RC_OK);
    assert_int_equal(cert_store_account_key(&old), RC_OK);
    assert_int_equal(cert_store_next_account_key(&first), RC_OK);
    flash_sim_fail(FLASH_SYNC, 1);
    assert_int_equal(cert_store_settle_account(strbuf_span(&first)), RC_IO);
    assert_int_equal(settings_log_open(0, AREA), RC_OK);
    assert_int_equal(cert_store_settle_account(strbuf_span(&first)), RC_OK);
    assert_int_equal(cert_store_account_key(&second), RC_OK);
    assert_same_key();
    assert_int_equal(cert_store_next_account_key(&second), RC_OK); /* another one is made */
    assert_string_not_equal(first_text, second_text);
    assert_int_equal(cert_store_url(CERT_RECORD, 1, &url), RC_OK);
    assert_int_equal(cert_store_settle_account(SPAN("")), RC_OK);
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(cert_store_url(of_account[i], 1, &url), RC_NOT_FOUND);
    assert_int_equal(cert_store_account_key(&second), RC_OK);
    assert_string_not_equal(first_text, second_text);
}

static int seed(void **state)
{
    (void)state;
    return random_init() == RC_OK && tls_init() == RC_OK ? 0 : -1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
        TEST(keys_are_made_once),
        TEST(a_flash_that_fails_for_a_while_costs_no_key),
        TEST(what_is_no_key_is_replaced),
        TEST(a_key_that_is_not_stored_is_wiped),
        TEST(a_state_that_cannot_be_read_starts_anew),
        TEST(a_url_is_of_one_directory),
        TEST(an_account_takes_its_next_key_or_goes),
    };
    return cmocka_run_group_tests(tests, seed, NULL);
}
