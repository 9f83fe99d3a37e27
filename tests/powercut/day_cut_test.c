/* A whole box under power cuts. In one day, on one flash: mail from inside and outside, straight through to the office's server while that answers
 * and into the spool while it is away; deliveries, deferrals, refusals, greylisting, delay warnings, bounces, mail that is given up; an operator who
 * holds and releases domains and mails, drops some, commits settings and brings two lists; compaction. The power goes before or in the middle of one
 * operation, with any subset of the operations not yet synced lost, and now and then again while the box recovers. Then it boots, those who were not
 * answered send again, and the next days run until the queue is empty:
 *
 * - each mail answered 250 has arrived, or came back, or was dropped by the operator, for every recipient;
 * - none came twice, but for what was under way at a cut and not yet answered or kept (allow_repeats); no dropped one came;
 * - queue and settings can be read, settings committed together are old or new together, a hold holds or not as it was acknowledged;
 * - the list in force is whole and never older than what was acknowledged.
 *
 * POWERCUT_LONG=n cuts at every operation, torn and not, n times each with what survives chosen anew; else a seeded sample. */
#include "tests/powercut/process.h"
#include "tests/powercut/quiet_box.h"
#include "tests/support/list_image.h"

#define BLOCK 4096u
#define SEGMENT (32u * 1024)
#define SETTINGS_BYTES (16u * BLOCK)
#define SLOT_BYTES (3u * BLOCK)
#define SPOOL_BYTES (10u * SEGMENT)
#define SPOOL_AT (SETTINGS_BYTES + 2 * SLOT_BYTES)
#define FLASH_BYTES (SPOOL_AT + SPOOL_BYTES)
#define MAILS_MAX 300
#define SENDERS 3
#define DAY_MAILS 36
#define DAY_US (20ull * HOUR_S * 1000000)
#define AWAY_FROM_S (3 * HOUR_S)
#define AWAY_UNTIL_S (8 * HOUR_S)
#define LIST_VERSION 1600000000
#define LISTS 3

static const struct flash_map map = { .settings = { 0, SETTINGS_BYTES },
                                      .list = { { SETTINGS_BYTES, SLOT_BYTES }, { SETTINGS_BYTES + SLOT_BYTES, SLOT_BYTES } },
                                      .spool = { SPOOL_AT, SPOOL_BYTES } };
static struct byte_buffer list[LISTS];

/* What was begun, and what was acknowledged. */
struct change {
    unsigned begun, done;
};

struct shared {
    uint8_t image[FLASH_BYTES];
    uint64_t day_from_us, operations, reclaimed, compacted;
    struct change settings, hold, list;
    unsigned dropped, delayed, failed, held;
    struct ledger ledger;
    struct ledger_mail room[MAILS_MAX];
};
static struct shared *shared, *aged;

static struct {
    uint64_t at;
    bool torn;
    uint64_t seed, again_at;
    bool again_torn;
} cut;

/* --- the world --- */

static uint64_t dead_until_us = UINT64_MAX; /* dead.test: what it does not live to see goes back */

static int64_t day_s(void)
{
    return (int64_t)((ledger->clock_us - shared->day_from_us) / 1000000);
}

static enum world_word world(const char *domain, struct ledger_mail *m, unsigned recipient)
{
    (void)recipient;
    if (strcmp(domain, "office.test") == 0)
        return day_s() >= AWAY_FROM_S && day_s() < AWAY_UNTIL_S ? WORLD_SILENT : WORLD_TAKES;
    if (strcmp(domain, "slow.test") == 0 && m != NULL && !m->turned_away) {
        m->turned_away = true;
        return WORLD_LATER;
    }
    return strcmp(domain, "dead.test") == 0 && ledger->clock_us < dead_until_us ? WORLD_SILENT
           : strcmp(domain, "bad.test") == 0                                    ? WORLD_NEVER
                                                                                : WORLD_TAKES;
}

