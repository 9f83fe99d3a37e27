/* The spool under power cuts. A scripted day with several tasks at once (arrivals, reading, outcomes, deferrals, holds, aborts, settling,
 * compaction) runs in a process of its own on an aged flash; the power goes before or in the middle of one operation, with any subset of
 * the operations not yet synced lost. Another process boots what is left, is cut itself now and then, boots again, and compares with
 * the ledger that the first one kept in shared memory:
 *
 * - a mail whose commit was acknowledged is there whole, byte for byte, with every acknowledged outcome, until its settling begins;
 * - one that was not acknowledged is there whole or not at all; nothing is there twice;
 * - a settled mail is gone, from the queue and from the flash;
 * - ids never repeat, and the next day runs;
 * - the host tool that rescues mail from such a flash brings the same to light.
 *
 * POWERCUT_LONG=1 cuts at every operation, torn and not, with several seeds; else a seeded sample. */
#include "firmware/spool_internal.h"
#include "tests/powercut/process.h"
#include "tests/powercut/spool_day.h"
#include "tests/powercut/spool_rescue.h"
#include "tests/support/spool_sound.h"

/* What goes wrong in this run. */
static struct {
    uint64_t at;
    bool torn;
    uint64_t seed;
    uint64_t again_at;
    bool again_torn;
    enum flash_op_kind failing; /* of any_failed_operation */
    uint64_t fails_at;          /* 0: none does */
    bool for_good;              /* and so does every later one in that block */
} cut;

/* --- processes --- */

static void must_be_sound(bool booted)
{
    const char *wrong = spool_unsound(booted && cut.fails_at == 0);
    if (wrong != NULL)
        broken("%s", wrong);
}

static void boot(void)
{
    flash_sim_init(FLASH_BYTES, BLOCK, 32);
    flash_sim_poke(0, shared->image, FLASH_BYTES);
    flash_sim_failures_last(cut.for_good);
    if (shared->worn_block > 0)
        flash_sim_wear_out(shared->worn_block - 1);
    task_set_poll(poll);
}

static void keep_worn_block(void)
{
    if (cut.for_good && flash_sim_failed_block() != UINT64_MAX)
        shared->worn_block = flash_sim_failed_block() + 1;
}

static void save_image_and_die(void)
{
    if (flash_sim_violations() > 0)
        broken("%s", flash_sim_violation());
    flash_sim_power_on();
    memcpy(shared->image, flash_sim_bytes(), FLASH_BYTES);
    _exit(0);
}

static void save_and_exit(void)
{
    if (flash_sim_violations() > 0)
        broken("%s", flash_sim_violation());
    memcpy(shared->image, flash_sim_bytes(), FLASH_BYTES);
    struct spool_info info;
    spool_info(&info);
    keep_worn_block();
    shared->operations = flash_sim_operations();
    shared->reclaimed = info.reclaimed_blocks;
    shared->compacted = info.compacted_blocks;
    _exit(0);
}

static bool phase(void (*fn)(void))
{
    return in_child(fn, shared->why, sizeof shared->why);
}

/* --- checking --- */

static void check_outcomes(const struct mail *m, const struct spool_entry *e)
{
    unsigned waiting = 0;
    for (unsigned i = 0; i < m->recipients; i++) {
        struct spool_recipient r, want = make_recipient(m->seed, i);
        must(spool_read_recipient(e->id, i, &r), "recipient after the cut");
        if (strcmp(r.address, want.address) != 0)
            broken("mail %u: recipient %u differs", (unsigned)m->seed, i);
        waiting += r.state == SPOOL_WAITING;
        if (r.state != m->outcome[i] && !m->outcome_begun[i])
            broken("mail %u: recipient %u has an outcome that nobody gave", (unsigned)m->seed, i);
        if (r.state == SPOOL_WAITING && m->outcome[i] != SPOOL_WAITING)
            broken("mail %u: acknowledged outcome of recipient %u lost", (unsigned)m->seed, i);
    }
    if (waiting != e->waiting)
        broken("mail %u: %u recipients wait, the entry says %u", (unsigned)m->seed, waiting, (unsigned)e->waiting);
    if (e->next_try != m->next_try && !m->defer_begun)
        broken("mail %u: next try %ld, not %ld", (unsigned)m->seed, (long)e->next_try, (long)m->next_try);
}

