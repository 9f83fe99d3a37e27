/* The settings log under power cuts: a run of puts, deletes and batches, with compactions in both directions, is cut before or in the middle of
 * each operation, with any subset of the operations not yet synced lost, and now and then cut again while it recovers. Afterwards every
 * key has its old value, or, all of them together, what the interrupted change would have given; nothing that was replaced or deleted is in
 * the flash any more; nothing is taken for damage; and the log can be written.
 *
 * POWERCUT_LONG=1: every operation with several seeds; else a seeded sample. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "firmware/settings_log.h"
#include "tests/support/flash_sim.h"

#define KEYS 12
#define VALUE_MAX 3000
#define CHANGES 120
#define TAG_MAX 16

struct model {
    uint32_t version[KEYS]; /* 0: no such key; else what its value follows from */
    uint32_t changed[KEYS]; /* by which change */
};

static uint64_t size_bytes;
static jmp_buf cut_jump;
static struct model now, next; /* acknowledged; with the change under way */
static uint32_t dice_state;

static void on_cut(void)
{
    longjmp(cut_jump, 1);
}

static uint32_t dice(uint32_t bound)
{
    dice_state ^= dice_state << 13;
    dice_state ^= dice_state >> 17;
    dice_state ^= dice_state << 5;
    return dice_state % bound;
}

static struct span key_of(unsigned k)
{
    static char text[KEYS][16];
    snprintf(text[k], sizeof text[k], "key.%u", k);
    return span_of(text[k]);
}

static struct span value_of(unsigned k, uint32_t version)
{
    static char value[VALUE_MAX];
    size_t len = (version * 97 + k * 31) % (k < 3 ? VALUE_MAX : 60);
    for (size_t i = 0; i < len; i++)
        value[i] = (char)(version * 7 + k + i * (version % 5 + 1));
    if (len >= TAG_MAX) /* it can be found */
        snprintf(value, TAG_MAX, "<%u:%u>", k, (unsigned)version);
    return span_bytes(value, len);
}

/* --- the run --- */

static void change_one(unsigned change)
{
    unsigned k = dice(KEYS);
    bool deleted = dice(5) == 0;
    next.version[k] = deleted ? 0 : change;
    next.changed[k] = change;
    enum rc rc = deleted ? settings_log_delete(key_of(k)) : settings_log_put(key_of(k), value_of(k, change));
    assert_int_equal(rc, RC_OK);
}

static void change_batch(unsigned change)
{
    bool given_up = dice(6) == 0;
    struct model before = next;
    assert_int_equal(settings_log_batch_begin(), RC_OK);
    for (unsigned i = 0; i < 2 + dice(4); i++) {
        unsigned k = dice(KEYS);
        bool deleted = dice(4) == 0;
        before.version[k] = deleted ? 0 : change;
        before.changed[k] = change;
        assert_int_equal(deleted ? settings_log_batch_delete(key_of(k)) : settings_log_batch_put(key_of(k), value_of(k, change)),
                         RC_OK);
    }
    if (given_up) {
        settings_log_batch_abort();
        return;
    }
    next = before; /* all at once, from here */
    assert_int_equal(settings_log_batch_end(), RC_OK);
}

static void run(void)
{
    assert_int_equal(settings_log_open(0, size_bytes), RC_OK);
    for (unsigned change = 1; change <= CHANGES; change++) {
        if (dice(3) == 0)
            change_batch(change);
        else
            change_one(change);
        now = next;
    }
}

/* --- checking --- */

static bool holds(const struct model *m, unsigned *bad)
{
    static char got[VALUE_MAX];
    for (unsigned k = 0; k < KEYS; k++) {
        size_t len;
        enum rc rc = settings_log_get(key_of(k), got, sizeof got, &len);
        struct span want = value_of(k, m->version[k]);
        *bad = k;
        if (m->version[k] == 0 ? rc != RC_NOT_FOUND : rc != RC_OK || !span_eq(span_bytes(got, len), want))
            return false;
    }
    return true;
}

/* No value in the flash is older than what the model says. */
static bool old_are_gone(const struct model *m, unsigned *k, unsigned *version)
{
    const char *p = (const char *)flash_sim_bytes(), *end = p + size_bytes - TAG_MAX;
    for (; p < end; p++) {
        unsigned got = 0;
        const char *q = p + 1;
        if (*p != '<')
            continue;
        for (got = 0; *q >= '0' && *q <= '9' && q < p + 4; q++)
            got = got * 10 + (unsigned)(*q - '0');
        if (q == p + 1 || *q != ':' || got >= KEYS)
            continue;
        *k = got;
        const char *from = ++q;
        for (*version = 0; *q >= '0' && *q <= '9' && q < from + 4; q++)
            *version = *version * 10 + (unsigned)(*q - '0');
        if (q != from && *q == '>' && *version < m->changed[got])
            return false;
    }
    return true;
}

