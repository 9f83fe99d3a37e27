/* policy/image_trust.c: a keyring hands over to the next one, signed by a threshold of old and of new root keys. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "hal/base/bytes.h"
#include "hal/base/crc32.h"
#include "hal/crypto/ecdsa.h"
#include "policy/image_trust.h"
#include "tests/support/signing.h"

enum { ROOT_D = 7, ROOT_E = 8, LIST_C = 10 };

static struct byte_buffer section, made, list;
static struct keyring in_force, next;
static struct keyring_source source;
static uint8_t memory[KEYRING_BYTES_MAX];
static const struct image_demand demand = { .kind = IMAGE_KEYRING, .board = "virt" };

#define BY(...) ((const unsigned[]){ __VA_ARGS__, 0 })

static void replace(unsigned place, unsigned key)
{
    uint8_t private_key[32];
    signing_private_key(key, private_key);
    assert_true(ecdsa_p256_public(private_key, source.key[place].public_xy));
}

/* In force: version 7 with roots A B C. The next one, version 8: C goes, D comes; and a new list key in the place of the first. */
static int set_up(void **state)
{
    (void)state;
    source = signing_keyring(7);
    assert_int_equal(keyring_write(&source, &section), RC_OK);
    assert_int_equal(keyring_open(&in_force, byte_buffer_span(&section)), RC_OK);
    source.version = 8;
    replace(2, ROOT_D);
    replace(3, LIST_C);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    byte_buffer_free(&section);
    byte_buffer_free(&made);
    byte_buffer_free(&list);
    return 0;
}

static enum image_refusal judge_bytes(struct span bytes)
{
    struct reader r = reader_on_span(&bytes);
    struct image i;
    if (image_open(&i, &r) != RC_OK)
        return IMAGE_DAMAGED;
    enum image_refusal refusal = image_trust_keyring(&i, &in_force, &demand, NULL, memory, &next);
    if (refusal != IMAGE_ACCEPTED)
        assert_int_equal(next.key_count, 0);
    return refusal;
}

static enum image_refusal judge(const unsigned *keys)
{
    signing_keyring_image(&source, keys, &made);
    return judge_bytes(byte_buffer_span(&made));
}

static void old_and_new_roots_hand_over(void **state)
{
    (void)state;
    assert_int_equal(judge(BY(ROOT_A, ROOT_B)), IMAGE_ACCEPTED); /* both are old and new */
    assert_int_equal(next.version, 8);
    assert_ptr_equal(next.bytes.p, memory);
    assert_int_equal(judge(BY(ROOT_C, ROOT_A, ROOT_D)), IMAGE_ACCEPTED);
}

static void the_old_alone_do_not(void **state)
{
    (void)state;
    assert_int_equal(judge(BY(ROOT_A, ROOT_C)), IMAGE_TOO_FEW_NEW_ROOTS);
    replace(0, ROOT_E);
    replace(1, STRANGER);
    assert_int_equal(judge(BY(ROOT_A, ROOT_B, ROOT_C)), IMAGE_TOO_FEW_NEW_ROOTS);
    assert_int_equal(judge(BY(ROOT_A, ROOT_B, ROOT_D)), IMAGE_TOO_FEW_NEW_ROOTS);
    assert_int_equal(judge(BY(ROOT_A, ROOT_B, ROOT_D, ROOT_E)), IMAGE_ACCEPTED);
}

static void the_new_alone_do_not(void **state)
{
    (void)state;
    assert_int_equal(judge(BY(ROOT_A, ROOT_D)), IMAGE_TOO_FEW_OLD_ROOTS);
    replace(0, ROOT_E);
    assert_int_equal(judge(BY(ROOT_D, ROOT_E)), IMAGE_UNKNOWN_SIGNER);
    assert_int_equal(judge(BY(LIST_A, LIST_B)), IMAGE_WRONG_ROLE);
}

