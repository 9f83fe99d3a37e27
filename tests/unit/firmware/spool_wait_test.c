/* What a writer waits for while room is made: counted in operations of the flash, whoever has them done, against what spool.h names. */
#include "tests/unit/firmware/spool_mail.h"

#include "firmware/spool_internal.h"

#define MAILS 1000u
#define WRITERS 4u /* a quarter of a segment has a chunk for each */
#define TALKS 6u
#define TALKERS 12u

struct cost {
    uint64_t reads, programs, erases, syncs;
};

static struct {
    struct task task;
    uint8_t stack[64 * 1024] __attribute__((aligned(16)));
    uint8_t chunk[SPOOL_CHUNK_BYTES];
} writer[WRITERS];
static struct cost most; /* of each kind, of one call */
static unsigned taken;

static struct cost count_now(void)
{
    return (struct cost){ flash_sim_reads(), flash_sim_count(FLASH_PROGRAM), flash_sim_count(FLASH_ERASE),
                          flash_sim_count(FLASH_SYNC) };
}

static uint64_t larger(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

static void note(struct cost from)
{
    struct cost to = count_now();
    most.reads = larger(most.reads, to.reads - from.reads);
    most.programs = larger(most.programs, to.programs - from.programs);
    most.erases = larger(most.erases, to.erases - from.erases);
    most.syncs = larger(most.syncs, to.syncs - from.syncs);
}

/* One mail, each call that may append counted by itself. */
static enum rc put_counted(uint8_t *memory, uint32_t seed, size_t len)
{
    struct spool_writer w;
    uint32_t id;
    enum rc rc = begin(&w, memory, seed, 1, 0);
    struct cost from = count_now();
    for (size_t at = 0; rc == RC_OK && at < len; at += 700) {
        from = count_now();
        rc = write_body(&w, seed, 700);
        note(from);
    }
    if (rc != RC_OK) {
        spool_abort(&w);
        return rc;
    }
    from = count_now();
    rc = spool_commit(&w, &id);
    note(from);
    return rc;
}

/* Mails until no more is taken, of which every other one is settled: all segments are half dead, none is free. */
static void fill_half(size_t len)
{
    static uint32_t id[MAILS];
    unsigned n = 0;
    while (n < MAILS && put(n, 1, len, &id[n]) == RC_OK)
        n++;
    assert_in_range(n, 50, MAILS - 1);
    for (unsigned i = 0; i < n; i += 2)
        settle(id[i], 1);
    idle();
    memset(&most, 0, sizeof most);
    taken = 0;
}

static void write_on(uint8_t *memory, uint32_t seed, size_t len)
{
    while (put_counted(memory, seed, len) == RC_OK)
        taken++;
}

static void writer_main(void *arg)
{
    unsigned i = (unsigned)(uintptr_t)arg;
    write_on(writer[i].chunk, 1000 * i, 3500);
}

/* Room was made, and no call took more than so many cleanings and what the writers had done besides. */
static void check_most(unsigned cleanings, unsigned writers)
{
    struct spool_info info;
    spool_info(&info);
    print_message("%u mails, %u compacted; a call: %u reads, %u programs, %u erases, %u syncs\n", taken,
                  (unsigned)info.compacted_blocks, (unsigned)most.reads, (unsigned)most.programs, (unsigned)most.erases,
                  (unsigned)most.syncs);
    assert_in_range(taken, 20, MAILS);
    assert_in_range(info.compacted_blocks, 5, MAILS);
    assert_in_range(most.erases, SEGMENT / BLOCK, cleanings * SEGMENT / BLOCK);
    assert_in_range(most.programs, 1, cleanings * SPOOL_CLEAN_PROGRAMS(SEGMENT) + 4 * writers);
    assert_in_range(most.syncs, 1, cleanings * SPOOL_CLEAN_SYNCS + 2 * writers);
    assert_in_range(most.reads, 1, cleanings * SPOOL_CLEAN_READS(SEGMENT));
}

static void a_writer_alone_waits_for_one_cleaning(void **state)
{
    (void)state;
    fill_half(3500);
    write_on(chunk, 1000, 3500);
    check_most(1, 1);
}

/* Small records: many of them to read. */
static void small_mails_are_read_no_longer(void **state)
{
    (void)state;
    fill_half(700);
    write_on(chunk, 1000, 700);
    check_most(1, 1);
}

static void writers_that_wait_together_share_what_is_made(void **state)
{
    (void)state;
    fill_half(3500);
    for (unsigned i = 0; i < WRITERS; i++)
        task_start(&writer[i].task, "writer", writer[i].stack, sizeof writer[i].stack, writer_main, (void *)(uintptr_t)i);
    for (unsigned i = 0; i < WRITERS; i++)
        while (!task_done(&writer[i].task))
            poll();
    check_most(SPOOL_WAIT_CLEANINGS, WRITERS);
}

/* --- replaced results of long mails: finding them takes long --- */

static struct {
    uint32_t id[TALKS];
    bool stop;
} talk;

/* The mails to talk about, and one that is being written. */
static void begin_talk(struct spool_writer *w)
{
    for (unsigned i = 0; i < TALKS; i++)
        talk.id[i] = must_put(i, TALKERS, 200);
    assert_int_equal(begin(w, chunk, 1, 1, 0), RC_OK);
}

/* One result more of the next recipient in turn, which replaces the one before. */
static enum rc say(unsigned i)
{
    char text[201] = { 0 };
    memset(text, 'x', 200);
    return spool_outcome(talk.id[i / TALKERS % TALKS], i % TALKERS, SPOOL_WAITING, 451, (uint8_t[]){ 4, 0, 0 }, span_of(text), i);
}

static void keep_talking(void *arg)
{
    (void)arg;
    for (unsigned i = 0; !talk.stop && say(i) == RC_OK; i++)
        continue;
}

static void intake_does_not_wait_for_a_search(void **state)
{
    (void)state;
    struct spool_writer w;
    begin_talk(&w);
    for (enum rc rc = RC_OK; rc == RC_OK;)
        rc = put_counted(writer[1].chunk, 3, 21000);
    talk.stop = false;
    task_start(&writer[0].task, "talk", writer[0].stack, sizeof writer[0].stack, keep_talking, NULL);
    while (!spool.cleaning_deep || segment_may_append(ROOM_INTAKE)) {
        assert_false(task_done(&writer[0].task));
        poll();
    }
    struct cost from = count_now();
    memset(&most, 0, sizeof most);
    assert_int_equal(write_body(&w, 1, 2 * SPOOL_CHUNK_BYTES), RC_FULL);
    note(from);
    assert_true(most.reads + most.programs + most.erases + most.syncs == 0);
    spool_abort(&w);
    talk.stop = true;
    while (!task_done(&writer[0].task))
        poll();
}

/* Nobody searches, and it does not begin to. */
static void intake_does_not_search(void **state)
{
    (void)state;
    struct spool_writer w;
    struct spool_info info;
    uint32_t id;
    unsigned mails = 0;
    begin_talk(&w);
    for (unsigned i = 0; i < 6 * TALKS * TALKERS; i++)
        assert_int_equal(say(i), RC_OK);
    while (put(3, 1, 8000, &id) == RC_OK)
        assert_in_range(++mails, 0, MAILS);
    enum rc rc = RC_OK;
    memset(&most, 0, sizeof most);
    while (rc == RC_OK) {
        struct cost from = count_now();
        rc = write_body(&w, 1, 700);
        note(from);
    }
    assert_int_equal(rc, RC_FULL);
    spool_info(&info);
    assert_int_equal(info.compacted_blocks, 0);
    assert_in_range(most.reads, 0, SPOOL_CLEAN_READS(SEGMENT));
    spool_abort(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
        TEST(a_writer_alone_waits_for_one_cleaning),
        TEST(small_mails_are_read_no_longer),
        TEST(writers_that_wait_together_share_what_is_made),
        TEST(intake_does_not_wait_for_a_search),
        TEST(intake_does_not_search),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
