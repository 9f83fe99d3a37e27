/* firmware/list_update on simulated flash: deltas of the list in use, and what is wrong with others. */
#include "policy/delta.h"
#include "tests/unit/firmware/list_slots.h"
#include "toolchain/tools/common/delta_writer.h"

static struct list_update_view view;
static struct byte_buffer patch;

/* Puts the delta in the new image's place, which stays in `full` until the end of the test. */
static void use_delta(struct byte_buffer *full)
{
    assert_int_equal(delta_image_write(byte_buffer_span(&old), byte_buffer_span(&new), &patch), RC_OK);
    signing_add(LIST_A, &patch);
    *full = new;
    new = patch;
    patch = (struct byte_buffer){ NULL, 0, 0 };
}

static void a_delta_makes_the_full_image(void **state)
{
    static const size_t steps[] = { 1, 13, 1024, 100000 };
    (void)state;
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        struct byte_buffer full;
        byte_buffer_free(&new);
        list_image_make(&new, NEW + i, 60, 0); /* of so short a list little else is smaller as a delta */
        use_delta(&full);
        assert_true(new.len < full.len);
        begin();
        assert_int_equal(write_range(0, new.len, steps[i]), RC_OK);
        list_update_look(&view);
        assert_true(view.delta);
        assert_int_equal(view.size_bytes, new.len);
        assert_int_equal(list_update_finish(ticket), RC_OK);
        assert_int_equal(list_store_image()->version, NEW + i);
        assert_memory_equal(flash_sim_bytes() + map.list[1 - i % 2].addr, full.p, full.len);
        byte_buffer_free(&old);
        old = full;
    }
}

static void a_delta_for_another_base_is_refused(void **state)
{
    struct byte_buffer full;
    (void)state;
    byte_buffer_free(&old);
    list_image_make(&old, OLD, 59, 0);
    use_delta(&full);
    begin();
    assert_int_equal(write_range(0, new.len, 512), RC_REFUSED);
    expect_words("for another list");
    byte_buffer_free(&full);
    expect_old_then_update();
}

static void a_delta_for_a_box_without_a_list(void **state)
{
    struct byte_buffer full;
    const uint8_t zeros[64] = { 0 };
    (void)state;
    use_delta(&full);
    flash_sim_poke(map.list[0].addr, zeros, sizeof zeros);
    boot();
    assert_null(list_store_image());
    begin();
    assert_int_equal(write_range(0, new.len, 512), RC_REFUSED);
    expect_words("for another list");
    byte_buffer_free(&full);
}

static void a_damaged_delta_changes_nothing(void **state)
{
    struct byte_buffer full;
    (void)state;
    use_delta(&full);
    for (size_t at = 0; at < new.len; at += at < 2300 ? 29 : 7) {
        new.p[at] ^= 0x04;
        begin();
        enum rc rc = write_range(0, new.len, 700);
        if (rc == RC_OK)
            rc = list_update_finish(ticket);
        size_t in_room = at - (64 + 56); /* its count and zeros, and what follows the one signature up to the section */
        bool beside_the_patch = at >= 64 + 56 && ((in_room >= 8 && in_room < 16) || (in_room >= 20 && in_room < 24) ||
                                                  (in_room >= 16 + 104 && in_room < 848 + 8));
        if (rc == RC_OK && !beside_the_patch)
            fail_msg("a bit at %zu does not matter", at);
        list_update_abandon(ticket, NULL);
        if (rc == RC_OK) { /* put to use: back to the old one */
            const uint8_t zeros[64] = { 0 };
            flash_sim_poke(map.list[1].addr, zeros, sizeof zeros);
            boot();
            alert_clear(ALERT_LIST_DAMAGED);
        }
        assert_int_equal(list_store_image()->version, OLD);
        new.p[at] ^= 0x04;
    }
    byte_buffer_free(&full);
    expect_old_then_update();
}

/* Neither the patch nor what it makes is taken on the other's word. */
static void a_delta_and_its_result_need_a_list_key(void **state)
{
    static const unsigned signers[] = { 0, FIRMWARE_A, STRANGER, LIST_B };
    struct byte_buffer full;
    (void)state;
    for (size_t i = 0; i < sizeof signers / sizeof signers[0]; i++) {
        assert_int_equal(delta_image_write(byte_buffer_span(&old), byte_buffer_span(&new), &patch), RC_OK);
        if (signers[i])
            signing_add(signers[i], &patch);
        uint64_t before = flash_sim_operations();
        begin();
        enum rc rc = list_update_write(ticket, span_bytes(patch.p, patch.len));
        assert_int_equal(rc, signers[i] == LIST_B ? RC_OK : RC_REFUSED);
        if (rc == RC_REFUSED)
            expect_words("this delta is refused: ");
        assert_int_equal(flash_sim_operations() > before, rc == RC_OK);
        list_update_abandon(ticket, NULL);
        byte_buffer_free(&patch);
    }
    struct image image;
    struct span bytes = byte_buffer_span(&new);
    struct reader r = reader_on_span(&bytes);
    assert_int_equal(image_open(&image, &r), RC_OK);
    new.p[IMAGE_MANIFEST_BYTES + image.section_count * IMAGE_SECTION_BYTES + 8] = 0; /* no signatures */
    use_delta(&full);
    uint64_t before = flash_sim_operations();
    begin();
    assert_int_equal(write_range(0, new.len, 512), RC_REFUSED);
    expect_words("this list is refused: ");
    assert_int_equal(flash_sim_operations(), before);
    byte_buffer_free(&full);
    expect_old_then_update();
}

