/* firmware/cert_job.c with an authority that does as it is told: what is kept, when it is asked again, and what a wrong clock does. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "firmware/alerts.h"
#include "firmware/flash_map.h"
#include "hal/random.h"
#include "tests/support/fake_authority.h"

#define HOUR 3600

static const struct cert_state *state(void)
{
    static struct cert_job_view v;
    cert_job_look(&v);
    return v.state;
}

static struct renewal_plan plan(void)
{
    struct cert_job_view v;
    cert_job_look(&v);
    return v.plan;
}

static uint32_t turn(void)
{
    enum rc rc;
    uint32_t waited = authority_turn(&rc);
    return waited;
}

/* Turns until the next order, looks for a window left out. */
static uint32_t until_order(void)
{
    unsigned before = authority.obtained;
    uint32_t waited = 0;
    for (unsigned i = 0; authority.obtained == before && i < 400; i++)
        waited += turn();
    assert_true(authority.obtained > before);
    return waited;
}

static int set_up(void **ctx)
{
    (void)ctx;
    struct flash_map map;
    flash_sim_init(64u << 20, 256u << 10, 4);
    task_set_poll(authority_poll);
    assert_int_equal(flash_map_compute(flash_geometry(), &map), RC_OK);
    assert_int_equal(settings_log_open(map.settings.addr, map.settings.size_bytes), RC_OK);
    assert_int_equal(authority_furnish(), RC_OK);
    assert_int_equal(wallclock_set(PAIR_NOW + 60), RC_OK);
    memset(&authority, 0, sizeof authority);
    authority.window_rc = RC_UNSUPPORTED;
    authority.retry_after_s = -1;
    authority_boot();
    return 0;
}

static int tear_down(void **ctx)
{
    (void)ctx;
    assert_int_equal(flash_sim_violations(), 0);
    flash_sim_free();
    return 0;
}

static void first_issue_then_renewal(void **ctx)
{
    (void)ctx;
    assert_int_equal(authority_in_use(), 0);
    assert_true(turn() <= 60); /* soon after boot */
    assert_int_equal(authority_in_use(), 1);
    assert_int_equal(identity_origin(NULL), IDENTITY_ISSUED);
    assert_int_equal(state()->failures, 0);
    uint32_t waited = until_order();
    assert_in_range(waited, 28 * AUTHORITY_DAY, 30 * AUTHORITY_DAY + 2 * HOUR); /* a third of 45 days is left, or a little more */
    assert_int_equal(authority_in_use(), 2);
    assert_false(authority.other_key);
}

static void the_next_key_is_shown_first_and_used_when_asked_for(void **ctx)
{
    (void)ctx;
    uint8_t shown[32];
    struct tls_leaf_info info;
    char words[120];
    struct strbuf why = STRBUF(words);
    turn();
    assert_int_equal(cert_store_next_pin(shown), RC_OK);
    assert_int_equal(cert_job_ask(CERT_ASKED | CERT_NEW_KEY, &why), RC_OK);
    turn();
    assert_int_equal(authority_in_use(), 3);
    assert_true(identity_info(&info) && memcmp(info.spki_sha256, shown, 32) == 0);
    uint8_t following[32];
    assert_int_equal(cert_store_next_pin(following), RC_OK); /* another one is made at once */
    assert_memory_not_equal(following, shown, 32);
    assert_int_equal(state()->flags, 0);
}

static void failures_are_put_off_longer_and_longer(void **ctx)
{
    (void)ctx;
    static const uint32_t most[] = { 60, 600, 6000, AUTHORITY_DAY, AUTHORITY_DAY };
    authority.obtain_rc = RC_REFUSED;
    turn();
    assert_string_equal(state()->why, "the authority says no");
    for (unsigned i = 0; i < 5; i++) {
        assert_int_equal(state()->failures, i + 1);
        uint32_t waited = until_order();
        assert_in_range(waited, most[i] * 3 / 4 - 10, most[i] + 20);
    }
    assert_non_null(alert_text(ALERT_CERT_RENEWAL));
    authority.obtain_rc = RC_OK;
    until_order();
    assert_int_equal(authority_in_use(), 1);
    assert_null(alert_text(ALERT_CERT_RENEWAL));
}

/* Neither a restart nor a power cut in the midst of a try makes the next one come sooner. */
static void a_restart_changes_nothing(void **ctx)
{
    (void)ctx;
    authority.obtain_rc = RC_TIMEOUT;
    for (unsigned i = 0; i < 4; i++)
        turn();
    int64_t at = plan().at;
    assert_true(at > wallclock_now() + AUTHORITY_DAY / 2);
    authority_boot();
    assert_true(plan().at == at && plan().hold == RENEWAL_HOLD_FAILED && state()->failures == 4);
    assert_string_equal(state()->why, "the authority says no");
    uint32_t waited = until_order();
    assert_in_range(waited, AUTHORITY_DAY / 2, AUTHORITY_DAY);
}

