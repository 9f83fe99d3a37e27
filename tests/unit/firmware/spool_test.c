/* The spool on simulated flash: writing, reading, outcomes, settling, room, compaction, wear. Cuts: tests/powercut. */
#include "firmware/spool_internal.h"
#include "tests/unit/firmware/spool_mail.h"

static void small_mail_is_one_program_and_one_sync(void **state)
{
    (void)state;
    must_put(1, 1, 100); /* opens the first segment */
    idle();
    uint64_t programs = flash_sim_count(FLASH_PROGRAM), syncs = flash_sim_count(FLASH_SYNC);
    uint32_t id = must_put(2, 2, 2000);
    assert_int_equal(flash_sim_count(FLASH_PROGRAM) - programs, 1);
    assert_int_equal(flash_sim_count(FLASH_SYNC) - syncs, 1);
    struct spool_info info;
    spool_info(&info);
    assert_int_equal(info.commits, 2);
    check_message(id, 2, 2, 2000);
}

static void sizes_come_back_byte_for_byte(void **state)
{
    (void)state;
    static const size_t sizes[] = { 0, 1, 27, 28, 29, 3500, 4000, 4060, 4096, 5000, 40000, 100000 };
    uint32_t id[12];
    for (unsigned i = 0; i < 12; i++)
        id[i] = must_put(i, 1 + i % 3, sizes[i]);
    for (unsigned i = 0; i < 12; i++)
        check_message(id[i], i, 1 + i % 3, sizes[i]);
    reboot(0);
    for (unsigned i = 0; i < 12; i++)
        check_message(id[i], i, 1 + i % 3, sizes[i]);
}

static void many_recipients(void **state)
{
    (void)state;
    uint32_t id = must_put(3, SPOOL_RECIPIENTS_MAX, 10);
    check_message(id, 3, SPOOL_RECIPIENTS_MAX, 10);
    reboot(0);
    check_message(id, 3, SPOOL_RECIPIENTS_MAX, 10);
    struct spool_writer w;
    assert_int_equal(begin(&w, chunk, 4, SPOOL_RECIPIENTS_MAX, 0), RC_OK);
    struct spool_recipient r = recipient(4, 0);
    assert_int_equal(spool_add_recipient(&w, &r), RC_FULL);
    spool_abort(&w);
}

static void outcomes_are_kept(void **state)
{
    (void)state;
    uint32_t id = must_put(5, 3, 500);
    struct spool_entry e;
    struct spool_recipient r;
    assert_int_equal(spool_outcome(id, 1, SPOOL_WAITING, 451, (uint8_t[]){ 4, 7, 1 }, SPAN("greylisted"), 77), RC_OK);
    assert_int_equal(spool_outcome(id, 0, SPOOL_DELIVERED, 250, (uint8_t[]){ 2, 0, 0 }, SPAN("queued"), 78), RC_OK);
    assert_int_equal(spool_defer(id, 5000, 1), RC_OK);
    assert_int_equal(spool_outcome(id, 0, SPOOL_DELIVERED, 250, (uint8_t[]){ 2, 0, 0 }, SPAN("again"), 78), RC_OK); /* as it is */
    assert_int_equal(spool_outcome(id, 0, SPOOL_BOUNCED, 550, (uint8_t[]){ 5, 0, 0 }, SPAN(""), 79), RC_INVALID);
    assert_int_equal(spool_outcome(id, 3, SPOOL_BOUNCED, 550, (uint8_t[]){ 5, 0, 0 }, SPAN(""), 79), RC_INVALID);
    assert_int_equal(spool_outcome(id + 1, 0, SPOOL_BOUNCED, 550, (uint8_t[]){ 5, 0, 0 }, SPAN(""), 79), RC_NOT_FOUND);
    assert_int_equal(spool_settle(id), RC_BUSY);
    for (unsigned round = 0; round < 2; round++) {
        assert_true(spool_lookup(id, &e));
        assert_int_equal(e.waiting, 2);
        assert_int_equal(e.next_try, 5000);
        assert_int_equal(e.attempts, 1);
        assert_int_equal(spool_read_recipient(id, 0, &r), RC_OK);
        assert_int_equal(r.state, SPOOL_DELIVERED);
        assert_string_equal(r.text, "queued");
        assert_int_equal(r.at, 78);
        assert_int_equal(spool_read_recipient(id, 1, &r), RC_OK);
        assert_int_equal(r.state, SPOOL_WAITING);
        assert_string_equal(r.text, "greylisted");
        assert_memory_equal(r.enhanced, ((uint8_t[]){ 4, 7, 1 }), 3);
        assert_int_equal(spool_read_recipient(id, 2, &r), RC_OK);
        assert_int_equal(r.code, 0);
        reboot(0);
    }
}

