/* policy/image_trust.c: each attack on signed updates is refused, under its own name. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "hal/base/bytes.h"
#include "hal/base/crc32.h"
#include "hal/crypto/sha256.h"
#include "policy/image_trust.h"
#include "tests/support/signing.h"

#define DAY 86400
#define PUBLISHED 1763769600 /* 2025-11-22 */

static struct byte_buffer keys_made, made, other;
static struct keyring keyring;
static struct image_signers signers;
static struct image_demand demand;
static struct image_source source;
static const struct image_source_section sections[] = { { IMAGE_POLICIES, { "policies", 8 } }, { IMAGE_ROOTS, { "roots", 5 } } };
static const struct image_source_section other_sections[] = { { IMAGE_POLICIES, { "POLICIES", 8 } },
                                                              { IMAGE_ROOTS, { "roots", 5 } } };

#define BY(...) ((const unsigned[]){ __VA_ARGS__, 0 })
#define BY_NOBODY ((const unsigned[]){ 0 })

static int set_up(void **state)
{
    (void)state;
    struct keyring_source s = signing_keyring(7);
    assert_int_equal(keyring_write(&s, &keys_made), RC_OK);
    assert_int_equal(keyring_open(&keyring, byte_buffer_span(&keys_made)), RC_OK);
    source = (struct image_source){ .kind = IMAGE_LIST,
                                    .board = "any",
                                    .version = PUBLISHED,
                                    .created = PUBLISHED,
                                    .expires = PUBLISHED + 14 * DAY,
                                    .sections = sections,
                                    .count = 2 };
    demand = (struct image_demand){ .kind = IMAGE_LIST,
                                    .board = "virt",
                                    .version_in_use = PUBLISHED - DAY,
                                    .time_passed = PUBLISHED + DAY,
                                    .time_now = PUBLISHED + DAY };
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    byte_buffer_free(&keys_made);
    byte_buffer_free(&made);
    byte_buffer_free(&other);
    return 0;
}

static enum image_refusal judge_bytes(struct span bytes)
{
    struct reader r = reader_on_span(&bytes);
    struct image i;
    if (image_open(&i, &r) != RC_OK)
        return IMAGE_DAMAGED;
    enum image_refusal refusal = image_trust_manifest(&i, &keyring, &demand, NULL, &signers);
    return refusal == IMAGE_ACCEPTED ? image_trust_sections(&i, NULL) : refusal;
}

static enum image_refusal judge(const unsigned *keys)
{
    signing_image(&source, keys, &made);
    return judge_bytes(byte_buffer_span(&made));
}

static void mend_crc(struct byte_buffer *b)
{
    size_t manifest = IMAGE_MANIFEST_BYTES + 2 * IMAGE_SECTION_BYTES;
    put_le32(b->p + manifest + 4, crc32_update(0, b->p, manifest));
}

static void a_good_list_is_accepted(void **state)
{
    (void)state;
    uint8_t id[32];
    assert_int_equal(judge(BY(LIST_A)), IMAGE_ACCEPTED);
    assert_int_equal(signers.valid, 1);
    assert_int_equal(signers.threshold, 1);
    signing_key_id(LIST_A, id);
    assert_memory_equal(signers.key_id, id, sizeof id);
    assert_int_equal(judge(BY(STRANGER, LIST_B)), IMAGE_ACCEPTED); /* what others add takes nothing away */
    signing_key_id(LIST_B, id);
    assert_memory_equal(signers.key_id, id, sizeof id);
    demand.version_in_use = demand.time_now = demand.time_passed = 0;
    assert_int_equal(judge(BY(LIST_B, LIST_A)), IMAGE_ACCEPTED);
    assert_int_equal(signers.valid, 2);
    source.board = "virt";
    assert_int_equal(judge(BY(LIST_A)), IMAGE_ACCEPTED);
}

static void who_signed_decides(void **state)
{
    (void)state;
    assert_int_equal(judge(BY_NOBODY), IMAGE_UNSIGNED);
    assert_int_equal(judge(BY(STRANGER)), IMAGE_UNKNOWN_SIGNER);
    assert_int_equal(signers.valid, 0);
    assert_int_equal(judge(BY(FIRMWARE_A)), IMAGE_WRONG_ROLE);
    assert_int_equal(judge(BY(ROOT_A, ROOT_B)), IMAGE_WRONG_ROLE);
    struct keyring_source s = signing_keyring(8);
    s.threshold[KEYRING_LIST] = 2;
    byte_buffer_free(&keys_made);
    assert_int_equal(keyring_write(&s, &keys_made), RC_OK);
    assert_int_equal(keyring_open(&keyring, byte_buffer_span(&keys_made)), RC_OK);
    assert_int_equal(judge(BY(LIST_A)), IMAGE_TOO_FEW_KEYS);
    assert_int_equal(judge(BY(LIST_A, FIRMWARE_A)), IMAGE_TOO_FEW_KEYS);
    assert_int_equal(judge(BY(LIST_A, LIST_B)), IMAGE_ACCEPTED);
}