static struct mail *check_entry(const struct spool_entry *e)
{
    struct spool_envelope env;
    if (e->damaged)
        broken("id %u is damaged", (unsigned)e->id);
    must(spool_read_envelope(e->id, &env), "envelope after the cut");
    struct mail *m = mail_of((uint32_t)env.received);
    if (m == NULL || (m->acked && m->id != e->id))
        broken("id %u is in the queue, and nobody put it there", (unsigned)e->id);
    if (m->settled)
        broken("mail %u id %u: settled, and here again", (unsigned)m->seed, (unsigned)e->id);
    if (e->size_bytes != m->bytes || e->recipients != m->recipients)
        broken("mail %u id %u: not whole", (unsigned)m->seed, (unsigned)e->id);
    read_whole(m, e->id);
    check_outcomes(m, e);
    return m;
}

static bool in_flash(const char *text)
{
    const uint8_t *p = flash_sim_bytes(), *end = p + FLASH_BYTES - strlen(text);
    while ((p = memchr(p, text[0], (size_t)(end - p))) != NULL)
        if (memcmp(p++, text, strlen(text)) == 0)
            return true;
    return false;
}

static void check_ledger(void)
{
    static bool seen[MAILS_MAX];
    struct spool_entry e = { 0 };
    memset(seen, 0, sizeof seen);
    while (spool_next(e.id, &e)) {
        struct mail *m = check_entry(&e);
        size_t i = (size_t)(m - shared->mails);
        if (seen[i])
            broken("mail %u is there twice", (unsigned)m->seed);
        seen[i] = true;
        m->id = e.id; /* for the next day */
        m->acked = true;
    }
    for (unsigned i = 0; i < shared->count; i++) {
        const struct mail *m = &shared->mails[i];
        if (m->acked && !m->settle_begun && !seen[i])
            broken("mail %u id %u was acknowledged and is lost", (unsigned)m->seed, (unsigned)m->id);
        struct spool_envelope env = make_envelope(m->seed);
        struct spool_recipient r = make_recipient(m->seed, 0);
        char text[40];
        if (m->settled && cut.fails_at == 0 &&
            (in_flash(env.sender) || in_flash(r.address) || in_flash(outcome_text(m->seed, text).p)))
            broken("mail %u: settled, and still in the flash", (unsigned)m->seed);
    }
}

/* What was begun before the cut and is known now to have or have not happened. */
static void settle_ledger(void)
{
    for (unsigned i = 0; i < shared->count; i++) {
        struct mail *m = &shared->mails[i];
        struct spool_entry e;
        if (m->id == 0 || !spool_lookup(m->id, &e)) {
            m->settled = m->settled || m->settle_begun;
            m->settle_begun = true; /* never looked for again */
            continue;
        }
        m->settle_begun = false;
        m->next_try = e.next_try;
        m->defer_begun = false;
        for (unsigned k = 0; k < m->recipients; k++) {
            struct spool_recipient r;
            must(spool_read_recipient(m->id, k, &r), "recipient");
            m->outcome[k] = (uint8_t)r.state;
            m->outcome_begun[k] = r.state != SPOOL_WAITING;
        }
    }
}

static void age(void)
{
    boot();
    must(spool_open(0, FLASH_BYTES), "first boot");
    run_day(90, 200);
    save_and_exit();
}

static void day_with_cut(void)
{
    dice_state = 77;
    boot();
    flash_sim_cut_after(cut.at, cut.torn, cut.seed, save_image_and_die);
    must(spool_open(0, FLASH_BYTES), "boot");
    run_day(24, 5000);
    save_and_exit();
}

static void recovery_with_cut(void)
{
    dice_state = 78;
    boot();
    flash_sim_cut_after(cut.again_at, cut.again_torn, cut.seed + 1, save_image_and_die);
    must(spool_open(0, FLASH_BYTES), "boot that is cut");
    save_and_exit();
}

static void recovery_and_next_day(void)
{
    dice_state = 79;
    boot();
    must(spool_open(0, FLASH_BYTES), "boot after the cut");
    finish_housekeeping();
    must_be_sound(true);
    check_ledger();
    settle_ledger();
    uint32_t highest = shared->highest_id;
    unsigned before = shared->count;
    run_day(4, 5001);
    for (unsigned i = before; i < shared->count; i++)
        if (shared->mails[i].acked && shared->mails[i].id <= highest)
            broken("id %u was used before", (unsigned)shared->mails[i].id);
    must_be_sound(false);
    save_and_exit();
}

