/* A week of office mail under a simulated clock: 200 MB a day, most of it small mails and some of 10 to 20 MB; the office's server is away for 72
 * hours, three of the outside domains for all of the time, others greylist or refuse. Everything is stored (cut-through is off), which is the most
 * that the flash can be asked for. At the end each mail has arrived or come back, each once, and the erase counts say how long the flash lasts.
 *
 * WEEK_LONG=1: as above, on 1 GiB of flash; else a sixteenth of it, on 64 MiB. */
#include "tests/powercut/quiet_box.h"

#include <time.h>

#define DAY_S (24 * HOUR_S)
#define WEEK_S (7 * DAY_S)
#define DAY_BYTES (200u * 1000 * 1000)
#define OUTAGE_FROM_S (36 * HOUR_S)
#define OUTAGE_S (72 * HOUR_S)
#define REST_S (6 * DAY_S) /* after the week: what is given up has its five days */
#define MAILS_MAX 20000
#define SENDERS 8
#define BLOCK (256u * 1024)
#define DOMAINS 30
#define ENDURANCE_NOR 100000u /* erases of a block, by data sheets of parallel NOR; of eMMC with MLC NAND */
#define ENDURANCE_NAND 3000u

static struct {
    uint64_t flash_bytes;
    uint32_t scale;
    struct flash_map map;
    uint64_t offered_bytes;
    unsigned senders, most_waiting;
    uint64_t most_bytes, least_free;
} week;
static struct slot slots[SENDERS];
static struct task tasks[SENDERS];
static uint8_t stacks[SENDERS][64 * 1024] __attribute__((aligned(16)));

static int64_t now_s(void)
{
    return (int64_t)(ledger->clock_us / 1000000);
}

static bool office_is_away(void)
{
    return now_s() >= OUTAGE_FROM_S && now_s() < OUTAGE_FROM_S + OUTAGE_S;
}

/* d0 to d2 are dead, d3 to d6 greylist, d7 knows nobody. */
static enum world_word world(const char *domain, struct ledger_mail *m, unsigned recipient)
{
    (void)m;
    (void)recipient;
    if (strcmp(domain, "office.test") == 0)
        return office_is_away() ? WORLD_SILENT : WORLD_TAKES;
    unsigned n = domain[0] == 'd' ? (unsigned)strtoul(domain + 1, NULL, 10) : DOMAINS;
    if (n < 3)
        return WORLD_SILENT;
    if (n < 7 && m != NULL && !m->turned_away) {
        m->turned_away = true;
        return WORLD_LATER;
    }
    return n == 7 ? WORLD_NEVER : WORLD_TAKES;
}

static uint32_t between(uint32_t least, uint32_t most)
{
    return least + dice(most - least);
}

/* 140 KB on average; a sixteenth of the flash takes no large ones. */
static uint32_t a_size(void)
{
    unsigned n = dice(1000);
    uint32_t bytes = n < 800   ? between(2000, 20000)
                     : n < 930 ? between(20000, 100000)
                     : n < 985 ? between(100000, 1000000)
                     : n < 996 ? between(1000000, 5000000)
                               : between(10000000, 20000000);
    uint32_t most = 20000000 / week.scale;
    return bytes < most ? bytes : most;
}

static struct ledger_mail *next_mail(void)
{
    if (ledger->count == MAILS_MAX)
        broken("more mails than the ledger holds");
    struct ledger_mail *m = &ledger->mail[ledger->count++];
    *m = (struct ledger_mail){ .seed = ledger->count, .bytes = a_size(), .recipients = 1, .from_inside = dice(5) == 0 };
    if (m->from_inside)
        snprintf(m->to[0].domain, sizeof m->to[0].domain, "d%u.test", (unsigned)dice(DOMAINS));
    else
        snprintf(m->to[0].domain, sizeof m->to[0].domain, "office.test");
    week.offered_bytes += m->bytes;
    return m;
}

/* Four fifths of the mail come between 7 and 19 o'clock. */
static uint64_t due_bytes(void)
{
    uint64_t day = (uint64_t)now_s() / DAY_S, s = (uint64_t)now_s() % DAY_S;
    uint64_t by_day = s < 7 * HOUR_S ? 0 : s > 19 * HOUR_S ? 12 * HOUR_S : s - 7 * HOUR_S;
    return (DAY_BYTES * day + DAY_BYTES / 5 * s / DAY_S + DAY_BYTES / 5 * 4 * by_day / (12 * HOUR_S)) / week.scale;
}

static void sender(void *arg)
{
    struct slot *slot = &slots[(size_t)(uintptr_t)arg];
    while (now_s() < WEEK_S) {
        if (week.offered_bytes > due_bytes()) {
            if (task_sleep_ms(10000 + dice(20000)) != RC_OK)
                return;
            continue;
        }
        struct ledger_mail *m = next_mail();
        unsigned code = send_mail(slot, m);
        m->acked = code == 250;
        ledger->refused += code != 250;
        struct spool_info info;
        spool_info(&info);
        week.most_waiting = info.messages > week.most_waiting ? info.messages : week.most_waiting;
        week.least_free = info.free_bytes < week.least_free ? info.free_bytes : week.least_free;
    }
    week.senders--;
}

static bool never(void)
{
    return false;
}

static bool all_is_done(void)
{
    struct spool_info info;
    spool_info(&info);
    return week.senders == 0 && info.messages == 0;
}

