/* A list that follows another (toolchain/tools/common/list_plan.h): what did not change keeps its bytes, whatever is added and dropped. That a
 * list says what it should is read back by the writer itself, name by name. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "hal/base/bytes.h"
#include "hal/base/crc32.h"
#include "policy/list_block.h"
#include "toolchain/tools/common/delta_writer.h"
#include "toolchain/tools/common/image_writer.h"
#include "toolchain/tools/common/list_writer.h"

struct written {
    struct byte_buffer bytes;
    struct span span;
    struct reader reader;
    struct list list;
};
static struct written old, new, anew;

/* Name number n: in no order, with a policy of its own, a shared one, or one that few share. */
static void add(struct list_source *s, unsigned n, unsigned salt)
{
    char name[40], mx[60];
    snprintf(name, sizeof name, "%08x.example%u.%s", n * 2654435761u, n % 97, n % 3 ? "org" : "net");
    snprintf(mx, sizeof mx, "mx.provider%u.net", n % 7 == 0 ? n + salt : n % 5 + salt % 3);
    struct list_source_domain *d = &s->domains[s->count++];
    *d = (struct list_source_domain){ .name = tool_copy(span_of(name)),
                                      .mode = n % 2 ? LIST_ENFORCE : LIST_TESTING,
                                      .mx_count = 1 };
    d->mx = tool_alloc(1, sizeof *d->mx);
    d->mx[0] = tool_copy(span_of(mx));
}

/* Names from..to, without those that `without` divides (0: none). */
struct names {
    unsigned from, to, without, salt;
};

static void write(struct written *w, const struct list *before, struct names n)
{
    struct list_source s = { .timestamp = 1589995512, .expires = 1591205112, .author = "a", .before = before };
    s.domains = tool_alloc(n.to - n.from + 1, sizeof *s.domains);
    for (unsigned i = n.from; i < n.to; i++) {
        if (n.without == 0 || i % n.without != 0)
            add(&s, i, n.salt);
    }
    byte_buffer_free(&w->bytes);
    assert_int_equal(list_write(&s, &w->bytes), RC_OK);
    list_source_free(&s);
    w->span = byte_buffer_span(&w->bytes);
    w->reader = reader_on_span(&w->span);
    assert_int_equal(list_open(&w->list, &w->reader), RC_OK);
}

static int tear_down(void **state)
{
    (void)state;
    byte_buffer_free(&old.bytes);
    byte_buffer_free(&new.bytes);
    byte_buffer_free(&anew.bytes);
    return 0;
}

static void image_of(const struct written *w, struct byte_buffer *out)
{
    const struct image_source_section section = { IMAGE_POLICIES, w->span };
    const struct image_source s = { IMAGE_LIST, "any", 1, 1, 2, &section, 1, 1 };
    assert_int_equal(image_write(&s, out), RC_OK);
}

static size_t patch_bytes(const struct written *from, const struct written *to)
{
    struct byte_buffer a = { NULL, 0, 0 }, b = { NULL, 0, 0 }, patch = { NULL, 0, 0 };
    image_of(from, &a);
    image_of(to, &b);
    assert_int_equal(delta_write(byte_buffer_span(&a), byte_buffer_span(&b), &patch), RC_OK);
    size_t len = patch.len;
    byte_buffer_free(&a);
    byte_buffer_free(&b);
    byte_buffer_free(&patch);
    return len;
}

/* 300 bytes are head, and the rest goes with what has changed. */
static void a_patch_is_as_large_as_the_change(void **state)
{
    (void)state;
    write(&old, NULL, (struct names){ 0, 10100, 0, 0 });
    write(&new, NULL, (struct names){ 0, 10101, 0, 0 });
    assert_true(patch_bytes(&old, &new) > old.bytes.len / 4); /* what it is about */
    static const unsigned added[] = { 0, 1, 50 };
    for (size_t i = 0; i < sizeof added / sizeof added[0]; i++) {
        write(&new, &old.list, (struct names){ 0, 10100 + added[i], 0, 0 });
        assert_in_range(patch_bytes(&old, &new), 200, 350 + 160 * added[i]);
    }
    write(&new, &old.list, (struct names){ 0, 10100, 1000, 0 }); /* eleven dropped */
    assert_in_range(patch_bytes(&old, &new), 200, 350 + 160 * 11);
}

static void whatever_was_before_it_is_written(void **state)
{
    static const struct names rows[] = {
        { 0, 0, 0, 0 },   { 0, 1, 0, 0 },   { 0, 400, 0, 0 },   { 0, 400, 2, 0 }, { 200, 600, 3, 1 }, { 600, 650, 0, 2 },
        { 0, 800, 0, 0 }, { 0, 800, 0, 3 }, { 0, 10050, 0, 0 }, { 0, 300, 7, 1 }, { 0, 0, 0, 0 },
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        write(&new, i > 0 ? &old.list : NULL, rows[i]);
        write(&anew, NULL, rows[i]);
        assert_in_range(new.bytes.len, 1, anew.bytes.len + anew.bytes.len / BEFORE_COSTS_AT_MOST);
        write(&old, i > 1 ? &anew.list : NULL, rows[i]); /* what comes next follows a list that has followed one, too */
    }
}