static void last_look(void)
{
    boot();
    must(spool_open(0, FLASH_BYTES), "last boot");
    finish_housekeeping();
    check_ledger();
    _exit(0);
}

/* What each cut starts from: a flash that was never used. */
static void begin_with_blank_flash(void)
{
    memset(shared, 0, sizeof *shared);
    memset(shared->image, 0xff, FLASH_BYTES);
    memcpy(aged, shared, sizeof *shared);
}

/* The day from the beginning, with the cut that is set; then what must hold after it. */
static bool survives(void (*day)(void))
{
    memcpy(shared, aged, sizeof *shared);
    return phase(day) && phase(rescue) && phase(recovery_and_next_day) && phase(last_look);
}

static bool one_cut(void)
{
    memcpy(shared, aged, sizeof *shared);
    bool ok = phase(day_with_cut) && phase(rescue);
    if (ok && cut.again_at != UINT64_MAX)
        ok = phase(recovery_with_cut);
    ok = ok && phase(recovery_and_next_day) && phase(last_look);
    if (!ok)
        print_error("cut at %lu torn %d seed %lu, again at %ld torn %d: %s\n", (unsigned long)cut.at, cut.torn,
                    (unsigned long)cut.seed, (long)cut.again_at, cut.again_torn, shared->why);
    return ok;
}

static void plan_cut(uint64_t at, bool torn, uint64_t seed)
{
    static uint32_t turn;
    turn++;
    cut.at = at;
    cut.torn = torn;
    cut.seed = seed;
    cut.again_at = turn % 3 == 0 ? turn / 3 % 7 : UINT64_MAX; /* the boot has a few operations */
    cut.again_torn = turn % 2;
}

static int prepare(void **state)
{
    (void)state;
    shared = shared_memory(2 * sizeof *shared);
    aged = shared + 1;
    dump_prepare();
    memset(shared->image, 0xff, FLASH_BYTES);
    dice_state = 4711;
    if (!phase(age))
        fail_msg("ageing: %s", shared->why);
    memcpy(aged, shared, sizeof *shared);
    cut.at = UINT64_MAX / 2;
    if (!phase(day_with_cut) || !phase(last_look))
        fail_msg("a day without a cut: %s", shared->why);
    aged->operations = shared->operations;
    /* A day that never compacts or erases would prove little. */
    assert_true(shared->compacted >= 3 && shared->reclaimed >= 6);
    return 0;
}

static bool is_long(void)
{
    const char *wanted = getenv("POWERCUT_LONG");
    return wanted != NULL && wanted[0] == '1';
}

static void any_cut(void **state)
{
    (void)state;
    bool all = is_long();
    uint64_t operations = aged->operations, cuts = 0, again = 0, stride = all ? 1 : operations / 90 + 1;
    unsigned failures = 0;
    for (uint64_t at = 0; at < operations && failures < 5; at += stride)
        for (unsigned torn = 0; torn < 2; torn++)
            for (uint64_t seed = 0; seed < (all ? 5u : 1u); seed++) {
                plan_cut(at + (all ? 0 : cuts % stride), torn != 0, all ? seed : cuts % 6);
                failures += !one_cut();
                cuts++;
                again += cut.again_at != UINT64_MAX;
            }
    print_message("spool: %lu cut points of a day of %lu operations, %lu cut again while recovering\n", (unsigned long)cuts,
                  (unsigned long)operations, (unsigned long)again);
    assert_int_equal(failures, 0);
}

/* --- moving what lives --- */

static void write_one(void)
{
    struct mail *m = &shared->mails[shared->count++];
    *m = make_mail(5 + 7 * shared->count); /* 9000 bytes and some */
    struct spool_writer w;
    must(write_mail(&w, (uint8_t[SPOOL_CHUNK_BYTES]){ 0 }, m), "mail");
    must(spool_commit(&w, &m->id), "commit");
    m->acked = true;
    if (m->id > shared->highest_id)
        shared->highest_id = m->id;
}

