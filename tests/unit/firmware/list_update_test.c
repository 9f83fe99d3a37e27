/* firmware/list_update on simulated flash: whole images and what is wrong with others, one at a time, and what the slots hold afterwards. */
#include "hal/base/bytes.h"
#include "tests/support/tls_pair.h"
#include "tests/unit/firmware/list_slots.h"

static struct list_update_view view;

static void the_new_list_is_used_at_once(void **state)
{
    static const size_t steps[] = { 1, 7, 512, 1024, 100000 };
    (void)state;
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        struct list_entry entry;
        byte_buffer_free(&new);
        list_image_make(&new, NEW + i, 100 + 40 * (unsigned)i, 7);
        begin();
        assert_int_equal(write_range(0, new.len, steps[i]), RC_OK);
        assert_int_equal(list_update_position(ticket), new.len);
        assert_int_equal(list_update_finish(ticket), RC_OK);
        assert_int_equal(list_store_slot(), i % 2 ? 'A' : 'B');
        assert_int_equal(list_store_image()->version, NEW + i);
        assert_int_equal(list_find(list_store_list(), SPAN("d101.example"), &entry), i ? RC_OK : RC_NOT_FOUND);
        assert_int_equal(list_find(list_store_list(), SPAN("d70.example"), &entry), RC_NOT_FOUND);
        assert_memory_equal(flash_sim_bytes() + map.list[1 - i % 2].addr, new.p, new.len);
        list_update_look(&view);
        assert_true(view.good);
        assert_int_equal(view.state, LIST_UPDATE_IDLE);
    }
}

static void origin_outlives_a_restart(void **state)
{
    int64_t when;
    (void)state;
    assert_string_equal(list_update_origin(&when), "");
    begin();
    assert_int_equal(write_range(0, new.len, 512), RC_OK);
    assert_int_equal(list_update_finish(ticket), RC_OK);
    assert_string_equal(list_update_origin(&when), "serial");
    boot();
    assert_int_equal(list_store_slot(), 'B');
    assert_int_equal(list_store_image()->version, NEW);
    assert_string_equal(list_update_origin(&when), "serial");
}

static void a_head_is_judged_before_flash_is_touched(void **state)
{
    (void)state;
    uint64_t before = flash_sim_operations();
    begin();
    assert_int_equal(write_range(0, 1024, 1024), RC_OK);
    list_update_look(&view);
    assert_int_equal(view.state, LIST_UPDATE_WRITING);
    assert_int_equal(view.size_bytes, new.len);
    assert_int_equal(view.version, NEW);
    list_update_abandon(ticket, "thought better of it");
    expect_words("thought better");
    begin();
    assert_int_equal(list_update_write(ticket, span_bytes(old.p, old.len)), RC_REFUSED);
    expect_words("in use already");
    list_update_look(&view);
    assert_true(view.current);
    assert_int_equal(view.state, LIST_UPDATE_IDLE);
    list_image_make(&new, OLD - 1, 5, 0); /* behind the other one */
    begin();
    assert_int_equal(list_update_write(ticket, span_bytes(new.p + new.len - 1024, 100)), RC_CORRUPT);
    assert_int_equal(list_update_write(ticket, span_bytes(new.p, 1)), RC_CANCELLED);
    assert_int_equal(flash_sim_operations(), before);
    expect_old_then_update();
}

static void older_is_refused(void **state)
{
    (void)state;
    byte_buffer_free(&new);
    list_image_make(&new, OLD - 1, 5, 0);
    begin();
    assert_int_equal(write_range(0, new.len, 300), RC_REFUSED);
    expect_words("older");
    expect_old_then_update();
}

static void no_image_and_other_kinds(void **state)
{
    (void)state;
    begin();
    assert_int_equal(list_update_write(ticket, SPAN("<html>")), RC_OK); /* may be anything yet */
    for (unsigned i = 0; i < 8; i++)
        assert_int_equal(list_update_write(ticket, SPAN("404 Not")), RC_OK);
    assert_int_equal(list_update_write(ticket, SPAN("found")), RC_CORRUPT);
    expect_words("not an image");
    new.p[6] = IMAGE_FIRMWARE;
    begin();
    assert_int_equal(write_range(0, new.len, 4096), RC_CORRUPT); /* its CRC tells */
    expect_words("damaged");
    expect_old_then_update();
}

