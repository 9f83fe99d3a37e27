/* The flash simulator itself: a power-cut test is worth what its cuts are. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "tests/support/flash_sim.h"

#define BLOCK 256u
#define UNIT 4u

static jmp_buf cut_jump;
static void on_cut(void)
{
    longjmp(cut_jump, 1);
}

static int setup(void **state)
{
    (void)state;
    flash_sim_init(8 * BLOCK, BLOCK, UNIT);
    task_set_poll(flash_poll);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    flash_sim_free();
    return 0;
}

static bool holds(uint64_t addr, const void *want, size_t len)
{
    uint8_t got[BLOCK];
    assert_int_equal(flash_read(addr, got, len), RC_OK);
    return memcmp(got, want, len) == 0;
}

static void rules(void **state)
{
    (void)state;
    uint8_t got[BLOCK];
    assert_int_equal(flash_program(4, "abcdefgh", 8), RC_OK);
    assert_true(holds(4, "abcdefgh", 8));
    assert_int_equal(flash_program(8, "efgh", 4), RC_INVALID); /* once between erases */
    assert_int_equal(flash_program(4, "\0\0\0\0", 4), RC_OK);  /* but zeros always */
    assert_int_equal(flash_program(6, "ab", 2), RC_INVALID);   /* whole units */
    assert_int_equal(flash_program(8 * BLOCK - 4, got, 8), RC_INVALID);
    assert_int_equal(flash_erase(4), RC_INVALID);
    assert_int_equal(flash_erase(8 * BLOCK), RC_INVALID);
    assert_int_equal(flash_read(8 * BLOCK - 3, got, 4), RC_INVALID);
    assert_int_equal(flash_sim_violations(), 5);
    assert_int_equal(flash_erase(0), RC_OK);
    assert_int_equal(flash_program(8, "EFGH", 4), RC_OK);
    assert_int_equal(flash_sim_wear(0), 1);
    assert_true(holds(4,
                      "\xff\xff\xff\xff"
                      "EFGH",
                      8));
}

static void synced_survives_any_cut(void **state)
{
    for (uint64_t seed = 0; seed < 20; seed++) {
        teardown(state);
        setup(state);
        assert_int_equal(flash_program(0, "safe", 4), RC_OK);
        assert_int_equal(flash_sync(), RC_OK);
        assert_int_equal(flash_program(4, "unsafe..", 8), RC_OK);
        flash_sim_cut_now(seed);
        flash_sim_power_on();
        assert_true(holds(0, "safe", 4));
        if (seed == 0)
            assert_true(holds(4, "\xff\xff\xff\xff\xff\xff\xff\xff", 8));
        if (seed == 1)
            assert_true(holds(4, "unsafe..", 8));
    }
}

static void unsynced_drops_any_subset(void **state)
{
    unsigned seen[4] = { 0 };
    for (uint64_t seed = 2; seed < 66; seed++) {
        teardown(state);
        setup(state);
        assert_int_equal(flash_program(0, "1111", 4), RC_OK);
        assert_int_equal(flash_program(4, "2222", 4), RC_OK);
        flash_sim_cut_now(seed);
        flash_sim_power_on();
        seen[(holds(0, "1111", 4) ? 1 : 0) + (holds(4, "2222", 4) ? 2 : 0)]++;
    }
    for (unsigned i = 0; i < 4; i++)
        assert_true(seen[i] > 4);
}

static void dropped_erase_under_kept_program(void **state)
{
    bool seen = false;
    for (uint64_t seed = 2; seed < 40; seed++) {
        teardown(state);
        setup(state);
        assert_int_equal(flash_program(0, "old.old.", 8), RC_OK);
        assert_int_equal(flash_sync(), RC_OK);
        assert_int_equal(flash_erase(0), RC_OK);
        assert_int_equal(flash_program(0, "new.", 4), RC_OK);
        flash_sim_cut_now(seed);
        flash_sim_power_on();
        seen = seen || holds(0, "new.old.", 8);
    }
    assert_true(seen);
}

