/* The settings log on a simulated NOR: values, batches, compaction, and every power cut. */
#include "hal/base/crc32.h"
#include "hal/base/strbuf.h"
#include "tests/unit/firmware/settings_area.h"

static jmp_buf cut;

static void on_cut(void)
{
    longjmp(cut, 1);
}

static void values_are_put_replaced_and_deleted(void **state)
{
    (void)state;
    assert_true(holds("a", NULL));
    assert_int_equal(settings_log_put(SPAN("a"), SPAN("one")), RC_OK);
    assert_int_equal(settings_log_put(SPAN("b"), SPAN("")), RC_OK);
    assert_int_equal(settings_log_put(SPAN("a"), SPAN("two")), RC_OK);
    assert_true(holds("a", "two"));
    assert_true(holds("b", ""));
    assert_int_equal(settings_log_delete(SPAN("a")), RC_OK);
    assert_int_equal(settings_log_delete(SPAN("never")), RC_OK);
    open_log();
    assert_true(holds("a", NULL));
    assert_true(holds("b", ""));
}

static void unfit_keys_and_values_are_refused(void **state)
{
    (void)state;
    static char big[SETTINGS_LOG_VALUE_MAX + 1];
    char long_key[SETTINGS_LOG_KEY_MAX + 2];
    memset(long_key, 'k', sizeof long_key - 1);
    long_key[sizeof long_key - 1] = '\0';
    assert_int_equal(settings_log_put(SPAN(""), SPAN("x")), RC_INVALID);
    assert_int_equal(settings_log_put(SPAN("a b"), SPAN("x")), RC_INVALID);
    assert_int_equal(settings_log_put(span_of(long_key), SPAN("x")), RC_INVALID);
    assert_int_equal(settings_log_put(SPAN("a"), span_bytes(big, sizeof big)), RC_INVALID);
    assert_int_equal(settings_log_put(SPAN("a"), SPAN("x")), RC_OK); /* and the log goes on */
}

static void too_small_a_buffer_is_told(void **state)
{
    (void)state;
    char small[2];
    size_t len = 0;
    assert_int_equal(settings_log_put(SPAN("a"), SPAN("three")), RC_OK);
    assert_int_equal(settings_log_get(SPAN("a"), small, sizeof small, &len), RC_TOO_LONG);
    assert_int_equal(len, 5);
}

static void an_aborted_batch_leaves_no_trace(void **state)
{
    (void)state;
    assert_int_equal(settings_log_put(SPAN("a"), SPAN("old")), RC_OK);
    assert_int_equal(settings_log_batch_begin(), RC_OK);
    assert_int_equal(settings_log_batch_put(SPAN("a"), SPAN("new")), RC_OK);
    settings_log_batch_abort();
    assert_true(holds("a", "old"));
    assert_int_equal(settings_log_put(SPAN("b"), SPAN("x")), RC_OK);
    open_log();
    assert_true(holds("a", "old"));
}

static void compaction_keeps_values_and_erases_the_old(void **state)
{
    (void)state;
    struct settings_log_info info;
    char value[200];
    assert_int_equal(settings_log_put(SPAN("secret"), SPAN("do-not-linger")), RC_OK);
    assert_int_equal(settings_log_delete(SPAN("secret")), RC_OK);
    assert_int_equal(settings_log_put(SPAN("kept"), SPAN("value")), RC_OK);
    for (unsigned i = 0; i < 100; i++) {
        struct strbuf v = STRBUF(value);
        strbuf_printf(&v, "%0150u", i);
        assert_int_equal(settings_log_put(SPAN("often"), strbuf_span(&v)), RC_OK);
    }
    settings_log_info(&info);
    assert_true(info.compactions >= 1);
    assert_true(holds("kept", "value"));
    assert_true(holds("often", value));
    open_log();
    assert_true(holds("kept", "value"));
    assert_true(holds("often", value));
    assert_true(holds("secret", NULL));
    for (size_t i = 0; i + 13 < AREA; i++)
        assert_memory_not_equal(flash_sim_bytes() + i, "do-not-linger", 13);
}

