/* What a writer of the spool refuses, and what it keeps free: the rules between spool_begin and spool_commit. */
#include "tests/unit/firmware/spool_mail.h"

static uint64_t free_for_intake(void)
{
    struct spool_info info;
    spool_info(&info);
    return info.free_bytes;
}

static void origin_and_hold_come_back(void **state)
{
    (void)state;
    static const enum spool_origin origins[] = { SPOOL_FROM_OUTSIDE, SPOOL_FROM_INSIDE, SPOOL_OWN };
    uint32_t id[6];
    for (unsigned i = 0; i < 6; i++) {
        struct spool_writer w;
        struct spool_envelope e = envelope(i);
        struct spool_recipient r = recipient(i, 0);
        e.origin = origins[i / 2];
        assert_int_equal(spool_begin(&w, chunk, &e, 0), RC_OK);
        w.held = i % 2 != 0;
        assert_int_equal(spool_add_recipient(&w, &r), RC_OK);
        assert_int_equal(spool_write(&w, SPAN("x")), RC_OK);
        assert_int_equal(spool_commit(&w, &id[i]), RC_OK);
    }
    for (unsigned round = 0; round < 2; round++) {
        for (unsigned i = 0; i < 6; i++) {
            struct spool_entry entry;
            struct spool_envelope e;
            assert_true(spool_lookup(id[i], &entry));
            assert_int_equal(entry.origin, origins[i / 2]);
            assert_int_equal(entry.held, i % 2 != 0);
            assert_int_equal(spool_read_envelope(id[i], &e), RC_OK);
            assert_int_equal(e.origin, origins[i / 2]);
        }
        reboot(0);
    }
}

static void what_is_promised_is_kept_free(void **state)
{
    (void)state;
    static uint8_t second[SPOOL_CHUNK_BYTES];
    struct spool_writer a, b;
    uint64_t room = free_for_intake();
    assert_in_range(room, 200000, SEGMENTS * SEGMENT);
    assert_int_equal(begin(&a, chunk, 1, 1, room + room / 16), RC_FULL);
    assert_int_equal(spool_write(&a, SPAN("x")), RC_FULL);
    assert_int_equal(begin(&a, chunk, 1, 1, room - room / 4), RC_OK);
    assert_in_range(free_for_intake(), room / 5, room / 4 + room / 32);
    assert_int_equal(write_body(&a, 1, 5000), RC_OK);
    assert_int_equal(begin(&b, second, 2, 1, room / 2), RC_FULL); /* the rest of a is still to come */
    spool_abort(&b);
    assert_int_equal(write_body(&a, 1, 5000), RC_OK);
    spool_abort(&a);
    idle();
    assert_int_equal(begin(&b, second, 2, 1, room / 2), RC_OK);
    spool_abort(&b);
    assert_in_range(free_for_intake(), room - SEGMENT, room);
}

static void what_has_come_is_no_longer_promised(void **state)
{
    (void)state;
    struct spool_writer w;
    uint64_t room = free_for_intake();
    assert_int_equal(begin(&w, chunk, 1, 1, 100000), RC_OK);
    uint64_t promised = free_for_intake();
    assert_in_range(room - promised, 95000, 105000);
    assert_int_equal(write_body(&w, 1, 100000), RC_OK);
    assert_in_range(free_for_intake(), promised - 2 * SPOOL_CHUNK_BYTES, promised + SPOOL_CHUNK_BYTES);
    spool_abort(&w);
}

static void more_than_promised_is_taken_while_there_is_room(void **state)
{
    (void)state;
    struct spool_writer w;
    uint32_t id;
    uint64_t room = free_for_intake();
    assert_int_equal(begin(&w, chunk, 1, 1, 10), RC_OK);
    assert_int_equal(write_body(&w, 1, 9000), RC_OK);
    assert_int_equal(spool_commit(&w, &id), RC_OK);
    check_message(id, 1, 1, 9000);
    assert_in_range(free_for_intake(), room - SEGMENT, room - 9000);
}

static void the_rest_of_the_open_segment_counts_as_free(void **state)
{
    (void)state;
    must_put(1, 1, 100);
    uint64_t before = free_for_intake();
    must_put(2, 1, 3000);
    assert_in_range(before - free_for_intake(), 3000, 4500);
}