/* Day after day a few names more, the list before each time that of the day before. */
static void a_chain_does_not_grow_without_end(void **state)
{
    (void)state;
    write(&old, NULL, (struct names){ 0, 1000, 0, 0 });
    for (unsigned day = 1; day <= 10; day++) {
        struct names names = { day * 10, 1000 + day * 20, 0, 0 };
        write(&new, &old.list, names);
        struct written swap = old;
        old = new;
        new = swap;
        old.reader = reader_on_span(&old.span);
        old.list.reader = &old.reader;
    }
    write(&anew, NULL, (struct names){ 100, 1200, 0, 0 });
    assert_in_range(old.bytes.len, 1, anew.bytes.len + anew.bytes.len / BEFORE_COSTS_AT_MOST);
}

static bool has_odd_blocks(const struct list *l)
{
    struct list_place p;
    for (uint32_t block = 0; block < l->names.count; block++) {
        if (list_find_place(l, &l->names, block, &p) != RC_OK)
            continue; /* the line has no so many */
        if (p.names > l->names.usual)
            return true;
    }
    return false;
}

static void lines_tell_where_they_end(void **state)
{
    struct list_place p;
    (void)state;
    write(&old, NULL, (struct names){ 0, 2000, 0, 0 });
    write(&new, &old.list, (struct names){ 0, 2040, 0, 0 });
    assert_true(has_odd_blocks(&new.list));
    uint32_t count = new.list.names.count;
    assert_int_equal(count, old.list.names.count);
    assert_int_equal(list_find_place(&new.list, &new.list.names, LIST_LINE_BLOCKS - 1, &p), RC_OK);
    assert_true(p.last);
    assert_int_equal(list_find_place(&new.list, &new.list.names, count - 1, &p), RC_CORRUPT);
    assert_int_equal(list_find_place(&new.list, &new.list.names, count - LIST_LINE_BLOCKS, &p), RC_OK);
    assert_false(p.last);
}

/* Numbers of policies stay, and a new one takes the place of one that nobody has any more. */
static void numbers_stay(void **state)
{
    struct list_entry before, now;
    unsigned same = 0;
    (void)state;
    write(&old, NULL, (struct names){ 0, 1000, 0, 0 });
    write(&new, &old.list, (struct names){ 0, 1000, 0, 1 }); /* provider5 in place of provider0, for others than had that */
    assert_int_equal(old.list.shared, 5);
    assert_int_equal(new.list.shared, 5);
    for (uint32_t number = 1; number <= 5; number++) {
        assert_int_equal(list_shared_policy(&old.list, number, &before), RC_OK);
        assert_int_equal(list_shared_policy(&new.list, number, &now), RC_OK);
        same += before.text_len == now.text_len && memcmp(before.text, now.text, now.text_len) == 0;
    }
    assert_int_equal(same, 4);
}

static void a_walk_ends_with_the_lines(void **state)
{
    struct list_iterator it;
    struct list_entry e;
    unsigned names = 0;
    (void)state;
    write(&new, NULL, (struct names){ 0, 700, 0, 0 });
    put_le32(new.bytes.p + 24, 705); /* the header says that there are more */
    uint32_t crc = crc32_update(0, new.bytes.p, 52);
    put_le32(new.bytes.p + 52, crc32_update(crc, new.bytes.p + LIST_HEADER_BYTES, 1 + LIST_OWN_BYTES));
    assert_int_equal(list_open(&new.list, &new.reader), RC_OK);
    assert_int_equal(new.list.info.domains, 705);
    list_iterate(&it, &new.list);
    while (list_next(&it, &e) == RC_OK)
        names++;
    assert_int_equal(names, 700);
    assert_int_equal(list_next(&it, &e), RC_NOT_FOUND);
}

static void flips_do_no_harm(void **state)
{
    struct list_iterator it;
    struct list_entry e;
    (void)state;
    write(&old, NULL, (struct names){ 0, 80, 0, 0 });
    write(&new, &old.list, (struct names){ 2, 90, 0, 0 });
    assert_true(has_odd_blocks(&new.list));
    for (size_t at = LIST_HEADER_BYTES + 1 + LIST_OWN_BYTES; at < new.bytes.len; at++) {
        for (unsigned bit = 0; bit < 8; bit += 5) {
            new.bytes.p[at] ^= (uint8_t)(1u << bit);
            unsigned names = 0;
            list_iterate(&it, &new.list);
            while (list_next(&it, &e) == RC_OK)
                names++;
            assert_in_range(names, 0, 88);
            (void)!list_find(&new.list, SPAN("00000000.example0.net"), &e);
            new.bytes.p[at] ^= (uint8_t)(1u << bit);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(a_patch_is_as_large_as_the_change, tear_down),
        cmocka_unit_test_teardown(whatever_was_before_it_is_written, tear_down),
        cmocka_unit_test_teardown(a_chain_does_not_grow_without_end, tear_down),
        cmocka_unit_test_teardown(lines_tell_where_they_end, tear_down),
        cmocka_unit_test_teardown(numbers_stay, tear_down),
        cmocka_unit_test_teardown(a_walk_ends_with_the_lines, tear_down),
        cmocka_unit_test_teardown(flips_do_no_harm, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
