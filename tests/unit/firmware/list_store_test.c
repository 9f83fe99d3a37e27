/* firmware/list_store on simulated flash: which slot is used, what is in it, and for how long. */
#include "firmware/wallclock.h"
#include "hal/base/pem.h"
#include "hal/crypto/der_cert.h"
#include "policy/roots.h"
#include "tests/unit/firmware/list_slots.h"

#define CREATED 1600000000 /* of list_image_make's lists, which live for 14 days */
#define DAY_S 86400

static void put_slot(unsigned n, struct span bytes)
{
    static const uint8_t ones[SLOT_BYTES] = { [0 ... SLOT_BYTES - 1] = 0xff };
    flash_sim_poke(map.list[n].addr, ones, sizeof ones);
    flash_sim_poke(map.list[n].addr, bytes.p, bytes.len);
}

static void sign(const struct image_source_section *sections, unsigned count, uint64_t version, struct byte_buffer *out)
{
    const struct image_source s = {
        .kind = IMAGE_LIST, .board = "any", .version = version, .created = (int64_t)version, .sections = sections, .count = count
    };
    signing_image(&s, (const unsigned[]){ LIST_A, 0 }, out);
}

/* Soundly signed, but of a format that this firmware cannot read: it takes nobody's place. */
static void each_section_has_to_open(void **state)
{
    static const enum image_section types[] = { IMAGE_POLICIES, IMAGE_ROOTS, IMAGE_ANCHORS };
    (void)state;
    for (unsigned i = 0; i < 3; i++) {
        sign(&(struct image_source_section){ types[i], SPAN("of a later format") }, 1, NEW, &new);
        begin();
        assert_int_equal(write_range(0, new.len, 512), RC_OK);
        assert_int_equal(list_update_finish(ticket), RC_CORRUPT);
        expect_words("does not check");
        assert_int_equal(list_store_image()->version, OLD);
        put_slot(1, byte_buffer_span(&new));
        boot();
        assert_int_equal(list_store_image()->version, OLD);
        assert_non_null(strstr(alert_text(ALERT_LIST_DAMAGED), "the other one is in use"));
    }
    put_slot(1, SPAN(""));
    expect_old_then_update();
}

struct given {
    unsigned count, wanted;
};

static bool count_root(void *ctx, struct span der)
{
    struct given *g = ctx;
    g->count += der.len > 0;
    return g->count < g->wanted;
}

static unsigned roots_of(struct span issuer, unsigned wanted)
{
    const struct tls_trust *trust = list_store_trust();
    struct given g = { 0, wanted };
    unsigned told = trust->find(trust->ctx, issuer, count_root, &g);
    assert_int_equal(told, g.count);
    return told;
}

static void roots_and_anchors_are_the_active_images(void **state)
{
    (void)state;
    struct byte_buffer pem = { NULL, 0, 0 }, anchors = { NULL, 0, 0 };
    struct span rest, subject = SPAN("");
    unsigned most = 0;
    uint8_t der[ROOT_DER_MAX];
    char words[100];
    struct strbuf why = STRBUF(words);
    size_t len;
    assert_int_equal(file_read("tests/vectors/roots/three.pem", &pem), RC_OK);
    rest = byte_buffer_span(&pem);
    while (pem_next(&rest, "CERTIFICATE", der, sizeof der, &len) == RC_OK) {
        assert_int_equal(x509_subject_dn(span_bytes(der, len), &subject), RC_OK);
        unsigned given = roots_of(subject, 9);
        most = given > most ? given : most;
        assert_int_equal(roots_of(subject, 1), 1);
    }
    assert_int_equal(most, 2);
    assert_int_equal(list_store_roots(), 3);
    assert_int_equal(roots_of(SPAN("\x30\x00"), 9), 0);
    assert_null(list_store_anchors());

    assert_int_equal(anchors_write(SPAN(""), &anchors, &why), RC_OK);
    sign(&(struct image_source_section){ IMAGE_ANCHORS, byte_buffer_span(&anchors) }, 1, NEW, &new);
    begin();
    assert_int_equal(write_range(0, new.len, 512), RC_OK);
    assert_int_equal(list_update_finish(ticket), RC_OK);
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(list_store_slot(), 'B');
        assert_int_equal(list_store_roots(), 0);
        assert_int_equal(roots_of(subject, 9), 0);
        assert_int_equal(list_store_anchors()->count, 2);
        assert_null(list_store_take());
        list_store_give(NULL);
        assert_false(list_store_spare_taken());
        boot();
    }
    byte_buffer_free(&pem);
    byte_buffer_free(&anchors);
}

static void the_higher_version_wins(void **state)
{
    (void)state;
    for (unsigned place = 0; place < 2; place++) {
        put_slot(place, byte_buffer_span(&new));
        put_slot(!place, byte_buffer_span(&old));
        boot();
        assert_int_equal(list_store_slot(), 'A' + (int)place);
        assert_int_equal(list_store_image()->version, NEW);
        assert_null(alert_text(ALERT_LIST_DAMAGED));
    }
}