static void a_full_log_refuses_and_keeps_what_it_has(void **state)
{
    (void)state;
    char key[16];
    static char value[1000];
    memset(value, 'v', sizeof value);
    enum rc rc = RC_OK;
    unsigned n = 0;
    while (rc == RC_OK && n < 100) {
        struct strbuf k = STRBUF(key);
        strbuf_printf(&k, "k%u", n++);
        rc = settings_log_put(strbuf_span(&k), span_bytes(value, sizeof value));
    }
    assert_int_equal(rc, RC_FULL);
    char got[1000];
    size_t len;
    for (unsigned i = 0; i + 1 < n; i++) {
        struct strbuf k = STRBUF(key);
        strbuf_printf(&k, "k%u", i);
        assert_int_equal(settings_log_get(strbuf_span(&k), got, sizeof got, &len), RC_OK);
    }
    assert_int_equal(settings_log_delete(SPAN("k0")), RC_OK); /* room for that is kept back */
    assert_int_equal(settings_log_put(SPAN("fresh"), span_bytes(value, sizeof value)), RC_OK);
    open_log();
    assert_int_equal(settings_log_get(SPAN("k1"), got, sizeof got, &len), RC_OK);
}

/* One step of a day: single puts, a batch over three keys, enough to compact on the way. Step n writes the value n everywhere. */
static enum rc write_step(unsigned n, volatile unsigned *told_single, volatile unsigned *told_batch)
{
    char value[300];
    struct strbuf v = STRBUF(value);
    strbuf_printf(&v, "%0250u", n);
    enum rc rc = settings_log_put(SPAN("single"), strbuf_span(&v));
    if (rc != RC_OK)
        return rc;
    *told_single = n;
    rc = settings_log_batch_begin();
    static const char *const keys[] = { "batch.a", "batch.b", "batch.c" };
    for (unsigned i = 0; rc == RC_OK && i < 3; i++)
        rc = settings_log_batch_put(span_of(keys[i]), strbuf_span(&v));
    if (rc == RC_OK)
        rc = settings_log_batch_end();
    if (rc == RC_OK)
        *told_batch = n;
    return rc;
}

static unsigned value_of(const char *key)
{
    char got[300];
    size_t len = 0;
    uint32_t n = 0;
    enum rc rc = settings_log_get(span_of(key), got, sizeof got, &len);
    if (rc == RC_NOT_FOUND)
        return 0;
    assert_int_equal(rc, RC_OK);
    struct span digits = span_bytes(got, len);
    while (digits.len > 1 && digits.p[0] == '0')
        digits = span_from(digits, 1);
    assert_true(span_to_u32(digits, &n));
    return n;
}

static void check_after_cut(unsigned told_single, unsigned told_batch)
{
    unsigned single = value_of("single"), a = value_of("batch.a"), b = value_of("batch.b"), c = value_of("batch.c");
    assert_true(single == told_single || single == told_single + 1);
    assert_true(a == told_batch || a == told_batch + 1);
    assert_int_equal(a, b);
    assert_int_equal(a, c);
    assert_int_equal(value_of("steady"), 7);
}

#define STEPS 12u