static void an_old_keyring_is_not_replayed(void **state)
{
    (void)state;
    source = signing_keyring(6);
    assert_int_equal(judge(BY(ROOT_A, ROOT_B)), IMAGE_ROLLBACK);
    source.version = 7;
    assert_int_equal(judge(BY(ROOT_A, ROOT_B)), IMAGE_SAME_VERSION);
    source.version = 7 + IMAGE_COUNT_LEAP_MAX + 1;
    assert_int_equal(judge(BY(ROOT_A, ROOT_B)), IMAGE_FAST_FORWARD);
}

/* After the change the retired key signs in vain, for lists as for keyrings. */
static void a_retired_key_counts_no_more(void **state)
{
    (void)state;
    assert_int_equal(judge(BY(ROOT_A, ROOT_B)), IMAGE_ACCEPTED);
    struct image_source_section policies = { IMAGE_POLICIES, { "x", 1 } };
    struct image_source s = { .kind = IMAGE_LIST, .board = "any", .version = 1, .sections = &policies, .count = 1 };
    struct image_demand asked = { .kind = IMAGE_LIST, .board = "virt" };
    struct image i;
    static const struct {
        unsigned key;
        enum image_refusal old, new;
    } cases[] = {
        { LIST_A, IMAGE_ACCEPTED, IMAGE_UNKNOWN_SIGNER },
        { LIST_B, IMAGE_ACCEPTED, IMAGE_ACCEPTED },
        { LIST_C, IMAGE_UNKNOWN_SIGNER, IMAGE_ACCEPTED },
    };
    for (unsigned n = 0; n < 3; n++) {
        signing_image(&s, BY(cases[n].key), &list);
        struct span bytes = byte_buffer_span(&list);
        struct reader r = reader_on_span(&bytes);
        assert_int_equal(image_open(&i, &r), RC_OK);
        assert_int_equal(image_trust_manifest(&i, &in_force, &asked, NULL, NULL), cases[n].old);
        assert_int_equal(image_trust_manifest(&i, &next, &asked, NULL, NULL), cases[n].new);
    }
    struct keyring now = next;
    uint8_t now_memory[KEYRING_BYTES_MAX];
    memcpy(now_memory, memory, sizeof memory);
    now.bytes.p = (const char *)now_memory;
    in_force = now;
    source.version = 9;
    assert_int_equal(judge(BY(ROOT_A, ROOT_C)), IMAGE_TOO_FEW_OLD_ROOTS);
    assert_int_equal(judge(BY(ROOT_A, ROOT_D)), IMAGE_ACCEPTED);
}

/* A stolen list key signs a list that nothing can follow. With the key the box forgets its lists: what follows is any good one. */
static void a_keyring_heals_a_fast_forward(void **state)
{
    (void)state;
    struct image_source_section policies = { IMAGE_POLICIES, { "x", 1 } };
    struct image_source s = {
        .kind = IMAGE_LIST, .board = "any", .version = 2000000000, .created = 2000000000, .sections = &policies
    };
    struct image_demand asked = { .kind = IMAGE_LIST, .board = "virt" };
    struct image i;
    s.count = 1;
    signing_image(&s, BY(LIST_A), &list);
    struct span bytes = byte_buffer_span(&list);
    struct reader r = reader_on_span(&bytes);
    assert_int_equal(image_open(&i, &r), RC_OK);
    assert_int_equal(image_trust_manifest(&i, &in_force, &asked, NULL, NULL), IMAGE_ACCEPTED);
    assert_int_equal(judge(BY(ROOT_A, ROOT_B)), IMAGE_ACCEPTED);
    assert_int_equal(image_trust_manifest(&i, &next, &asked, NULL, NULL), IMAGE_UNKNOWN_SIGNER);
}

