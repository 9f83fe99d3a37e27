/* More mail than the window in RAM holds: all of it is delivered, each once, in any state, and the soonest first. */
#include "tests/unit/firmware/spool_mail.h"

#include "firmware/spool_internal.h"

#define LARGE_BLOCK (256u * 1024)
#define LARGE_BYTES (32u * LARGE_BLOCK)
#define MAILS 1500u
#define MANY 6000u

static void boot_large(void)
{
    task_set_poll(poll);
    assert_int_equal(spool_open(0, LARGE_BYTES), RC_OK);
}

static int setup_large(void **state)
{
    (void)state;
    flash_sim_init(LARGE_BYTES, LARGE_BLOCK, 4);
    boot_large();
    return 0;
}

static void reboot_large(void)
{
    idle();
    flash_sim_cut_now(0);
    flash_sim_power_on();
    boot_large();
}

/* Takes, delivers and settles all that is due. Returns how many; seen counts each. */
static unsigned deliver_due(int64_t now, uint8_t *seen)
{
    unsigned n = 0;
    struct spool_entry e;
    for (unsigned empty = 0; empty < 3;) {
        if (!spool_take_due(now, &e)) {
            idle(); /* the spool's task may be fetching more */
            empty++;
            continue;
        }
        empty = 0;
        assert_true(e.id <= MANY && e.waiting == 1);
        assert_int_equal(seen[e.id]++, 0);
        settle(e.id, 1);
        n++;
    }
    return n;
}

/* Puts off all that is due, each to 1000 and its id. Returns how many. */
static unsigned defer_due(int64_t now)
{
    unsigned n = 0;
    struct spool_entry e;
    for (unsigned empty = 0; empty < 3;) {
        if (!spool_take_due(now, &e)) {
            idle();
            empty++;
            continue;
        }
        empty = 0;
        assert_int_equal(spool_defer(e.id, 1000 + e.id, 1), RC_OK);
        spool_release(e.id);
        n++;
    }
    return n;
}

static void more_mail_than_the_window(void **state)
{
    (void)state;
    static uint8_t seen[MAILS + 1];
    memset(seen, 0, sizeof seen);
    struct spool_info info;
    for (uint32_t i = 0; i < MAILS; i++)
        must_put(i, 1, 300);
    for (unsigned round = 0; round < 2; round++) {
        spool_info(&info);
        assert_int_equal(info.messages, MAILS);
        reboot_large();
    }
    assert_int_equal(deliver_due(1, seen), MAILS);
    spool_info(&info);
    assert_int_equal(info.messages, 0);
    reboot_large();
    spool_info(&info);
    assert_int_equal(info.messages, 0);
}

/* Delivers so many mails, after a deferral if put_off. How often the flash is read for each. */
static unsigned reads_a_mail(uint32_t mails, bool put_off)
{
    static uint8_t seen[MANY + 1];
    memset(seen, 0, sizeof seen);
    flash_sim_init_uncut(LARGE_BYTES, LARGE_BLOCK, 4);
    boot_large();
    for (uint32_t i = 0; i < mails; i++)
        must_put(i, 1, 300);
    idle();
    uint64_t before = flash_sim_reads();
    if (put_off)
        assert_int_equal(defer_due(1), mails);
    assert_int_equal(deliver_due(1000 + MANY, seen), mails);
    return (unsigned)((flash_sim_reads() - before) / mails);
}

/* Filling the window walks over the log, while mail is delivered that leaves places free all the time. */
static void a_long_queue_costs_no_more_a_mail(void **state)
{
    (void)state;
    unsigned few = reads_a_mail(MANY / 4, false);
    assert_in_range(few, 10, 60);
    assert_in_range(reads_a_mail(MANY, false), 10, few);
    assert_in_range(reads_a_mail(MANY / 2, true), 10, 120);
}