#define LARGE_FLASH (4u * 1024 * 1024)

/* Sends a mail to all that still wait, one by one as a worker does that looks ahead for others of the same domain. Every third one stays.
 * Returns the reads. */
static uint64_t send_to_each(uint32_t id, unsigned recipients, unsigned round)
{
    uint64_t reads = flash_sim_reads();
    for (unsigned i = 0; i < recipients; i++) {
        struct spool_recipient r;
        struct spool_reader body;
        uint8_t buf[8];
        size_t got;
        bool stays = i % 3 == 0;
        assert_int_equal(spool_read_address(id, i, &r), RC_OK);
        assert_int_equal(r.state == SPOOL_WAITING, stays || round == 0);
        if (r.state != SPOOL_WAITING)
            continue;
        for (unsigned ahead = i + 1; ahead < recipients && ahead < i + 8; ahead++)
            assert_int_equal(spool_read_address(id, ahead, &r), RC_OK);
        assert_int_equal(spool_body_open(&body, id), RC_OK);
        assert_int_equal(spool_body_read(&body, buf, sizeof buf, &got), RC_OK);
        assert_int_equal(spool_outcome(id, i, stays ? SPOOL_WAITING : SPOOL_DELIVERED, stays ? 451 : 250, (uint8_t[]){ 4, 0, 0 },
                                       SPAN("said"), 7),
                         RC_OK);
    }
    assert_int_equal(spool_defer(id, 10, (uint16_t)(round + 1)), RC_OK);
    return flash_sim_reads() - reads;
}

/* What a worker reads for each recipient of a mail: in its first round, in later ones, and to end it. */
static void reads_a_recipient(unsigned recipients, unsigned reads[3])
{
    uint32_t id = must_put(recipients, recipients, 100);
    idle(); /* the spool's task has looked through what is free */
    for (unsigned round = 0; round < 3; round++)
        reads[round > 0] = (unsigned)(send_to_each(id, recipients, round) / recipients);
    uint64_t before = flash_sim_reads();
    for (unsigned i = 0; i < recipients; i += 3)
        assert_int_equal(spool_outcome(id, i, SPOOL_DROPPED, 0, (uint8_t[]){ 5, 0, 0 }, SPAN(""), 9), RC_OK);
    assert_int_equal(spool_settle(id), RC_OK);
    reads[2] = (unsigned)((flash_sim_reads() - before) / recipients);
}

static void a_recipient_of_a_thousand_costs_what_one_of_a_hundred_does(void **state)
{
    (void)state;
    unsigned of_few[3], of_many[3];
    flash_sim_init(LARGE_FLASH, BLOCK, 32);
    assert_int_equal(spool_open(0, LARGE_FLASH), RC_OK);
    reads_a_recipient(100, of_few);
    reads_a_recipient(SPOOL_RECIPIENTS_MAX, of_many);
    for (unsigned i = 0; i < 3; i++) {
        print_message("reads a recipient: %u of 100, %u of 1000\n", of_few[i], of_many[i]);
        assert_in_range(of_many[i], 1, of_few[i] + 2);
    }
}