/* A slot that cannot be read, in any part of it, is not used; when it can be read again it is as good as ever. */
static void what_cannot_be_read_is_damage(void **state)
{
    (void)state;
    const size_t places[] = { 0, IMAGE_MANIFEST_BYTES, IMAGE_MANIFEST_BYTES + 2 * IMAGE_SECTION_BYTES + 30, old.len - 1 };
    put_slot(1, byte_buffer_span(&new));
    for (unsigned i = 0; i < sizeof places / sizeof places[0]; i++) {
        flash_sim_fail_reads(map.list[1].addr + places[i], 1);
        boot();
        assert_int_equal(list_store_image()->version, OLD);
        assert_non_null(strstr(alert_text(ALERT_LIST_DAMAGED), "the other one is in use"));
        assert_null(alert_text(ALERT_LIST_NONE));
        flash_sim_fail_reads(0, 0);
        boot();
        assert_int_equal(list_store_image()->version, NEW);
        assert_null(alert_text(ALERT_LIST_DAMAGED));
    }
    put_slot(0, SPAN(""));
    flash_sim_fail_reads(map.list[1].addr, 1);
    boot();
    assert_null(list_store_image());
    assert_int_equal(list_store_slot(), '-');
    assert_int_equal(roots_of(SPAN("\x30\x00"), 9), 0);
    assert_non_null(strstr(alert_text(ALERT_LIST_DAMAGED), "no list is in use"));
    assert_non_null(alert_text(ALERT_LIST_NONE));
    flash_sim_fail_reads(0, 0);
}

static void poll_and_rot(void)
{
    flash_poll();
    if (flash_sim_bytes()[map.list[1].addr] == 'P')
        flash_sim_poke(map.list[1].addr, "Q", 1);
}

/* The head is in RAM while all else is checked: it is read back before the new list is used. */
static void a_head_that_did_not_arrive(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        if (i == 0)
            task_set_poll(poll_and_rot);
        else
            flash_sim_fail_reads(map.list[1].addr + 40, 1);
        begin();
        assert_int_equal(write_range(0, new.len, 512), RC_OK);
        assert_int_equal(list_update_finish(ticket), RC_IO);
        list_store_judge_again();
        assert_int_equal(list_store_image()->version, OLD);
        task_set_poll(flash_poll);
        flash_sim_fail_reads(0, 0);
    }
    flash_sim_poke(map.list[1].addr, "", 1);
    boot();
    assert_int_equal(list_store_image()->version, OLD);
}

static enum verdict_list_state look_up(const char *domain)
{
    struct list_entry entry;
    struct verdict_domain v = { 0 };
    list_store_look_up(span_of(domain), &entry, &v);
    assert_true((v.list.entry != NULL) == (v.list.state == LIST_STATE_FOUND || v.list.state == LIST_STATE_EXPIRED));
    if (v.list.state != LIST_STATE_NONE)
        assert_true(v.list.timestamp == CREATED && v.list.expires == CREATED + 14 * DAY_S);
    return v.list.state;
}

static void a_list_ages_and_ends(void **state)
{
    static const struct {
        int64_t after_s;
        enum list_life life;
        enum verdict_list_state found;
    } cases[] = {
        { 9 * DAY_S, LIST_LIFE_FRESH, LIST_STATE_FOUND },       { 10 * DAY_S, LIST_LIFE_AGEING, LIST_STATE_FOUND },
        { 14 * DAY_S - 9, LIST_LIFE_AGEING, LIST_STATE_FOUND }, { 14 * DAY_S + 1, LIST_LIFE_EXPIRED, LIST_STATE_EXPIRED },
        { 1 * DAY_S, LIST_LIFE_FRESH, LIST_STATE_FOUND },
    };
    (void)state;
    assert_int_equal(wallclock_from_sntp(CREATED + 15 * DAY_S, clock_us()), RC_OK); /* anybody's word: it ends nothing */
    list_store_check_expiry();
    assert_int_equal(list_store_life(), LIST_LIFE_AGEING);
    assert_int_equal(look_up("d1.example"), LIST_STATE_FOUND);
    assert_non_null(strstr(alert_text(ALERT_LIST_AGEING), "by an unproven clock the preload list ended at 2020-09-27"));
    for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(wallclock_set(CREATED + cases[i].after_s), RC_OK);
        list_store_check_expiry();
        assert_int_equal(list_store_life(), cases[i].life);
        assert_int_equal(look_up("d1.example"), cases[i].found);
        assert_int_equal(look_up("other.example"), LIST_STATE_ABSENT);
        assert_true((alert_text(ALERT_LIST_AGEING) != NULL) == (cases[i].life == LIST_LIFE_AGEING));
        assert_true((alert_text(ALERT_LIST_EXPIRED) != NULL) == (cases[i].life == LIST_LIFE_EXPIRED));
        if (cases[i].life == LIST_LIFE_EXPIRED)
            assert_non_null(strstr(alert_text(ALERT_LIST_EXPIRED), "ended at 2020-09-27"));
        if (cases[i].life == LIST_LIFE_AGEING)
            assert_non_null(strstr(alert_text(ALERT_LIST_AGEING), "days left"));
    }
    flash_sim_fail_reads(map.list[0].addr, SLOT_BYTES);
    assert_int_equal(look_up("d1.example"), LIST_STATE_DAMAGED);
    assert_non_null(strstr(alert_text(ALERT_LIST_DAMAGED), "the list in slot A cannot be read"));
    boot();
    assert_int_equal(look_up("d1.example"), LIST_STATE_NONE);
    assert_int_equal(list_store_life(), LIST_LIFE_NONE);
    flash_sim_fail_reads(0, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(each_section_has_to_open),   TEST(roots_and_anchors_are_the_active_images),
        TEST(the_higher_version_wins),    TEST(what_cannot_be_read_is_damage),
        TEST(a_head_that_did_not_arrive), TEST(a_list_ages_and_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
