/* firmware/cut_through.c: which answers reach the sender, when the spool takes over, and whose a lent slot is. The delivery workers are
 * played here: the poll hook does what a worker's loop would, and each connection is a script. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "firmware/attempt.h"
#include "firmware/cut_through.h"
#include "firmware/delivery.h"
#include "firmware/settings.h"
#include "hal/task.h"
#include "tests/support/script_stream.h"
#include "tests/support/tls_pair.h"

/* --- what stands around it --- */

#define CONNECTIONS_MAX 8
static struct delivery_slot slots[PLAN_DELIVERY_SESSIONS];
static const char *script_text[CONNECTIONS_MAX]; /* one a connection; NULL: it cannot be had */
static struct script_stream script[CONNECTIONS_MAX];
static unsigned connections, seen_again;
static uint16_t greeting_code; /* of what fails */
static const char *setting_on, *setting_client;
static bool held; /* mail for office.test */
struct event spool_changed;

const char *settings_get(const char *key)
{
    if (strcmp(key, "mail.cut_through") == 0)
        return setting_on;
    return strcmp(key, "mail.inside_client") == 0 ? setting_client : "10.0.0.1";
}

bool settings_get_bool(const char *key)
{
    return strcmp(settings_get(key), "on") == 0;
}

enum next_hop_kind next_hop_kind_of(struct span domain)
{
    return span_is(domain, "office.test") ? HOP_INSIDE : HOP_ROUTE;
}

const char *delivery_held(struct span domain)
{
    return held && span_is(domain, "office.test") ? "by hand" : NULL;
}

struct delivery_slot *delivery_slot(unsigned i)
{
    return &slots[i];
}

void delivery_inside_answers(void)
{
    seen_again++;
}

enum rc attempt_open(struct delivery_slot *s)
{
    unsigned n = connections++;
    assert_true(n < CONNECTIONS_MAX);
    delivery_status_set(&s->client.status, DELIVERY_WAIT, SCOPE_HOST, greeting_code, "5.7.1", "you are listed");
    if (!script_text[n])
        return RC_OK;
    memset(&s->client, 0, sizeof s->client);
    script_stream_init(&s->stream, &script[n], script_text[n], 0);
    s->line_open = smtp_client_greet(&s->client, &s->stream, "box.test") == RC_OK;
    return RC_OK;
}

static void work(void)
{
    pair_now_us += 10000;
    for (unsigned i = 0; i < PLAN_DELIVERY_SESSIONS; i++)
        if (slots[i].lent != LENT_OPEN)
            cut_through_serve(&slots[i]);
}

/* --- a session --- */

static struct cut_through cut;
static struct smtp_server server;
static struct smtp_server_params params = { .host_name = "box.test" };
static struct smtp_answer answer;

static int set_up(void **state)
{
    (void)state;
    memset(slots, 0, sizeof slots);
    memset(script_text, 0, sizeof script_text);
    memset(&cut, 0, sizeof cut);
    memset(&server, 0, sizeof server);
    connections = seen_again = greeting_code = 0;
    held = false;
    setting_on = "on";
    setting_client = "none";
    server.params = &params;
    struct strbuf helo = STRBUF(server.helo), sender = STRBUF(server.mail.sender.full);
    strbuf_puts(&helo, "sender.test");
    strbuf_puts(&sender, "a@b.test");
    cut_through_try_now();
    task_set_poll(work);
    return 0;
}

static void begin(struct cut_through *c)
{
    cut_through_begin(c, true);
}

static bool rcpt_at(struct cut_through *c, const char *domain, uint8_t notify)
{
    static const struct ip_endpoint peer = { { .family = IP_V4 }, 1 };
    const struct cut_mail m = { &server, &peer, 7 };
    const struct smtp_recipient r = { .address = SPAN("c@office.test"), .notify = notify };
    smtp_answer(&answer, 250, "2.1.5", "ours");
    return cut_through_rcpt(c, &m, &r, domain, &answer);
}

static bool rcpt(struct cut_through *c)
{
    return rcpt_at(c, "office.test", 0);
}