/* One key signs twice: in two places of the room, or in all eight. */
static void a_key_counts_once(void **state)
{
    (void)state;
    struct keyring_source s = signing_keyring(8);
    s.threshold[KEYRING_LIST] = 2;
    byte_buffer_free(&keys_made);
    assert_int_equal(keyring_write(&s, &keys_made), RC_OK);
    assert_int_equal(keyring_open(&keyring, byte_buffer_span(&keys_made)), RC_OK);
    signing_image(&source, BY(LIST_A), &made);
    uint8_t *room = made.p + IMAGE_MANIFEST_BYTES + 2 * IMAGE_SECTION_BYTES, *first = room + IMAGE_SIGNATURE_HEAD_BYTES;
    for (unsigned n = 1; n < IMAGE_SIGNATURES_MAX; n++) {
        memcpy(first + n * IMAGE_SIGNATURE_BYTES, first, IMAGE_SIGNATURE_BYTES);
        put_le32(room + 8, n + 1);
        assert_int_equal(judge_bytes(byte_buffer_span(&made)), IMAGE_TOO_FEW_KEYS);
        assert_int_equal(signers.valid, 1);
    }
}

static void kind_and_board_have_to_fit(void **state)
{
    (void)state;
    source.board = "mps2-an500";
    assert_int_equal(judge(BY(LIST_A)), IMAGE_WRONG_BOARD);
    source.board = "virt2";
    assert_int_equal(judge(BY(LIST_A)), IMAGE_WRONG_BOARD);
    source.board = "virt";
    source.kind = IMAGE_FIRMWARE;
    assert_int_equal(judge(BY(LIST_A)), IMAGE_WRONG_KIND);
    assert_int_equal(judge(BY(FIRMWARE_A)), IMAGE_WRONG_KIND);
    source.kind = demand.kind = IMAGE_DELTA;
    assert_int_equal(judge(BY(LIST_A)), IMAGE_ACCEPTED);
    assert_int_equal(judge(BY(FIRMWARE_A)), IMAGE_WRONG_ROLE);
    source.kind = demand.kind = IMAGE_FIRMWARE;
    assert_int_equal(judge(BY(LIST_A)), IMAGE_WRONG_ROLE);
    demand.version_in_use = PUBLISHED - 1;
    assert_int_equal(judge(BY(FIRMWARE_A)), IMAGE_ACCEPTED);
}

static void versions_only_grow(void **state)
{
    (void)state;
    demand.version_in_use = PUBLISHED;
    assert_int_equal(judge(BY(LIST_A)), IMAGE_SAME_VERSION);
    demand.version_in_use = PUBLISHED + 1;
    assert_int_equal(judge(BY(LIST_A)), IMAGE_ROLLBACK);
    demand.version_in_use = UINT64_MAX;
    assert_int_equal(judge(BY(LIST_A)), IMAGE_ROLLBACK);
    demand.version_in_use = PUBLISHED - 1;
    assert_int_equal(judge(BY(LIST_A)), IMAGE_ACCEPTED);
}

static void a_list_does_not_run_ahead_of_its_date(void **state)
{
    (void)state;
    source.version = PUBLISHED + DAY;
    assert_int_equal(judge(BY(LIST_A)), IMAGE_ACCEPTED);
    source.version = PUBLISHED + DAY + 1;
    assert_int_equal(judge(BY(LIST_A)), IMAGE_FAST_FORWARD);
    source.version = UINT64_MAX;
    assert_int_equal(judge(BY(LIST_A)), IMAGE_FAST_FORWARD);
    demand.version_in_use = demand.time_now = demand.time_passed = 0;
    assert_int_equal(judge(BY(LIST_A)), IMAGE_FAST_FORWARD);
}

static void nor_does_its_date_run_ahead_of_the_clock(void **state)
{
    (void)state;
    demand.time_now = PUBLISHED - DAY;
    assert_int_equal(judge(BY(LIST_A)), IMAGE_ACCEPTED);
    demand.time_now = PUBLISHED - DAY - 1;
    assert_int_equal(judge(BY(LIST_A)), IMAGE_FROM_FUTURE);
    source.created = source.expires = INT64_MAX;
    source.version = INT64_MAX;
    assert_int_equal(judge(BY(LIST_A)), IMAGE_FROM_FUTURE);
}