static void it_has_to_be_a_keyring(void **state)
{
    (void)state;
    struct byte_buffer keys = { NULL, 0, 0 };
    assert_int_equal(keyring_write(&source, &keys), RC_OK);
    struct image_source_section sections[] = { { IMAGE_KEYS, byte_buffer_span(&keys) } };
    struct image_source s = { .kind = IMAGE_LIST, .board = "any", .version = 8, .sections = sections, .count = 1 };
    signing_image(&s, BY(ROOT_A, ROOT_B), &made);
    assert_int_equal(judge_bytes(byte_buffer_span(&made)), IMAGE_WRONG_KIND);
    s.kind = IMAGE_KEYRING;
    s.board = "posix";
    signing_image(&s, BY(ROOT_A, ROOT_B), &made);
    assert_int_equal(judge_bytes(byte_buffer_span(&made)), IMAGE_WRONG_BOARD);
    s.board = "any";
    s.version = 9; /* not what the section says */
    signing_image(&s, BY(ROOT_A, ROOT_B), &made);
    assert_int_equal(judge_bytes(byte_buffer_span(&made)), IMAGE_BAD_KEYRING);
    s.version = 8;
    sections[0].type = IMAGE_ROOTS;
    signing_image(&s, BY(ROOT_A, ROOT_B), &made);
    assert_int_equal(judge_bytes(byte_buffer_span(&made)), IMAGE_BAD_KEYRING);
    sections[0] = (struct image_source_section){ IMAGE_KEYS, span_bytes(keys.p, keys.len - 1) };
    signing_image(&s, BY(ROOT_A, ROOT_B), &made);
    assert_int_equal(judge_bytes(byte_buffer_span(&made)), IMAGE_BAD_KEYRING);
    byte_buffer_fill(&keys, 0, KEYRING_BYTES_MAX);
    sections[0].bytes = byte_buffer_span(&keys);
    signing_image(&s, BY(ROOT_A, ROOT_B), &made);
    assert_int_equal(judge_bytes(byte_buffer_span(&made)), IMAGE_BAD_KEYRING);
    byte_buffer_free(&keys);
}

/* In every byte; every bit over seven bytes. */
static void flipped_bits_are_refused(void **state)
{
    (void)state;
    signing_keyring_image(&source, BY(ROOT_A, ROOT_B), &made);
    size_t manifest = IMAGE_MANIFEST_BYTES + IMAGE_SECTION_BYTES, room_end = manifest + 16 + 2 * IMAGE_SIGNATURE_BYTES;
    uint64_t keys_at = get_le64(made.p + IMAGE_MANIFEST_BYTES + 8);
    for (size_t bit = 0; bit < made.len * 8; bit += 7) {
        size_t at = bit / 8;
        bool zeros = (at >= manifest + 12 && at < manifest + 16) || (at >= manifest + 20 && at < manifest + 24) ||
                     (at >= manifest + 124 && at < manifest + 128) || (at >= room_end && at < keys_at);
        bool more_signatures = at == manifest + 8 && (2 ^ 1u << bit % 8) > 2;
        if (zeros || more_signatures)
            continue;
        made.p[at] ^= (uint8_t)(1u << bit % 8);
        if (at < manifest)
            put_le32(made.p + manifest + 4, crc32_update(0, made.p, manifest));
        assert_int_not_equal(judge_bytes(byte_buffer_span(&made)), IMAGE_ACCEPTED);
        made.p[at] ^= (uint8_t)(1u << bit % 8);
        if (at < manifest)
            put_le32(made.p + manifest + 4, crc32_update(0, made.p, manifest));
    }
    assert_int_equal(judge_bytes(byte_buffer_span(&made)), IMAGE_ACCEPTED);
}

#define WITH_KEYS(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_KEYS(old_and_new_roots_hand_over),  WITH_KEYS(the_old_alone_do_not),
        WITH_KEYS(the_new_alone_do_not),         WITH_KEYS(an_old_keyring_is_not_replayed),
        WITH_KEYS(a_retired_key_counts_no_more), WITH_KEYS(a_keyring_heals_a_fast_forward),
        WITH_KEYS(it_has_to_be_a_keyring),       WITH_KEYS(flipped_bits_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