static void assert_answer(const char *text)
{
    char memory[400];
    struct strbuf b = STRBUF(memory);
    strbuf_printf(&b, "%u %s %s", answer.code, answer.enhanced, answer.text);
    assert_string_equal(memory, text);
}

static bool data(struct cut_through *c)
{
    smtp_answer(&answer, 451, "4.3.0", "nobody");
    return cut_through_data(c, 7, &answer);
}

static void end(struct cut_through *c)
{
    cut_through_write(c, SPAN("x\r\n"));
    cut_through_end(c, &answer);
}

static void idle_ms(uint64_t ms)
{
    pair_now_us += ms * 1000;
    work();
}

static void all_followed(void)
{
    for (unsigned i = 0; i < connections; i++)
        if (script_text[i] && script_stream_verdict(&script[i])[0])
            fail_msg("connection %u: %s", i, script[i].error);
}

#define GREET "> 220 in.test\n< EHLO box.test\n> 250 in.test\n"
#define MAIL "< MAIL FROM:<a@b.test>\n"
#define RCPT "< RCPT TO:<c@office.test>\n"
#define TO_RCPT MAIL "> 250 ok\n" RCPT
#define TO_DATA TO_RCPT "> 250 ok\n< DATA\n"
#define SENT TO_DATA "> 354 go\n< x\n< .\n"
#define QUIT "< QUIT\n> 221 bye\n"

static void a_mail_passes_and_its_connection_is_kept_for_a_moment(void **state)
{
    (void)state;
    script_text[0] = GREET SENT "> 250 2.0.0 taken as 1\n" SENT "> 250 2.0.0 taken as 2\n" QUIT;
    for (unsigned i = 1; i <= 2; i++) {
        begin(&cut);
        assert_true(rcpt(&cut));
        assert_answer("250 2.1.5 ours");
        assert_true(data(&cut));
        assert_int_equal(answer.code, 354);
        end(&cut);
        assert_answer(i == 1 ? "250 2.0.0 taken as 1" : "250 2.0.0 taken as 2");
        idle_ms(1000);
    }
    assert_non_null(cut.line);
    idle_ms(5000);
    assert_null(cut.line); /* its worker has ended it */
    assert_int_equal(slots[0].lent | slots[PLAN_DELIVERY_SESSIONS - 1].lent, LENT_NOT);
    assert_int_equal(connections, 1);
    all_followed();
}

static void refusals_are_the_senders_and_all_else_goes_on(void **state)
{
    (void)state;
    script_text[0] = GREET MAIL "> 451-later\n> 451 please\n" MAIL "> 250 ok\n" RCPT "> 550 5.1.1 none\n" RCPT "> 250 ok\n< DATA\n"
                                "> 554 no\n< RSET\n> 250 ok\n" SENT "> 552 5.3.4 big\n" QUIT;
    begin(&cut);
    assert_true(rcpt(&cut));
    assert_answer("451 4.0.0 later / please");
    assert_true(rcpt(&cut)); /* MAIL is asked again */
    assert_answer("550 5.1.1 none");
    assert_true(rcpt(&cut));
    assert_answer("250 2.1.5 ours");
    assert_true(data(&cut));
    assert_answer("554 5.0.0 no");
    cut_through_abort(&cut);
    begin(&cut);
    assert_true(rcpt(&cut) && data(&cut));
    end(&cut);
    assert_answer("552 5.3.4 big");
    cut_through_leave(&cut);
    work();
    all_followed();
}

static void a_break_before_the_message_is_the_spools(void **state)
{
    static const char *const texts[] = { NULL,
                                         GREET MAIL "close\n",
                                         GREET MAIL "> 421 bye\n",
                                         GREET TO_RCPT "timeout\n",
                                         GREET TO_RCPT "> 354 what\n",
                                         GREET TO_DATA "close\n",
                                         GREET TO_DATA "> 421 bye\n" };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        set_up(state);
        script_text[0] = texts[i];
        script_text[1] = GREET SENT "> 250 ok\n" QUIT;
        begin(&cut);
        assert_false(rcpt(&cut) && data(&cut));
        assert_false(cut_through_wanted(&cut) || cut_through_is_open(&cut));
        assert_null(cut.line);
        assert_false(rcpt(&cut)); /* for the rest of this mail */
        begin(&cut);
        assert_false(cut_through_wanted(&cut)); /* and for the next ones */
        assert_string_equal(cut_through_now(), "waits");
        idle_ms(30000);
        begin(&cut);
        assert_true(rcpt(&cut) && data(&cut));
        end(&cut);
        assert_int_equal(answer.code, 250);
        assert_int_equal(seen_again, texts[i] ? 2 : 1);
        cut_through_leave(&cut);
        work();
        all_followed();
    }
}