static void no_commit_has_more_recipients_than_a_mail_may_have(void **state)
{
    (void)state;
    uint8_t bytes[COMMIT_PAYLOAD_BYTES];
    struct commit_payload c = { .recipients = SPOOL_RECIPIENTS_MAX }, out;
    assert_true(commit_decode(span_bytes(bytes, commit_encode(bytes, &c)), &out));
    c.recipients++;
    assert_false(commit_decode(span_bytes(bytes, commit_encode(bytes, &c)), &out));
}

static void due_in_order(void **state)
{
    (void)state;
    struct spool_entry e;
    uint32_t a = must_put(1, 1, 10), b = must_put(2, 1, 10), c = must_put(3, 1, 10);
    assert_int_equal(spool_defer(a, 300, 1), RC_OK);
    assert_int_equal(spool_defer(b, 200, 1), RC_OK);
    assert_int_equal(spool_hold(c, true), RC_OK);
    assert_false(spool_take_due(199, &e));
    assert_int_equal(spool_next_due(), 200);
    assert_true(spool_take_due(400, &e));
    assert_int_equal(e.id, b);
    assert_true(spool_take_due(400, &e));
    assert_int_equal(e.id, a);
    assert_false(spool_take_due(400, &e));
    assert_int_equal(spool_next_due(), INT64_MAX);
    spool_release(b);
    assert_int_equal(spool_next_due(), 200);
    reboot(0);
    assert_true(spool_lookup(c, &e) && e.held);
    assert_int_equal(spool_hold(c, false), RC_OK);
    assert_true(spool_take_due(0, &e));
    assert_int_equal(e.id, c);
    assert_true(spool_next(0, &e) && e.id == a);
    assert_true(spool_next(c - 1, &e) && e.id == c);
    assert_false(spool_next(c, &e));
}

static void a_settled_mail_is_gone_from_the_flash(void **state)
{
    (void)state;
    uint32_t other = must_put(8, 1, 9000), id = must_put(9, 2, 9000);
    uint8_t needle[33] = { 0 };
    for (size_t i = 0; i < 32; i++)
        needle[i] = body_byte(9, 100 + i);
    assert_int_equal(count_in_flash((const char *)needle), 1);
    assert_int_equal(count_in_flash("user-9-1@"), 1);
    settle(id, 2);
    assert_int_equal(count_in_flash((const char *)needle), 0);
    assert_int_equal(count_in_flash("user-9-1@"), 0);
    assert_int_equal(count_in_flash("sender-9@"), 0);
    struct spool_entry e;
    struct spool_envelope env;
    assert_false(spool_lookup(id, &e));
    assert_int_equal(spool_read_envelope(id, &env), RC_NOT_FOUND);
    for (uint64_t seed = 0; seed < 4; seed++) {
        reboot(seed);
        assert_false(spool_lookup(id, &e));
        check_message(other, 8, 1, 9000);
        assert_int_equal(count_in_flash("user-9-1@"), 0);
    }
}

static void an_aborted_mail_leaves_nothing(void **state)
{
    (void)state;
    struct spool_writer w;
    assert_int_equal(begin(&w, chunk, 6, 1, 0), RC_OK);
    assert_int_equal(write_body(&w, 6, 20000), RC_OK);
    assert_int_equal(count_in_flash("user-6-0@"), 1);
    spool_abort(&w);
    assert_int_equal(count_in_flash("user-6-0@"), 0);
    struct spool_info info;
    spool_info(&info);
    assert_int_equal(info.messages, 0);
    assert_int_equal(begin(&w, chunk, 7, 1, 0), RC_OK);
    assert_int_equal(write_body(&w, 7, 20000), RC_OK);
    reboot(1); /* in the middle of it */
    struct spool_entry e;
    assert_false(spool_next(0, &e));
    assert_int_equal(count_in_flash("user-7-0@"), 0);
}

