/* The spool on failing flash: programs, erases and syncs that fail, flipped bits, a format of the future. */
#include "firmware/spool_internal.h"
#include "hal/base/bytes.h"
#include "hal/base/crc32.h"
#include "tests/unit/firmware/spool_mail.h"

static void a_failed_program_moves_on(void **state)
{
    (void)state;
    uint32_t before = must_put(1, 1, 3000);
    flash_sim_fail(FLASH_PROGRAM, 3);
    uint32_t id = must_put(2, 1, 20000);
    check_message(before, 1, 1, 3000);
    check_message(id, 2, 1, 20000);
    struct spool_info info;
    spool_info(&info);
    assert_int_equal(info.blocks_bad, 1);
    reboot(0);
    check_message(before, 1, 1, 3000);
    check_message(id, 2, 1, 20000);
    spool_info(&info);
    assert_int_equal(info.blocks_bad, 1);
    assert_int_equal(info.messages, 2);
    settle(before, 1);
    settle(id, 1);
}

/* Among them the one that takes a part of a BODY record to a segment's end: what is written again is all of it. */
static void a_program_that_fails_loses_no_byte(void **state)
{
    (void)state;
    for (uint64_t nth = 1; nth <= 12; nth++) {
        flash_sim_init(SEGMENTS * SEGMENT, BLOCK, 32);
        boot();
        uint32_t before = must_put(1, 1, 20000);
        flash_sim_fail(FLASH_PROGRAM, nth);
        uint32_t id = must_put(2, 1, 30000);
        for (unsigned boots = 0; boots < 2; boots++) {
            check_message(before, 1, 1, 20000);
            check_message(id, 2, 1, 30000);
            reboot(0);
        }
    }
}

static void a_failed_sync_is_no_commit(void **state)
{
    (void)state;
    must_put(1, 1, 100);
    uint32_t id;
    flash_sim_fail(FLASH_SYNC, 1);
    assert_int_equal(put(2, 1, 5000, &id), RC_IO);
    struct spool_info info;
    spool_info(&info);
    assert_int_equal(info.messages, 1);
    reboot(1);
    spool_info(&info);
    assert_int_equal(info.messages, 1);
    uint32_t other = must_put(3, 1, 100);
    flash_sim_fail(FLASH_SYNC, 1);
    assert_int_equal(spool_outcome(other, 0, SPOOL_DELIVERED, 250, (uint8_t[]){ 2, 0, 0 }, SPAN("x"), 1), RC_IO);
    struct spool_entry e;
    assert_true(spool_lookup(other, &e) && e.waiting == 1);
    settle(other, 1);
}

static void a_failed_erase_loses_one_segment(void **state)
{
    (void)state;
    flash_sim_fail(FLASH_ERASE, 2);
    for (uint32_t i = 0; i < 40; i++)
        settle(must_put(i, 1, 25000), 1);
    idle();
    struct spool_info info;
    spool_info(&info);
    assert_int_equal(info.blocks_bad, 1);
    reboot(0);
    spool_info(&info);
    assert_int_equal(info.blocks_bad, 1);
}

/* --- a block that takes nothing any more --- */

static void a_half_written_record_hides_no_whole_one(void **state)
{
    (void)state;
    for (uint64_t nth = 1; nth <= 6; nth++) {
        flash_sim_init(SEGMENTS * SEGMENT, BLOCK, 32);
        boot();
        uint32_t before = must_put(1, 1, 3000);
        flash_sim_failures_last(true);
        flash_sim_fail(FLASH_PROGRAM, nth);
        uint32_t id = must_put(2, 2, 20000);
        reboot(0);
        check_message(before, 1, 1, 3000);
        check_message(id, 2, 2, 20000);
        settle(before, 1);
        settle(id, 2);
        reboot(0);
        struct spool_entry e;
        assert_false(spool_next(0, &e));
    }
}

static void a_worthless_record_that_stays_costs_no_mail(void **state)
{
    (void)state;
    static const uint8_t later[3] = { 4, 2, 0 };
    uint32_t id = must_put(1, 1, 100);
    assert_int_equal(spool_outcome(id, 0, SPOOL_WAITING, 451, later, SPAN("what the server said at first"), 7), RC_OK);
    flash_sim_failures_last(true);
    flash_sim_fail(FLASH_PROGRAM, 2); /* the zeros over that */
    assert_int_equal(spool_outcome(id, 0, SPOOL_WAITING, 452, later, SPAN("and then"), 8), RC_OK);
    reboot(1);
    struct spool_recipient r;
    assert_int_equal(spool_read_recipient(id, 0, &r), RC_OK);
    assert_string_equal(r.text, "and then");
    check_message(id, 1, 1, 100);
}