static void the_server_may_ask_for_more(void **ctx)
{
    (void)ctx;
    char words[120];
    struct strbuf why = STRBUF(words);
    authority.obtain_rc = RC_REFUSED;
    authority.retry_after_s = 5 * AUTHORITY_DAY;
    turn();
    assert_int_equal(plan().hold, RENEWAL_HOLD_SERVER);
    assert_int_equal(cert_job_ask(CERT_ASKED, &why), RC_OK); /* not even then */
    uint32_t waited = until_order();
    assert_in_range(waited, 5 * AUTHORITY_DAY - 5, 5 * AUTHORITY_DAY + 60);
    authority.retry_after_s = 5000LL * AUTHORITY_DAY; /* no limit is that long */
    turn();
    assert_true(plan().at <= wallclock_now() + RENEWAL_RETRY_AFTER_MAX_S);
}

static void the_authoritys_window_counts(void **ctx)
{
    (void)ctx;
    turn();
    authority.window_rc = RC_OK;
    authority.window = (struct acme_renewal){ .start = PAIR_NOW + 10 * AUTHORITY_DAY,
                                              .end = PAIR_NOW + 11 * AUTHORITY_DAY,
                                              .again_s = 6 * HOUR };
    uint32_t waited = until_order();
    assert_in_range(waited, 10 * AUTHORITY_DAY - 600, 11 * AUTHORITY_DAY + 600);
    assert_int_equal(state()->window_start, 0); /* it was the other certificate's */
}

/* A window that moves into the past: at once, at the next look. */
static void a_window_that_is_past(void **ctx)
{
    (void)ctx;
    turn();
    authority.window_rc = RC_OK;
    authority.window = (struct acme_renewal){ .start = PAIR_NOW - 9, .end = PAIR_NOW - 5, .again_s = 6 * HOUR };
    uint32_t waited = until_order();
    assert_true(waited <= AUTHORITY_DAY + 60); /* looked for twice a day; a fresh one holds for a day */
}

static void a_failing_look_costs_nothing(void **ctx)
{
    (void)ctx;
    turn();
    authority.open_rc = RC_UNREACHABLE;
    for (unsigned i = 0; i < 5; i++)
        assert_in_range(turn(), HOUR / 2, 2 * HOUR);
    assert_int_equal(state()->failures, 0);
    assert_int_equal(plan().reason, RENEWAL_THIRD);
}

/* To a clock ten years ahead all has expired; the authority's Date puts it right before anything is ordered. */
static void a_clock_that_is_wrong_orders_nothing(void **ctx)
{
    (void)ctx;
    turn();
    unsigned obtained = authority.obtained;
    authority.date = wallclock_now() + 100 - (int64_t)(pair_now_us / 1000000);
    assert_int_equal(wallclock_set(PAIR_NOW + 3650 * (int64_t)AUTHORITY_DAY), RC_OK);
    authority_boot();
    assert_int_equal(plan().reason, RENEWAL_EXPIRED);
    /* The operator's word is not overruled by an HTTPS date: then the fresh certificate, over by that clock, at least comes no more than daily. */
    for (unsigned i = 0; i < 6; i++)
        turn();
    assert_true(authority.obtained - obtained <= 7);
    assert_int_equal(wallclock_set(PAIR_NOW + AUTHORITY_DAY), RC_OK);
    obtained = authority.obtained;
    for (unsigned i = 0; i < 3; i++)
        turn();
    assert_int_equal(authority.obtained, obtained);
}

/* A clock before the certificate's time, which nobody puts right, is asked about less and less often. */
static void a_clock_that_stays_behind_makes_no_storm(void **ctx)
{
    (void)ctx;
    turn();
    assert_int_equal(wallclock_set(PAIR_NOW - 30 * AUTHORITY_DAY), RC_OK);
    assert_int_equal(plan().reason, RENEWAL_NO_CLOCK);
    turn();
    static const uint32_t least[] = { 45, 450, 4500, 64800 };
    for (unsigned i = 0; i < 4; i++)
        assert_true(turn() >= least[i]);
    assert_int_equal(authority.obtained, 1);
    assert_int_equal(wallclock_set(PAIR_NOW + AUTHORITY_DAY), RC_OK);
    assert_int_equal(plan().reason, RENEWAL_THIRD);
}

