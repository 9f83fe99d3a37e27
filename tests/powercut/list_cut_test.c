/* The list slots under power cuts: two updates in a row, a whole image into slot B and a delta into slot A, are cut before or in the middle of
 * every flash operation, with any subset of the operations not yet synced lost; then the box boots, its next update is cut as well, at a
 * moment that wanders, and it boots once more. After each boot one of the lists that were good is active and whole, never older than what was
 * acknowledged, and the update that follows works.
 *
 * POWERCUT_LONG=1: 40 seeds for each operation, and every moment of the second cut; else two and one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "firmware/alerts.h"
#include "firmware/list_update.h"
#include "firmware/settings_log.h"
#include "firmware/trust_store.h"
#include "tests/support/flash_sim.h"
#include "tests/support/list_box.h"
#include "tests/support/list_image.h"
#include "tests/support/signing.h"
#include "toolchain/tools/common/delta_writer.h"

#define BLOCK 1024
#define SETTINGS_BYTES (16 * BLOCK)
#define SLOT_BYTES (5 * BLOCK)
#define IMAGES 4 /* active at first; the whole image; what the delta makes; the one after the cut */

static const struct flash_map map = LIST_BOX_MAP(SETTINGS_BYTES, SLOT_BYTES);
static struct byte_buffer image[IMAGES], delta;
static jmp_buf cut_jump;
static unsigned acknowledged; /* the image that was said to be in use */
static unsigned cuts, cuts_again;

static void on_cut(void)
{
    longjmp(cut_jump, 1);
}

static void make_images(void)
{
    static const unsigned domains[IMAGES] = { 300, 340, 360, 320 };
    for (unsigned i = 0; i < IMAGES; i++)
        list_image_make(&image[i], 1600000000 + i, domains[i], i);
    assert_int_equal(delta_image_write(byte_buffer_span(&image[1]), byte_buffer_span(&image[2]), &delta), RC_OK);
    signing_add(LIST_A, &delta);
    assert_in_range(image[2].len, 3 * BLOCK, SLOT_BYTES);
}

static void boot(void)
{
    list_box_boot(&map);
}

static void update(const struct byte_buffer *bytes, unsigned makes)
{
    uint32_t ticket;
    assert_int_equal(list_update_begin("serial", &ticket), RC_OK);
    for (size_t at = 0; at < bytes->len; at += 1000)
        assert_int_equal(list_update_write(ticket, span_sub(byte_buffer_span(bytes), at, 1000)), RC_OK);
    assert_int_equal(list_update_finish(ticket), RC_OK);
    acknowledged = makes;
}

static void start_day(void)
{
    flash_sim_init(SETTINGS_BYTES + 2 * SLOT_BYTES, BLOCK, 32);
    flash_sim_poke(map.list[0].addr, image[0].p, image[0].len);
    acknowledged = 0;
    boot();
}

static void day(void)
{
    update(&image[1], 1);
    update(&delta, 2);
}

/* The active list is one of the images, whole, and at least the acknowledged one. Which. */
static unsigned check_active(const char *when, uint64_t at, bool torn, uint64_t seed)
{
    const struct image *active = list_store_image();
    if (!active || !list_store_list() || list_store_roots() == 0 || alert_text(ALERT_LIST_NONE))
        fail_msg("%s %lu torn %d seed %lu: no list is active", when, (unsigned long)at, torn, (unsigned long)seed);
    unsigned which = (unsigned)(active->version - 1600000000);
    if (which >= IMAGES || which < acknowledged)
        fail_msg("%s %lu torn %d seed %lu: image %u is active, %u was acknowledged", when, (unsigned long)at, torn,
                 (unsigned long)seed, which, acknowledged);
    const uint8_t *slot = flash_sim_bytes() + map.list[list_store_slot() - 'A'].addr;
    if (memcmp(slot, image[which].p, image[which].len) != 0)
        fail_msg("%s %lu torn %d seed %lu: image %u differs from what was sent", when, (unsigned long)at, torn, (unsigned long)seed,
                 which);
    return which;
}

/* Boots what is left; the next update is cut after `again` operations; boots; the next update goes through. */
static void recover(uint64_t at, bool torn, uint64_t seed, uint64_t again)
{
    flash_sim_power_on();
    boot();
    acknowledged = check_active("cut at", at, torn, seed);
    if (!torn && alert_text(ALERT_LIST_DAMAGED))
        fail_msg("cut at %lu seed %lu: the spare slot is damaged", (unsigned long)at, (unsigned long)seed);
    if (setjmp(cut_jump) == 0) {
        flash_sim_cut_after(again, again % 2, seed, on_cut);
        update(&image[3], 3);
        flash_sim_cut_now(seed);
    } else {
        cuts_again++;
    }
    flash_sim_power_on();
    boot();
    unsigned now = check_active("cut again after cut at", at, torn, seed);
    if (now != 3)
        update(&image[3], 3);
    boot();
    assert_int_equal(check_active("mended after cut at", at, torn, seed), 3);
    assert_null(alert_text(ALERT_LIST_DAMAGED));
    if (flash_sim_violations() > 0)
        fail_msg("cut at %lu: %s", (unsigned long)at, flash_sim_violation());
}

static void one_cut(uint64_t at, bool torn, uint64_t seed, uint64_t again)
{
    start_day();
    if (setjmp(cut_jump) == 0) {
        flash_sim_cut_after(at, torn, seed, on_cut);
        day();
        flash_sim_cut_now(seed);
    }
    cuts++;
    recover(at, torn, seed, again);
}

static void every_operation(void **state)
{
    const char *wanted = getenv("POWERCUT_LONG");
    bool all = wanted != NULL && wanted[0] == '1';
    (void)state;
    task_set_poll(flash_poll);
    make_images();
    start_day();
    uint64_t before = flash_sim_operations();
    day();
    uint64_t operations = flash_sim_operations() - before;
    update(&image[3], 3);
    uint64_t next_operations = flash_sim_operations() - before - operations;
    for (uint64_t at = 0; at <= operations; at++)
        for (unsigned torn = 0; torn < 2; torn++)
            for (uint64_t seed = 0; seed < (all ? 40u : 2u); seed++)
                one_cut(at, torn != 0, all || seed == 0 ? seed : 1 + cuts % 9, cuts % (next_operations + 1));
    for (uint64_t again = 0; all && again <= next_operations; again++)
        for (uint64_t at = 0; at <= operations; at++)
            one_cut(at, at % 3 != 0, at + again, again);
    print_message("list slots: %u cut points of %lu operations, %u cut again in the next update\n", cuts, (unsigned long)operations,
                  cuts_again);
    for (unsigned i = 0; i < IMAGES; i++)
        byte_buffer_free(&image[i]);
    byte_buffer_free(&delta);
    flash_sim_free();
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(every_operation) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