/* Runs three operations with a cut before the nth; returns how many had been done. */
static uint64_t cut_at(uint64_t n, bool torn, uint64_t seed)
{
    static uint8_t data[BLOCK];
    memset(data, 'd', sizeof data);
    flash_sim_cut_after(n, torn, seed, on_cut);
    if (setjmp(cut_jump) == 0) {
        assert_int_equal(flash_erase(0), RC_OK);
        assert_int_equal(flash_program(0, data, sizeof data), RC_OK);
        assert_int_equal(flash_sync(), RC_OK);
        return 3;
    }
    assert_true(flash_sim_is_cut());
    uint64_t done = flash_sim_operations();
    flash_sim_power_on();
    return done;
}

static void cut_after_each_operation(void **state)
{
    (void)state;
    for (uint64_t n = 0; n < 3; n++)
        assert_int_equal(cut_at(n, false, 0), n);
    assert_int_equal(cut_at(3, false, 0), 3);
}

static void torn_program_is_half_there(void **state)
{
    bool none = false, partial = false, odd_unit = false;
    for (uint64_t seed = 2; seed < 200; seed++) {
        teardown(state);
        setup(state);
        assert_int_equal(cut_at(1, true, seed), 1);
        const uint8_t *b = flash_sim_bytes();
        unsigned written = 0;
        for (unsigned i = 0; i < BLOCK; i++) {
            written += b[i] == 'd';
            odd_unit = odd_unit || (b[i] != 'd' && b[i] != 0xff);
        }
        none = none || written == 0;
        partial = partial || (written > 0 && written < BLOCK);
    }
    assert_true(none && partial && odd_unit);
}

static void torn_erase_keeps_some(void **state)
{
    static uint8_t zeros[BLOCK];
    bool partial = false;
    for (uint64_t seed = 2; seed < 60; seed++) {
        teardown(state);
        setup(state);
        assert_int_equal(flash_program(0, zeros, sizeof zeros), RC_OK);
        assert_int_equal(flash_sync(), RC_OK);
        cut_at(0, true, seed);
        unsigned ones = 0;
        for (unsigned i = 0; i < BLOCK; i++)
            ones += flash_sim_bytes()[i] == 0xff;
        partial = partial || (ones > 0 && ones < BLOCK);
    }
    assert_true(partial);
}

static void one_sync_serves_all_in_a_row(void **state)
{
    (void)state;
    struct flash_op ops[4] = { { .kind = FLASH_PROGRAM, .addr = 0, .data = "data", .len = 4 },
                               { .kind = FLASH_SYNC },
                               { .kind = FLASH_SYNC },
                               { .kind = FLASH_SYNC } };
    for (unsigned i = 0; i < 4; i++)
        flash_start(&ops[i]);
    assert_true(flash_busy());
    flash_poll();
    assert_true(ops[0].finished && !ops[1].finished);
    flash_poll();
    assert_true(ops[1].finished && ops[2].finished && ops[3].finished);
    assert_false(flash_busy());
    assert_int_equal(flash_sim_count(FLASH_SYNC), 1);
}

static void faults(void **state)
{
    (void)state;
    uint8_t got[8];
    flash_sim_fail(FLASH_PROGRAM, 2);
    assert_int_equal(flash_program(0, "aaaa", 4), RC_OK);
    assert_int_equal(flash_program(4, "bbbbcccc", 8), RC_IO);
    assert_true(holds(4, "bbbb\xff\xff\xff\xff", 8));
    assert_int_equal(flash_program(12, "dddd", 4), RC_OK);
    flash_sim_fail_reads(5, 1);
    assert_int_equal(flash_read(4, got, 1), RC_OK);
    assert_int_equal(flash_read(4, got, 2), RC_IO);
    flash_sim_poke(0, "AAAA", 4);
    flash_sim_cut_now(0);
    flash_sim_power_on();
    assert_true(holds(0, "AAAA", 4));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(rules, setup, teardown),
        cmocka_unit_test_setup_teardown(synced_survives_any_cut, setup, teardown),
        cmocka_unit_test_setup_teardown(unsynced_drops_any_subset, setup, teardown),
        cmocka_unit_test_setup_teardown(dropped_erase_under_kept_program, setup, teardown),
        cmocka_unit_test_setup_teardown(cut_after_each_operation, setup, teardown),
        cmocka_unit_test_setup_teardown(torn_program_is_half_there, setup, teardown),
        cmocka_unit_test_setup_teardown(torn_erase_keeps_some, setup, teardown),
        cmocka_unit_test_setup_teardown(one_sync_serves_all_in_a_row, setup, teardown),
        cmocka_unit_test_setup_teardown(faults, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