static void what_was_imported_stays_until_asked(void **ctx)
{
    (void)ctx;
    static char chain[TLS_PEM_MAX], key[TLS_PEM_MAX];
    char words[120];
    struct strbuf why = STRBUF(words);
    struct cert_job_view v;
    assert_int_equal(identity_import(pair_read_file("rsa", "pem", chain), pair_read_file("rsa", "key", key), &why), RC_OK);
    cert_job_look(&v);
    assert_non_null(v.idle);
    assert_int_equal(the_errand->due_in_s(), ERRAND_EVERY_MAX_S);
    assert_int_equal(cert_job_ask(CERT_ASKED, &why), RC_OK);
    turn();
    assert_int_equal(authority_in_use(), 3); /* its RSA key is none that is asked for: the next one is */
    assert_int_equal(identity_origin(NULL), IDENTITY_ISSUED);
}

static void a_revoked_one_is_replaced_with_another_key(void **ctx)
{
    (void)ctx;
    char words[120];
    struct strbuf why = STRBUF(words);
    turn();
    assert_int_equal(cert_job_ask(CERT_ASKED | CERT_NEW_KEY | CERT_REVOKE | CERT_STOLEN, &why), RC_OK);
    turn();
    assert_int_equal(authority.revoked, 1);
    assert_int_equal(authority_in_use(), 3);
}

static void ask_for_revocation(void)
{
    char words[120];
    struct strbuf why = STRBUF(words);
    assert_int_equal(cert_job_ask(CERT_ASKED | CERT_NEW_KEY | CERT_REVOKE, &why), RC_OK);
}

/* What the operator asks for while an answer is waited for is not forgotten: in a look for the authority's window it is done at once. */
static void what_is_asked_in_a_look_is_done(void **ctx)
{
    (void)ctx;
    turn();
    authority.meanwhile = ask_for_revocation;
    turn();
    assert_int_equal(authority.revoked, 1);
    assert_int_equal(authority_in_use(), 3);
    assert_int_equal(state()->flags, 0);
}

static void ask_at_the_next_answer(void)
{
    authority.meanwhile = ask_for_revocation;
}

/* In a try it comes after that. */
static void what_is_asked_in_a_try_comes_after_it(void **ctx)
{
    (void)ctx;
    authority.meanwhile = ask_at_the_next_answer; /* the first is the directory's */
    turn();
    assert_int_equal(authority_in_use(), 1);
    assert_int_equal(authority.revoked, 0);
    assert_int_equal(state()->flags, CERT_ASKED | CERT_NEW_KEY | CERT_REVOKE);
    assert_true(until_order() <= 60);
    assert_int_equal(authority.revoked, 1);
    assert_int_equal(authority_in_use(), 3);
    assert_int_equal(state()->flags, 0);
}

static void ask_for(unsigned flags)
{
    char words[120];
    struct strbuf why = STRBUF(words);
    assert_int_equal(cert_job_ask(flags, &why), RC_OK);
}

/* No certificate comes of it, and the next one is asked for with the new key; so with a pair of the operator's, too. */
static void the_account_gets_another_key(void **ctx)
{
    (void)ctx;
    static char chain[TLS_PEM_MAX], key[TLS_PEM_MAX];
    char first[X509_KEY_PEM_MAX], words[120];
    struct strbuf why = STRBUF(words);
    turn();
    memcpy(first, authority.account_key, sizeof first);
    ask_for(CERT_ROLL_OVER);
    assert_int_equal(turn(), 0);
    assert_int_equal(authority.rolled_over, 1);
    assert_string_not_equal(authority.account_key, first);
    assert_true(state()->flags == 0 && state()->failures == 0 && authority.obtained == 1);
    until_order();
    assert_int_equal(identity_import(pair_read_file("rsa", "pem", chain), pair_read_file("rsa", "key", key), &why), RC_OK);
    ask_for(CERT_ROLL_OVER);
    turn();
    assert_true(authority.rolled_over == 2 && authority.obtained == 2 && !authority.other_key);
    assert_int_equal(identity_origin(NULL), IDENTITY_IMPORTED);
}

/* The authority has changed the key, and the box has not heard it. */
static void a_lost_answer_loses_no_account(void **ctx)
{
    (void)ctx;
    turn();
    authority.mute = true;
    ask_for(CERT_ROLL_OVER);
    turn();
    assert_true(state()->flags == CERT_ROLL_OVER && state()->failures == 1);
    authority_boot();
    authority.mute = false;
    assert_true(turn() <= 120);
    assert_true(state()->flags == 0 && state()->failures == 0 && state()->why[0] == '\0');
    until_order();
    assert_int_equal(authority.rolled_over, 1);
    assert_false(authority.other_key);
}