static void each_cut_leaves_old_or_new_never_neither(void **state)
{
    (void)state;
    static volatile unsigned told_single, told_batch, n;
    static volatile uint64_t cuts, seed, at;
    static volatile bool ended, torn;
    for (seed = 0; seed < 5; seed++)
        for (at = 0, ended = false; !ended; at++)
            for (torn = false;; torn = true) {
                set_up(NULL);
                assert_int_equal(settings_log_put(SPAN("steady"), SPAN("7")), RC_OK);
                told_single = told_batch = 0;
                flash_sim_cut_after(at, torn, seed, on_cut);
                if (setjmp(cut) == 0) {
                    for (n = 1; n <= STEPS; n++)
                        assert_int_equal(write_step(n, &told_single, &told_batch), RC_OK);
                    ended = true;
                    flash_sim_cut_now(seed);
                }
                cuts++;
                flash_sim_power_on();
                /* and again during the recovery */
                if (setjmp(cut) == 0) {
                    flash_sim_cut_after((at + seed) % 3, torn, seed + 1, on_cut);
                    open_log();
                    flash_sim_cut_now(1);
                }
                flash_sim_power_on();
                open_log();
                check_after_cut(told_single, told_batch);
                assert_int_equal(write_step(STEPS + 1, &told_single, &told_batch), RC_OK);
                assert_int_equal(value_of("single"), STEPS + 1);
                assert_int_equal(flash_sim_violations(), 0);
                flash_sim_free();
                if (torn)
                    break;
            }
    print_message("settings log: %llu cut points\n", (unsigned long long)cuts);
    assert_true(cuts > 500);
    flash_sim_init(AREA, BLOCK, 4);
}

static void any_flipped_byte_is_survived(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 10; i++) {
        volatile unsigned x = 0, y = 0;
        assert_int_equal(write_step(i + 1, &x, &y), RC_OK);
    }
    static uint8_t before[AREA];
    memcpy(before, flash_sim_bytes(), AREA);
    for (uint32_t at = 0; at < AREA; at += 3) {
        uint8_t bad = (uint8_t)(before[at] ^ (1u << (at % 8)));
        flash_sim_init(AREA, BLOCK, 4);
        flash_sim_poke(0, before, AREA);
        flash_sim_poke(at, &bad, 1);
        enum rc rc = settings_log_open(0, AREA);
        assert_true(rc == RC_OK || rc == RC_CORRUPT);
        assert_int_equal(settings_log_put(SPAN("after"), SPAN("works")), RC_OK);
        assert_true(holds("after", "works"));
    }
}

/* --- bit rot --- */

#define ROT_KEYS 14

static struct span rot_key(unsigned k)
{
    static char text[24];
    snprintf(text, sizeof text, "rot.key-%u", k);
    return span_of(text);
}

static struct span rot_value(unsigned k)
{
    static char text[600];
    size_t len = k * k * 3 % 590;
    for (size_t i = 0; i < len; i++)
        text[i] = (char)('a' + (i * (k + 1) + k) % 23);
    return span_bytes(text, len);
}

/* Single puts, a batch of four, replaced ones and a deleted one between them, and at the end nothing but single puts. */
static void fill_for_rot(void)
{
    for (unsigned k = 0; k < 5; k++)
        assert_int_equal(settings_log_put(rot_key(k), k == 2 ? SPAN("replaced-later") : rot_value(k)), RC_OK);
    assert_int_equal(settings_log_batch_begin(), RC_OK);
    for (unsigned k = 5; k < 9; k++)
        assert_int_equal(settings_log_batch_put(rot_key(k), rot_value(k)), RC_OK);
    assert_int_equal(settings_log_batch_put(rot_key(2), rot_value(2)), RC_OK);
    assert_int_equal(settings_log_batch_end(), RC_OK);
    assert_int_equal(settings_log_put(SPAN("gone"), SPAN("x")), RC_OK);
    assert_int_equal(settings_log_delete(SPAN("gone")), RC_OK);
    for (unsigned k = 9; k < ROT_KEYS; k++)
        assert_int_equal(settings_log_put(rot_key(k), rot_value(k)), RC_OK);
}

static unsigned keys_lost(void)
{
    char got[600];
    size_t len;
    unsigned lost = 0;
    for (unsigned k = 0; k < ROT_KEYS; k++) {
        enum rc rc = settings_log_get(rot_key(k), got, sizeof got, &len);
        if (rc == RC_OK)
            assert_true(span_eq(span_bytes(got, len), rot_value(k)));
        lost += rc != RC_OK;
    }
    assert_true(holds("gone", NULL));
    return lost;
}

