/* The box's certificate under power cuts: first issue, renewal with the key kept, change to the next key, by firmware/cert_job.c and an authority that
 * says yes, another key for the account between them; cut before or in the middle of every flash operation, with any subset of the operations not yet synced lost. After the next boot there is
 * a pair that works, never older than the one last in use; the account's key is the one the authority knows; the next key that was shown is
 * still the next one, or in use, never both; and the box goes on to the end by itself.
 *
 * POWERCUT_LONG=1: 12 seeds for each operation, else two. Each cut is a process of its own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "firmware/alerts.h"
#include "hal/random.h"
#include "tests/support/fake_authority.h"

#define BLOCK (16u << 10)
#define SETTINGS_BYTES (8u * BLOCK)
#define TURNS_MAX 60

static struct shared {
    uint64_t operations;
    char why[200];
} * shared;
static jmp_buf cut_jump;
static int in_use;        /* the newest that was acknowledged */
static uint8_t shown[32]; /* the next key's pin */
static bool is_shown;

static void give_up(const char *why)
{
    struct strbuf text = STRBUF(shared->why);
    struct cert_job_view v;
    cert_job_look(&v);
    strbuf_printf(&text, "%s: in use %d, now %d, last failure: %s", why, in_use, authority_in_use(), v.state->why);
    _exit(1);
}

static void on_cut(void)
{
    longjmp(cut_jump, 1);
}

static void open_log(void)
{
    if (settings_log_open(0, SETTINGS_BYTES) != RC_OK)
        give_up("the settings log does not open");
}

static void note(void)
{
    in_use = authority_in_use();
    is_shown = cert_store_next_pin(shown) == RC_OK;
}

/* Until the certificate for the next key is in use. */
static void work(void)
{
    char words[120];
    struct strbuf why = STRBUF(words);
    enum rc rc;
    for (unsigned i = 0; i < TURNS_MAX && authority_in_use() != 3; i++) {
        if (authority_in_use() == 2 &&
            cert_job_ask(authority.rolled_over ? CERT_ASKED | CERT_NEW_KEY : CERT_ROLL_OVER, &why) != RC_OK)
            give_up("it cannot be asked for");
        if (authority_in_use() == 1)
            authority_wait(30 * AUTHORITY_DAY); /* two looks a day for a window would only make the test long */
        authority_turn(&rc);
        note();
    }
    if (authority_in_use() != 3)
        give_up("the work does not end");
}

/* The key in use is the account's, or until a change of it has been finished the next one is. */
static bool has_account(bool finished)
{
    char memory[X509_KEY_PEM_MAX];
    struct strbuf pem = STRBUF(memory);
    if (!authority.account_key[0] || (cert_store_account_key(&pem) == RC_OK && span_is(strbuf_span(&pem), authority.account_key)))
        return true;
    return !finished && cert_store_next_account_key(&pem) == RC_OK && span_is(strbuf_span(&pem), authority.account_key);
}

static void check(bool finished)
{
    struct tls_leaf_info info;
    uint8_t pin[32];
    int now = authority_in_use();
    if (alert_text(ALERT_CERT_STORED) || !identity_info(&info) || now < in_use || now < 0)
        give_up("no pair that works, or an older one");
    if (identity_origin(NULL) != (now ? IDENTITY_ISSUED : IDENTITY_SELF_MADE))
        give_up("a pair whose origin is forgotten");
    if (!has_account(finished))
        give_up("the account's key is lost");
    if (is_shown && memcmp(info.spki_sha256, shown, 32) != 0 && (cert_store_next_pin(pin) != RC_OK || memcmp(pin, shown, 32) != 0))
        give_up("the next key that was shown is lost");
    if (cert_store_next_pin(pin) == RC_OK && memcmp(info.spki_sha256, pin, 32) == 0)
        give_up("the next key is the one in use");
    if (authority.other_key)
        give_up("another account key was used");
}

static void life(uint64_t cut_at, bool torn, uint64_t seed)
{
    flash_sim_init(SETTINGS_BYTES, BLOCK, 4);
    open_log();
    if (authority_furnish() != RC_OK || wallclock_set(PAIR_NOW + 60) != RC_OK)
        give_up("not furnished");
    authority_boot();
    note();
    authority.date = PAIR_NOW + 60 - (int64_t)(pair_now_us / 1000000);
    uint64_t before = flash_sim_operations();
    if (setjmp(cut_jump) == 0) {
        if (cut_at != UINT64_MAX)
            flash_sim_cut_after(cut_at, torn, seed, on_cut);
        work();
        shared->operations = flash_sim_operations() - before;
        flash_sim_cut_now(seed);
    }
    flash_sim_power_on();
    open_log();
    authority_boot();
    check(false);
    work();
    check(true);
    if (flash_sim_violations() > 0)
        give_up(flash_sim_violation());
}

static bool survives(uint64_t cut_at, bool torn, uint64_t seed)
{
    int status = 0;
    shared->why[0] = '\0';
    pid_t pid = fork();
    if (pid == 0) {
        life(cut_at, torn, seed);
        _exit(0);
    }
    assert_true(pid > 0 && waitpid(pid, &status, 0) == pid);
    if (status != 0)
        print_error("cut at %lu torn %d seed %lu: %s (status %d)\n", (unsigned long)cut_at, torn, (unsigned long)seed, shared->why,
                    status);
    return status == 0;
}

static void any_cut(void **state)
{
    (void)state;
    const char *wanted = getenv("POWERCUT_LONG");
    uint64_t seeds = wanted && wanted[0] == '1' ? 12 : 2, cuts = 0;
    unsigned failures = 0;
    assert_true(survives(UINT64_MAX, false, 1));
    uint64_t operations = shared->operations;
    assert_in_range(operations, 40, 1000);
    for (uint64_t at = 0; at < operations && failures < 5; at++)
        for (uint64_t seed = 0; seed < seeds; seed++, cuts++)
            failures += !survives(at, (at + seed) % 2, seeds == 2 ? (at + seed * 3) % 7 : seed);
    print_message("certificate: %lu cut points of %lu operations\n", (unsigned long)cuts, (unsigned long)operations);
    assert_int_equal(failures, 0);
}

static int prepare(void **state)
{
    (void)state;
    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    task_set_poll(authority_poll);
    return shared != MAP_FAILED && random_init() == RC_OK && tls_init() == RC_OK ? 0 : -1;
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(any_cut) };
    return cmocka_run_group_tests(tests, prepare, NULL);
}