static struct ledger_mail *next_mail(void)
{
    static const uint32_t sizes[] = { 300, 900, 2500, 3900, 6000, 12000, 20000 };
    static const char *const domains[] = { "good.test",   "slow.test", "good.test", "bad.test",
                                           "office.test", "dead.test", "fine.test" };
    struct ledger_mail *m = &ledger->mail[ledger->count++];
    if (ledger->count > MAILS_MAX)
        broken("more mails than the ledger holds");
    *m = (struct ledger_mail){ .seed = ledger->count, .bytes = sizes[dice(7)] + dice(32), .from_inside = dice(5) < 3 };
    m->recipients = (uint8_t)(1 + dice(RECIPIENTS_MAX));
    for (unsigned i = 0; i < m->recipients; i++)
        snprintf(m->to[i].domain, sizeof m->to[i].domain, "%s", m->from_inside ? domains[dice(7)] : "office.test");
    return m;
}

/* --- who takes part --- */

static struct slot slots[SENDERS];
static unsigned running, mails_to_send;

static bool all_are_done(void)
{
    return running == 0;
}

static void wait_us(uint64_t until_us)
{
    while (ledger->clock_us < until_us)
        if (task_sleep_ms((uint32_t)((until_us - ledger->clock_us) / 1000 + 1)) != RC_OK)
            broken("cancelled");
}

/* Who hears 4yz comes again. */
static void send_until_taken(struct slot *slot, struct ledger_mail *m)
{
    for (unsigned tries = 0; !m->acked && tries < 60; tries++) {
        unsigned code = send_mail(slot, m);
        if (code >= 500)
            broken("mail %u was refused with %u", (unsigned)m->seed, code);
        m->acked = code == 250;
        if (!m->acked)
            wait_us(ledger->clock_us + 1000000ull * (60 + dice(600)));
    }
}

static void sender(void *arg)
{
    struct slot *slot = &slots[(size_t)(uintptr_t)arg];
    for (unsigned i = 0; i < ledger->count; i++) /* from before the cut */
        if (!ledger->mail[i].acked && i % SENDERS == (size_t)(uintptr_t)arg)
            send_until_taken(slot, &ledger->mail[i]);
    while (mails_to_send > 0) {
        mails_to_send--;
        wait_us(ledger->clock_us + 1000000ull * dice(2 * DAY_US / 1000000 * SENDERS / (DAY_MAILS + 1)));
        send_until_taken(slot, next_mail());
    }
    running--;
}

static void commit_next_settings(void)
{
    char text[60];
    unsigned n = ++shared->settings.begun;
    snprintf(text, sizeof text, "operator-%u@office.test", n);
    set("acme.contact", text);
    snprintf(text, sizeof text, "ntp-%u.office.test", n);
    set("net.ntp", text);
    snprintf(text, sizeof text, "profile-%u", n);
    set("acme.profile", text);
    commit_settings();
    shared->settings.done = n;
}

/* Even numbers: nothing is held. */
static void turn_hold(void)
{
    char words[200];
    struct strbuf why = STRBUF(words);
    unsigned n = ++shared->hold.begun;
    must(settings_change(SPAN("mail.hold.fine.test"), n % 2 ? SPAN("by the operator") : SPAN(""), &why), "hold");
    shared->hold.done = n;
}

static bool waiting_mail(struct spool_entry *e)
{
    *e = (struct spool_entry){ 0 };
    for (unsigned skip = dice(4); spool_next(e->id, e);)
        if (!e->busy && !e->held && e->waiting > 0 && e->origin != SPOOL_OWN && skip-- == 0)
            return true;
    return false;
}

static void hold_and_release_a_mail(void)
{
    struct spool_entry e;
    if (!waiting_mail(&e))
        return;
    must(spool_hold(e.id, true), "hold");
    wait_us(ledger->clock_us + 1200 * 1000000ull);
    must(spool_hold(e.id, false), "release");
    shared->held++;
}

static void drop_a_mail(void)
{
    static const uint8_t none[3];
    struct spool_entry e;
    struct spool_recipient r;
    struct ledger_mail *m;
    if (!waiting_mail(&e))
        return;
    must(spool_hold(e.id, true), "hold before a drop"); /* so that no worker takes it meanwhile */
    for (unsigned i = 0; i < e.recipients; i++) {
        must(spool_read_recipient(e.id, i, &r), "recipient");
        int index = recipient_of(r.address, &m);
        if (r.state != SPOOL_WAITING || index < 0)
            continue;
        m->to[index].dropping = true;
        must(spool_outcome(e.id, i, SPOOL_DROPPED, 0, none, SPAN("dropped by the operator"), delivery_now()), "drop");
        m->to[index].dropped = true;
    }
    must(spool_settle(e.id), "settle");
    shared->dropped++;
}