/* It is told, and stands in nobody's way. */
static void an_account_that_cannot_be_changed(void **ctx)
{
    (void)ctx;
    turn();
    authority.account_rc = RC_REFUSED;
    ask_for(CERT_ROLL_OVER);
    turn();
    assert_true(state()->flags == 0 && authority.obtained == 1);
    assert_string_equal(state()->why, "the authority says no");
    assert_true(until_order() > 20 * AUTHORITY_DAY);
    assert_int_equal(authority_in_use(), 2);
    assert_true(authority.rolled_over == 1 && !authority.other_key);
}

static void an_account_that_is_closed(void **ctx)
{
    (void)ctx;
    char text[CERT_ACCOUNT_MAX], first[X509_KEY_PEM_MAX];
    struct strbuf url = STRBUF(text);
    turn();
    memcpy(first, authority.account_key, sizeof first);
    assert_int_equal(cert_store_url(CERT_ACCOUNT, cert_store_directory(), &url), RC_OK);
    ask_for(CERT_ROLL_OVER);
    ask_for(CERT_CLOSE);
    turn();
    assert_true(authority.closed == 1 && authority.rolled_over == 0 && state()->flags == 0 && authority.obtained == 1);
    assert_int_equal(cert_store_url(CERT_ACCOUNT, cert_store_directory(), &url), RC_NOT_FOUND);
    assert_true(until_order() > 20 * AUTHORITY_DAY); /* with another account */
    assert_string_not_equal(authority.account_key, first);
    assert_int_equal(authority_in_use(), 2);
}

static void nothing_is_tried_that_could_not_be_counted(void **ctx)
{
    (void)ctx;
    flash_sim_fail(FLASH_PROGRAM, 1);
    turn();
    assert_int_equal(authority.obtained, 0);
    flash_sim_fail(FLASH_PROGRAM, 0);
    until_order();
    assert_int_equal(authority_in_use(), 1);
}

static void life_that_ends_is_an_alert(void **ctx)
{
    (void)ctx;
    turn();
    authority.open_rc = RC_UNREACHABLE;
    assert_int_equal(wallclock_set(PAIR_NOW + 35 * AUTHORITY_DAY), RC_OK);
    cert_job_watch();
    assert_non_null(strstr(alert_text(ALERT_CERT_LIFE), "near its end"));
    assert_int_equal(wallclock_set(PAIR_NOW + 46 * AUTHORITY_DAY), RC_OK);
    cert_job_watch();
    assert_non_null(strstr(alert_text(ALERT_CERT_LIFE), "has expired"));
}

/* A name more is asked for at once, and missed until it is there. */
static void a_name_that_is_not_covered(void **ctx)
{
    (void)ctx;
    char words[120];
    struct strbuf why = STRBUF(words);
    turn();
    assert_null(alert_text(ALERT_CERT));
    assert_int_equal(settings_stage(SPAN("acme.names"), SPAN("www.office.example"), &why), RC_OK);
    assert_int_equal(settings_commit(&why), RC_OK);
    assert_non_null(strstr(alert_text(ALERT_CERT), "does not name www.office.example"));
    assert_int_equal(plan().reason, RENEWAL_CHANGED);
    assert_true(until_order() < 60);
    assert_string_equal(state()->why, "it does not name www.office.example"); /* nor does this authority's */
    assert_int_equal(authority_in_use(), 1);
}

static int start_tls(void **ctx)
{
    (void)ctx;
    return random_init() == RC_OK && tls_init() == RC_OK ? 0 : -1;
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(first_issue_then_renewal),
        CASE(the_next_key_is_shown_first_and_used_when_asked_for),
        CASE(failures_are_put_off_longer_and_longer),
        CASE(a_restart_changes_nothing),
        CASE(the_server_may_ask_for_more),
        CASE(the_authoritys_window_counts),
        CASE(a_window_that_is_past),
        CASE(a_failing_look_costs_nothing),
        CASE(a_clock_that_is_wrong_orders_nothing),
        CASE(a_clock_that_stays_behind_makes_no_storm),
        CASE(what_was_imported_stays_until_asked),
        CASE(a_revoked_one_is_replaced_with_another_key),
        CASE(what_is_asked_in_a_look_is_done),
        CASE(what_is_asked_in_a_try_comes_after_it),
        CASE(the_account_gets_another_key),
        CASE(a_lost_answer_loses_no_account),
        CASE(an_account_that_cannot_be_changed),
        CASE(an_account_that_is_closed),
        CASE(nothing_is_tried_that_could_not_be_counted),
        CASE(life_that_ends_is_an_alert),
        CASE(a_name_that_is_not_covered),
    };
    return cmocka_run_group_tests(tests, start_tls, NULL);
}
