/* A box of two list slots on simulated flash, its list in slot A, for the tests of updates: whole images and deltas. */
#ifndef TESTS_UNIT_FIRMWARE_LIST_SLOTS_H
#define TESTS_UNIT_FIRMWARE_LIST_SLOTS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "firmware/alerts.h"
#include "firmware/list_update.h"
#include "firmware/trust_store.h"
#include "tests/support/flash_sim.h"
#include "tests/support/list_box.h"
#include "tests/support/list_image.h"
#include "tests/support/signing.h"

#define BLOCK 4096
#define SETTINGS_BYTES (8 * BLOCK)
#define SLOT_BYTES (5 * BLOCK)
#define OLD 1600000001
#define NEW 1600086401

static struct byte_buffer old, new;
static uint32_t ticket;

static const struct flash_map map = LIST_BOX_MAP(SETTINGS_BYTES, SLOT_BYTES);

static inline void boot(void)
{
    list_box_boot(&map);
}

static inline int set_up(void **state)
{
    (void)state;
    flash_sim_init(SETTINGS_BYTES + 2 * SLOT_BYTES, BLOCK, 4);
    task_set_poll(flash_poll);
    list_image_make(&old, OLD, 60, 0);
    list_image_make(&new, NEW, 200, 7);
    flash_sim_poke(map.list[0].addr, old.p, old.len);
    boot();
    assert_int_equal(list_store_slot(), 'A');
    return 0;
}

static inline int tear_down(void **state)
{
    (void)state;
    list_update_abandon(ticket, NULL);
    byte_buffer_free(&old);
    byte_buffer_free(&new);
    assert_string_equal(flash_sim_violation(), "");
    flash_sim_free();
    return 0;
}

static inline void begin(void)
{
    assert_int_equal(list_update_begin("serial", &ticket), RC_OK);
}

static inline enum rc write_range(size_t from, size_t to, size_t step)
{
    enum rc rc = RC_OK;
    for (size_t at = from; rc == RC_OK && at < to; at += step)
        rc = list_update_write(ticket, span_bytes(new.p + at, to - at < step ? to - at : step));
    return rc;
}

static inline void expect_words(const char *part)
{
    if (!strstr(list_update_words(), part))
        fail_msg("the words are \"%s\", without \"%s\"", list_update_words(), part);
}

/* After whatever went wrong: the old list is used, also after a restart, and a good update works. */
static inline void expect_old_then_update(void)
{
    assert_int_equal(list_store_image()->version, OLD);
    boot();
    assert_int_equal(list_store_image()->version, OLD);
    assert_null(alert_text(ALERT_LIST_DAMAGED));
    byte_buffer_free(&new);
    list_image_make(&new, NEW, 200, 7);
    begin();
    assert_int_equal(write_range(0, new.len, 1000), RC_OK);
    assert_int_equal(list_update_finish(ticket), RC_OK);
    assert_int_equal(list_store_image()->version, NEW);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

#endif