static unsigned worn_with_mail(void)
{
    unsigned n = 0;
    for (unsigned i = 0; i < spool.segments; i++)
        n += spool.segment[i].state == SEGMENT_USED && spool.segment[i].worn && spool.segment[i].live_bytes > 0;
    return n;
}

static void a_worn_segment_is_emptied(void **state)
{
    (void)state;
    uint32_t before = must_put(1, 1, 12000);
    flash_sim_fail(FLASH_PROGRAM, 3);
    uint32_t id = must_put(2, 1, 20000);
    idle();
    assert_int_equal(worn_with_mail(), 0);
    for (unsigned boots = 0; boots < 2; boots++) {
        struct spool_info info;
        spool_info(&info);
        assert_int_equal(info.blocks_bad, 1);
        assert_int_equal(info.messages, 2);
        check_message(before, 1, 1, 12000);
        check_message(id, 2, 1, 20000);
        reboot(0);
    }
}

static void a_worn_segment_that_keeps_its_mail_is_read_on(void **state)
{
    (void)state;
    uint32_t before = must_put(1, 1, 2000);
    flash_sim_failures_last(true);
    flash_sim_fail(FLASH_PROGRAM, 1); /* in the block of the segment's headers */
    uint32_t id = must_put(2, 1, 1500);
    idle();
    assert_int_equal(worn_with_mail(), 1);
    assert_null(spool_unsound(false)); /* what failed does not count as living there */
    for (unsigned boots = 0; boots < 2; boots++) {
        check_message(before, 1, 1, 2000);
        check_message(id, 2, 1, 1500);
        reboot(0);
    }
    settle(before, 1);
    settle(id, 1);
    struct spool_entry e;
    for (unsigned boots = 0; boots < 2; boots++) {
        assert_false(spool_next(0, &e));
        reboot(0);
    }
}

/* A segment that is compacted and does not let go of its headers: both its records and their copies can be found. */
static void a_compaction_that_fails_brings_nothing_back(void **state)
{
    (void)state;
    for (uint64_t nth = 1; nth <= 12; nth++) {
        uint32_t id[12];
        flash_sim_init(SEGMENTS * SEGMENT, BLOCK, 32);
        boot();
        for (uint32_t i = 0; i < 12; i++)
            id[i] = must_put(i, 1, i % 2 ? 3000 : 22000);
        for (uint32_t i = 0; i < 12; i += 2)
            settle(id[i], 1);
        idle();
        flash_sim_fail(FLASH_PROGRAM, nth);
        if (spool_make_room(ROOM_SYSTEM) == RC_FULL)
            fail_msg("nothing was compacted");
        for (uint32_t i = 1; i < 12; i += 2) {
            check_message(id[i], i, 1, 3000);
            settle(id[i], 1);
        }
        idle();
        struct spool_entry e;
        for (unsigned boots = 0; boots < 2; boots++) {
            reboot(0);
            if (spool_next(0, &e))
                fail_msg("program %u failed: id %u is back", (unsigned)nth, (unsigned)e.id);
        }
    }
}

/* The first byte of a text in the flash, flipped. */
static void damage(const char *text, size_t offset)
{
    for (size_t i = 0; i < SEGMENTS * SEGMENT; i++)
        if (memcmp(flash_sim_bytes() + i, text, strlen(text)) == 0) {
            uint8_t byte = flash_sim_bytes()[i + offset] ^ 0x04;
            flash_sim_poke(i + offset, &byte, 1);
            return;
        }
    fail_msg("not in the flash: %s", text);
}

static void damage_sets_one_mail_aside(void **state)
{
    (void)state;
    uint32_t a = must_put(1, 1, 9000), b = must_put(2, 1, 9000), c = must_put(3, 1, 9000);
    uint8_t needle[33] = { 0 };
    for (size_t i = 0; i < 32; i++)
        needle[i] = body_byte(2, 5000 + i);
    damage((const char *)needle, 3);
    check_message(a, 1, 1, 9000);
    check_message(c, 3, 1, 9000);
    struct spool_reader r;
    struct spool_entry e;
    uint8_t buf[512];
    size_t got = 1;
    enum rc rc = spool_body_open(&r, b);
    while (rc == RC_OK && got > 0)
        rc = spool_body_read(&r, buf, sizeof buf, &got);
    assert_int_equal(rc, RC_CORRUPT);
    assert_true(spool_lookup(b, &e) && e.damaged);
    reboot(0);
    assert_true(spool_lookup(b, &e) && e.damaged);
    check_message(c, 3, 1, 9000);
    unsigned taken = 0;
    while (spool_take_due(1, &e)) {
        assert_true(e.id != b);
        taken++;
    }
    assert_int_equal(taken, 2);
    assert_int_equal(spool_settle(b), RC_OK); /* the operator's drop */
    assert_false(spool_lookup(b, &e));
}

