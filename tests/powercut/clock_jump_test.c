/* The clock jumps by decades and back while mail waits: none is given back for it, and none is left waiting for a time that is far away. */
#include "tests/powercut/quiet_box.h"

#define BLOCK 4096u
#define SETTINGS_BYTES (16u * BLOCK)
#define SPOOL_BYTES (1u << 20)
#define MAILS 12u
#define DECADES_S (20ll * 365 * 24 * HOUR_S)

static const struct flash_map map = { .settings = { 0, SETTINGS_BYTES }, .spool = { SETTINGS_BYTES, SPOOL_BYTES } };
static bool silent;
static struct slot slot;

static enum world_word world(const char *domain, struct ledger_mail *m, unsigned recipient)
{
    (void)domain;
    (void)m;
    (void)recipient;
    return silent ? WORLD_SILENT : WORLD_TAKES;
}

static bool queue_is_empty(void)
{
    struct spool_entry e;
    return !spool_next(0, &e);
}

static bool never(void)
{
    return false;
}

static void hours(unsigned n)
{
    run_until(never, ledger->clock_us + n * HOUR_S * 1000000ull);
}

/* The right time, or one that is wrong by so much. */
static void set_clock(int64_t off_s)
{
    must(wallclock_set(BOOT_TIME_S + (int64_t)(ledger->clock_us / 1000000) + off_s), "clock");
}

static void send_all(void)
{
    for (unsigned i = 0; i < MAILS; i++) {
        struct ledger_mail *m = &ledger->mail[ledger->count++];
        *m = (struct ledger_mail){ .seed = ledger->count, .bytes = 1000, .from_inside = true, .recipients = 1 };
        snprintf(m->to[0].domain, sizeof m->to[0].domain, "d%u.test", i % 4);
        m->acked = send_mail(&slot, m) == 250;
        assert_true(m->acked);
    }
}

static void jump(int64_t off_s)
{
    silent = true;
    send_all();
    hours(1);
    set_clock(off_s);
    hours(2);
    set_clock(0);
    hours(1);
    silent = false;
    if (!run_until(queue_is_empty, ledger->clock_us + 10 * HOUR_S * 1000000ull))
        broken("mail waits on after the clock was right again");
}

static void no_mail_is_lost_or_forgotten(void **state)
{
    jmp_buf here;
    (void)state;
    ledger = calloc(1, sizeof *ledger + 2 * MAILS * sizeof ledger->mail[0]);
    assert_non_null(ledger);
    world_answer = world;
    flash_sim_init(SETTINGS_BYTES + SPOOL_BYTES, BLOCK, 32);
    if (setjmp(here) != 0)
        fail_msg("%s", ledger->why);
    on_broken = &here;
    box_boot(&map);
    set("host.name", "box.office.test");
    set("mail.trusted", "10.0.0.0/8");
    commit_settings();
    jump(DECADES_S);
    jump(-200 * 24 * HOUR_S); /* no box is older than 2020 */
    check_ends();
    for (unsigned i = 0; i < ledger->count; i++) {
        assert_int_equal(ledger->mail[i].to[0].taken, 1);
        assert_int_equal(ledger->mail[i].to[0].failed, 0);
    }
    flash_sim_free();
    free(ledger);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(no_mail_is_lost_or_forgotten) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
