/* Known hosts of a list (policy/LIST.md): what many policies' patterns begin with, once. Lists that have some, and images whose policy names one
 * that breaks a rule. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#include "hal/base/bytes.h"
#include "hal/base/crc32.h"
#include "policy/list_block.h"
#include "toolchain/tools/common/list_encoder.h"
#include "toolchain/tools/common/list_writer.h"

#define M (SYMBOLS - 26 + 'm' - 'a')
#define X (SYMBOLS - 26 + 'x' - 'a')

static struct byte_buffer image;
static struct span bytes;
static struct reader reader;
static struct list list;

static int tear_down(void **state)
{
    (void)state;
    byte_buffer_free(&image);
    return 0;
}

static enum rc open_image(void)
{
    bytes = byte_buffer_span(&image);
    reader = reader_on_span(&bytes);
    return list_open(&list, &reader);
}

static void add(struct list_source *s, const char *name, const char *mx, const char *another)
{
    s->domains = tool_resize(s->domains, s->count + 1, sizeof *s->domains);
    struct list_source_domain *d = &s->domains[s->count++];
    *d = (struct list_source_domain){ .name = tool_copy(span_of(name)), .mx_count = another != NULL ? 2 : 1 };
    d->mx = tool_alloc(d->mx_count, sizeof *d->mx);
    d->mx[0] = tool_copy(span_of(mx));
    if (another != NULL)
        d->mx[1] = tool_copy(span_of(another));
}

static void make(struct list_source *s)
{
    s->timestamp = 1589995512;
    s->expires = 1591205112;
    s->author[0] = 'a';
    assert_int_equal(list_write(s, &image), RC_OK);
    list_source_free(s);
    assert_int_equal(open_image(), RC_OK);
}

static const char *found(const char *name, unsigned i)
{
    static struct list_entry e;
    assert_int_equal(list_find(&list, span_of(name), &e), RC_OK);
    const char *mx = list_entry_mx(&e, i);
    assert_non_null(mx);
    return mx;
}

/* Policies that differ, at two hosts; one host is known with what stands behind it, too. */
static void what_begins_with_a_known_host_is_found(void **state)
{
    (void)state;
    struct list_source s = { .count = 0 };
    char name[32], mx[64];
    for (unsigned i = 0; i < 60; i++) {
        snprintf(name, sizeof name, "d%u.example", i);
        snprintf(mx, sizeof mx, i % 3 ? "in%u.mailprovider.example" : "%u.mx.another-provider.test", i * 7);
        add(&s, name, mx, i % 2 ? ".another-provider.test" : NULL);
    }
    add(&s, "bare.example", "mailprovider.example", NULL);
    add(&s, "else.example", "mx.elsewhere.example", NULL);
    make(&s);
    assert_in_range(list.known, 2, 5);
    assert_in_range(image.len, 1, 648); /* codes that do not share bits take 4 more */
    assert_string_equal(found("d1.example", 0), "in7.mailprovider.example");
    assert_string_equal(found("d1.example", 1), ".another-provider.test");
    assert_string_equal(found("d30.example", 0), "210.mx.another-provider.test");
    assert_string_equal(found("bare.example", 0), "mailprovider.example");
    assert_string_equal(found("else.example", 0), "mx.elsewhere.example");
}

static void few_have_no_known_host(void **state)
{
    (void)state;
    struct list_source s = { .count = 0 };
    add(&s, "a.example", "mx.provider.example", NULL);
    add(&s, "b.example", "in.provider.example", NULL);
    make(&s);
    assert_int_equal(list.known, 0);
}

static size_t more;    /* symbols behind the host */
static bool deceptive; /* the host's bytes look like an entry of the table, a line and a host: those of block DECEIVED */

#define DECEIVED_LINE 8
#define DECEIVED (DECEIVED_LINE * LIST_LINE_BLOCKS)

static void deceive(const struct list_blocks *blocks, size_t host_at)
{
    static const uint8_t line[] = { 4, 0, 2, 0x80, M, M, M, M, X }; /* blocks of five bytes */
    size_t entry = DECEIVED_LINE * LIST_TABLE_BYTES - blocks->table.len, from = entry + LIST_TABLE_BYTES;
    assert_in_range(host_at, 0, entry);
    assert_in_range(from + sizeof line, 0, blocks->data.len);
    put_le32(blocks->data.p + entry, 0);
    put_le32(blocks->data.p + entry + 4, (uint32_t)from);
    memcpy(blocks->data.p + from, line, sizeof line);
}

/* One policy: so many patterns that begin with the known host of a number. */
static void put_policy(struct list_encoder *e, uint32_t number, const uint8_t *host, size_t len, unsigned patterns)
{
    struct list_context x = list_pattern_context(0, host, len);
    for (unsigned i = 0; i < patterns; i++) {
        if (i > 0) {
            list_code_own(&e->coder, list.weights, OWN_MORE + (i < 4 ? i - 1 : 3), 1);
            list_code_own(&e->coder, list.weights, OWN_NEXT, 0);
            list_code_own(&e->coder, list.weights, OWN_SHARED, 0);
        }
        list_code_own(&e->coder, list.weights, OWN_RELATIVE + list_pattern_before(i == 0, 0, PATTERN_RELATIVE), 0);
        list_code_own(&e->coder, list.weights, OWN_KNOWN + (i > 0), 1);
        list_code_known(&e->coder, list.weights, number);
        struct list_context behind = x;
        for (size_t n = 0; n < more; n++) {
            list_code_symbol(&e->coder, &behind, -1, M);
            list_pattern_context_add(&behind, M);
        }
        list_code_symbol(&e->coder, &behind, -1, SYMBOL_END);
        list_code_own(&e->coder, list.weights, OWN_DOT + list_pattern_before(i == 0, 0, PATTERN_DOT), 0);
    }
    if (patterns < LIST_MX_MAX)
        list_code_own(&e->coder, list.weights, OWN_MORE + (patterns < 4 ? patterns - 1 : 3), 0);
}