/* An operator names a mail that the window does not hold. */
static void any_mail_is_found_by_its_id(void **state)
{
    (void)state;
    struct spool_entry e;
    struct spool_info info;
    for (uint32_t i = 0; i < MAILS; i++)
        must_put(i, 1, 300);
    for (uint32_t id = 1; id <= MAILS; id += 97) {
        assert_true(spool_find(id, &e));
        assert_int_equal(e.id, id);
        check_message(id, id - 1, 1, 300);
    }
    uint32_t outside = 0;
    for (uint32_t id = MAILS; id > 0 && outside == 0; id--)
        outside = spool_lookup(id, &e) ? 0 : id;
    assert_int_not_equal(outside, 0);
    assert_true(spool_find(outside, &e) && !e.held && e.attempts == 0);
    assert_int_equal(spool_defer(outside, 777, 3), RC_OK);
    for (uint32_t id = 1; id <= MAILS && spool_lookup(outside, &e); id += 2)
        assert_true(spool_find(id, &e)); /* pushes it out again: it is the latest due */
    assert_false(spool_lookup(outside, &e));
    assert_true(spool_find(outside, &e) && e.next_try == 777 && e.attempts == 3);
    settle(outside, 1);
    assert_false(spool_find(outside, &e));
    assert_false(spool_find(MAILS + 1, &e));
    spool_info(&info);
    assert_int_equal(info.messages, MAILS - 1);
    reboot_large();
    assert_false(spool_find(outside, &e));
    spool_info(&info);
    assert_int_equal(info.messages, MAILS - 1);
}

/* A window full of deferred mail must not hide what is due now, wherever it lies in the log. */
static void deferred_mail_gives_way(void **state)
{
    (void)state;
    static uint8_t seen[MAILS + 1];
    memset(seen, 0, sizeof seen);
    for (uint32_t i = 0; i < MAILS / 2; i++)
        must_put(i, 1, 300);
    assert_int_equal(defer_due(1), MAILS / 2);
    for (uint32_t i = MAILS / 2; i < MAILS; i++)
        must_put(i, 1, 300);
    assert_int_equal(deliver_due(1, seen), MAILS - MAILS / 2);
    assert_int_equal(spool_next_due(), 1001);
    reboot_large();
    assert_int_equal(spool_next_due(), 1001);
    assert_int_equal(deliver_due(1000 + 100, seen), 100);
    assert_int_equal(deliver_due(5000, seen), MAILS / 2 - 100);
    for (unsigned i = 1; i <= MAILS; i++)
        assert_int_equal(seen[i], 1);
}

/* The operator's order reaches what the window does not hold. What is put off after it has its time again, and held mail stays. */
static void what_lies_outside_is_due_by_order(void **state)
{
    (void)state;
    static uint8_t seen[MAILS + 1];
    memset(seen, 0, sizeof seen);
    struct spool_entry e;
    unsigned inside = 0;
    for (uint32_t i = 0; i < MAILS / 2; i++)
        must_put(i, 1, 300);
    assert_int_equal(defer_due(1), MAILS / 2);
    assert_true(spool_find(MAILS / 2, &e));
    assert_int_equal(spool_hold(MAILS / 2, true), RC_OK);
    for (e.id = 0; spool_next(e.id, &e);)
        inside++;
    assert_in_range(inside, 1, MAILS / 2 - 100);
    assert_int_equal(deliver_due(1, seen), 0);
    spool_outside_is_due();
    unsigned outside = MAILS / 2 - inside, again = defer_due(1);
    assert_in_range(again, outside, MAILS / 2 - 1);
    assert_int_equal(deliver_due(1, seen), 0);
    spool_outside_is_due();
    unsigned now = deliver_due(1, seen);
    assert_in_range(now, outside, MAILS / 2 - 1);
    assert_int_equal(now + deliver_due(1000 + MAILS, seen), MAILS / 2 - 1);
    assert_int_equal(seen[MAILS / 2], 0);
}