static void nothing_is_free_when_the_reserve_begins(void **state)
{
    (void)state;
    uint32_t id;
    unsigned n = 0;
    while (n < 64 && put(n, 1, 20000, &id) == RC_OK)
        n++;
    assert_in_range(free_for_intake(), 0, 20000);
    while (put(n, 1, 0, &id) == RC_OK)
        assert_in_range(++n, 0, 2000);
    assert_int_equal(free_for_intake(), 0);
    /* The box's own mail still has half of the reserve. */
    unsigned own = 0;
    for (enum rc rc = RC_OK; rc == RC_OK && own < 64;) {
        struct spool_writer w;
        struct spool_envelope e = envelope(own);
        struct spool_recipient r = recipient(own, 0);
        e.origin = SPOOL_OWN;
        rc = spool_begin(&w, chunk, &e, 9000);
        if (rc == RC_OK)
            rc = spool_add_recipient(&w, &r);
        if (rc == RC_OK)
            rc = write_body(&w, own, 9000);
        if (rc == RC_OK)
            rc = spool_commit(&w, &id);
        else
            spool_abort(&w);
        own += rc == RC_OK;
    }
    assert_in_range(own, 2, 12);
}

/* A body with a hole must never be committed, although there is room again when the end comes. */
static void a_writer_that_failed_stays_failed(void **state)
{
    (void)state;
    static uint8_t second[SPOOL_CHUNK_BYTES];
    uint32_t big = must_put(1, 1, 100000), id;
    struct spool_writer w;
    assert_int_equal(begin(&w, second, 2, 1, 0), RC_OK);
    assert_int_equal(write_body(&w, 2, SEGMENTS * SEGMENT), RC_FULL);
    settle(big, 1);
    idle();
    struct spool_recipient r = recipient(2, 1);
    assert_int_equal(spool_write(&w, SPAN("and on")), RC_FULL);
    assert_int_equal(spool_add_recipient(&w, &r), RC_FULL);
    assert_int_equal(spool_commit(&w, &id), RC_FULL);
    struct spool_entry e;
    assert_false(spool_next(0, &e));
    reboot(1);
    assert_false(spool_next(0, &e));
}

/* A mail of that size, which is settled again; when it is refused, nothing of it may be left. */
static bool fits(size_t len)
{
    struct spool_writer w;
    struct spool_entry e;
    uint32_t id;
    assert_int_equal(begin(&w, chunk, 2, 1, 0), RC_OK);
    enum rc rc = write_body(&w, 2, len);
    if (rc == RC_OK)
        rc = spool_commit(&w, &id);
    else
        spool_abort(&w);
    if (rc == RC_OK) {
        check_body(id, 2, len);
        settle(id, 1);
    } else {
        assert_int_equal(rc, RC_FULL);
        assert_false(spool_find(w.id, &e));
    }
    idle();
    return rc == RC_OK;
}

/* The room may end within any record: at the last of the body, or before the COMMIT. */
static void a_mail_that_just_does_not_fit_is_refused_whole(void **state)
{
    (void)state;
    uint32_t id;
    size_t len = 20000;
    while (put(1, 1, 28000, &id) == RC_OK)
        ;
    settle(id, 1);
    settle(id - 1, 1);
    idle();
    while (fits(len))
        len += 2000;
    unsigned refused = 0;
    for (size_t less = 0; less < 5000; less += 100)
        refused += !fits(len - less);
    assert_in_range(refused, 1, 49);
}

/* The COMMIT wants room in the chunk, and what must be written for that fails: then the COMMIT must not be written either. */
static void no_commit_follows_a_body_that_failed(void **state)
{
    (void)state;
    struct spool_writer w;
    struct spool_info info;
    struct spool_entry e;
    uint32_t first = must_put(1, 1, 100), id;
    reboot(1); /* what is written now has segments of its own: there is nothing to be moved out of them */
    idle();
    assert_int_equal(begin(&w, chunk, 2, 1, 0), RC_OK);
    while (SPOOL_CHUNK_BYTES - w.used > 40)
        assert_int_equal(spool_write(&w, SPAN("x")), RC_OK);
    flash_sim_fail_programs_over(1024); /* each piece of the log that is appended, not what segments are opened with */
    assert_int_equal(spool_commit(&w, &id), RC_IO);
    flash_sim_fail_programs_over(0);
    spool_info(&info);
    assert_int_equal(info.blocks_bad, 4);
    for (unsigned round = 0; round < 2; round++) {
        check_message(first, 1, 1, 100);
        assert_false(spool_next(first, &e));
        reboot(1);
    }
    must_put(3, 1, 5000);
}

