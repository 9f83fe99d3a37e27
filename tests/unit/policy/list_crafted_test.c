/* Lists that no writer makes (policy/LIST.md), under a checksum that is right: one block, or one policy, whose code says what none may say, or
 * ends too soon; and a device that fails for a moment. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "hal/base/bytes.h"
#include "hal/base/crc32.h"
#include "policy/list_block.h"
#include "toolchain/tools/common/list_encoder.h"
#include "toolchain/tools/common/list_writer.h"

#define Z (SYMBOLS - 1)
#define NAMES_A_BLOCK 9

static struct byte_buffer image;
static struct span bytes;
static struct reader reader;
static struct list list;
static struct list_encoder names, policies;

static void add(struct list_source *s, const char *name, const char *mx)
{
    s->domains = tool_resize(s->domains, s->count + 1, sizeof *s->domains);
    s->domains[s->count] = (struct list_source_domain){ .name = tool_copy(span_of(name)), .mx_count = 1 };
    s->domains[s->count].mx = tool_alloc(1, sizeof *s->domains[0].mx);
    s->domains[s->count++].mx[0] = tool_copy(span_of(mx));
}

static void open_image(void)
{
    bytes = byte_buffer_span(&image);
    reader = reader_on_span(&bytes);
    assert_int_equal(list_open(&list, &reader), RC_OK);
}

/* Two domains with the table's only policy, and one with a policy of its own; the coders for a block in place of theirs. */
static void begin(void)
{
    struct list_source s = { .timestamp = 1589995512, .expires = 1591205112, .author = "a" };
    add(&s, "a.example", "mx.provider.net");
    add(&s, "b.example", "mx.provider.net");
    add(&s, "c.example", "mail.c.example");
    assert_int_equal(list_write(&s, &image), RC_OK);
    list_source_free(&s);
    open_image();
    assert_int_equal(list.shared, 1);
    memset(&names, 0, sizeof names);
    memset(&policies, 0, sizeof policies);
    list_encoder_start(&names, NULL);
    list_encoder_start(&policies, NULL);
}

/* The block, which has so many names or says so, in place of theirs; its second code may be left out. */
static void put_block(uint32_t count, bool back)
{
    struct byte_buffer small = image;
    struct list_blocks blocks = { .bits = list.names.bits, .usual = list.names.usual };
    size_t head = LIST_HEADER_BYTES + 1 + LIST_OWN_BYTES;
    struct list_codes codes = { &names, &policies, list_encoder_end(&names, blocks.bits), list_encoder_end(&policies, 0) };
    codes.back_bits = back ? codes.back_bits : 0;
    list_blocks_add(&blocks, &codes, count);
    list_blocks_end(&blocks);
    image = (struct byte_buffer){ NULL, 0, 0 };
    byte_buffer_add(&image, small.p, head);
    byte_buffer_add(&image, blocks.table.p, blocks.table.len);
    byte_buffer_add(&image, blocks.data.p, blocks.data.len);
    byte_buffer_add(&image, small.p + list.policies.at, small.len - (size_t)list.policies.at);
    put_le32(image.p + 40, (uint32_t)blocks.data.len);
    put_le32(image.p + 24, count);
    put_le32(image.p + 28, 0);
    put_le32(image.p + 52, crc32_update(crc32_update(0, image.p, 52), image.p + LIST_HEADER_BYTES, head - LIST_HEADER_BYTES));
    byte_buffer_free(&small);
    list_blocks_free(&blocks);
    list_encoder_free(&names);
    list_encoder_free(&policies);
    open_image();
}

static enum rc walk(unsigned good)
{
    struct list_iterator it;
    struct list_entry e;
    enum rc rc = RC_OK;
    list_iterate(&it, &list);
    for (unsigned i = 0; rc == RC_OK && i <= good; i++)
        rc = list_next(&it, &e);
    byte_buffer_free(&image);
    return rc;
}

static void put_symbols(struct list_encoder *e, struct list_context *x, unsigned symbol, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        list_code_symbol(&e->coder, x, -1, (int)symbol);
        list_context_add(x, symbol);
    }
}