static void without_a_clock_it_may_leap_five_years(void **state)
{
    (void)state;
    demand.time_now = 0;
    source.version = PUBLISHED - DAY + IMAGE_LIST_LEAP_MAX_S;
    source.created = source.expires = (int64_t)source.version;
    assert_int_equal(judge(BY(LIST_A)), IMAGE_ACCEPTED);
    source.version++;
    assert_int_equal(judge(BY(LIST_A)), IMAGE_FAST_FORWARD);
    demand.time_now = source.created; /* with a clock it may be as old as it likes */
    demand.time_passed = 0;
    assert_int_equal(judge(BY(LIST_A)), IMAGE_ACCEPTED);
}

static void counted_versions_may_leap_a_million(void **state)
{
    (void)state;
    source.kind = demand.kind = IMAGE_FIRMWARE;
    demand.version_in_use = 5;
    source.version = 5 + IMAGE_COUNT_LEAP_MAX;
    assert_int_equal(judge(BY(FIRMWARE_A)), IMAGE_ACCEPTED);
    source.version++;
    assert_int_equal(judge(BY(FIRMWARE_A)), IMAGE_FAST_FORWARD);
    source.version = UINT64_MAX;
    assert_int_equal(judge(BY(FIRMWARE_A)), IMAGE_FAST_FORWARD);
}

/* A frozen list ends at its date, by trusted time alone. */
static void what_has_expired_is_not_taken(void **state)
{
    (void)state;
    demand.time_passed = source.expires;
    assert_int_equal(judge(BY(LIST_A)), IMAGE_ACCEPTED);
    demand.time_passed = source.expires + 1;
    assert_int_equal(judge(BY(LIST_A)), IMAGE_EXPIRED);
    demand.time_passed = 0;
    demand.time_now = source.expires + 1000 * DAY;
    assert_int_equal(judge(BY(LIST_A)), IMAGE_ACCEPTED);
    source.expires = 0;
    demand.time_passed = INT64_MAX;
    assert_int_equal(judge(BY(LIST_A)), IMAGE_ACCEPTED);
}

/* Sections of two lists that are both signed and good. */
static void parts_of_two_images_do_not_mix(void **state)
{
    (void)state;
    signing_image(&source, BY(LIST_A), &made);
    source.sections = other_sections;
    signing_image(&source, BY(LIST_A), &other);
    assert_int_equal(made.len, other.len);
    assert_int_equal(judge_bytes(byte_buffer_span(&made)), IMAGE_ACCEPTED);
    assert_int_equal(judge_bytes(byte_buffer_span(&other)), IMAGE_ACCEPTED);
    size_t sections_at = (size_t)get_le64(made.p + IMAGE_MANIFEST_BYTES + 8);
    memcpy(made.p + sections_at, other.p + sections_at, 8);
    assert_int_equal(judge_bytes(byte_buffer_span(&made)), IMAGE_SECTION_DIFFERS);
    /* the other one's section with its line in the manifest */
    memcpy(made.p + IMAGE_MANIFEST_BYTES, other.p + IMAGE_MANIFEST_BYTES, IMAGE_SECTION_BYTES);
    mend_crc(&made);
    assert_int_equal(judge_bytes(byte_buffer_span(&made)), IMAGE_BAD_SIGNATURE);
}

/* In every byte of them, and over three bytes every bit: each costs a verification. */
static void flipped_bits_of_manifest_and_signature_are_refused(void **state)
{
    (void)state;
    signing_image(&source, BY(LIST_A), &made);
    size_t manifest = IMAGE_MANIFEST_BYTES + 2 * IMAGE_SECTION_BYTES, end = manifest + 16 + IMAGE_SIGNATURE_BYTES;
    for (size_t bit = 0; bit < end * 8; bit += 3) {
        size_t at = bit / 8;
        if ((at >= manifest + 12 && at < manifest + 16) || (at >= manifest + 20 && at < manifest + 24))
            continue; /* not read: zeros of the room */
        made.p[at] ^= (uint8_t)(1u << bit % 8);
        if (at < manifest)
            mend_crc(&made);
        enum image_refusal r = judge_bytes(byte_buffer_span(&made));
        if (r == IMAGE_ACCEPTED && !(at == manifest + 8 && get_le32(made.p + manifest + 8) >= 1))
            fail_msg("bit %u of byte %u", (unsigned)(bit % 8), (unsigned)at);
        made.p[at] ^= (uint8_t)(1u << bit % 8);
        if (at < manifest)
            mend_crc(&made);
    }
    assert_int_equal(judge_bytes(byte_buffer_span(&made)), IMAGE_ACCEPTED);
}

static void every_flipped_byte_of_the_sections_is_refused(void **state)
{
    (void)state;
    signing_image(&source, BY(LIST_A), &made);
    for (unsigned n = 0; n < 2; n++) {
        const uint8_t *line = made.p + IMAGE_MANIFEST_BYTES + n * IMAGE_SECTION_BYTES;
        uint64_t from = get_le64(line + 8), len = get_le64(line + 16);
        for (uint64_t at = from; at < from + len; at++) {
            made.p[at] ^= 0x40;
            assert_int_equal(judge_bytes(byte_buffer_span(&made)), IMAGE_SECTION_DIFFERS);
            made.p[at] ^= 0x40;
        }
    }
}