/* Each mail's recipient, result and state can be shown, wherever it lies, once and in order, and the look moves nothing. */
static void a_look_shows_all_in_order(void **state)
{
    (void)state;
    static const uint8_t enhanced[3] = { 4, 2, 2 };
    static struct spool_recipient r;
    struct spool_entry e, inside;
    unsigned before = 0, after = 0, outside = 0;
    for (uint32_t i = 0; i < MAILS; i++)
        must_put(i, 1, 300);
    for (uint32_t id = 7; id <= MAILS; id += 100) {
        assert_true(spool_find(id, &e));
        assert_int_equal(spool_outcome(id, 0, SPOOL_WAITING, 452, enhanced, SPAN("the box is full"), 5), RC_OK);
        assert_int_equal(spool_defer(id, 5000 + id, 3), RC_OK);
        assert_int_equal(spool_hold(id, true), RC_OK);
    }
    idle();
    for (e.id = 0; spool_next(e.id, &e);)
        before += e.id;
    uint32_t expected = 1;
    for (e.id = 0; spool_next_of_all(e.id, &e); expected++) {
        bool changed = expected % 100 == 7;
        assert_int_equal(e.id, expected);
        assert_int_equal(e.held, changed);
        assert_int_equal(e.attempts, changed ? 3 : 0);
        assert_int_equal(spool_read_recipient(e.id, 0, &r), RC_OK);
        assert_int_equal(r.code, changed ? 452 : 0);
        outside += changed && !spool_lookup(e.id, &inside);
    }
    assert_int_equal(expected, MAILS + 1);
    assert_int_not_equal(outside, 0);
    for (e.id = 0; spool_next(e.id, &e);)
        after += e.id;
    assert_int_equal(after, before);
    for (expected = 0, e.id = 0; spool_next_of_all(e.id, &e); expected++)
        if (expected == 700)
            must_put(MAILS, 1, 300); /* what comes in meanwhile is left for the next look */
    assert_int_equal(expected, MAILS);
}

/* It is known from its status alone. */
static void a_look_shows_what_lost_its_commit(void **state)
{
    (void)state;
    struct spool_entry e;
    struct log_record r;
    const uint32_t id = 7;
    for (uint32_t i = 0; i < MAILS; i++)
        must_put(i, 1, 300);
    assert_true(spool_find(id, &e));
    assert_int_equal(spool_defer(id, 5000, 1), RC_OK);
    struct log_cursor c = log_from(0, 0);
    do
        assert_int_equal(log_next(&c, &r), RC_OK);
    while (r.h.id != id || r.h.type != RECORD_COMMIT);
    flash_sim_poke(r.addr + RECORD_HEADER_BYTES, "rot!", 4);
    reboot_large();
    uint32_t expected = 1;
    for (e.id = 0; spool_next_of_all(e.id, &e); expected++) {
        assert_int_equal(e.id, expected);
        assert_int_equal(e.damaged, e.id == id);
    }
    assert_int_equal(expected, MAILS + 1);
}

static bool is_unknown(const struct spool_entry *e)
{
    return e->hop == 0;
}

/* A hop that takes nothing, and more mail for it than the window holds: what lies behind is found, and all of it is still there. */
static void what_waits_for_its_hop_gives_way(void **state)
{
    (void)state;
    static uint8_t seen[MAILS + 1];
    memset(seen, 0, sizeof seen);
    struct spool_entry e;
    bool found = false;
    for (uint32_t i = 0; i < MAILS; i++)
        must_put(i, 1, 300);
    for (int64_t now = 1; now <= 1 + 2 * MAILS / PLAN_SPOOL_WINDOW_MESSAGES * 4 && !found; now++) {
        while (!found && spool_take_due_if(now, is_unknown, &e)) {
            found = e.id == MAILS;
            spool_note_hop(e.id, 7);
            spool_release(e.id);
        }
        spool_look_further(now);
        idle();
    }
    assert_true(found);
    assert_int_equal(deliver_due(1000, seen), MAILS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(any_mail_is_found_by_its_id, setup_large, teardown),
        cmocka_unit_test_setup_teardown(a_look_shows_all_in_order, setup_large, teardown),
        cmocka_unit_test_setup_teardown(a_look_shows_what_lost_its_commit, setup_large, teardown),
        cmocka_unit_test_setup_teardown(more_mail_than_the_window, setup_large, teardown),
        cmocka_unit_test_setup_teardown(a_long_queue_costs_no_more_a_mail, setup_large, teardown),
        cmocka_unit_test_setup_teardown(deferred_mail_gives_way, setup_large, teardown),
        cmocka_unit_test_setup_teardown(what_lies_outside_is_due_by_order, setup_large, teardown),
        cmocka_unit_test_setup_teardown(what_waits_for_its_hop_gives_way, setup_large, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