/* A head says how long it is, and is believed only where it can be right: it is held in RAM. */
static void heads_that_cannot_be(void **state)
{
    static const struct {
        const char *magic;
        enum image_kind kind;
        uint64_t whole;
        uint32_t sections, room;
    } cases[] = {
        { "PIMH", IMAGE_LIST, 4096, 1, IMAGE_SIGNATURE_HEAD_BYTES },
        { "PIMG", IMAGE_LIST, 4096, IMAGE_SECTIONS_MAX + 1, IMAGE_SIGNATURE_HEAD_BYTES },
        { "PIMG", IMAGE_LIST, 4096, UINT32_MAX, IMAGE_SIGNATURE_HEAD_BYTES },
        { "PIMG", IMAGE_LIST, 4096, UINT32_MAX / IMAGE_SECTION_BYTES + 1, 0 },
        { "PIMG", IMAGE_DELTA, 4096, 1, IMAGE_SIGNATURE_ROOM_MAX + 1 },
        { "PIMG", IMAGE_DELTA, UINT64_MAX, 1, UINT32_MAX },
        { "PIMG", IMAGE_LIST, IMAGE_MANIFEST_BYTES - 1, 1, IMAGE_SIGNATURE_HEAD_BYTES },
        { "PIMG", IMAGE_LIST, 0, 1, IMAGE_SIGNATURE_HEAD_BYTES },
        { "PIMG", IMAGE_KEYRING, TRUST_KEYRING_IMAGE_MAX + 1, 1, IMAGE_SIGNATURE_HEAD_BYTES },
        { "PIMG", IMAGE_KEYRING, UINT64_MAX, 1, IMAGE_SIGNATURE_HEAD_BYTES },
        { "PIMG", IMAGE_KEYRING, (UINT64_C(1) << 32) + 100, 1, IMAGE_SIGNATURE_HEAD_BYTES },
        { "PIMG", IMAGE_KEYRING, IMAGE_MANIFEST_BYTES - 1, 1, IMAGE_SIGNATURE_HEAD_BYTES },
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint8_t head[IMAGE_MANIFEST_BYTES];
        memcpy(head, new.p, sizeof head);
        memcpy(head, cases[i].magic, 4);
        put_le16(head + 6, (uint16_t)cases[i].kind);
        put_le64(head + 48, cases[i].whole);
        put_le32(head + 56, cases[i].sections);
        put_le32(head + 60, cases[i].room);
        begin();
        assert_int_equal(list_update_write(ticket, span_bytes(head, sizeof head)), RC_CORRUPT);
        expect_words("this is not an image");
    }
    expect_old_then_update();
}

/* The head ends where no unit of the flash does, and all sections are of a later kind. */
static void heads_of_any_length(void **state)
{
    struct image_source_section sections[IMAGE_SECTIONS_MAX];
    (void)state;
    for (unsigned n = 1; n <= IMAGE_SECTIONS_MAX; n++) {
        sections[n - 1] = (struct image_source_section){ (enum image_section)(100 + n),
                                                         SPAN("what is not known is kept as it is") };
        const struct image_source s = { .kind = IMAGE_LIST,
                                        .board = "any",
                                        .version = NEW + n,
                                        .created = NEW,
                                        .sections = sections,
                                        .count = n,
                                        .signatures = n };
        byte_buffer_free(&new);
        signing_image(&s, (const unsigned[]){ LIST_A, 0 }, &new);
        begin();
        assert_int_equal(write_range(0, new.len, 100), RC_OK);
        assert_int_equal(list_update_finish(ticket), RC_OK);
        assert_memory_equal(flash_sim_bytes() + map.list[n % 2].addr, new.p, new.len);
        assert_null(list_store_list());
        assert_int_equal(list_store_roots(), 0);
        assert_null(list_store_anchors());
    }
}