static void begin(void)
{
    const char *wanted = getenv("WEEK_LONG");
    bool all = wanted != NULL && wanted[0] == '1';
    week.scale = all ? 1 : 16;
    week.flash_bytes = (1024ull << 20) / week.scale;
    week.least_free = UINT64_MAX;
    ledger = calloc(1, sizeof *ledger + MAILS_MAX * sizeof ledger->mail[0]);
    assert_non_null(ledger);
    world_answer = world;
    flash_sim_init_uncut(week.flash_bytes, BLOCK, 4);
    assert_int_equal(flash_map_compute(flash_geometry(), &week.map), RC_OK);
    box_boot(&week.map);
    set("host.name", "box.office.test");
    set("mail.domains", "office.test");
    set("mail.inside", "10.9.9.9:25");
    set("mail.trusted", "10.0.0.0/8");
    set("mail.cut_through", "off");
    set("mail.quota_address", "0");
    commit_settings();
}

static int by_count(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

struct wear {
    uint32_t least, median, most;
    uint64_t all;
};

static struct wear wear_of(const struct flash_area *area)
{
    static uint32_t counts[8192];
    size_t n = (size_t)(area->size_bytes / BLOCK);
    struct wear w = { 0 };
    assert_in_range(n, 1, 8192);
    for (size_t i = 0; i < n; i++)
        w.all += counts[i] = flash_sim_wear(area->addr / BLOCK + i);
    qsort(counts, n, sizeof counts[0], by_count);
    w.least = counts[0];
    w.median = counts[n / 2];
    w.most = counts[n - 1];
    return w;
}

/* In tenths of a year, by the block that was erased most. */
static unsigned years10(uint32_t most, uint32_t endurance)
{
    return (unsigned)((uint64_t)endurance * 10 * 7 / (365 * most));
}

static void report_wear(const char *what, const struct flash_area *area)
{
    struct wear w = wear_of(area);
    if (w.most == 0) {
        print_message("week: %s: nothing was erased\n", what);
        return;
    }
    unsigned nor = years10(w.most, ENDURANCE_NOR), nand = years10(w.most, ENDURANCE_NAND);
    print_message(
        "week: %s: a block was erased %u to %u times, median %u; %u erases; lasts %u.%u years at %u erases a block, %u.%u at %u\n",
        what, w.least, w.most, w.median, (unsigned)w.all, nor / 10, nor % 10, ENDURANCE_NOR, nand / 10, nand % 10, ENDURANCE_NAND);
}

static void check_counters(void)
{
    struct spool_info info;
    spool_info(&info);
    uint32_t segment = (uint32_t)(info.size_bytes / info.blocks / BLOCK);
    struct wear w = wear_of(&(struct flash_area){ week.map.spool.addr, (uint64_t)info.blocks * segment * BLOCK });
    assert_int_equal(info.erase_min, w.least); /* what the operator is shown is what happened */
    assert_int_equal(info.erase_max, w.most);
    assert_in_range(w.most - w.least, 0, 3); /* levelled */
    assert_int_equal(info.blocks_bad, 0);
}

static void nothing_is_lost_or_refused(void **state)
{
    jmp_buf here;
    clock_t cpu = clock();
    (void)state;
    begin();
    if (setjmp(here) != 0)
        fail_msg("at %ld s: %s", (long)now_s(), ledger->why);
    on_broken = &here;
    week.senders = SENDERS;
    for (size_t i = 0; i < SENDERS; i++)
        task_start(&tasks[i], "sender", stacks[i], sizeof stacks[i], sender, (void *)(uintptr_t)i);
    run_until(never, WEEK_S * 1000000ull);
    struct flash_area spool = week.map.spool;
    uint64_t syncs = flash_sim_count(FLASH_SYNC), programs = flash_sim_count(FLASH_PROGRAM);
    if (!run_until(all_is_done, (WEEK_S + REST_S) * 1000000ull))
        broken("mail still waits after %u days", (unsigned)(REST_S / DAY_S));
    check_ends();
    unsigned acked = 0, back = 0, delayed = 0;
    for (unsigned i = 0; i < ledger->count; i++) {
        acked += ledger->mail[i].acked;
        back += ledger->mail[i].to[0].failed;
        delayed += ledger->mail[i].to[0].delayed;
    }
    print_message(
        "week: %u mails, %u MB; %u refused, 0 lost; at most %u in the queue, %u MB free at the least; %u came back, %u were "
        "told of a delay\n",
        ledger->count, (unsigned)(week.offered_bytes / 1000000), ledger->refused, week.most_waiting,
        (unsigned)(week.least_free / 1000000), back, delayed);
    print_message("week: %u programs, %u syncs, %u s of this processor\n", (unsigned)programs, (unsigned)syncs,
                  (unsigned)((clock() - cpu) / CLOCKS_PER_SEC));
    report_wear("spool", &spool);
    unsigned share = (unsigned)(wear_of(&spool).all * BLOCK * 100 / week.offered_bytes);
    print_message("week: spool: %u.%02u bytes erased for each byte of mail\n", share / 100, share % 100);
    report_wear("settings", &week.map.settings);
    assert_int_equal(ledger->refused, 0);
    assert_int_equal(acked, ledger->count);
    assert_in_range(week.offered_bytes, (uint64_t)DAY_BYTES * 7 / week.scale, (uint64_t)DAY_BYTES * 75 / 10 / week.scale);
    assert_true(week.most_waiting > 3000 / week.scale && back > 200 / week.scale && delayed > 100 / week.scale);
    check_counters();
    if (flash_sim_violations() > 0)
        fail_msg("%s", flash_sim_violation());
    flash_sim_free();
    free(ledger);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(nothing_is_lost_or_refused) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
