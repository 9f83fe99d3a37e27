/* firmware/trust_store with list slots on simulated flash: keyrings come in as lists do, outlive a restart and factory-reset, and take with
 * them what they no longer name. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "firmware/alerts.h"
#include "firmware/list_update.h"
#include "firmware/settings_log.h"
#include "firmware/trust_store.h"
#include "hal/crypto/ecdsa.h"
#include "tests/support/flash_sim.h"
#include "tests/support/list_box.h"
#include "tests/support/list_image.h"
#include "tests/support/signing.h"

#define BLOCK 4096
#define SETTINGS_BYTES (16 * BLOCK)
#define SLOT_BYTES (5 * BLOCK)
#define OLD 1600000001
#define NEW 1600000500
#define NEW_LIST_KEY 11
#define BY(...) ((const unsigned[]){ __VA_ARGS__, 0 })

static struct byte_buffer image;
static struct keyring_source source;
static const struct flash_map map = LIST_BOX_MAP(SETTINGS_BYTES, SLOT_BYTES);

static void boot(void)
{
    list_box_boot(&map);
}

static int set_up(void **state)
{
    (void)state;
    flash_sim_init(SETTINGS_BYTES + 2 * SLOT_BYTES, BLOCK, 4);
    task_set_poll(flash_poll);
    list_image_make(&image, OLD, 10, 0);
    flash_sim_poke(map.list[0].addr, image.p, image.len);
    source = signing_keyring(1);
    boot();
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    byte_buffer_free(&image);
    assert_string_equal(flash_sim_violation(), "");
    flash_sim_free();
    return 0;
}

static void replace(unsigned place, unsigned key)
{
    uint8_t private_key[32];
    signing_private_key(key, private_key);
    assert_true(ecdsa_p256_public(private_key, source.key[place].public_xy));
}

static enum rc bring(struct span bytes)
{
    uint32_t ticket;
    assert_int_equal(list_update_begin("serial", &ticket), RC_OK);
    enum rc rc = RC_OK;
    for (size_t at = 0; rc == RC_OK && at < bytes.len; at += 700)
        rc = list_update_write(ticket, span_sub(bytes, at, 700));
    return rc == RC_OK ? list_update_finish(ticket) : rc;
}

/* The source as the next version. */
static enum rc bring_keyring(uint64_t version, const unsigned *keys)
{
    source.version = version;
    signing_keyring_image(&source, keys, &image);
    return bring(byte_buffer_span(&image));
}

static enum rc bring_list(uint64_t version, unsigned key)
{
    byte_buffer_free(&image);
    list_image_make(&image, version, 10, 0);
    /* signed by another one instead */
    uint8_t *room = image.p + IMAGE_MANIFEST_BYTES + 2 * IMAGE_SECTION_BYTES;
    memset(room + 8, 0, 4);
    signing_add(key, &image);
    return bring(byte_buffer_span(&image));
}

static void expect_words(const char *part)
{
    if (!strstr(list_update_words(), part))
        fail_msg("the words are \"%s\", without \"%s\"", list_update_words(), part);
}

static void the_factory_keyring_is_the_tests_own(void **state)
{
    (void)state;
    struct byte_buffer made = { NULL, 0, 0 };
    assert_int_equal(keyring_write(&source, &made), RC_OK);
    assert_int_equal(made.len, factory_keyring_bytes);
    assert_memory_equal(made.p, factory_keyring, made.len);
    assert_int_equal(trust_store_keyring()->version, 1);
    byte_buffer_free(&made);
}

static void a_list_needs_a_list_key(void **state)
{
    (void)state;
    assert_int_equal(list_store_image()->version, OLD);
    assert_int_equal(bring_list(NEW, ROOT_A), RC_REFUSED);
    expect_words("not for this kind");
    assert_int_equal(bring_list(NEW, STRANGER), RC_REFUSED);
    expect_words("no key that this box trusts");
    assert_int_equal(bring_list(NEW, LIST_B), RC_OK);
    assert_int_equal(list_store_image()->version, NEW);
    uint8_t id[32];
    signing_key_id(LIST_B, id);
    assert_memory_equal(list_store_signers()->key_id, id, 32);
}