static void too_large_for_the_slot(void **state)
{
    (void)state;
    byte_buffer_free(&new);
    list_image_make(&new, NEW, 9000, 0);
    assert_true(new.len > SLOT_BYTES);
    uint64_t before = flash_sim_operations();
    begin();
    assert_int_equal(write_range(0, new.len, 4096), RC_TOO_LONG);
    expect_words("bytes, its slot 20480");
    assert_int_equal(flash_sim_operations(), before);
    assert_int_equal(list_update_begin("page", &ticket), RC_OK);
    assert_int_equal(list_update_prepare(ticket, SLOT_BYTES + 1), RC_TOO_LONG);
    list_update_abandon(ticket, NULL);
    expect_old_then_update();
}

static void every_section_counts(void **state)
{
    (void)state;
    const size_t places[] = { 1100, new.len / 2, new.len - 1 };
    for (size_t i = 0; i < 3; i++) {
        new.p[places[i]] ^= 0x10;
        begin();
        assert_int_equal(write_range(0, new.len, 512), RC_OK);
        assert_int_equal(list_update_finish(ticket), RC_CORRUPT);
        assert_int_equal(flash_sim_bytes()[map.list[1].addr], 0xff);
        new.p[places[i]] ^= 0x10;
    }
    expect_old_then_update();
}

static void too_few_and_too_many_bytes(void **state)
{
    (void)state;
    begin();
    assert_int_equal(write_range(0, new.len - 1, 512), RC_OK);
    assert_int_equal(list_update_finish(ticket), RC_INVALID);
    assert_int_equal(write_range(new.len - 1, new.len, 1), RC_OK);
    assert_int_equal(list_update_write(ticket, SPAN("x")), RC_CORRUPT);
    expect_words("more bytes");
    expect_old_then_update();
}

static void one_at_a_time(void **state)
{
    uint32_t other = 0;
    (void)state;
    begin();
    assert_int_equal(write_range(0, new.len / 2, 512), RC_OK);
    assert_int_equal(list_update_begin("page", &other), RC_BUSY);
    assert_int_equal(list_update_write(other, SPAN("x")), RC_CANCELLED);
    assert_int_equal(list_update_finish(ticket + 1), RC_CANCELLED);
    list_update_abandon(ticket + 1, "not mine");
    assert_int_equal(list_update_position(ticket), new.len / 2);
    list_update_note("http://elsewhere", false, "nobody there");
    list_update_look(&view);
    assert_string_equal(view.source, "serial");
    assert_int_equal(write_range(new.len / 2, new.len, 512), RC_OK);
    assert_int_equal(list_update_finish(ticket), RC_OK);
    list_update_note("http://elsewhere", false, "nobody %s", "there");
    expect_words("nobody there");
}

static const struct list *reading;
static uint64_t operations_before;
static unsigned polls;

/* In place of the main loop: somebody reads on for a while, and all that time the flash rests. */
static void poll_and_read(void)
{
    struct list_entry entry;
    flash_poll();
    pair_now_us += 1000;
    if (!reading)
        return;
    assert_int_equal(flash_sim_operations(), operations_before);
    assert_int_equal(list_find(reading, SPAN("d0.example"), &entry), RC_OK);
    if (++polls == 100) {
        list_store_give(reading);
        reading = NULL;
    }
}

static void a_list_that_is_read_is_not_overwritten(void **state)
{
    (void)state;
    reading = list_store_take();
    const struct list *first = reading;
    operations_before = 0;
    reading = NULL;
    begin();
    assert_int_equal(write_range(0, new.len, 512), RC_OK);
    assert_int_equal(list_update_finish(ticket), RC_OK);
    byte_buffer_free(&new);
    list_image_make(&new, NEW + 1, 5, 0);
    reading = first; /* of the slot that is the spare one now: it has d0.example, the one in use has not */
    operations_before = flash_sim_operations();
    polls = 0;
    task_set_poll(poll_and_read);
    begin();
    assert_true(list_store_spare_taken());
    assert_int_equal(write_range(0, new.len, 512), RC_OK);
    assert_int_equal(polls, 100);
    assert_false(list_store_spare_taken());
    assert_int_equal(list_update_finish(ticket), RC_OK);
}