/* Every single bit of the headers and payloads of a small mail between two others. */
static void any_flipped_bit_harms_one_mail_at_most(void **state)
{
    (void)state;
    uint32_t a = must_put(1, 1, 200), b = must_put(2, 1, 200), c = must_put(3, 1, 200);
    must_put(4, 1, 200); /* so that the sync after c is seen on flash */
    must_put(5, 1, 200);
    must_put(6, 1, 200);
    idle();
    static uint8_t image[SEGMENTS * SEGMENT];
    memcpy(image, flash_sim_bytes(), sizeof image);
    size_t from = 0, to = 0;
    for (size_t i = 0; i + 9 <= sizeof image; i++) {
        if (memcmp(image + i, "sender-2@", 9) == 0)
            from = i - 72;
        if (memcmp(image + i, "sender-3@", 9) == 0)
            to = i - 72;
    }
    assert_true(from > 0 && to > from);
    for (size_t at = from; at < to; at += 3) {
        flash_sim_poke(0, image, sizeof image);
        uint8_t byte = image[at] ^ (uint8_t)(1 << at % 8);
        flash_sim_poke(at, &byte, 1);
        reboot(0);
        check_message(a, 1, 1, 200);
        check_message(c, 3, 1, 200);
        struct spool_entry e;
        assert_true(spool_lookup(b, &e)); /* whole or damaged, but never silently lost */
    }
}

/* A header whose magic says version 2, with its CRC, in the first segment. */
static void assert_left_alone(uint64_t at, const char magic[4])
{
    uint8_t header[32] = { 0 };
    static uint8_t image[SEGMENTS * SEGMENT];
    memcpy(header, magic, 4);
    put_le32(header + 28, crc32_update(0, header, 28));
    must_put(1, 1, 200);
    idle();
    flash_sim_poke(at, header, sizeof header);
    memcpy(image, flash_sim_bytes(), sizeof image);
    assert_int_equal(spool_open(0, SEGMENTS * SEGMENT), RC_UNSUPPORTED);
    assert_memory_equal(image, flash_sim_bytes(), sizeof image);
    struct spool_entry e;
    uint32_t id;
    assert_false(spool_next(0, &e));
    assert_int_equal(put(2, 1, 200, &id), RC_FULL);
    flash_sim_init(SEGMENTS * SEGMENT, BLOCK, 32);
    boot();
}

static void a_later_format_is_left_alone(void **state)
{
    (void)state;
    assert_left_alone(0, "PSw\x02");
    assert_left_alone(32, "PSo\x02");
}

/* The start of a segment that has been opened, in the flash. */
static size_t opened_segment(void)
{
    size_t at = 0;
    while (memcmp(flash_sim_bytes() + at + 32, "PSo", 3) != 0)
        assert_in_range(at += SEGMENT, 0, (SEGMENTS - 1) * SEGMENT);
    return at;
}

static void a_damaged_opening_has_a_copy(void **state)
{
    (void)state;
    for (unsigned copy = 0; copy < 2; copy++) {
        uint32_t id = must_put(1, 1, 9000);
        idle();
        size_t at = opened_segment() + 32 * (1 + copy);
        for (size_t i = 0; i < 32; i += 3) {
            uint8_t was = flash_sim_bytes()[at + i], byte = was ^ 0x10;
            flash_sim_poke(at + i, &byte, 1);
            reboot(0);
            check_message(id, 1, 1, 9000);
            flash_sim_poke(at + i, &was, 1);
        }
        flash_sim_init(SEGMENTS * SEGMENT, BLOCK, 32);
        boot();
    }
}

