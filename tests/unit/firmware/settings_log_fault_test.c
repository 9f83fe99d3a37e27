/* The settings log on a flash that fails: what cannot be read is neither missing nor lost, what cannot be written is told. */
#include "tests/unit/firmware/settings_area.h"

static void a_key_that_cannot_be_read_is_not_missing(void **state)
{
    (void)state;
    char got[10];
    size_t len = 0;
    assert_int_equal(settings_log_put(SPAN("a"), SPAN("one")), RC_OK);
    for (unsigned at = 0; at < 128; at += 4) {
        flash_sim_fail_reads(at, 1);
        enum rc rc = settings_log_get(SPAN("a"), got, sizeof got, &len);
        assert_true(rc == RC_OK || rc == RC_IO);
        flash_sim_fail_reads(0, 0);
    }
    flash_sim_fail_reads(0, AREA);
    assert_int_equal(settings_log_get(SPAN("a"), got, sizeof got, &len), RC_IO);
    assert_int_equal(settings_log_get(SPAN("b"), got, sizeof got, &len), RC_NOT_FOUND);
    flash_sim_fail_reads(0, 0);
    assert_true(holds("a", "one"));
}

/* What is put, deleted or forgotten while an old record cannot be read says so, and the old one is as it was. */
static void what_cannot_be_read_is_not_written_over(void **state)
{
    (void)state;
    assert_int_equal(settings_log_put(SPAN("keep/a"), SPAN("needle")), RC_OK);
    assert_int_equal(settings_log_put(SPAN("b"), SPAN("two")), RC_OK);
    for (size_t back = 0; back <= 20; back += 20) { /* its key, its header */
        size_t at = 0;
        while (memcmp(flash_sim_bytes() + at, "keep/aneedle", 12) != 0)
            at++;
        flash_sim_fail_reads(at - back, 1);
        assert_int_equal(settings_log_put(SPAN("keep/a"), SPAN("other")), RC_IO);
        assert_int_equal(settings_log_delete(SPAN("keep/a")), RC_IO);
        assert_int_equal(settings_log_delete(SPAN("never")), RC_OK);
        flash_sim_fail_reads(0, 0);
        assert_true(holds("keep/a", "needle") && holds("b", "two"));
        flash_sim_fail_reads(at - back, 1);
        assert_int_equal(settings_log_forget_others(SPAN("keep/")), RC_IO); /* and the log is closed until a restart */
        flash_sim_fail_reads(0, 0);
        open_log();
        assert_true(holds("keep/a", "needle") && holds("b", "two"));
    }
    assert_int_equal(settings_log_forget_others(SPAN("keep/")), RC_OK);
    assert_true(holds("keep/a", "needle") && holds("b", NULL));
}

static void a_failed_program_changes_nothing_and_the_log_goes_on(void **state)
{
    (void)state;
    assert_int_equal(settings_log_put(SPAN("a"), SPAN("old")), RC_OK);
    flash_sim_fail(FLASH_PROGRAM, 1);
    assert_int_equal(settings_log_put(SPAN("a"), SPAN("new")), RC_IO);
    assert_true(holds("a", "old"));
    assert_int_equal(settings_log_put(SPAN("a"), SPAN("newer")), RC_OK);
    open_log();
    assert_true(holds("a", "newer"));
}

static void a_first_format_that_fails_is_told(void **state)
{
    (void)state;
    static const struct {
        enum flash_op_kind kind;
        unsigned n;
    } cases[] = { { FLASH_ERASE, 1 }, { FLASH_ERASE, 2 }, { FLASH_SYNC, 1 }, { FLASH_PROGRAM, 1 }, { FLASH_SYNC, 2 } };
    for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        flash_sim_init(AREA, BLOCK, 4);
        flash_sim_poke(100, "?", 1);
        flash_sim_poke(AREA / 2 + 100, "?", 1);
        flash_sim_fail(cases[i].kind, cases[i].n);
        assert_int_equal(settings_log_open(0, AREA), RC_IO);
        flash_sim_fail(cases[i].kind, 0);
    }
}

/* A half whose header cannot be read today must not be taken for an area that was never used. */
static void a_half_that_cannot_be_read_is_not_formatted(void **state)
{
    (void)state;
    static uint8_t before[AREA];
    struct settings_log_info info;
    for (unsigned half = 0; half < 2; half++) {
        do { /* until the half is in use */
            assert_int_equal(settings_log_put(SPAN("a"), SPAN("one value that takes some room")), RC_OK);
            settings_log_info(&info);
        } while (info.compactions < half);
        memcpy(before, flash_sim_bytes(), AREA);
        flash_sim_fail_reads(half * AREA / 2, 64);
        assert_int_equal(settings_log_open(0, AREA), RC_IO);
        assert_int_equal(settings_log_put(SPAN("b"), SPAN("two")), RC_IO);
        assert_memory_equal(before, flash_sim_bytes(), AREA);
        flash_sim_fail_reads(0, 0);
        open_log();
        assert_true(holds("a", "one value that takes some room"));
    }
}

/* Not every record can be read at a boot: were the rest compacted, what cannot be read would be gone. */
static void a_record_that_cannot_be_read_is_not_compacted_away(void **state)
{
    (void)state;
    static const char value[] = "0123456789012345678901234567890123456789needle";
    assert_int_equal(settings_log_put(SPAN("a"), span_of(value)), RC_OK);
    assert_int_equal(settings_log_put(SPAN("b"), SPAN("two")), RC_OK);
    size_t at = 0;
    while (memcmp(flash_sim_bytes() + at, "needle", 6) != 0)
        at++;
    char out[60];
    size_t len;
    for (size_t back = 0; back <= 61; back += 61) { /* its payload, its header */
        flash_sim_fail_reads(at - back, 1);
        assert_int_equal(settings_log_open(0, AREA), RC_IO);
        assert_int_equal(settings_log_put(SPAN("c"), SPAN("x")), RC_IO);
        assert_int_equal(settings_log_get(SPAN("a"), out, sizeof out, &len), RC_IO);
        assert_true(holds("b", "two"));
        flash_sim_fail_reads(0, 0);
        open_log();
        assert_true(holds("a", value) && holds("b", "two"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_key_that_cannot_be_read_is_not_missing),
        TEST(what_cannot_be_read_is_not_written_over),
        TEST(a_failed_program_changes_nothing_and_the_log_goes_on),
        TEST(a_first_format_that_fails_is_told),
        TEST(a_half_that_cannot_be_read_is_not_formatted),
        TEST(a_record_that_cannot_be_read_is_not_compacted_away),
    };
    return cmocka_run_group_tests_name("settings_log_fault", tests, NULL, NULL);
}