/* What is found where the policy is that, and there is one known host, of `len` symbols M but for the last. */
static enum rc find_with(uint32_t number, unsigned patterns, size_t len, uint8_t last, struct list_entry *out)
{
    struct list_source s = { .count = 0 };
    struct list_encoder policy = { .out = { NULL, 0, 0 } }, none = { .out = { NULL, 0, 0 } };
    struct list_blocks blocks = { .bits = 0 };
    struct byte_buffer small;
    uint8_t host[LIST_MX_BYTES];
    add(&s, "a.example", "mx.provider.example", NULL);
    add(&s, "b.example", "mx.provider.example", NULL);
    make(&s);
    memset(host, M, sizeof host);
    host[len - 1] = last < SYMBOLS ? last : X; /* what the policy's code goes on from */
    list_encoder_start(&policy, NULL);
    put_policy(&policy, number, host, len, patterns);
    host[len - 1] = last;
    list_blocks_add(&blocks, &(struct list_codes){ &policy, &none, list_encoder_end(&policy, 0), 0 }, 0);
    list_blocks_add_plain(&blocks, host, len);
    list_blocks_end(&blocks);
    if (deceptive)
        deceive(&blocks, blocks.data.len - len);
    small = image;
    image = (struct byte_buffer){ NULL, 0, 0 };
    byte_buffer_add(&image, small.p, (size_t)list.policies.at);
    byte_buffer_add(&image, blocks.table.p, blocks.table.len);
    byte_buffer_add(&image, blocks.data.p, blocks.data.len);
    put_le32(image.p + 44, (uint32_t)blocks.data.len);
    image.p[21] = 1;
    size_t head = LIST_HEADER_BYTES + 1 + LIST_OWN_BYTES;
    put_le32(image.p + 52, crc32_update(crc32_update(0, image.p, 52), image.p + LIST_HEADER_BYTES, head - LIST_HEADER_BYTES));
    byte_buffer_free(&small);
    list_blocks_free(&blocks);
    list_encoder_free(&policy);
    assert_int_equal(open_image(), RC_OK);
    enum rc rc = list_find(&list, SPAN("a.example"), out);
    byte_buffer_free(&image);
    return rc;
}

static void each_rule_is_checked(void **state)
{
    (void)state;
    struct list_entry e;
    assert_int_equal(find_with(0, 1, 2, X, &e), RC_OK);
    assert_string_equal(list_entry_mx(&e, 0), "mx");
    assert_int_equal(find_with(0, 1, DOMAIN_MAX, X, &e), RC_OK);
    assert_int_equal(strlen(list_entry_mx(&e, 0)), DOMAIN_MAX);
    assert_int_equal(find_with(1, 1, 2, X, &e), RC_CORRUPT); /* there is one, number 0 */
    assert_int_equal(find_with(LIST_KNOWN_MAX - 1, 1, 2, X, &e), RC_CORRUPT);
    assert_int_equal(find_with(0, 1, 2, SYMBOL_END, &e), RC_CORRUPT);
    assert_int_equal(find_with(0, 1, 2, SYMBOLS, &e), RC_CORRUPT);
    assert_int_equal(find_with(0, 1, 2, PATTERN_END, &e), RC_CORRUPT);
    assert_int_equal(find_with(0, 1, DOMAIN_MAX + 1, X, &e), RC_CORRUPT);
    assert_int_equal(find_with(0, 1, DOMAIN_MAX + 2, X, &e), RC_CORRUPT);
    assert_int_equal(find_with(0, 1, LIST_MX_BYTES, X, &e), RC_CORRUPT);
    more = LIST_MX_BYTES;
    assert_int_equal(find_with(0, 1, DOMAIN_MAX + 2, X, &e), RC_CORRUPT); /* no room is left, and what follows is longer than any */
    assert_int_equal(find_with(0, 1, 2, X, &e), RC_CORRUPT);
    more = 0;
}

/* There is one, block 1 of the policies. */
static void a_number_beyond_the_known_ones_leads_nowhere(void **state)
{
    (void)state;
    struct list_entry e;
    deceptive = true;
    enum rc rc = find_with(DECEIVED - 1, 1, 200, X, &e);
    deceptive = false;
    assert_int_equal(rc, RC_CORRUPT);
}

/* Each pattern alone is short enough. */
static void all_together_are_no_more_than_an_entry_holds(void **state)
{
    (void)state;
    struct list_entry e;
    assert_int_equal(find_with(0, 4, 240, X, &e), RC_OK);
    assert_int_equal(e.mx_count, 4);
    assert_int_equal(find_with(0, 5, 240, X, &e), RC_CORRUPT);
    assert_int_equal(find_with(0, 32, 31, X, &e), RC_OK);
    assert_int_equal(find_with(0, 32, 32, X, &e), RC_CORRUPT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(what_begins_with_a_known_host_is_found, tear_down),
        cmocka_unit_test_teardown(few_have_no_known_host, tear_down),
        cmocka_unit_test(each_rule_is_checked),
        cmocka_unit_test(a_number_beyond_the_known_ones_leads_nowhere),
        cmocka_unit_test(all_together_are_no_more_than_an_entry_holds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