static void a_wrongly_signed_slot_is_refused_at_boot(void **state)
{
    (void)state;
    flash_sim_poke(map.list[0].addr + IMAGE_MANIFEST_BYTES + 2 * IMAGE_SECTION_BYTES + IMAGE_SIGNATURE_HEAD_BYTES + 40, "\0", 1);
    boot();
    assert_null(list_store_image());
    assert_null(list_store_list());
    assert_null(list_store_signers());
    assert_int_equal(list_store_roots(), 0);
    assert_non_null(strstr(alert_text(ALERT_LIST_REFUSED), "slot A is refused: a signature does not fit"));
    assert_non_null(strstr(alert_text(ALERT_LIST_REFUSED), "no CA roots are in use"));
    assert_non_null(alert_text(ALERT_LIST_NONE));
    assert_null(alert_text(ALERT_LIST_DAMAGED));
    assert_int_equal(bring_list(NEW, LIST_A), RC_OK); /* a good one mends it */
    assert_int_equal(list_store_image()->version, NEW);
    assert_null(alert_text(ALERT_LIST_REFUSED));
    assert_null(alert_text(ALERT_LIST_NONE));
}

static void a_new_keyring_outlives_a_restart(void **state)
{
    (void)state;
    replace(3, NEW_LIST_KEY);
    assert_int_equal(bring_keyring(2, BY(ROOT_A)), RC_REFUSED);
    expect_words("fewer root keys of the keyring in force");
    assert_int_equal(trust_store_keyring()->version, 1);
    assert_int_equal(list_store_image()->version, OLD);
    assert_int_equal(bring_keyring(2, BY(ROOT_A, ROOT_C)), RC_OK);
    expect_words("keyring version 2 is in force");
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(trust_store_keyring()->version, 2);
        assert_null(list_store_image()); /* its key was retired */
        assert_non_null(strstr(alert_text(ALERT_LIST_REFUSED), "no key that this box trusts"));
        boot();
    }
    assert_int_equal(bring_keyring(2, BY(ROOT_A, ROOT_C)), RC_REFUSED);
    expect_words("in use already");
    assert_int_equal(bring_list(NEW, LIST_A), RC_REFUSED);
    assert_int_equal(bring_list(OLD - 1, NEW_LIST_KEY), RC_OK); /* and with the key went its version */
    assert_int_equal(list_store_image()->version, OLD - 1);
}

static void what_remains_good_stays_in_use(void **state)
{
    (void)state;
    assert_int_equal(bring_list(NEW, LIST_B), RC_OK);
    replace(4, NEW_LIST_KEY);
    assert_int_equal(bring_keyring(2, BY(ROOT_A, ROOT_B)), RC_OK);
    assert_int_equal(list_store_image()->version, OLD); /* of LIST_A, in the other slot */
    assert_non_null(strstr(alert_text(ALERT_LIST_REFUSED), "the other one is in use"));
}

static void cut_and_long_keyrings_are_no_keyrings(void **state)
{
    (void)state;
    uint32_t ticket;
    source.version = 2;
    signing_keyring_image(&source, BY(ROOT_A, ROOT_B), &image);
    assert_int_equal(list_update_begin("serial", &ticket), RC_OK);
    assert_int_equal(list_update_write(ticket, span_bytes(image.p, image.len - 1)), RC_OK);
    assert_int_equal(list_update_finish(ticket), RC_INVALID);
    assert_int_equal(list_update_write(ticket, span_bytes(image.p + image.len - 1, 1)), RC_OK);
    assert_int_equal(list_update_write(ticket, SPAN("x")), RC_CORRUPT);
    assert_int_equal(trust_store_keyring()->version, 1);
    byte_buffer_fill(&image, 0, 1000);
    enum image_refusal why;
    assert_int_equal(trust_store_take(byte_buffer_span(&image), &why), RC_OK);
    assert_int_equal(why, IMAGE_DAMAGED);
    image.len -= 1000;
    assert_int_equal(trust_store_take(byte_buffer_span(&image), &why), RC_OK);
    assert_int_equal(why, IMAGE_ACCEPTED);
}

/* Each change replaces one root, so after three of them nothing that the factory knows has signed: all have to be kept. */
static void a_chain_of_keyrings_is_walked(void **state)
{
    (void)state;
    static const unsigned roots[] = { ROOT_A, ROOT_B, ROOT_C, 12, 13, 14, 15, 16, 17, 18, 19, 20 };
    unsigned n = 0;
    enum rc rc = RC_OK;
    for (; n < 9 && rc == RC_OK; n++) {
        source = signing_keyring(1);
        for (unsigned place = 0; place < 3; place++)
            replace(place, roots[n + 1 + place]);
        rc = bring_keyring(2 + n, BY(roots[n + 1], roots[n + 2]));
        if (rc == RC_OK)
            assert_int_equal(trust_store_keyring()->version, 2 + n);
    }
    assert_int_equal(rc, RC_FULL);
    assert_int_equal(n, 9); /* the first is proven by the factory's, and eight are kept */
    boot();
    assert_int_equal(trust_store_keyring()->version, 9);
    assert_int_equal(bring_keyring(10, BY(ROOT_A, ROOT_B)), RC_REFUSED);
}