/* Two segments with little alive are compacted, and a full one that has worn out is emptied. */
static void moves(void)
{
    dice_state = 82;
    boot();
    flash_sim_cut_after(cut.at, cut.torn, cut.seed, save_image_and_die);
    must(spool_open(0, FLASH_BYTES), "boot");
    write_one(); /* the head: is left alone */
    for (unsigned compacted = 0; compacted < 2; compacted += segment_reclaimable() < 0)
        must(spool_make_room(ROOM_SYSTEM), "compaction");
    unsigned fullest = 0;
    for (unsigned i = 0; i < spool.segments; i++)
        if (spool.segment[i].state == SEGMENT_USED && (int)i != spool.head &&
            spool.segment[i].live_bytes > spool.segment[fullest].live_bytes)
            fullest = i;
    segment_worn(fullest);
    finish_housekeeping();
    save_and_exit();
}

/* Of everything that is moved there are two, and one of them half, for a while. */
static void any_cut_while_mail_is_moved(void **state)
{
    (void)state;
    unsigned cuts = 0, failures = 0;
    memcpy(shared, aged, sizeof *shared);
    cut.at = UINT64_MAX / 2;
    assert_true(phase(moves) && shared->compacted >= 3);
    uint64_t operations = shared->operations;
    for (uint64_t at = 0; at < operations && failures < 5; at++)
        for (unsigned k = 0; k < (is_long() ? 10u : 2u); k++, cuts++) {
            cut.at = at;
            cut.torn = k % 2;
            cut.seed = is_long() ? k / 2 : cuts / 2 % 6;
            if (survives(moves))
                continue;
            failures++;
            print_error("moving cut at %lu torn %d seed %lu: %s\n", (unsigned long)cut.at, cut.torn, (unsigned long)cut.seed,
                        shared->why);
        }
    print_message("spool: %u cut points of %lu operations that move mail\n", cuts, (unsigned long)operations);
    assert_int_equal(failures, 0);
}

/* --- a mail over a segment's end --- */

static void long_mails(void)
{
    dice_state = 81;
    boot();
    flash_sim_cut_after(cut.at, false, cut.seed, save_image_and_die);
    must(spool_open(0, FLASH_BYTES), "boot");
    for (unsigned i = 0; i < 4; i++) {
        write_one();
        if (shared->sync_count < SYNCS_MAX)
            shared->sync_at[shared->sync_count++] = flash_sim_operations() - 1;
    }
    save_and_exit();
}

/* Of a mail that goes over a segment's end a cut may keep the COMMIT and take what is before it: then it was never acknowledged. */
static void any_subset_before_a_commit_holds(void **state)
{
    (void)state;
    unsigned cuts = 0, failures = 0;
    begin_with_blank_flash();
    cut.at = UINT64_MAX / 2;
    assert_true(phase(long_mails));
    uint64_t sync_at[4];
    memcpy(sync_at, shared->sync_at, sizeof sync_at);
    for (unsigned i = 0; i < 4 && failures < 5; i++)
        for (unsigned k = 0; k < 24; k++, cuts++) {
            cut.at = sync_at[i];
            cut.seed = 1000 + 7919 * cuts;
            if (survives(long_mails))
                continue;
            failures++;
            print_error("long mails cut at %lu seed %lu: %s\n", (unsigned long)cut.at, (unsigned long)cut.seed, shared->why);
        }
    print_message("spool: %u cut points before the commits of long mails\n", cuts);
    assert_int_equal(failures, 0);
}

/* --- an empty spool --- */

static void give_up_a_mail(void)
{
    struct mail m = make_mail(1);
    struct spool_writer w;
    must(write_mail(&w, (uint8_t[SPOOL_CHUNK_BYTES]){ 0 }, &m), "a mail that is given up");
    spool_abort(&w);
}

static void quiet_day(void)
{
    dice_state = 80;
    boot();
    flash_sim_cut_after(cut.at, cut.torn, cut.seed, save_image_and_die);
    must(spool_open(0, FLASH_BYTES), "boot");
    for (unsigned round = 0; round < 3; round++) {
        struct spool_entry e = { 0 };
        run_day(4, 200);
        while (spool_next(0, &e)) { /* nothing stays */
            struct mail *m = mail_of_id(e.id);
            m->settle_begun = true;
            for (unsigned i = 0; i < m->recipients; i++) {
                m->outcome_begun[i] = true;
                enum rc rc = spool_outcome(e.id, i, SPOOL_DROPPED, 0, (const uint8_t[3]){ 0 }, span_of(""), 7);
                if (rc != RC_OK && rc != RC_INVALID)
                    must(rc, "outcome");
            }
            must(spool_settle(e.id), "settle");
            m->settled = true;
        }
        finish_housekeeping();
        give_up_a_mail(); /* the spool's task looks again, at nothing but dead records */
        finish_housekeeping();
    }
    save_and_exit();
}