static void a_writer_is_used_once(void **state)
{
    (void)state;
    struct spool_writer w;
    struct spool_recipient r = recipient(1, 0);
    uint32_t id, again;
    assert_int_equal(begin(&w, chunk, 1, 1, 0), RC_OK);
    assert_int_equal(spool_commit(&w, &id), RC_OK);
    assert_int_equal(spool_add_recipient(&w, &r), RC_INVALID);
    assert_int_equal(spool_write(&w, SPAN("x")), RC_INVALID);
    assert_int_equal(spool_commit(&w, &again), RC_INVALID);
    spool_abort(&w);
    check_message(id, 1, 1, 0);
    assert_int_equal(begin(&w, chunk, 1, 1, 0), RC_OK);
    spool_abort(&w);
    assert_int_equal(spool_commit(&w, &again), RC_INVALID);
    struct spool_info info;
    spool_info(&info);
    assert_int_equal(info.messages, 1);
}

static void recipients_come_before_the_body_and_not_none(void **state)
{
    (void)state;
    struct spool_writer w;
    struct spool_recipient r = recipient(1, 1);
    uint32_t id;
    assert_int_equal(begin(&w, chunk, 1, 1, 0), RC_OK);
    assert_int_equal(write_body(&w, 1, 5), RC_OK);
    assert_int_equal(spool_add_recipient(&w, &r), RC_INVALID);
    assert_int_equal(write_body(&w, 1, SPOOL_CHUNK_BYTES), RC_OK);
    assert_int_equal(spool_add_recipient(&w, &r), RC_INVALID);
    spool_abort(&w);
    assert_int_equal(begin(&w, chunk, 1, 0, 0), RC_OK);
    assert_int_equal(write_body(&w, 1, 5), RC_OK);
    assert_int_equal(spool_commit(&w, &id), RC_INVALID);
}

static void a_body_ends_at_four_gigabytes(void **state)
{
    (void)state;
    struct spool_writer w;
    struct spool_envelope e = envelope(1);
    assert_int_equal(spool_begin(&w, chunk, &e, (uint64_t)UINT32_MAX + 1), RC_FULL);
    assert_int_equal(spool_begin(&w, chunk, &e, UINT64_MAX - 1000), RC_FULL);
    assert_int_equal(begin(&w, chunk, 1, 1, 0), RC_OK);
    w.body_bytes = UINT32_MAX - 4; /* as if so much had been written */
    assert_int_equal(spool_write(&w, SPAN("12345")), RC_FULL);
    spool_abort(&w);
}

static void writers_have_a_bound(void **state)
{
    (void)state;
    static struct spool_writer w[100];
    unsigned n = 0;
    while (n < 100 && begin(&w[n], chunk, 1, 0, 0) == RC_OK)
        n++;
    assert_in_range(n, 16, 99);
    assert_int_equal(begin(&w[99], chunk, 1, 0, 0), RC_FULL);
    spool_abort(&w[99]);
    spool_abort(&w[0]);
    assert_int_equal(begin(&w[0], chunk, 1, 0, 0), RC_OK);
    for (unsigned i = 0; i < n; i++)
        spool_abort(&w[i]);
}

/* The chunk's end may fall anywhere: also where no BODY record can begin any more. */
static void recipients_may_fill_the_chunk_to_its_end(void **state)
{
    (void)state;
    for (unsigned small = 0; small < SPOOL_CHUNK_BYTES / 64; small++) {
        struct spool_writer w;
        uint32_t id;
        struct spool_recipient r = recipient(1, 0);
        assert_int_equal(begin(&w, chunk, 1, small, 0), RC_OK);
        memset(r.address, 'a', sizeof r.address - 1);
        memset(r.domain, 'd', sizeof r.domain - 1);
        memset(r.orcpt, 'o', sizeof r.orcpt - 1);
        assert_int_equal(spool_add_recipient(&w, &r), RC_OK);
        assert_int_equal(write_body(&w, 1, 700), RC_OK);
        assert_int_equal(spool_commit(&w, &id), RC_OK);
        check_body(id, 1, 700);
        settle(id, small + 1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
        TEST(origin_and_hold_come_back),
        TEST(what_is_promised_is_kept_free),
        TEST(what_has_come_is_no_longer_promised),
        TEST(more_than_promised_is_taken_while_there_is_room),
        TEST(the_rest_of_the_open_segment_counts_as_free),
        TEST(nothing_is_free_when_the_reserve_begins),
        TEST(a_writer_that_failed_stays_failed),
        TEST(a_mail_that_just_does_not_fit_is_refused_whole),
        TEST(no_commit_follows_a_body_that_failed),
        TEST(a_writer_is_used_once),
        TEST(recipients_come_before_the_body_and_not_none),
        TEST(a_body_ends_at_four_gigabytes),
        TEST(writers_have_a_bound),
        TEST(recipients_may_fill_the_chunk_to_its_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