static void a_delta_cut_short_or_too_long(void **state)
{
    struct byte_buffer full;
    (void)state;
    use_delta(&full);
    begin();
    assert_int_equal(write_range(0, new.len - 1, 512), RC_OK);
    assert_int_equal(list_update_finish(ticket), RC_INVALID);
    list_update_abandon(ticket, "the line broke");
    begin();
    assert_int_equal(write_range(0, new.len, 512), RC_OK);
    assert_int_equal(list_update_write(ticket, SPAN("x")), RC_CORRUPT);
    expect_words("more bytes than the delta has");
    byte_buffer_free(&full);
    expect_old_then_update();
}

/* In the new image's place a delta of the list in use, soundly signed, that holds this patch. */
static void use_patch(struct byte_buffer *inner, enum image_section type, unsigned count)
{
    const struct image_source_section sections[] = { { type, byte_buffer_span(inner) }, { IMAGE_ROOTS, SPAN("more") } };
    const struct image_source s = {
        .kind = IMAGE_DELTA, .board = "any", .version = NEW, .created = NEW, .sections = sections, .count = count
    };
    struct byte_buffer made = { NULL, 0, 0 };
    signing_image(&s, (const unsigned[]){ LIST_A, 0 }, &made);
    byte_buffer_free(inner);
    byte_buffer_free(&new);
    new = made;
}

static void a_delta_may_make_lists_only(void **state)
{
    struct byte_buffer full, inner = { NULL, 0, 0 };
    (void)state;
    use_delta(&full);
    /* A patch whose target is the delta itself: its head is literal. */
    const uint8_t header[8] = { 'P', 'D', 'L', 'T', DELTA_FORMAT, 0, 0, 0 };
    uint8_t hash[32];
    assert_int_equal(image_manifest_hash(list_store_image(), hash), RC_OK);
    byte_buffer_add(&inner, header, sizeof header);
    byte_buffer_add(&inner, hash, 32);
    byte_buffer_add(&inner, hash, 32);
    byte_buffer_u64(&inner, new.len);
    byte_buffer_varint(&inner, (uint32_t) new.len << DELTA_KIND_BITS);
    byte_buffer_add(&inner, new.p, new.len);
    use_patch(&inner, IMAGE_PATCH, 1);
    begin();
    assert_int_equal(write_range(0, new.len, 512), RC_REFUSED);
    expect_words("is a delta, not a list");
    byte_buffer_free(&full);
    expect_old_then_update();
}

/* The signature is sound, but not what the patch says of itself: of what it makes, and of how long that is. */
static void a_delta_that_lies(void **state)
{
    static const struct {
        enum image_section type;
        unsigned count;
        size_t at;
        const char *words;
    } cases[] = {
        { IMAGE_PATCH, 1, 40, "makes another image than it says" },
        { IMAGE_PATCH, 1, 71, "makes another image than it says" },
        { IMAGE_PATCH, 1, 72, "damaged" },
        { IMAGE_POLICIES, 1, 0, "holds no patch" },
        { IMAGE_PATCH, 2, 0, "holds no patch" },
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct byte_buffer inner = { NULL, 0, 0 };
        byte_buffer_free(&new);
        list_image_make(&new, NEW, 60, 0);
        assert_int_equal(delta_write(byte_buffer_span(&old), byte_buffer_span(&new), &inner), RC_OK);
        inner.p[cases[i].at]--;
        use_patch(&inner, cases[i].type, cases[i].count);
        uint64_t before = flash_sim_operations();
        begin();
        assert_int_equal(write_range(0, new.len, 512), RC_CORRUPT);
        expect_words(cases[i].words);
        assert_int_equal(flash_sim_operations(), before);
    }
    expect_old_then_update();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_delta_makes_the_full_image),
        TEST(a_delta_for_another_base_is_refused),
        TEST(a_delta_for_a_box_without_a_list),
        TEST(a_damaged_delta_changes_nothing),
        TEST(a_delta_and_its_result_need_a_list_key),
        TEST(a_delta_cut_short_or_too_long),
        TEST(a_delta_may_make_lists_only),
        TEST(a_delta_that_lies),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