static void bring_a_list(void)
{
    uint32_t ticket;
    if (shared->list.begun + 1 >= LISTS)
        return;
    unsigned n = ++shared->list.begun;
    must(list_update_begin("serial", &ticket), "list");
    for (size_t at = 0; at < list[n].len; at += 1000)
        must(list_update_write(ticket, span_sub(byte_buffer_span(&list[n]), at, 1000)), "list");
    must(list_update_finish(ticket), "list");
    shared->list.done = n;
}

static void operator_(void *arg)
{
    static void (*const script[])(void) = { commit_next_settings, turn_hold, hold_and_release_a_mail, bring_a_list,
                                            drop_a_mail,          turn_hold, commit_next_settings,    hold_and_release_a_mail,
                                            drop_a_mail };
    (void)arg;
    const unsigned steps = sizeof script / sizeof script[0];
    for (unsigned i = 0; i < 2 * steps; i++) {
        wait_us(ledger->clock_us + DAY_US / (2 * steps + 2));
        script[i % steps]();
    }
    running--;
}

/* --- phases --- */

/* The power has gone: what SMTP itself leaves open may come twice, and nothing else. A mail is sent again by who was not told 250; one whose outcome
 * is not kept yet is tried again, and so is a report. */
static void allow_repeats(void)
{
    for (unsigned k = 0; k < ledger->count; k++)
        for (unsigned i = 0; !ledger->mail[k].acked && i < RECIPIENTS_MAX; i++) {
            ledger->mail[k].to[i].may_repeat++;
            ledger->mail[k].to[i].failed_repeats++;
        }
    for (unsigned n = 0; n < PLAN_DELIVERY_SESSIONS; n++) {
        const struct delivery_slot *s = delivery_slot(n);
        const char *at = readings[n].head, *action;
        struct ledger_recipient *to;
        for (unsigned i = 0; s->working && i < s->count; i++) {
            struct ledger_mail *m;
            int index = recipient_of(s->batch[i].to.address, &m);
            if (index >= 0) {
                m->to[index].may_repeat += m->to[index].taken > 0;
                m->to[index].failed_repeats++;
            }
        }
        while (s->working && (to = next_in_report(&at, &action)) != NULL)
            to->failed_repeats++;
    }
}

static void boot(void)
{
    ledger = &shared->ledger;
    world_answer = world;
    flash_sim_init(FLASH_BYTES, BLOCK, 32);
    flash_sim_poke(0, shared->image, FLASH_BYTES);
}

static void save_and_exit(void)
{
    struct spool_info info;
    if (flash_sim_violations() > 0)
        broken("%s", flash_sim_violation());
    spool_info(&info);
    shared->operations = flash_sim_operations();
    shared->reclaimed = info.reclaimed_blocks;
    shared->compacted = info.compacted_blocks;
    memcpy(shared->image, flash_sim_bytes(), FLASH_BYTES);
    _exit(0);
}

static void save_what_the_cut_left(void)
{
    if (flash_sim_violations() > 0)
        broken("%s", flash_sim_violation());
    allow_repeats();
    flash_sim_power_on();
    memcpy(shared->image, flash_sim_bytes(), FLASH_BYTES);
    _exit(0);
}

static void run_day(unsigned mails, bool with_operator)
{
    static struct task tasks[SENDERS + 1];
    static uint8_t stacks[SENDERS + 1][192 * 1024] __attribute__((aligned(16)));
    mails_to_send = mails;
    running = SENDERS + with_operator;
    for (size_t i = 0; i < running; i++)
        task_start(&tasks[i], "day", stacks[i], sizeof stacks[i], i < SENDERS ? sender : operator_, (void *)(uintptr_t)i);
    if (!run_until(all_are_done, ledger->clock_us + 10 * DAY_US))
        broken("the day does not end");
}

