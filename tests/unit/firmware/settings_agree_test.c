/* What is refused though each value is good: settings that do not fit to each other, to the clock or to the box's addresses. */
#include "firmware/settings_agree.h"

#include "firmware/network.h"
#include "firmware/wallclock.h"
#include "tests/unit/firmware/settings_area.h"

#define NOW INT64_C(1780315200) /* 2026-06-01T12:00:00Z */

static int64_t now;
static char why_memory[300];
static struct strbuf why;

int64_t wallclock_now(void)
{
    return now;
}

/* 192.0.2.99 and 2001:db8::99, which no setting tells: they came by DHCP and router. */
bool network_is_own(const struct ip_addr_any *a)
{
    char memory[IP_TEXT_MAX];
    struct strbuf text = STRBUF(memory);
    ip_format(&text, a);
    return span_is(strbuf_span(&text), "192.0.2.99") || span_is(strbuf_span(&text), "2001:db8::99");
}

static int set_up_settings(void **state)
{
    set_up(state);
    settings_load();
    why = STRBUF(why_memory);
    now = NOW;
    return 0;
}

/* "KEY VALUE", or "KEY" to unset it. */
static void stage(const char *change)
{
    struct span text = span_of(change);
    size_t blank = span_find(text, 0, ' ');
    struct span key = span_sub(text, 0, blank);
    assert_int_equal(blank == SIZE_MAX ? settings_stage_unset(key, &why) : settings_stage(key, span_from(text, blank + 1), &why),
                     RC_OK);
}

static void commit(const char *change)
{
    stage(change);
    assert_true(settings_agree(&why));
    assert_int_equal(settings_commit(&why), RC_OK);
}

static void staged_together(void **state)
{
    (void)state;
    static const struct {
        const char *first, *second, *why; /* "": it agrees */
    } cases[] = {
        { "mail.retry_first 3600", "mail.retry_longest 3599", "mail.retry_first is more than mail.retry_longest" },
        { "mail.retry_first 3600", "mail.retry_longest 3600", "" },
        { "net.address 192.0.2.7/24", "mail.inside 192.0.2.9,192.0.2.7:2525", "mail.inside is the box's own" },
        { "net.address 192.0.2.7/24", "mail.inside 192.0.2.9,server.local", "" },
        { "net.address 192.0.2.7/24", "mail.smarthost 192.0.2.7", "mail.smarthost is the box's own" },
        { "net.address dhcp", "mail.inside 192.0.2.98,192.0.2.99", "mail.inside is the box's own" },
        { "net.address6 auto", "mail.smarthost [2001:db8::99]:587", "mail.smarthost is the box's own" },
        { "net.address6 auto", "mail.smarthost [2001:db8::98]:587", "" },
        { "host.name own.example", "web.forward.own.example 192.0.2.9", "web.forward names the box itself" },
        { "host.name own.example", "web.forward.other.example 192.0.2.9", "" },
        { "host.name own.example", "acme.eab_key a+b=", "acme.eab_key is not base64url" },
        { "host.name own.example", "acme.eab_key YS1_", "" },
        { "host.name own.example", "mail.exception.x.example 2026-06-01T12:00:00Z", "mail.exception.x.example is over" },
        { "host.name own.example", "mail.exception.x.example 2026-06-01T12:00:01Z", "" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        stage(cases[i].first);
        stage(cases[i].second);
        bool fits = settings_agree(&why);
        if (fits != !cases[i].why[0] || !span_starts(strbuf_span(&why), cases[i].why))
            fail_msg("%s, %s: %s", cases[i].first, cases[i].second, why_memory);
        settings_discard();
    }
}

static void what_stands_counts_too(void **state)
{
    (void)state;
    commit("mail.retry_longest 86400");
    commit("mail.retry_first 3600");
    stage("mail.retry_longest 3000");
    assert_false(settings_agree(&why));
    stage("mail.retry_longest"); /* 14400 again */
    assert_true(settings_agree(&why));
    commit("web.forward.own.example 192.0.2.9");
    stage("host.name own.example");
    assert_false(settings_agree(&why));
    stage("web.forward.own.example");
    assert_true(settings_agree(&why));
}

/* It ends by itself: it must not be in the way of other changes, nor of its own end. */
static void an_exception_that_ended_later_is_left_alone(void **state)
{
    (void)state;
    commit("mail.exception.x.example 2026-06-01T12:00:01Z");
    now = NOW + 3600;
    stage("host.name own.example");
    assert_true(settings_agree(&why));
    stage("mail.exception.x.example");
    assert_true(settings_agree(&why));
}

static void without_a_clock_no_exception_is_over(void **state)
{
    (void)state;
    now = 0;
    stage("mail.exception.x.example 2020-01-01T00:00:00Z");
    assert_true(settings_agree(&why));
}

static void the_longest_binding_key_fits(void **state)
{
    (void)state;
    char change[sizeof "acme.eab_key " + 255];
    struct strbuf text = STRBUF(change);
    strbuf_puts(&text, "acme.eab_key ");
    for (unsigned i = 0; i < 255; i++)
        strbuf_putc(&text, 'A');
    stage(change);
    assert_true(settings_agree(&why));
}

#define AGREE(name) cmocka_unit_test_setup_teardown(name, set_up_settings, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        AGREE(staged_together),
        AGREE(what_stands_counts_too),
        AGREE(an_exception_that_ended_later_is_left_alone),
        AGREE(without_a_clock_no_exception_is_over),
        AGREE(the_longest_binding_key_fits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