static void a_flipped_bit_costs_one_key_at_most(void **state)
{
    (void)state;
    struct settings_log_info info;
    fill_for_rot();
    settings_log_info(&info);
    assert_int_equal(info.compactions, 0);
    static uint8_t before[AREA];
    memcpy(before, flash_sim_bytes(), AREA);
    unsigned costly = 0;
    for (uint32_t at = 0; at < info.used_bytes; at++) {
        uint8_t bad = (uint8_t)(before[at] ^ (1u << (at * 7 % 8)));
        flash_sim_init(AREA, BLOCK, 4);
        flash_sim_poke(0, before, AREA);
        flash_sim_poke(at, &bad, 1);
        open_log();
        struct settings_log_info after;
        settings_log_info(&after);
        unsigned lost = keys_lost();
        if (lost > (at < 64 ? 0u : 1u))
            fail_msg("a bit at %u costs %u keys", (unsigned)at, lost);
        if (lost > 0 && after.damaged == 0)
            fail_msg("a bit at %u costs a key and no alert is raised", (unsigned)at);
        costly += lost;
        if (at % 16 != 0)
            continue;
        assert_int_equal(settings_log_put(SPAN("after"), SPAN("works")), RC_OK); /* compacts */
        open_log();
        assert_int_equal(keys_lost(), lost);
        settings_log_info(&after);
        assert_int_equal(after.damaged, 0);
    }
    assert_in_range(costly, 2000, info.used_bytes);
}

static unsigned times_in_flash(const char *text)
{
    unsigned n = 0;
    for (size_t i = 0; i + strlen(text) <= AREA; i++)
        n += memcmp(flash_sim_bytes() + i, text, strlen(text)) == 0;
    return n;
}

static void what_is_replaced_is_gone_at_once(void **state)
{
    (void)state;
    struct settings_log_info info;
    assert_int_equal(settings_log_put(SPAN("pw"), SPAN("secret-number-one")), RC_OK);
    assert_int_equal(times_in_flash("secret-number-one"), 1);
    assert_int_equal(settings_log_put(SPAN("pw"), SPAN("secret-number-two")), RC_OK);
    assert_int_equal(times_in_flash("secret-number-one"), 0);
    assert_int_equal(settings_log_batch_begin(), RC_OK);
    assert_int_equal(settings_log_batch_put(SPAN("pw"), SPAN("secret-number-three")), RC_OK);
    assert_int_equal(settings_log_batch_put(SPAN("pw"), SPAN("secret-number-four")), RC_OK);
    assert_int_equal(settings_log_batch_end(), RC_OK);
    assert_int_equal(times_in_flash("secret-number-t"), 0);
    assert_true(holds("pw", "secret-number-four"));
    assert_int_equal(settings_log_delete(SPAN("pw")), RC_OK);
    assert_int_equal(times_in_flash("secret-number"), 0);
    open_log();
    assert_true(holds("pw", NULL));
    assert_int_equal(settings_log_put(SPAN("pw"), SPAN("secret-number-five")), RC_OK);
    assert_int_equal(settings_log_put(SPAN("pw"), SPAN("secret-number-six")), RC_OK);
    flash_sim_cut_now(0); /* the zeros were not synced yet */
    flash_sim_power_on();
    assert_int_equal(times_in_flash("secret-number-five"), 1);
    open_log();
    assert_int_equal(times_in_flash("secret-number-five"), 0);
    assert_true(holds("pw", "secret-number-six"));
    settings_log_info(&info);
    assert_int_equal(info.damaged, 0);
}

static void a_batch_outlives_both_its_ends(void **state)
{
    (void)state;
    assert_int_equal(settings_log_put(SPAN("a"), SPAN("one")), RC_OK); /* at 64, its ENDs at 96 and 128 */
    assert_int_equal(settings_log_put(SPAN("b"), SPAN("two")), RC_OK);
    flash_sim_poke(96, "?", 1);
    flash_sim_poke(128 + 10, "?", 1);
    open_log();
    assert_true(holds("a", "one"));
    assert_true(holds("b", "two"));
    flash_sim_poke(192, "?", 1);
    flash_sim_poke(224, "?", 1);
    open_log();
    assert_true(holds("a", "one"));
    assert_true(holds("b", NULL)); /* of the newest batch, as if it had been cut */
}