static void who_reads_for_ever_holds_an_update_off(void **state)
{
    (void)state;
    begin();
    assert_int_equal(write_range(0, new.len, 512), RC_OK);
    const struct list *held = list_store_take();
    assert_int_equal(list_update_finish(ticket), RC_OK);
    byte_buffer_free(&new);
    list_image_make(&new, NEW + 1, 5, 0);
    task_set_poll(poll_and_read); /* the clock goes on, and nobody gives the list back */
    begin();
    assert_int_equal(write_range(0, new.len, 512), RC_BUSY);
    expect_words("still being read");
    list_store_give(held);
    begin();
    assert_int_equal(write_range(0, new.len, 512), RC_OK);
    assert_int_equal(list_update_finish(ticket), RC_OK);
}

static void who_rests_gives_way(void **state)
{
    uint32_t other;
    (void)state;
    begin();
    assert_int_equal(write_range(0, new.len / 2, 512), RC_OK);
    pair_now_us += (LIST_UPDATE_IDLE_MS - 1) * 1000ull;
    assert_int_equal(list_update_begin("page", &other), RC_BUSY);
    pair_now_us += 1000;
    assert_int_equal(list_update_begin("page", &other), RC_OK);
    assert_int_equal(list_update_position(ticket), 0);
    assert_int_equal(list_update_write(ticket, SPAN("x")), RC_CANCELLED);
    assert_int_equal(list_update_finish(ticket), RC_CANCELLED);
    ticket = other;
    assert_int_equal(write_range(0, new.len, 512), RC_OK);
    assert_int_equal(list_update_finish(ticket), RC_OK);
}

/* Whichever operation fails: the list in use stays, also when the slots are judged again before a restart. */
static void flash_that_fails_is_told(void **state)
{
    static const enum flash_op_kind kinds[] = { FLASH_ERASE, FLASH_PROGRAM, FLASH_SYNC };
    (void)state;
    uint64_t in_use = OLD;
    for (unsigned k = 0; k < 3; k++) {
        byte_buffer_free(&new);
        list_image_make(&new, NEW + k, 200, 7);
        enum rc rc = RC_IO;
        for (unsigned n = 1; rc != RC_OK; n++) {
            begin();
            flash_sim_fail(kinds[k], n);
            rc = write_range(0, new.len, 512);
            if (rc == RC_OK)
                rc = list_update_finish(ticket);
            flash_sim_fail(kinds[k], 0);
            if (rc == RC_OK) {
                in_use = NEW + k;
                assert_true(n > 1);
            } else {
                assert_int_equal(rc, RC_IO);
                expect_words("flash");
                list_store_judge_again();
            }
            assert_int_equal(list_store_image()->version, in_use);
        }
    }
    boot();
    assert_int_equal(list_store_image()->version, in_use);
}

static void nothing_waits_once_prepared(void **state)
{
    (void)state;
    begin();
    assert_int_equal(list_update_prepare(ticket, new.len), RC_OK);
    uint64_t erases = flash_sim_count(FLASH_ERASE);
    assert_int_equal(write_range(0, new.len, 72), RC_OK);
    assert_int_equal(flash_sim_count(FLASH_ERASE), erases);
    assert_int_equal(list_update_finish(ticket), RC_OK);
}

static const char *runs_soon(void)
{
    return NULL;
}

static void fetching_is_asked_for(void **state)
{
    (void)state;
    assert_non_null(list_update_fetch());
    list_update_set_fetch(runs_soon);
    assert_null(list_update_fetch());
    list_update_set_fetch(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_new_list_is_used_at_once),
        TEST(origin_outlives_a_restart),
        TEST(a_head_is_judged_before_flash_is_touched),
        TEST(older_is_refused),
        TEST(no_image_and_other_kinds),
        TEST(heads_that_cannot_be),
        TEST(heads_of_any_length),
        TEST(too_large_for_the_slot),
        TEST(every_section_counts),
        TEST(too_few_and_too_many_bytes),
        TEST(one_at_a_time),
        TEST(a_list_that_is_read_is_not_overwritten),
        TEST(who_reads_for_ever_holds_an_update_off),
        TEST(who_rests_gives_way),
        TEST(flash_that_fails_is_told),
        TEST(nothing_waits_once_prepared),
        TEST(fetching_is_asked_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