static void put_name(unsigned symbol, size_t len)
{
    struct list_context x = { .kind = 0 };
    put_symbols(&names, &x, symbol, len);
    put_symbols(&names, &x, SYMBOL_END, 1);
}

static void own(unsigned at, int bit)
{
    list_code_own(&policies.coder, list.weights, at, bit);
}

static void put_choice(uint32_t number)
{
    list_code_number(&policies.coder, list.weights, number);
    own(list_mode_weight(number, -1), 0);
}

static void a_name_is_no_longer_than_a_name_can_be(void **state)
{
    (void)state;
    for (size_t len = DOMAIN_MAX; len <= DOMAIN_MAX + 1; len++) {
        begin();
        put_name(Z, len);
        put_choice(1);
        put_block(1, true);
        assert_int_equal(walk(0), len <= DOMAIN_MAX ? RC_OK : RC_CORRUPT);
    }
}

/* Behind "z" comes nothing that shares nothing with it, also when what follows could be a name's rest. */
static void nothing_comes_behind_the_last_symbol(void **state)
{
    (void)state;
    begin();
    struct list_context x = list_context_at((const uint8_t[]){ Z }, 1);
    put_name(Z, 1);
    list_code_shared(&names.coder, (const uint8_t[]){ Z }, 1, &(struct list_shared){ 0, 0 }, 0);
    put_symbols(&names, &x, Z, 1);
    put_symbols(&names, &x, SYMBOL_END, 1);
    put_choice(1);
    own(OWN_SAME, 1);
    own(OWN_MODE, 0);
    put_block(2, true);
    assert_int_equal(walk(1), RC_CORRUPT);
}

/* The names go on, the code does not. */
static void a_code_that_ends_too_soon_is_corrupt(void **state)
{
    (void)state;
    begin();
    put_name(Z, 3);
    put_block(NAMES_A_BLOCK, false);
    struct list_walk w;
    struct list_place place;
    uint8_t memory[LIST_KEY_BYTES];
    assert_int_equal(list_find_place(&list, &list.names, 0, &place), RC_OK);
    list_walk_start(&w, &list, &place, memory);
    enum rc rc = list_walk_name(&w);
    for (unsigned i = 0; rc == RC_OK && i < 200; i++) {
        w.first = true; /* names that share nothing, so that none can be out of order */
        w.len = 0;
        rc = list_walk_name(&w);
        rc = rc == RC_CORRUPT && w.len == 0 ? list_coder_check(&w.coder) : rc;
    }
    assert_int_equal(rc, RC_CORRUPT);
    byte_buffer_free(&image);
}

/* Numbers whose length goes on and on are no reason to read weights that there are none. */
static void endless_numbers_are_corrupt(void **state)
{
    (void)state;
    begin();
    put_name(Z, 1);
    for (unsigned at = OWN_BUCKET; at < LIST_OWN_WEIGHTS + 64; at++)
        list_code_bit(&policies.coder, list.weights[at < LIST_OWN_WEIGHTS ? at : OWN_BUCKET], 1);
    put_block(1, true);
    assert_int_equal(walk(0), RC_CORRUPT);
    for (unsigned known = 0; known <= 1; known++) {
        begin();
        put_name(Z, 1);
        put_choice(0);
        own(OWN_RELATIVE, 0);
        own(OWN_KNOWN, (int)known);
        if (!known) { /* a pattern "z", and one that drops more of it than there is */
            struct list_context x = { .kind = 0 };
            own(OWN_DASHED, 0);
            put_symbols(&policies, &x, Z, 1);
            put_symbols(&policies, &x, SYMBOL_END, 1);
            own(OWN_DOT, 0);
            own(OWN_MORE, 1);
            own(OWN_NEXT, 0);
            own(OWN_SHARED, 1);
        }
        for (unsigned at = known ? OWN_KNOWN_BITS : OWN_DROPPED; at < LIST_OWN_WEIGHTS + 64; at++)
            list_code_bit(&policies.coder, list.weights[at < LIST_OWN_WEIGHTS ? at : OWN_BUCKET], 1);
        put_block(1, true);
        assert_int_equal(walk(0), RC_CORRUPT);
    }
}