static void a_break_in_the_message_is_451(void **state)
{
    static const char *const texts[] = { GREET SENT "close\n", GREET SENT "> 421 bye\n", GREET SENT "> 354 more\n",
                                         GREET SENT "timeout\n" };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        set_up(state);
        script_text[0] = texts[i];
        begin(&cut);
        assert_true(rcpt(&cut) && data(&cut));
        end(&cut);
        assert_answer("451 4.4.2 the office's mail server gave no answer to the message, try again later");
        assert_string_equal(cut_through_now(), "waits");
        work();
        all_followed();
    }
}

static void what_is_given_up_never_ends_in_order(void **state)
{
    (void)state;
    script_text[0] = GREET TO_DATA "> 354 go\n";
    begin(&cut);
    assert_true(rcpt(&cut) && data(&cut));
    cut_through_write(&cut, SPAN("half\r\n"));
    cut_through_abort(&cut);
    assert_true(script[0].aborted);
    work();
    assert_string_equal(script[0].error, "");
    assert_string_equal(cut_through_now(), "on"); /* it was not the server */
}

static void a_kept_connection_that_was_closed_is_opened_anew(void **state)
{
    (void)state;
    script_text[0] = GREET SENT "> 250 ok\n" MAIL "close\n";
    script_text[1] = GREET SENT "> 250 ok\n" QUIT;
    for (unsigned i = 0; i < 2; i++) {
        begin(&cut);
        assert_true(rcpt(&cut) && data(&cut));
        end(&cut);
        assert_int_equal(answer.code, 250);
    }
    cut_through_leave(&cut);
    work();
    assert_int_equal(connections, 2);
    all_followed();
}

static void another_name_is_another_connection(void **state)
{
    (void)state;
    script_text[0] = GREET TO_RCPT "> 250 ok\n" QUIT;
    script_text[1] = GREET TO_RCPT "> 250 ok\n" QUIT;
    begin(&cut);
    assert_true(rcpt(&cut));
    cut_through_abort(&cut);
    server.helo[0] = 'x';
    begin(&cut);
    assert_true(rcpt(&cut));
    assert_string_equal(cut.line->envelope.helo, server.helo);
    cut_through_leave(&cut);
    work();
    work();
    all_followed();
}

static void what_it_cannot_take_is_the_spools(void **state)
{
    (void)state;
    script_text[0] = GREET TO_RCPT "> 250 ok\n< RSET\n> 250 ok\n" MAIL "> 250 ok\n" QUIT;
    begin(&cut);
    assert_true(rcpt(&cut));
    assert_false(rcpt_at(&cut, "branch.test", 0));
    begin(&cut);
    server.mail.utf8 = true;
    assert_false(rcpt(&cut));
    server.mail.utf8 = false;
    server.mail.body = SMTP_BODY_8BITMIME;
    begin(&cut);
    assert_false(rcpt(&cut));
    server.mail.body = SMTP_BODY_7BIT;
    begin(&cut);
    assert_false(rcpt_at(&cut, "office.test", DSN_NOTIFY_SUCCESS));
    script_text[0] = NULL;
    assert_string_equal(cut_through_now(), "on");
    assert_int_equal(connections, 1);
    cut_through_leave(&cut);
}

static void only_mail_from_outside_and_only_when_on(void **state)
{
    (void)state;
    cut_through_begin(&cut, false);
    assert_false(cut_through_wanted(&cut));
    assert_string_equal(cut_through_now(), "on");
    setting_on = "off";
    begin(&cut);
    assert_false(cut_through_wanted(&cut));
    assert_string_equal(cut_through_now(), "off");
}