static void ids_never_repeat(void **state)
{
    (void)state;
    uint32_t last = 0;
    for (uint32_t round = 0; round < 60; round++) {
        uint32_t id = must_put(round, 1, 20000);
        assert_true(id > last);
        last = id;
        settle(id, 1);
        if (round % 5 == 0)
            reboot(round);
    }
    struct spool_info info;
    spool_info(&info);
    assert_true(info.reclaimed_blocks > 0);
    assert_int_equal(info.messages, 0);
}

static void full_refuses_and_recovers(void **state)
{
    (void)state;
    uint32_t id[64];
    unsigned n = 0;
    while (n < 64 && put(n, 1, 30000, &id[n]) == RC_OK)
        n++;
    assert_in_range(n, 9, 14); /* 16 segments less the reserve */
    struct spool_writer w;
    struct spool_envelope e = envelope(1);
    assert_int_equal(spool_begin(&w, chunk, &e, 100000), RC_FULL);
    /* The reserve is there for outcomes and own mail. */
    e.origin = SPOOL_OWN;
    struct spool_recipient r = recipient(1, 0);
    uint32_t own;
    assert_int_equal(spool_begin(&w, chunk, &e, 2000), RC_OK);
    assert_int_equal(spool_add_recipient(&w, &r), RC_OK);
    assert_int_equal(spool_write(&w, SPAN("bounce")), RC_OK);
    assert_int_equal(spool_commit(&w, &own), RC_OK);
    for (unsigned i = 0; i < n; i++)
        check_message(id[i], i, 1, 30000);
    settle(id[0], 1);
    settle(id[1], 1);
    settle(id[2], 1);
    uint32_t again = must_put(70, 1, 30000);
    reboot(0);
    check_message(again, 70, 1, 30000);
    for (unsigned i = 3; i < n; i++)
        check_message(id[i], i, 1, 30000);
}

/* Days of retries of a queue that fills the box: what they write is worth nothing as soon as the next one is written, and must not use up
 * the room that outcomes need. Nor may own mail take it. */
static void a_full_spool_goes_on_trying(void **state)
{
    (void)state;
    uint32_t id[64], own;
    unsigned n = 0;
    while (n < 64 && put(n, 2, 30000, &id[n]) == RC_OK)
        n++;
    enum rc rc = RC_OK;
    for (unsigned i = 0; rc == RC_OK && i < 64; i++) {
        struct spool_envelope e = envelope(i);
        struct spool_recipient r = recipient(i, 0);
        struct spool_writer w;
        e.origin = SPOOL_OWN;
        rc = spool_begin(&w, chunk, &e, 0);
        if (rc == RC_OK)
            rc = spool_add_recipient(&w, &r);
        if (rc == RC_OK)
            rc = write_body(&w, i, 9000);
        if (rc == RC_OK)
            rc = spool_commit(&w, &own);
        else
            spool_abort(&w);
    }
    assert_int_equal(rc, RC_FULL);
    char text[SPOOL_TEXT_MAX + 1] = { 0 };
    memset(text, 'x', SPOOL_TEXT_MAX);
    for (unsigned try = 1; try <= 150; try++)
        for (unsigned i = 0; i < n; i++) {
            assert_int_equal(spool_outcome(id[i], 0, SPOOL_WAITING, 451, (uint8_t[]){ 4, 0, 0 }, span_of(text), try), RC_OK);
            assert_int_equal(spool_outcome(id[i], 1, SPOOL_WAITING, 451, (uint8_t[]){ 4, 0, 0 }, span_of(text), try), RC_OK);
            assert_int_equal(spool_defer(id[i], try, (uint16_t)try), RC_OK);
        }
    reboot(0);
    for (unsigned i = 0; i < n; i++) {
        struct spool_entry e;
        check_message(id[i], i, 2, 30000);
        assert_true(spool_lookup(id[i], &e) && e.attempts == 150 && e.waiting == 2);
        settle(id[i], 2);
    }
    must_put(70, 1, 30000);
}