static void what_is_proven_at_once_replaces_the_chain(void **state)
{
    (void)state;
    size_t len;
    uint8_t value[2048];
    assert_int_equal(bring_keyring(2, BY(ROOT_A, ROOT_B)), RC_OK);
    assert_int_equal(bring_keyring(5, BY(ROOT_B, ROOT_C)), RC_OK);
    assert_int_equal(settings_log_get(SPAN("trust/keyring.0"), value, sizeof value, &len), RC_OK);
    assert_int_equal(len, image.len);
    assert_memory_equal(value, image.p, len);
    assert_int_equal(settings_log_get(SPAN("trust/keyring.1"), value, sizeof value, &len), RC_NOT_FOUND);
    boot();
    assert_int_equal(trust_store_keyring()->version, 5);
}

/* Who can write the log, but has no root keys, gains nothing. */
static void a_planted_keyring_is_not_believed(void **state)
{
    (void)state;
    for (unsigned place = 0; place < 4; place++)
        replace(place, 12 + place);
    source.version = 2;
    signing_keyring_image(&source, BY(12, 13, 14), &image);
    assert_int_equal(settings_log_put(SPAN("trust/keyring.0"), byte_buffer_span(&image)), RC_OK);
    boot();
    assert_int_equal(trust_store_keyring()->version, 1);
    assert_int_equal(list_store_image()->version, OLD);
    source = signing_keyring(1);
    assert_int_equal(bring_keyring(3, BY(ROOT_A, ROOT_B)), RC_OK); /* and a good one takes its place */
    boot();
    assert_int_equal(trust_store_keyring()->version, 3);
}

static void a_log_that_fails_leaves_the_old_one(void **state)
{
    (void)state;
    flash_sim_fail(FLASH_PROGRAM, 1);
    assert_int_not_equal(bring_keyring(2, BY(ROOT_A, ROOT_B)), RC_OK);
    expect_words("could not be kept");
    flash_sim_fail(FLASH_PROGRAM, 0);
    assert_int_equal(trust_store_keyring()->version, 1);
    assert_int_equal(bring_keyring(2, BY(ROOT_A, ROOT_B)), RC_OK);
}

static void factory_reset_keeps_it(void **state)
{
    (void)state;
    size_t len;
    uint8_t value[10];
    assert_int_equal(settings_log_put(SPAN("set/host.name"), SPAN("secret")), RC_OK);
    assert_int_equal(bring_keyring(2, BY(ROOT_A, ROOT_B)), RC_OK);
    assert_int_equal(settings_log_put(SPAN("tls/key.0"), SPAN("secret")), RC_OK);
    assert_int_equal(settings_log_forget_others(SPAN(TRUST_KEYRING_PREFIX)), RC_OK);
    for (size_t at = 0; at + 6 <= SETTINGS_BYTES; at++)
        assert_int_not_equal(memcmp(flash_sim_bytes() + at, "secret", 6), 0);
    boot();
    assert_int_equal(trust_store_keyring()->version, 2);
    assert_int_equal(settings_log_get(SPAN("set/host.name"), value, sizeof value, &len), RC_NOT_FOUND);
    assert_int_equal(settings_log_put(SPAN("set/host.name"), SPAN("again")), RC_OK);
    boot();
    assert_int_equal(settings_log_get(SPAN("set/host.name"), value, sizeof value, &len), RC_OK);
    assert_int_equal(len, 5);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_factory_keyring_is_the_tests_own),
        TEST(a_list_needs_a_list_key),
        TEST(a_wrongly_signed_slot_is_refused_at_boot),
        TEST(a_new_keyring_outlives_a_restart),
        TEST(what_remains_good_stays_in_use),
        TEST(cut_and_long_keyrings_are_no_keyrings),
        TEST(a_chain_of_keyrings_is_walked),
        TEST(what_is_proven_at_once_replaces_the_chain),
        TEST(a_planted_keyring_is_not_believed),
        TEST(a_log_that_fails_leaves_the_old_one),
        TEST(factory_reset_keeps_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
