/* policy/keyring.c: what the writer makes is read back; nothing that breaks a rule is taken for a keyring. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "hal/base/bytes.h"
#include "hal/crypto/sha256.h"
#include "tests/support/signing.h"

static struct byte_buffer made;
static struct keyring keyring;

static int set_up(void **state)
{
    (void)state;
    struct keyring_source s = signing_keyring(7);
    assert_int_equal(keyring_write(&s, &made), RC_OK);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    byte_buffer_free(&made);
    return 0;
}

static enum rc reopen(void)
{
    enum rc rc = keyring_open(&keyring, byte_buffer_span(&made));
    if (rc != RC_OK) {
        assert_int_equal(rc, RC_CORRUPT);
        assert_int_equal(keyring.key_count + keyring.role[KEYRING_LIST].threshold + keyring.role[KEYRING_LIST].keys, 0);
    }
    return rc;
}

static void it_is_read_back(void **state)
{
    (void)state;
    assert_int_equal(reopen(), RC_OK);
    assert_int_equal(keyring.version, 7);
    assert_int_equal(keyring.key_count, 6);
    assert_int_equal(keyring.role[KEYRING_ROOT].threshold, 2);
    assert_int_equal(keyring.role[KEYRING_ROOT].keys, 0x07);
    assert_int_equal(keyring.role[KEYRING_LIST].keys, 0x18);
    assert_int_equal(keyring.role[KEYRING_FIRMWARE].keys, 0x20);
    uint8_t point[65] = { 4 }, id[32], expected[32];
    memcpy(point + 1, keyring_key(&keyring, 4), 64);
    sha256_of(span_bytes(point, sizeof point), expected);
    keyring_key_id(keyring_key(&keyring, 4), id);
    assert_memory_equal(id, expected, 32);
    signing_key_id(LIST_B, expected);
    assert_memory_equal(id, expected, 32);
}

static void what_breaks_a_rule_is_refused(void **state)
{
    (void)state;
    static const struct {
        unsigned at;
        uint32_t value;
    } cases[] = {
        { 0, 0 },           /* magic */
        { 4, 2 | 6 << 16 }, /* format */
        { 4, 1 | 5 << 16 }, /* fewer keys than bytes */
        { 4, 1 | 13 << 16 },
        { 4, 1 },
        { 8, 0 },           /* version 0: the other half is zero, too */
        { 16, 0x00070000 }, /* nobody has to sign keyrings */
        { 16, 0x00070004 }, /* four of three */
        { 16, 0x00070102 }, /* a byte that is zero */
        { 16, 0x00030002 }, /* a key without a role */
        { 16, 0x000f0002 }, /* a key with two roles */
        { 20, 0x00180000 }, /* keys, but none has to sign */
        { 20, 0x00000001 }, /* no keys */
        { 24, 0x80200001 }, /* a key that is not there */
        { 28, 1 },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint32_t old = get_le32(made.p + cases[i].at);
        put_le32(made.p + cases[i].at, cases[i].value);
        if (reopen() == RC_OK)
            fail_msg("case %u is taken", (unsigned)i);
        put_le32(made.p + cases[i].at, old);
        assert_int_equal(reopen(), RC_OK);
    }
}

static void a_key_counts_once(void **state)
{
    (void)state;
    memcpy(made.p + KEYRING_HEADER_BYTES + 2 * KEYRING_KEY_BYTES, made.p + KEYRING_HEADER_BYTES, KEYRING_KEY_BYTES);
    assert_int_equal(reopen(), RC_CORRUPT);
}

static void a_role_may_be_empty(void **state)
{
    (void)state;
    struct keyring_source s = signing_keyring(8);
    s.count = 5;
    s.threshold[KEYRING_FIRMWARE] = 0;
    byte_buffer_free(&made);
    assert_int_equal(keyring_write(&s, &made), RC_OK);
    assert_int_equal(reopen(), RC_OK);
    assert_int_equal(keyring.role[KEYRING_FIRMWARE].threshold, 0);
    put_le32(made.p + 16, 0); /* but not the root's: nobody could sign the next keyring */
    put_le32(made.p + 20, 0x001f0001);
    assert_int_equal(reopen(), RC_CORRUPT);
}

static void one_key_is_enough_and_twelve_are_not_too_many(void **state)
{
    (void)state;
    struct keyring_source s = signing_keyring(1);
    s.count = 1;
    s.threshold[KEYRING_ROOT] = 1;
    s.threshold[KEYRING_LIST] = s.threshold[KEYRING_FIRMWARE] = 0;
    byte_buffer_free(&made);
    assert_int_equal(keyring_write(&s, &made), RC_OK);
    assert_int_equal(reopen(), RC_OK);
    for (s.count = 0; s.count < KEYRING_KEYS_MAX; s.count++)
        s.key[s.count] = (struct keyring_source_key){ KEYRING_ROOT, { (uint8_t)(s.count + 1) } };
    byte_buffer_free(&made);
    assert_int_equal(keyring_write(&s, &made), RC_OK);
    assert_int_equal(reopen(), RC_OK);
    assert_int_equal(keyring.key_count, KEYRING_KEYS_MAX);
}

static void any_other_length_is_refused(void **state)
{
    (void)state;
    size_t whole = made.len;
    for (size_t len = 0; len <= whole; len++) {
        uint8_t *exact = tool_alloc(len, 1);
        memcpy(exact, made.p, len);
        assert_int_equal(keyring_open(&keyring, span_bytes(exact, len)), len < whole ? RC_CORRUPT : RC_OK);
        free(exact);
    }
    byte_buffer_u8(&made, 0);
    assert_int_equal(reopen(), RC_CORRUPT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(it_is_read_back, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_breaks_a_rule_is_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_key_counts_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_role_may_be_empty, set_up, tear_down),
        cmocka_unit_test_setup_teardown(one_key_is_enough_and_twelve_are_not_too_many, set_up, tear_down),
        cmocka_unit_test_setup_teardown(any_other_length_is_refused, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
