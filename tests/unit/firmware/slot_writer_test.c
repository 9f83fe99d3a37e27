/* firmware/slot_writer.c: it stays within its area, erases no more than it needs, and wherever the power goes, a slot that begins as the old
 * or as the new image has all of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "firmware/slot_writer.h"
#include "hal/task.h"
#include "tests/support/flash_sim.h"

#define BLOCK 1024u
#define HEAD 128u
#define IMAGE 2500u /* three blocks; the last chunk is no whole unit */

static const struct flash_area area = { BLOCK, 3 * BLOCK };
static struct slot_writer writer;
static uint8_t before[5 * BLOCK], image[IMAGE];
static jmp_buf power;

static int setup(void **state)
{
    (void)state;
    flash_sim_init(5 * BLOCK, BLOCK, SLOT_UNIT_BYTES);
    task_set_poll(flash_poll);
    memset(before, 0x5a, sizeof before);
    for (size_t i = 0; i < IMAGE; i++)
        image[i] = (uint8_t)(i * 7 % 251);
    flash_sim_poke(0, before, sizeof before);
    slot_writer_init(&writer, &area);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    unsigned broken = flash_sim_violations();
    flash_sim_free();
    return (int)broken;
}

static enum rc write_image(void)
{
    enum rc rc = slot_writer_erase(&writer, 1);
    memcpy(writer.head, image, HEAD);
    slot_writer_hold_head(&writer, HEAD);
    for (size_t at = HEAD; rc == RC_OK && at < IMAGE; at += 300)
        rc = slot_writer_put(&writer, span_bytes(image + at, IMAGE - at < 300 ? IMAGE - at : 300));
    if (rc == RC_OK)
        rc = slot_writer_flush(&writer);
    return rc == RC_OK ? slot_writer_finish(&writer) : rc;
}

static const uint8_t *slot(void)
{
    return flash_sim_bytes() + area.addr;
}

static void assert_neighbours_untouched(void)
{
    assert_memory_equal(flash_sim_bytes(), before, BLOCK);
    assert_memory_equal(flash_sim_bytes() + 4 * BLOCK, before, BLOCK);
}

static void an_image_is_written_whole(void **state)
{
    (void)state;
    assert_int_equal(write_image(), RC_OK);
    assert_memory_equal(slot(), image, IMAGE);
    assert_int_equal(slot()[IMAGE], 0xff);
    assert_neighbours_untouched();
    assert_int_equal(flash_sim_count(FLASH_ERASE), 3);
}

static void only_what_is_needed_is_erased(void **state)
{
    (void)state;
    assert_int_equal(slot_writer_erase(&writer, 1), RC_OK);
    assert_int_equal(slot_writer_erase(&writer, BLOCK), RC_OK);
    assert_int_equal(flash_sim_count(FLASH_ERASE), 1);
    assert_int_equal(slot_writer_erase(&writer, BLOCK + 1), RC_OK);
    assert_int_equal(flash_sim_count(FLASH_ERASE), 2);
}

static void what_lies_behind_the_slot_stays(void **state)
{
    (void)state;
    assert_int_equal(slot_writer_erase(&writer, area.size_bytes + 1), RC_TOO_LONG);
    assert_int_equal(flash_sim_count(FLASH_ERASE), 0);
    slot_writer_hold_head(&writer, HEAD);
    enum rc rc = RC_OK;
    for (unsigned i = 0; rc == RC_OK && i < 5; i++)
        rc = slot_writer_put(&writer, span_bytes(before, BLOCK));
    assert_int_equal(rc, RC_TOO_LONG);
    assert_int_equal(slot_writer_erase(&writer, area.size_bytes), RC_OK);
    assert_neighbours_untouched();
}

static void a_failing_flash_is_told(void **state)
{
    (void)state;
    static const enum flash_op_kind kinds[] = { FLASH_ERASE, FLASH_PROGRAM, FLASH_SYNC };
    setup(NULL);
    assert_int_equal(write_image(), RC_OK);
    for (unsigned k = 0; k < 3; k++) {
        uint64_t count = flash_sim_count(kinds[k]);
        for (uint64_t n = 1; n <= count; n++) {
            setup(NULL);
            flash_sim_fail(kinds[k], n);
            assert_int_equal(write_image(), RC_IO);
        }
        setup(NULL);
        assert_int_equal(write_image(), RC_OK);
    }
}

static void cut(void)
{
    longjmp(power, 1);
}

static void what_begins_is_whole_wherever_the_power_goes(void **state)
{
    (void)state;
    assert_int_equal(write_image(), RC_OK);
    uint64_t operations = flash_sim_operations();
    for (uint64_t n = 0; n < operations; n++)
        for (uint64_t seed = 0; seed < 16; seed++) {
            setup(NULL);
            flash_sim_cut_after(n, seed % 2 != 0, seed, cut);
            if (setjmp(power) == 0) {
                assert_int_equal(write_image(), RC_OK);
                fail_msg("operation %u is never reached", (unsigned)n);
            }
            flash_sim_power_on();
            if (memcmp(slot(), before, IMAGE_MANIFEST_BYTES) == 0)
                assert_memory_equal(slot(), before, area.size_bytes);
            if (memcmp(slot(), image, IMAGE_MANIFEST_BYTES) == 0)
                assert_memory_equal(slot(), image, IMAGE);
            assert_neighbours_untouched();
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
        TEST(an_image_is_written_whole),
        TEST(only_what_is_needed_is_erased),
        TEST(what_lies_behind_the_slot_stays),
        TEST(a_failing_flash_is_told),
        TEST(what_begins_is_whole_wherever_the_power_goes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