static void full_without_a_size_fails_later(void **state)
{
    (void)state;
    struct spool_writer w;
    assert_int_equal(begin(&w, chunk, 1, 1, 0), RC_OK);
    assert_int_equal(write_body(&w, 1, SEGMENTS * SEGMENT), RC_FULL);
    uint32_t id;
    assert_int_equal(spool_commit(&w, &id), RC_FULL);
    id = must_put(2, 1, 100000);
    check_message(id, 2, 1, 100000);
}

/* One small old mail in every segment must not fill the box. */
static void compaction_keeps_the_old_and_makes_room(void **state)
{
    (void)state;
    uint32_t old[40];
    for (uint32_t i = 0; i < 40; i++) {
        old[i] = must_put(i, 2, 1500);
        assert_int_equal(spool_outcome(old[i], 1, SPOOL_DELIVERED, 250, (uint8_t[]){ 2, 0, 0 }, SPAN("first"), 1), RC_OK);
        assert_int_equal(spool_defer(old[i], 100 + i, 1), RC_OK);
        uint32_t big = must_put(100 + i, 1, 28000);
        settle(big, 1);
    }
    for (unsigned round = 0; round < 2; round++) {
        for (uint32_t i = 0; i < 40; i++) {
            struct spool_recipient r;
            struct spool_entry e;
            check_message(old[i], i, 2, 1500);
            assert_int_equal(spool_read_recipient(old[i], 1, &r), RC_OK);
            assert_int_equal(r.state, SPOOL_DELIVERED);
            assert_string_equal(r.text, "first");
            for (unsigned k = 0; k < 2; k++) {
                assert_int_equal(spool_read_address(old[i], k, &r), RC_OK);
                assert_int_equal(r.state == SPOOL_WAITING, k == 0);
            }
            assert_int_equal(spool_outcome(old[i], 1, SPOOL_BOUNCED, 550, (uint8_t[]){ 5, 0, 0 }, SPAN(""), 9), RC_INVALID);
            assert_true(spool_lookup(old[i], &e));
            assert_int_equal(e.waiting, 1);
            assert_int_equal(e.next_try, 100 + i);
        }
        reboot(round);
    }
    for (uint32_t i = 0; i < 40; i++) {
        assert_int_equal(spool_outcome(old[i], 0, SPOOL_BOUNCED, 550, (uint8_t[]){ 5, 1, 1 }, SPAN("no"), 9), RC_OK);
        assert_int_equal(spool_settle(old[i]), RC_OK);
    }
    assert_int_equal(count_in_flash("@inside.example"), 0);
    struct spool_info info;
    reboot(0);
    spool_info(&info);
    assert_int_equal(info.messages, 0);
}

/* A mail of which the segment with its byte `at` was copied behind its end, and no other: there is no status that would tell of it. */
static void assert_wiped_whole(uint32_t id, size_t bytes, size_t at, unsigned boots)
{
    struct spool_info info;
    char text[17] = { 0 };
    spool_info(&info);
    assert_int_equal(info.compacted_blocks, 1);
    for (unsigned i = 0; i < boots; i++)
        reboot(0);
    event_signal(&spool.work); /* a boot would start the task anew */
    idle();
    check_message(id, 2, 1, bytes);
    for (size_t i = 0; i < 16; i++)
        text[i] = (char)body_byte(2, at + i);
    assert_int_equal(count_in_flash(text), 1);
    settle(id, 1);
    idle();
    assert_int_equal(count_in_flash(text), 0);
    assert_int_equal(count_in_flash("sender-2@"), 0);
    assert_int_equal(count_in_flash("user-2-0@"), 0);
}