/* Somebody outside may choose a value's bytes (a policy that is cached): rot in front of them must not make them a record. */
static void a_value_is_never_taken_for_a_record(void **state)
{
    (void)state;
    uint8_t value[20 + 12 + 5 + 3];
    uint8_t *h = value + 7; /* 20 + 5 of its own record stand before the value */
    memset(value, 'x', sizeof value);
    memcpy(h, "\x5a\x04\x05\0\x04\0\0\0\x01\0\0\0", 12); /* SETTLED, key of 5, value of 4 */
    memcpy(h + 20, "adminevil", 9);
    uint32_t crc = crc32_update(0, h + 20, 9);
    memcpy(h + 12, (uint8_t[]){ (uint8_t)crc, (uint8_t)(crc >> 8), (uint8_t)(crc >> 16), (uint8_t)(crc >> 24) }, 4);
    crc = crc32_update(0, h, 16);
    memcpy(h + 16, (uint8_t[]){ (uint8_t)crc, (uint8_t)(crc >> 8), (uint8_t)(crc >> 16), (uint8_t)(crc >> 24) }, 4);
    assert_int_equal(settings_log_put(SPAN("cache"), span_bytes(value, sizeof value)), RC_OK);
    assert_int_equal(settings_log_put(SPAN("other"), SPAN("fine")), RC_OK);
    flash_sim_poke(64, "?", 1); /* the first record's header */
    open_log();
    assert_true(holds("cache", NULL));
    assert_true(holds("admin", NULL));
    assert_true(holds("other", "fine"));
}

static void another_version_is_left_alone(void **state)
{
    (void)state;
    static uint8_t before[AREA];
    uint8_t header[20] = { 'P', 'S', 'L', 'G', 3, 0, 0, 0, 1, 0, 0, 0, 9, 9, 9, 9 };
    uint32_t crc = crc32_update(0, header, 16);
    memcpy(header + 16, (uint8_t[]){ (uint8_t)crc, (uint8_t)(crc >> 8), (uint8_t)(crc >> 16), (uint8_t)(crc >> 24) }, 4);
    for (unsigned half = 0; half < 2; half++) {
        flash_sim_init(AREA, BLOCK, 4);
        flash_sim_poke(half * AREA / 2, header, sizeof header);
        memcpy(before, flash_sim_bytes(), AREA);
        assert_int_equal(settings_log_open(0, AREA), RC_UNSUPPORTED);
        assert_true(holds("a", NULL));
        assert_int_equal(settings_log_put(SPAN("a"), SPAN("b")), RC_UNSUPPORTED);
        assert_int_equal(settings_log_delete(SPAN("a")), RC_OK);
        assert_memory_equal(before, flash_sim_bytes(), AREA);
    }
}

/* Records without the header of their half cannot be read any more: that is told, once. */
static void a_half_without_its_header_is_a_loss(void **state)
{
    (void)state;
    static const uint8_t zeros[64];
    for (unsigned half = 0; half < 2; half++) {
        struct settings_log_info info = { 0 };
        while (info.compactions % 2 != half || info.used_bytes < 200) {
            assert_int_equal(settings_log_put(SPAN("often"), SPAN("a value that is replaced again and again")), RC_OK);
            settings_log_info(&info);
        }
        flash_sim_poke(half * AREA / 2, zeros, sizeof zeros);
        assert_int_equal(settings_log_open(0, AREA), RC_CORRUPT);
        assert_true(holds("often", NULL));
        open_log();
        assert_true(holds("often", NULL));
    }
    assert_int_equal(settings_log_open(0, UINT64_C(2) * 32 * (UINT16_MAX + 1)), RC_INVALID);
    assert_int_equal(settings_log_put(SPAN("a"), SPAN("b")), RC_INVALID);
}