/* Half of the slots at most; and outgoing mail always finds one. */
static void slots_are_lent_with_measure(void **state)
{
    (void)state;
    struct cut_through other[PLAN_DELIVERY_SESSIONS] = { 0 };
    for (unsigned i = 0; i < PLAN_DELIVERY_SESSIONS / 2; i++) {
        script_text[i] = GREET TO_RCPT "> 250 ok\n";
        begin(&other[i]);
        assert_true(rcpt(&other[i]));
    }
    uint64_t since_ms = clock_ms();
    begin(&cut);
    assert_false(rcpt(&cut));
    assert_in_range(clock_ms() - since_ms, 3000, 3100);
    assert_string_equal(cut_through_now(), "on");
    for (unsigned i = 0; i < PLAN_DELIVERY_SESSIONS / 2; i++) {
        cut_through_leave(&other[i]);
        script_text[i] = NULL;
    }
    work();
    for (unsigned i = 0; i < PLAN_DELIVERY_SESSIONS; i++)
        slots[i].working = i > 0; /* one is idle */
    begin(&cut);
    assert_false(rcpt(&cut));
    slots[1].working = false;
    script_text[connections] = GREET TO_RCPT "> 250 ok\n";
    begin(&cut);
    assert_true(rcpt(&cut));
    cut_through_leave(&cut);
}

static void a_kept_connection_gives_way_to_another_session(void **state)
{
    (void)state;
    struct cut_through other = { 0 };
    for (unsigned i = 0; i < PLAN_DELIVERY_SESSIONS; i++)
        slots[i].working = i > 1;
    script_text[0] = GREET SENT "> 250 ok\n" QUIT;
    script_text[1] = GREET TO_RCPT "> 250 ok\n" QUIT;
    begin(&other);
    assert_true(rcpt(&other) && data(&other));
    end(&other);
    begin(&cut);
    assert_true(rcpt(&cut));
    assert_null(other.line);
    cut_through_leave(&other);
    cut_through_leave(&cut);
    work();
    all_followed();
}

/* A server that knows its client may turn it away: that is an answer, unless the server speaks of us. */
static void a_client_turned_away_hears_it(void **state)
{
    (void)state;
    greeting_code = 554;
    setting_client = "xclient";
    begin(&cut);
    assert_true(rcpt(&cut));
    assert_answer("550 5.7.1 you are listed");
    assert_string_equal(cut_through_now(), "on");
    work();
    setting_client = "none";
    begin(&cut);
    assert_false(rcpt(&cut));
}

/* After a failure one session finds out, and the others go on. */
static void one_session_finds_out(void **state)
{
    (void)state;
    begin(&cut);
    assert_false(rcpt(&cut));
    idle_ms(30000);
    begin(&cut);
    assert_false(rcpt(&cut));
    assert_int_equal(connections, 2);
    begin(&cut);
    assert_false(cut_through_wanted(&cut));
}

static void what_is_held_is_the_spools(void **state)
{
    (void)state;
    held = true;
    begin(&cut);
    assert_false(rcpt(&cut));
    assert_int_equal(connections, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_mail_passes_and_its_connection_is_kept_for_a_moment, set_up),
        cmocka_unit_test_setup(refusals_are_the_senders_and_all_else_goes_on, set_up),
        cmocka_unit_test_setup(a_break_before_the_message_is_the_spools, set_up),
        cmocka_unit_test_setup(a_break_in_the_message_is_451, set_up),
        cmocka_unit_test_setup(what_is_given_up_never_ends_in_order, set_up),
        cmocka_unit_test_setup(a_kept_connection_that_was_closed_is_opened_anew, set_up),
        cmocka_unit_test_setup(another_name_is_another_connection, set_up),
        cmocka_unit_test_setup(what_it_cannot_take_is_the_spools, set_up),
        cmocka_unit_test_setup(only_mail_from_outside_and_only_when_on, set_up),
        cmocka_unit_test_setup(slots_are_lent_with_measure, set_up),
        cmocka_unit_test_setup(a_kept_connection_gives_way_to_another_session, set_up),
        cmocka_unit_test_setup(a_client_turned_away_hears_it, set_up),
        cmocka_unit_test_setup(one_session_finds_out, set_up),
        cmocka_unit_test_setup(what_is_held_is_the_spools, set_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