static void a_mail_that_was_moved_in_part_is_wiped_whole(void **state)
{
    (void)state;
    for (unsigned boots = 0; boots < 3; boots++) {
        flash_sim_init(SEGMENTS * SEGMENT, BLOCK, 32);
        boot();
        uint32_t before = must_put(1, 1, 20000), id = must_put(2, 1, 40000);
        settle(before, 1);
        idle();
        assert_int_equal(spool_make_room(ROOM_SYSTEM), RC_OK);
        assert_wiped_whole(id, 40000, 39000, boots);

        flash_sim_init(SEGMENTS * SEGMENT, BLOCK, 32);
        boot();
        id = must_put(2, 1, 80000);
        segment_worn((unsigned)segment_find(2)); /* the middle one: it is emptied, however full */
        idle();
        assert_wiped_whole(id, 80000, 40000, boots);
    }
}

/* The same while it was outside the window: that it was moved is learnt from its copies, which lie in a segment without statuses. */
static void a_mail_that_was_moved_outside_the_window_is_wiped_whole(void **state)
{
    (void)state;
    struct spool_writer w;
    struct spool_entry e;
    for (uint32_t i = 0; i < SPOOL_WINDOW_ENTRIES; i++)
        must_put(1000 + i, 1, 1);
    must_put(1, 1, SEGMENT - spool.head_off);
    uint32_t seq = spool.segment[spool.head].seq;
    assert_int_equal(begin(&w, chunk, 3, 1, 0), RC_OK);
    while (spool.head_off < SEGMENT - 8000)
        assert_int_equal(write_body(&w, 3, 700), RC_OK);
    spool_abort(&w);
    uint32_t id = must_put(2, 1, 20000);
    assert_false(spool_lookup(id, &e));
    assert_int_equal(spool_make_room(ROOM_SYSTEM), RC_OK);
    assert_int_equal(segment_find(seq), -1);
    must_put(4, 1, 30000);
    assert_true(spool_find(id, &e));
    assert_wiped_whole(id, 20000, 100, 0);
}

/* After a boot the COMMIT alone says where a mail begins: without that, each look at it would walk the log. */
static void a_mail_is_found_where_its_commit_says(void **state)
{
    (void)state;
    struct spool_envelope e;
    uint32_t id = 0;
    for (uint32_t i = 0; i < 200; i++)
        id = must_put(i, 1, 300);
    reboot(0);
    idle();
    uint64_t before = flash_sim_reads();
    assert_int_equal(spool_read_envelope(id, &e), RC_OK);
    assert_in_range(flash_sim_reads() - before, 1, 20);
}

static void wear_is_spread(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < 300; i++)
        settle(must_put(i, 1, 25000), 1);
    idle();
    struct spool_info info;
    spool_info(&info);
    assert_true(info.erase_max >= 10);
    uint32_t least = UINT32_MAX, most = 0;
    for (unsigned b = 0; b < SEGMENTS * (SEGMENT / BLOCK); b++) {
        least = flash_sim_wear(b) < least ? flash_sim_wear(b) : least;
        most = flash_sim_wear(b) > most ? flash_sim_wear(b) : most;
    }
    assert_in_range(most - least, 0, 3);
    assert_in_range(info.erase_max, most, most + 2); /* a segment that was never erased counts as the most worn then */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
        TEST(small_mail_is_one_program_and_one_sync),
        TEST(sizes_come_back_byte_for_byte),
        TEST(many_recipients),
        TEST(outcomes_are_kept),
        TEST(no_commit_has_more_recipients_than_a_mail_may_have),
        TEST(a_recipient_of_a_thousand_costs_what_one_of_a_hundred_does),
        TEST(due_in_order),
        TEST(a_settled_mail_is_gone_from_the_flash),
        TEST(an_aborted_mail_leaves_nothing),
        TEST(ids_never_repeat),
        TEST(full_refuses_and_recovers),
        TEST(a_full_spool_goes_on_trying),
        TEST(full_without_a_size_fails_later),
        TEST(compaction_keeps_the_old_and_makes_room),
        TEST(a_mail_that_was_moved_in_part_is_wiped_whole),
        TEST(a_mail_that_was_moved_outside_the_window_is_wiped_whole),
        TEST(a_mail_is_found_where_its_commit_says),
        TEST(wear_is_spread),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