static void the_largest_value_goes_in_and_out(void **state)
{
    (void)state;
    static char value[SETTINGS_LOG_VALUE_MAX], got[SETTINGS_LOG_VALUE_MAX];
    size_t len;
    flash_sim_init(16 * AREA, BLOCK, 4);
    for (unsigned round = 1; round < 30; round++) { /* compactions on the way */
        for (size_t i = 0; i < sizeof value; i++)
            value[i] = (char)(i * round + i / 251);
        assert_int_equal(settings_log_open(0, 16 * AREA), RC_OK);
        assert_int_equal(settings_log_put(SPAN("chain"), span_bytes(value, sizeof value)), RC_OK);
        assert_int_equal(settings_log_open(0, 16 * AREA), RC_OK);
        assert_int_equal(settings_log_get(SPAN("chain"), got, sizeof got, &len), RC_OK);
        assert_true(span_eq(span_bytes(got, len), span_bytes(value, sizeof value)));
    }
}

#define MANY (4 * AREA) /* with room for all of them */

/* The index has so many places: one key more is refused, and so is the batch that it is in. */
static void there_is_a_most_of_keys(void **state)
{
    (void)state;
    char key[8];
    flash_sim_init(MANY, BLOCK, 4);
    assert_int_equal(settings_log_open(0, MANY), RC_OK);
    for (unsigned i = 0; i <= SETTINGS_LOG_KEYS_MAX; i++) {
        struct strbuf k = STRBUF(key);
        strbuf_printf(&k, "k%u", i);
        assert_int_equal(settings_log_put(strbuf_span(&k), SPAN("")), i < SETTINGS_LOG_KEYS_MAX ? RC_OK : RC_FULL);
    }
    assert_int_equal(settings_log_put(SPAN("k7"), SPAN("seven")), RC_OK);
    assert_int_equal(settings_log_batch_begin(), RC_OK);
    assert_int_equal(settings_log_batch_put(SPAN("k8"), SPAN("eight")), RC_OK);
    assert_int_equal(settings_log_batch_put(SPAN("fresh"), SPAN("")), RC_OK);
    assert_int_equal(settings_log_batch_end(), RC_FULL);
    for (unsigned n = 0; n < 2; n++) {
        struct settings_log_info info;
        settings_log_info(&info);
        assert_int_equal(info.keys, SETTINGS_LOG_KEYS_MAX);
        assert_true(holds("k7", "seven") && holds("k8", "") && holds("fresh", NULL));
        assert_int_equal(settings_log_open(0, MANY), RC_OK);
    }
    assert_int_equal(settings_log_delete(SPAN("k8")), RC_OK);
    assert_int_equal(settings_log_put(SPAN("fresh"), SPAN("x")), RC_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(values_are_put_replaced_and_deleted),
        TEST(unfit_keys_and_values_are_refused),
        TEST(too_small_a_buffer_is_told),
        TEST(there_is_a_most_of_keys),
        TEST(an_aborted_batch_leaves_no_trace),
        TEST(compaction_keeps_values_and_erases_the_old),
        TEST(a_full_log_refuses_and_keeps_what_it_has),
        cmocka_unit_test_setup_teardown(each_cut_leaves_old_or_new_never_neither, NULL, tear_down),
        TEST(any_flipped_byte_is_survived),
        TEST(a_flipped_bit_costs_one_key_at_most),
        TEST(what_is_replaced_is_gone_at_once),
        TEST(a_batch_outlives_both_its_ends),
        TEST(a_value_is_never_taken_for_a_record),
        TEST(another_version_is_left_alone),
        TEST(a_half_without_its_header_is_a_loss),
        TEST(the_largest_value_goes_in_and_out),
    };
    return cmocka_run_group_tests_name("settings_log", tests, NULL, NULL);
}