static void an_unreadable_segment_leaves_the_others(void **state)
{
    (void)state;
    uint32_t id[6];
    for (uint32_t i = 0; i < 6; i++)
        id[i] = must_put(i, 1, 30000);
    idle();
    struct spool_info info;
    size_t at = 0; /* the segment that ends the second mail and begins the third */
    while (memcmp(flash_sim_bytes() + at, "sender-2@", 9) != 0)
        at++;
    flash_sim_fail_reads(at / SEGMENT * SEGMENT, SEGMENT);
    reboot(0);
    spool_info(&info);
    assert_int_equal(info.blocks_bad, 1);
    unsigned whole = 0;
    for (uint32_t i = 0; i < 6; i++) {
        struct spool_reader r;
        uint8_t buf[512];
        size_t got = 1;
        enum rc rc = spool_body_open(&r, id[i]);
        while (rc == RC_OK && got > 0)
            rc = spool_body_read(&r, buf, sizeof buf, &got);
        whole += rc == RC_OK;
    }
    assert_in_range(whole, 4, 5);
    assert_true(must_put(9, 1, 100) > id[5]);
    flash_sim_fail_reads(0, 0);
    reboot(0);
    for (uint32_t i = 0; i < 6; i++) { /* a part elsewhere of one that could not be read whole must not have been taken for cut */
        struct spool_entry e;
        assert_true(spool_find(id[i], &e));
        check_body(id[i], i, 30000);
    }
}

static void nor_does_the_newest_one_lose_its_numbers(void **state)
{
    (void)state;
    uint32_t id[6], later[6];
    for (uint32_t i = 0; i < 6; i++)
        id[i] = must_put(i, 1, 15000);
    idle();
    size_t at = 0;
    while (memcmp(flash_sim_bytes() + at, "sender-5@", 9) != 0)
        at++;
    flash_sim_fail_reads(at / SEGMENT * SEGMENT, SEGMENT);
    reboot(0);
    for (uint32_t i = 0; i < 6; i++)
        later[i] = must_put(6 + i, 1, 15000);
    assert_true(later[0] > id[5]);
    flash_sim_fail_reads(0, 0);
    reboot(0);
    for (uint32_t i = 0; i < 6; i++) {
        struct spool_entry e;
        assert_true(spool_find(id[i], &e) && spool_find(later[i], &e));
        check_body(id[i], i, 15000);
        check_body(later[i], 6 + i, 15000);
    }
}

/* Where that text's unit begins, in the flash. */
static size_t unit_of(const char *text)
{
    size_t at = 0;
    while (memcmp(flash_sim_bytes() + at, text, strlen(text)) != 0)
        at++;
    return at / 32 * 32;
}

static void assert_kept_though_unread(uint32_t id, uint32_t bytes, size_t at, size_t len)
{
    struct spool_entry e;
    flash_sim_fail_reads(at, len);
    reboot(0);
    flash_sim_fail_reads(0, 0);
    reboot(0);
    if (!spool_find(id, &e))
        fail_msg("lost by a read error of %u bytes at %u", (unsigned)len, (unsigned)at);
    check_body(id, 0, bytes);
}

/* Of the last moments, where a COMMIT without all of its message, or a message without, is what a cut leaves. */
static void what_cannot_be_read_of_the_newest_mail_is_no_cut(void **state)
{
    (void)state;
    uint32_t id = must_put(0, 1, 300);
    size_t from = unit_of("sender-0@") - 64, to = from;
    while (flash_sim_bytes()[to] != 0xff)
        to += 32;
    assert_in_range(to - from, 500, 1000);
    for (size_t at = from; at < to; at += 32)
        assert_kept_though_unread(id, 300, at, 32);
    flash_sim_init(SEGMENTS * SEGMENT, BLOCK, 32);
    boot();
    id = must_put(0, 1, SEGMENT + 1000);
    assert_kept_though_unread(id, SEGMENT + 1000, unit_of("sender-0@") / SEGMENT * SEGMENT, SEGMENT);
}

static void a_flash_that_is_too_small_is_refused(void **state)
{
    (void)state;
    assert_int_equal(spool_open(0, 5 * BLOCK), RC_INVALID);
    uint32_t id;
    assert_int_equal(put(1, 1, 10, &id), RC_FULL);
    boot();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
        TEST(a_failed_program_moves_on),
        TEST(a_program_that_fails_loses_no_byte),
        TEST(a_failed_sync_is_no_commit),
        TEST(a_failed_erase_loses_one_segment),
        TEST(a_half_written_record_hides_no_whole_one),
        TEST(a_worthless_record_that_stays_costs_no_mail),
        TEST(a_worn_segment_is_emptied),
        TEST(a_worn_segment_that_keeps_its_mail_is_read_on),
        TEST(a_compaction_that_fails_brings_nothing_back),
        TEST(damage_sets_one_mail_aside),
        TEST(any_flipped_bit_harms_one_mail_at_most),
        TEST(a_later_format_is_left_alone),
        TEST(a_damaged_opening_has_a_copy),
        TEST(an_unreadable_segment_leaves_the_others),
        TEST(nor_does_the_newest_one_lose_its_numbers),
        TEST(what_cannot_be_read_of_the_newest_mail_is_no_cut),
        TEST(a_flash_that_is_too_small_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