static void a_cut_image_is_damaged(void **state)
{
    (void)state;
    signing_image(&source, BY(LIST_A), &made);
    for (size_t len = 0; len < made.len; len++)
        assert_int_equal(judge_bytes(span_bytes(made.p, len)), IMAGE_DAMAGED);
}

/* A good signature of the right key on another manifest, or in another key's name. */
static void a_signature_is_of_one_image_and_one_key(void **state)
{
    (void)state;
    signing_image(&source, BY(LIST_A), &other);
    source.version++;
    signing_image(&source, BY(LIST_A), &made);
    size_t at = IMAGE_MANIFEST_BYTES + 2 * IMAGE_SECTION_BYTES + IMAGE_SIGNATURE_HEAD_BYTES;
    memcpy(made.p + at, other.p + at, IMAGE_SIGNATURE_BYTES);
    assert_int_equal(judge_bytes(byte_buffer_span(&made)), IMAGE_BAD_SIGNATURE);
    signing_image(&source, BY(LIST_A), &made);
    signing_key_id(LIST_B, made.p + at + 8);
    assert_int_equal(judge_bytes(byte_buffer_span(&made)), IMAGE_BAD_SIGNATURE);
    signing_image(&source, BY(LIST_A), &made);
    put_le32(made.p + at, 2); /* an algorithm that nobody knows */
    assert_int_equal(judge_bytes(byte_buffer_span(&made)), IMAGE_UNKNOWN_SIGNER);
    signing_image(&source, BY(LIST_A, LIST_B), &made);
    made.p[at + 40] ^= 1; /* the good one that follows does not make up for it */
    assert_int_equal(judge_bytes(byte_buffer_span(&made)), IMAGE_BAD_SIGNATURE);
}

static uint64_t fails_from;
static enum rc failing_read(void *ctx, uint64_t offset, void *out, size_t len)
{
    const struct span *bytes = ctx;
    if (offset >= fails_from)
        return RC_IO;
    memcpy(out, bytes->p + offset, len);
    return RC_OK;
}

static void a_flash_that_fails_accepts_nothing(void **state)
{
    (void)state;
    signing_image(&source, BY(LIST_A), &made);
    struct span bytes = byte_buffer_span(&made);
    struct reader r = { failing_read, &bytes, bytes.len };
    struct image i;
    fails_from = UINT64_MAX;
    assert_int_equal(image_open(&i, &r), RC_OK);
    for (unsigned n = 0; n < 2; n++) { /* all of it; the signatures and what follows */
        fails_from = n * (IMAGE_MANIFEST_BYTES + 2 * IMAGE_SECTION_BYTES);
        assert_int_equal(image_trust_manifest(&i, &keyring, &demand, NULL, NULL), IMAGE_UNREADABLE);
    }
    assert_int_equal(image_trust_sections(&i, NULL), IMAGE_UNREADABLE);
}

static void each_refusal_has_a_name_and_words(void **state)
{
    (void)state;
    for (unsigned r = 0; r < IMAGE_REFUSALS; r++) {
        assert_non_null(image_refusal_name((enum image_refusal)r));
        assert_in_range(strlen(image_refusal_text((enum image_refusal)r)), 5, 71); /* a row of its table ends in NUL */
        for (unsigned before = 0; before < r; before++)
            assert_string_not_equal(image_refusal_name((enum image_refusal)r), image_refusal_name((enum image_refusal)before));
    }
    assert_string_equal(image_refusal_name(IMAGE_REFUSALS), "unknown");
}

#define WITH_KEYS(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_KEYS(a_good_list_is_accepted),
        WITH_KEYS(who_signed_decides),
        WITH_KEYS(a_key_counts_once),
        WITH_KEYS(kind_and_board_have_to_fit),
        WITH_KEYS(versions_only_grow),
        WITH_KEYS(a_list_does_not_run_ahead_of_its_date),
        WITH_KEYS(nor_does_its_date_run_ahead_of_the_clock),
        WITH_KEYS(without_a_clock_it_may_leap_five_years),
        WITH_KEYS(counted_versions_may_leap_a_million),
        WITH_KEYS(what_has_expired_is_not_taken),
        WITH_KEYS(parts_of_two_images_do_not_mix),
        WITH_KEYS(flipped_bits_of_manifest_and_signature_are_refused),
        WITH_KEYS(every_flipped_byte_of_the_sections_is_refused),
        WITH_KEYS(a_cut_image_is_damaged),
        WITH_KEYS(a_signature_is_of_one_image_and_one_key),
        WITH_KEYS(a_flash_that_fails_accepts_nothing),
        WITH_KEYS(each_refusal_has_a_name_and_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