static void first_day(void)
{
    dice_state = 4711;
    boot();
    flash_sim_poke(map.list[0].addr, list[0].p, list[0].len);
    box_boot(&map);
    set("host.name", "box.office.test");
    set("mail.domains", "office.test");
    set("mail.inside", "10.9.9.9:25");
    set("mail.trusted", "10.0.0.0/8");
    set("mail.life_days", "1");
    commit_settings();
    commit_next_settings();
    run_day(70, false);
    save_and_exit();
}

static void day_with_cut(void)
{
    dice_state = 77;
    boot();
    shared->day_from_us = ledger->clock_us;
    flash_sim_cut_after(cut.at, cut.torn, cut.seed, save_what_the_cut_left);
    box_boot(&map);
    run_day(DAY_MAILS, true);
    save_and_exit();
}

static void recovery_with_cut(void)
{
    dice_state = 78;
    boot();
    flash_sim_cut_after(cut.again_at, cut.again_torn, cut.seed + 1, save_what_the_cut_left);
    box_boot(&map);
    run_day(0, false);
    flash_sim_cut_now(cut.seed);
    save_what_the_cut_left();
}

/* --- checking --- */

static unsigned number_in(const char *key)
{
    const char *text = settings_get(key);
    text += strcspn(text, "0123456789");
    return (unsigned)strtoul(text, NULL, 10);
}

static void check_settings(void)
{
    unsigned n = number_in("acme.contact"), hold = settings_get_member("mail.hold.", SPAN("fine.test")) != NULL;
    struct settings_log_info info;
    settings_log_info(&info);
    if (n != number_in("net.ntp") || n != number_in("acme.profile"))
        broken("settings of one commit: %u, %u, %u", n, number_in("net.ntp"), number_in("acme.profile"));
    if (n != shared->settings.done && n != shared->settings.begun)
        broken("settings %u, acknowledged %u, begun %u", n, shared->settings.done, shared->settings.begun);
    if (hold != shared->hold.done % 2 && hold != shared->hold.begun % 2)
        broken("the hold is not as it was acknowledged");
    if (info.damaged > 0 || strcmp(settings_get("host.name"), "box.office.test") != 0)
        broken("the settings are damaged");
    shared->settings = (struct change){ n, n };
    shared->hold = (struct change){ hold, hold };
}

static void check_list(void)
{
    const struct image *active = list_store_image();
    unsigned n = active != NULL ? (unsigned)(active->version - LIST_VERSION) : LISTS;
    if (n >= LISTS || (n != shared->list.done && n != shared->list.begun) || list_store_list() == NULL)
        broken("list %u is in force, %u was acknowledged", n, shared->list.done);
    if (memcmp(flash_sim_bytes() + map.list[list_store_slot() - 'A'].addr, list[n].p, list[n].len) != 0)
        broken("list %u is not whole", n);
    shared->list = (struct change){ n, n };
}

static void check_queue(void)
{
    struct spool_entry e = { 0 };
    struct spool_envelope envelope;
    struct spool_recipient r;
    unsigned n = 0;
    for (; spool_next(e.id, &e); n++) {
        must(spool_read_envelope(e.id, &envelope), "envelope");
        for (unsigned i = 0; i < e.recipients; i++)
            must(spool_read_recipient(e.id, i, &r), "recipient");
        if (e.damaged)
            broken("id %u is damaged", (unsigned)e.id);
        if (e.held && spool_hold(e.id, false) != RC_OK) /* of a mail that was to be released or dropped */
            broken("id %u cannot be released", (unsigned)e.id);
    }
    struct spool_info info;
    spool_info(&info);
    if (info.messages != n)
        broken("%u mails in the queue, %u are counted", n, info.messages);
}

static bool queue_is_empty(void)
{
    struct spool_info info;
    spool_info(&info);
    return info.messages == 0;
}

static void next_days(void)
{
    dice_state = 79;
    boot();
    box_boot(&map);
    check_settings();
    check_list();
    check_queue();
    if (settings_get_member("mail.hold.", SPAN("fine.test")) != NULL)
        turn_hold();
    commit_next_settings();
    dead_until_us = ledger->clock_us + 3ull * HOUR_S * 1000000;
    run_day(3, false);
    if (!run_until(queue_is_empty, ledger->clock_us + 20 * DAY_US))
        broken("mail still waits after days");
    check_ends();
    for (unsigned k = 0; k < ledger->count; k++) {
        if (!ledger->mail[k].acked)
            broken("mail %u was never taken", (unsigned)ledger->mail[k].seed);
        for (unsigned i = 0; i < RECIPIENTS_MAX; i++) {
            shared->delayed += ledger->mail[k].to[i].delayed;
            shared->failed += ledger->mail[k].to[i].failed;
        }
    }
    save_and_exit();
}