/* A number's bits behind its fifth are even: they touch no other weights. */
static void long_numbers_have_weights_of_their_own(void **state)
{
    (void)state;
    uint32_t counts[2 * LIST_OWN_WEIGHTS] = { 0 };
    begin();
    list_encoder_start(&policies, counts);
    list_code_number(&policies.coder, list.weights, 0x155555);
    list_code_number(&policies.coder, list.weights, 0x1fffff);
    for (unsigned at = 0; at < LIST_OWN_WEIGHTS; at++) {
        bool may = (at >= OWN_BUCKET && at < OWN_NUMBER) || (at > OWN_NUMBER && at < OWN_NUMBER + 16);
        assert_true(may || (counts[2 * at] == 0 && counts[2 * at + 1] == 0));
    }
    list_encoder_free(&policies);
    byte_buffer_free(&image);
}

/* A policy of its own, of patterns of so many symbols each. */
static enum rc find_policy(unsigned patterns, size_t len)
{
    begin();
    put_name(Z, 1);
    put_choice(0);
    for (unsigned i = 0; i < patterns; i++) {
        struct list_context x = { .kind = 0 };
        if (i > 0) {
            own(OWN_MORE + (i < 4 ? i - 1 : 3), 1);
            own(OWN_NEXT, 0);
            own(OWN_SHARED, 0);
        }
        own(OWN_RELATIVE + (i > 0), 0);
        own(OWN_KNOWN + (i > 0), 0);
        own(OWN_DASHED, 0);
        put_symbols(&policies, &x, Z, len);
        put_symbols(&policies, &x, SYMBOL_END, 1);
        own(OWN_DOT + (i > 0), 0);
    }
    own(OWN_MORE + (patterns < 4 ? patterns - 1 : 3), 0);
    put_block(1, true);
    return walk(0);
}

static void a_policy_is_no_longer_than_an_entry(void **state)
{
    (void)state;
    assert_int_equal(find_policy(1, DOMAIN_MAX), RC_OK);
    assert_int_equal(find_policy(1, DOMAIN_MAX + 1), RC_CORRUPT);
    assert_int_equal(find_policy(1, DOMAIN_MAX + 60), RC_CORRUPT);
    assert_int_equal(find_policy(4, 250), RC_OK);
    assert_int_equal(find_policy(5, 200), RC_OK);
    for (size_t len = 204; len < DOMAIN_MAX; len++)
        assert_int_equal(find_policy(5, len), RC_CORRUPT);
}

struct moment {
    unsigned reads, failing;
};

static enum rc read_but_once(void *ctx, uint64_t offset, void *out, size_t len)
{
    struct moment *m = ctx;
    if (m->reads++ == m->failing)
        return RC_IO;
    memcpy(out, bytes.p + offset, len);
    return RC_OK;
}

/* Whichever read fails, it is neither forgotten by the next one nor called damage. */
static void a_read_that_fails_once_is_told(void **state)
{
    (void)state;
    static const char *const domains[] = { "a.example", "b.example", "c.example" };
    begin();
    for (unsigned i = 0; i < 3; i++) {
        struct moment m = { .failing = UINT32_MAX };
        struct list_entry e;
        struct reader r = { read_but_once, &m, bytes.len };
        list.reader = &r;
        assert_int_equal(list_find(&list, span_of(domains[i]), &e), RC_OK);
        unsigned reads = m.reads;
        for (unsigned failing = 0; failing < reads; failing++) {
            m = (struct moment){ .failing = failing };
            assert_int_equal(list_find(&list, span_of(domains[i]), &e), RC_IO);
        }
    }
    byte_buffer_free(&image);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_name_is_no_longer_than_a_name_can_be), cmocka_unit_test(nothing_comes_behind_the_last_symbol),
        cmocka_unit_test(a_code_that_ends_too_soon_is_corrupt),   cmocka_unit_test(endless_numbers_are_corrupt),
        cmocka_unit_test(long_numbers_have_weights_of_their_own), cmocka_unit_test(a_policy_is_no_longer_than_an_entry),
        cmocka_unit_test(a_read_that_fails_once_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