/* With every mail gone nothing may be forgotten: ids go on, and the next mail is kept. */
static void an_empty_spool_remembers(void **state)
{
    (void)state;
    unsigned cuts = 0, failures = 0;
    begin_with_blank_flash();
    cut.at = UINT64_MAX / 2;
    cut.torn = false;
    assert_true(phase(quiet_day));
    uint64_t operations = shared->operations;
    for (cut.at = 0; cut.at <= operations && failures < 5; cut.at += 3, cuts++) {
        cut.torn = cuts % 2;
        cut.seed = cuts % 4;
        if (survives(quiet_day))
            continue;
        failures++;
        print_error("quiet day cut at %lu: %s\n", (unsigned long)cut.at, shared->why);
    }
    print_message("spool: %u cut points of a quiet day of %lu operations\n", cuts, (unsigned long)operations);
    assert_int_equal(failures, 0);
}

/* --- what a boot has read is beyond doubt --- */

static void a_short_day(void)
{
    boot();
    must(spool_open(0, FLASH_BYTES), "boot");
    write_one();
    save_and_exit();
}

static void the_rotten_one_is_shown(void)
{
    boot();
    must(spool_open(0, FLASH_BYTES), "boot after the rot");
    struct spool_entry e;
    if (!spool_lookup(shared->mails[0].id, &e) || !e.damaged)
        broken("a mail acknowledged before the last boot is dropped without a word");
    _exit(0);
}

/* A COMMIT that rots may pass for an unfinished one if it is of the last moments; a mail from before the last boot never is. */
static void rot_after_a_boot(void **state)
{
    (void)state;
    memset(shared, 0, sizeof *shared);
    memset(shared->image, 0xff, FLASH_BYTES);
    cut.at = UINT64_MAX / 2;
    for (unsigned i = 0; i < 2; i++)
        if (!phase(a_short_day))
            fail_msg("%s", shared->why);
    unsigned rotten = 0;
    for (size_t at = 0; at < FLASH_BYTES; at += 32)
        if (shared->image[at] == 0xa7 && shared->image[at + 1] == 4 && shared->image[at + 4] == (uint8_t)shared->mails[0].id) {
            shared->image[at + 32 + 16] ^= 1;
            rotten++;
        }
    assert_int_equal(rotten, 1);
    if (!phase(the_rotten_one_is_shown))
        fail_msg("%s", shared->why);
}

static void day_with_failure(void)
{
    dice_state = 77;
    boot();
    flash_sim_fail(cut.failing, cut.fails_at);
    must(spool_open(0, FLASH_BYTES), "boot");
    run_day(24, 5000);
    finish_housekeeping();
    save_and_exit();
}

static void failing(enum flash_op_kind kind, uint64_t most, bool for_good, unsigned *tried, unsigned *failures)
{
    cut.failing = kind;
    cut.for_good = for_good;
    for (cut.fails_at = 1; cut.fails_at < most; cut.fails_at += is_long() ? 1 : 23, ++*tried) {
        memcpy(shared, aged, sizeof *shared);
        if (phase(day_with_failure) && phase(last_look) && phase(recovery_and_next_day) && phase(last_look))
            continue;
        ++*failures;
        print_error("failing %d at %lu%s: %s\n", (int)kind, (unsigned long)cut.fails_at, for_good ? " for good" : "", shared->why);
    }
}

/* An erase or a program fails, once or from then on in that block for good: the day goes on, and nothing is lost then or at later boots. */
static void any_failed_operation(void **state)
{
    (void)state;
    unsigned tried = 0, failures = 0;
    for (unsigned for_good = 0; for_good < 2; for_good++) {
        failing(FLASH_ERASE, 60, for_good, &tried, &failures);
        failing(FLASH_PROGRAM, 500, for_good, &tried, &failures);
    }
    cut.fails_at = 0;
    cut.for_good = false;
    print_message("spool: %u failing operations\n", tried);
    assert_int_equal(failures, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(any_cut, prepare),           cmocka_unit_test(any_cut_while_mail_is_moved),
        cmocka_unit_test(any_subset_before_a_commit_holds), cmocka_unit_test(any_failed_operation),
        cmocka_unit_test(an_empty_spool_remembers),         cmocka_unit_test(rot_after_a_boot),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