static bool phase(void (*fn)(void))
{
    return in_child(fn, shared->ledger.why, sizeof shared->ledger.why);
}

static int prepare(void **state)
{
    static const unsigned domains[LISTS] = { 900, 980, 940 };
    (void)state;
    shared = shared_memory(2 * sizeof *shared);
    aged = shared + 1;
    for (unsigned i = 0; i < LISTS; i++) {
        list_image_make(&list[i], LIST_VERSION + i, domains[i], i);
        assert_in_range(list[i].len, 1000, SLOT_BYTES);
    }
    memset(shared->image, 0xff, FLASH_BYTES);
    if (!phase(first_day))
        fail_msg("the first day: %s", shared->ledger.why);
    memcpy(aged, shared, sizeof *shared);
    cut.at = UINT64_MAX / 2;
    if (!phase(day_with_cut))
        fail_msg("a day without a cut: %s", shared->ledger.why);
    aged->operations = shared->operations;
    unsigned compacted = (unsigned)shared->compacted, reclaimed = (unsigned)shared->reclaimed, passed = shared->ledger.passed;
    unsigned commits = shared->settings.done + shared->hold.done;
    if (!phase(next_days))
        fail_msg("the days after a day without a cut: %s", shared->ledger.why);
    print_message("day: %u mails, %u straight through, %u segments compacted and %u erased, %u delay warnings, %u bounces, %u "
                  "dropped, %u held, "
                  "%u settings commits, %u lists\n",
                  shared->ledger.count, passed, compacted, reclaimed, shared->delayed, shared->failed, shared->dropped,
                  shared->held, commits, shared->list.done);
    assert_true(compacted >= 2 && reclaimed >= 4 && passed >= 5 && shared->delayed >= 3 && shared->failed >= 5);
    assert_true(shared->dropped >= 2 && shared->held >= 2 && shared->list.done == LISTS - 1);
    return 0;
}

static bool one_cut(void)
{
    memcpy(shared, aged, sizeof *shared);
    bool ok = phase(day_with_cut) && (cut.again_at == UINT64_MAX || phase(recovery_with_cut)) && phase(next_days);
    if (!ok)
        print_error("cut at %lu torn %d seed %lu, again at %ld torn %d: %s\n", (unsigned long)cut.at, cut.torn,
                    (unsigned long)cut.seed, (long)cut.again_at, cut.again_torn, shared->ledger.why);
    return ok;
}

static void any_cut(void **state)
{
    const char *wanted = getenv("POWERCUT_LONG");
    bool all = wanted != NULL && wanted[0] >= '1';
    uint64_t seeds = all ? strtoul(wanted, NULL, 10) : 1;
    uint64_t operations = aged->operations, cuts = 0, again = 0, stride = all ? 1 : operations / 30 + 1;
    unsigned failures = 0;
    (void)state;
    for (uint64_t at = 0; at < operations && failures < 5; at += stride)
        for (unsigned torn = 0; torn < 2; torn++)
            for (uint64_t seed = 0; seed < (all ? seeds : 1u); seed++, cuts++) {
                cut.at = at + (all ? 0 : cuts * 7 % stride);
                cut.torn = torn != 0;
                cut.seed = (cuts + cuts / 6) % 6;
                cut.again_at = cuts % 3 == 0 ? cuts / 3 % 37 : UINT64_MAX;
                cut.again_torn = cuts % 2;
                failures += !one_cut();
                again += cut.again_at != UINT64_MAX;
            }
    print_message("day: %lu cut points of %lu operations, %lu cut again while recovering\n", (unsigned long)cuts,
                  (unsigned long)operations, (unsigned long)again);
    for (unsigned i = 0; i < LISTS; i++)
        byte_buffer_free(&list[i]);
    assert_int_equal(failures, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test_setup(any_cut, prepare) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