static unsigned cuts, again, compactions;

/* Boots what is left; with again_at, cuts that too and boots once more. */
static void recover(bool cut_again, uint64_t again_at, bool torn, uint64_t seed)
{
    flash_sim_power_on();
    if (cut_again && setjmp(cut_jump) == 0) {
        flash_sim_cut_after(again_at, torn, seed, on_cut);
        assert_int_equal(settings_log_open(0, size_bytes), RC_OK);
        flash_sim_cut_now(seed); /* it was through before its turn came */
    }
    if (cut_again)
        flash_sim_power_on();
    assert_int_equal(settings_log_open(0, size_bytes), RC_OK);
    again += cut_again;
}

static void check_after(uint64_t at, bool torn, uint64_t seed)
{
    unsigned bad_old, bad_new, k = 0, version = 0;
    if (!holds(&now, &bad_old) && !holds(&next, &bad_new))
        fail_msg("cut at %lu torn %d seed %lu: neither old (key %u) nor new (key %u)", (unsigned long)at, torn, (unsigned long)seed,
                 bad_old, bad_new);
    if (!old_are_gone(holds(&next, &bad_new) ? &next : &now, &k, &version))
        fail_msg("cut at %lu torn %d seed %lu: key %u has left its value %u behind", (unsigned long)at, torn, (unsigned long)seed,
                 k, version);
    struct settings_log_info info;
    settings_log_info(&info);
    if (info.damaged > 0)
        fail_msg("cut at %lu torn %d seed %lu: taken for damage", (unsigned long)at, torn, (unsigned long)seed);
    assert_int_equal(settings_log_put(SPAN("after"), SPAN("wards")), RC_OK);
    assert_int_equal(settings_log_open(0, size_bytes), RC_OK);
    char got[8];
    size_t len;
    assert_int_equal(settings_log_get(SPAN("after"), got, sizeof got, &len), RC_OK);
    if (!holds(&now, &bad_old) && !holds(&next, &bad_new))
        fail_msg("cut at %lu torn %d seed %lu: lost by the next write", (unsigned long)at, torn, (unsigned long)seed);
    if (flash_sim_violations() > 0)
        fail_msg("cut at %lu: %s", (unsigned long)at, flash_sim_violation());
}

static void one_cut(uint64_t at, bool torn, uint64_t seed)
{
    dice_state = 99;
    now = next = (struct model){ 0 };
    flash_sim_init(size_bytes, flash_geometry()->erase_block_bytes, flash_geometry()->program_unit_bytes);
    if (setjmp(cut_jump) == 0) {
        flash_sim_cut_after(at, torn, seed, on_cut);
        run();
        flash_sim_cut_now(seed);
    }
    cuts++;
    recover(cuts % 3 == 0, cuts / 3 % 5, cuts % 2, seed + 1);
    check_after(at, torn, seed);
}

static void sweep(uint32_t block, uint32_t blocks)
{
    const char *wanted = getenv("POWERCUT_LONG");
    bool all = wanted != NULL && wanted[0] == '1';
    size_bytes = (uint64_t)block * blocks;
    dice_state = 99;
    now = next = (struct model){ 0 };
    flash_sim_init(size_bytes, block, 32);
    task_set_poll(flash_poll);
    run();
    struct settings_log_info info;
    settings_log_info(&info);
    uint64_t operations = flash_sim_operations(), stride = all ? 1 : operations / 150 + 1;
    compactions = info.compactions;
    assert_true(compactions >= 2);
    cuts = again = 0;
    for (uint64_t at = 0; at < operations; at += stride)
        for (unsigned torn = 0; torn < 2; torn++)
            for (uint64_t seed = 0; seed < (all ? 6u : 1u); seed++)
                one_cut(at + (all ? 0 : cuts % stride), torn != 0, all ? seed : cuts % 6);
    print_message("settings: %u cut points of %lu operations with %u compactions, %u cut again while recovering\n", cuts,
                  (unsigned long)operations, compactions, again);
    flash_sim_free();
}

static void small_blocks(void **state)
{
    (void)state;
    sweep(4096, 8);
}

static void large_blocks(void **state)
{
    (void)state;
    sweep(32 * 1024, 2); /* one block a half */
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(small_blocks), cmocka_unit_test(large_blocks) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
