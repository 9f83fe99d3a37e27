/* policy/list.c over lists made by the compiler's writer: every name found with its own policy, none else, and nothing that damaged
 * bytes can do but an error or another answer. Long because one fixture and its helpers serve all of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "hal/base/bytes.h"
#include "hal/base/crc32.h"
#include "policy/list_block.h"
#include "toolchain/tools/common/list_encoder.h"
#include "toolchain/tools/common/list_writer.h"

struct fixture {
    struct list_source source;
    struct byte_buffer image;
    struct span bytes;
    struct reader reader;
    struct list list;
};

static struct fixture f;

static void add(const char *name, enum list_mode mode, const char *const *mx, unsigned count)
{
    struct list_source *s = &f.source;
    s->domains = tool_resize(s->domains, s->count + 1, sizeof *s->domains);
    struct list_source_domain *d = &s->domains[s->count++];
    *d = (struct list_source_domain){ .name = tool_copy(span_of(name)), .mode = mode, .mx_count = count };
    d->mx = tool_alloc(count, sizeof *d->mx);
    for (unsigned i = 0; i < count; i++)
        d->mx[i] = tool_copy(span_of(mx[i]));
}

static void begin(void)
{
    f.source.timestamp = 1589995512;
    f.source.expires = 1591205112;
    struct strbuf author = STRBUF(f.source.author);
    strbuf_puts(&author, "Somebody <list@example.org>");
}

static void finish(void)
{
    assert_int_equal(list_write(&f.source, &f.image), RC_OK);
    f.bytes = byte_buffer_span(&f.image);
    f.reader = reader_on_span(&f.bytes);
    assert_int_equal(list_open(&f.list, &f.reader), RC_OK);
}

static int tear_down(void **state)
{
    (void)state;
    list_source_free(&f.source);
    byte_buffer_free(&f.image);
    return 0;
}

/* Forty domains around a few edges: below one another, hyphens and digits beside dots, one that fills a name. */
static void make_small(void)
{
    begin();
    char name[64], mx[80], dotted[80];
    for (unsigned i = 0; i < 36; i++) {
        snprintf(name, sizeof name, "host%u.example.%s", i * 7, i % 3 ? "com" : "de");
        snprintf(mx, sizeof mx, "mx.%s", name);
        snprintf(dotted, sizeof dotted, ".%s", name);
        add(name, i % 2 ? LIST_ENFORCE : LIST_TESTING, (const char *const[]){ mx, dotted, "mail.provider.net" }, 1 + i % 3);
    }
    add("example.com", LIST_ENFORCE, (const char *const[]){ "example.com" }, 1);
    add("example-a.com", LIST_ENFORCE, (const char *const[]){ "notexample-a.com", ".mx.example-a.com" }, 2);
    add("a.example.com", LIST_TESTING, (const char *const[]){ "mx.example.com" }, 1);
    char longest[DOMAIN_TEXT_MAX];
    memset(longest, 'x', DOMAIN_MAX);
    longest[63] = longest[127] = longest[191] = '.';
    longest[DOMAIN_MAX] = '\0';
    add(longest, LIST_ENFORCE, (const char *const[]){ longest, "mx.net" }, 2);
    finish();
}

static size_t span_count(struct span text, char c)
{
    size_t count = 0;
    for (size_t i = 0; i < text.len; i++)
        count += text.p[i] == c;
    return count;
}

static void expect_entry(const struct list_source_domain *d, const struct list_entry *e)
{
    assert_int_equal(e->mode, d->mode);
    assert_int_equal(e->mx_count, d->mx_count);
    for (unsigned i = 0; i < d->mx_count; i++)
        assert_string_equal(list_entry_mx(e, i), d->mx[i]);
    assert_null(list_entry_mx(e, d->mx_count));
}

static void every_name_is_found_with_its_policy(void **state)
{
    (void)state;
    make_small();
    assert_int_equal(f.list.info.domains, 40);
    assert_int_equal(f.list.info.enforce, 18 + 3);
    assert_int_equal(f.list.info.testing, 18 + 1);
    assert_int_equal(f.list.info.timestamp, 1589995512);
    assert_int_equal(f.list.info.expires, 1591205112);
    assert_string_equal(f.list.info.author, "Somebody <list@example.org>");
    for (size_t i = 0; i < f.source.count; i++) {
        struct list_entry e;
        assert_int_equal(list_find(&f.list, span_of(f.source.domains[i].name), &e), RC_OK);
        expect_entry(&f.source.domains[i], &e);
    }
}

static void relative_policies_are_shared(void **state)
{
    (void)state;
    make_small();
    /* 36 domains use three shapes (1 to 3 patterns; the mode is not part of it), the last four have one each. */
    assert_int_equal(f.list.info.policies, 3 + 4);
}

static void other_names_are_not_found(void **state)
{
    (void)state;
    make_small();
    static const char *const misses[] = { "",
                                          "com",
                                          "de",
                                          "exampl.com",
                                          "examplf.com",
                                          "example.co",
                                          "example.coma",
                                          "b.example.com",
                                          "a.a.example.com",
                                          "host1.example.com",
                                          "host7.example.de",
                                          "example.com.",
                                          "EXAMPLE.com",
                                          "zz",
                                          "-",
                                          "a.example-a.com",
                                          "example.com,x",
                                          "com,example" };
    struct list_entry e;
    for (size_t i = 0; i < sizeof misses / sizeof misses[0]; i++)
        assert_int_equal(list_find(&f.list, span_of(misses[i]), &e), RC_NOT_FOUND);
    char endless[400];
    memset(endless, 'x', sizeof endless);
    assert_int_equal(list_find(&f.list, span_bytes(endless, sizeof endless), &e), RC_NOT_FOUND);
    assert_int_equal(list_find(&f.list, span_bytes("example\0.com", 12), &e), RC_NOT_FOUND);
}

static void a_walk_gives_all_in_order(void **state)
{
    (void)state;
    make_small();
    struct list_iterator it;
    struct list_entry e;
    list_iterate(&it, &f.list);
    for (size_t i = 0; i < f.source.count; i++) { /* list_write has put the source into the list's order */
        assert_int_equal(list_next(&it, &e), RC_OK);
        assert_string_equal(it.name, f.source.domains[i].name);
        expect_entry(&f.source.domains[i], &e);
    }
    assert_int_equal(list_next(&it, &e), RC_NOT_FOUND);
    assert_int_equal(list_next(&it, &e), RC_NOT_FOUND);
}

static void the_order_is_from_the_tld(void **state)
{
    (void)state;
    static const char *const order[] = { "com",           "example.com", "a.example.com", "host7.example.com",
                                         "example-a.com", "a.com-x",     "a.de" };
    for (size_t i = 1; i < sizeof order / sizeof order[0]; i++) {
        assert_true(list_name_cmp(order[i - 1], order[i]) < 0);
        assert_true(list_name_cmp(order[i], order[i - 1]) > 0);
    }
}

static void patterns_match_hosts(void **state)
{
    (void)state;
    begin();
    add("example.com", LIST_ENFORCE, (const char *const[]){ "mx.example.com", ".mail.example.net" }, 2);
    finish();
    struct list_entry e;
    assert_int_equal(list_find(&f.list, SPAN("example.com"), &e), RC_OK);
    assert_true(list_entry_allows(&e, SPAN("mx.example.com")));
    assert_true(list_entry_allows(&e, SPAN("a.mail.example.net")));
    assert_false(list_entry_allows(&e, SPAN("mail.example.net")));
    assert_false(list_entry_allows(&e, SPAN("a.b.mail.example.net")));
    assert_false(list_entry_allows(&e, SPAN("x.mx.example.com")));
    assert_false(list_entry_allows(&e, SPAN("example.com")));
    assert_false(list_entry_allows(&e, SPAN("")));
}

static void an_empty_list_is_a_list(void **state)
{
    (void)state;
    begin();
    finish();
    struct list_entry e;
    struct list_iterator it;
    assert_int_equal(f.list.info.domains, 0);
    assert_int_equal(list_find(&f.list, SPAN("example.com"), &e), RC_NOT_FOUND);
    list_iterate(&it, &f.list);
    assert_int_equal(list_next(&it, &e), RC_NOT_FOUND);
}

static void sizes_around_a_block(void **state)
{
    for (unsigned count = 1; count <= 49; count++) {
        begin();
        for (unsigned i = 0; i < count; i++) {
            char name[40];
            snprintf(name, sizeof name, "n%u.example", i);
            add(name, LIST_ENFORCE, (const char *const[]){ "mx.example" }, 1);
        }
        finish(); /* reads every name back */
        struct list_entry e;
        assert_int_equal(f.list.info.domains, count);
        assert_int_equal(list_find(&f.list, SPAN("m.example"), &e), RC_NOT_FOUND);
        assert_int_equal(list_find(&f.list, SPAN("o.example"), &e), RC_NOT_FOUND);
        tear_down(state);
    }
}

static void a_policy_as_large_as_allowed(void **state)
{
    (void)state;
    begin();
    char text[LIST_MX_MAX][40];
    const char *mx[LIST_MX_MAX];
    for (unsigned i = 0; i < LIST_MX_MAX; i++) { /* 32 patterns of 31 characters and a NUL: LIST_MX_BYTES */
        snprintf(text[i], sizeof text[i], "mail%02u.abcdefghijklmnopqrs.test", i);
        assert_int_equal((strlen(text[i]) + 1) * LIST_MX_MAX, LIST_MX_BYTES);
        mx[i] = text[i];
    }
    add("example.com", LIST_ENFORCE, mx, LIST_MX_MAX);
    finish();
}

static void a_name_twice_is_refused(void **state)
{
    (void)state;
    begin();
    add("example.com", LIST_ENFORCE, (const char *const[]){ "mx.example" }, 1);
    add("example.org", LIST_ENFORCE, (const char *const[]){ "mx.example" }, 1);
    add("example.com", LIST_TESTING, (const char *const[]){ "mx.example" }, 1);
    assert_int_equal(list_write(&f.source, &f.image), RC_INVALID);
}

/* --- a list of many blocks, with policies in plain text --- */

#define MANY 10100 /* more than make a list a small one */

static void make_many(void)
{
    begin();
    char name[64], mx[64];
    for (unsigned i = 0; i < MANY; i++) {
        snprintf(name, sizeof name, "n%u.%c.example%u.%s", i, 'a' + (int)(i % 26), i % 301, i % 5 ? "org" : "net");
        snprintf(mx, sizeof mx, "mx%u.provider.net", i % 101 == 0 ? i : i % 90);
        add(name, i % 3 ? LIST_ENFORCE : LIST_TESTING, (const char *const[]){ mx }, 1);
    }
    finish(); /* reads every name back */
}

static void a_long_list_has_plain_policies(void **state)
{
    (void)state;
    make_many();
    assert_int_equal(f.list.plain, 64);
    assert_int_equal(f.list.shared, 90);
    struct list_place p;
    struct list_entry e;
    assert_int_equal(list_find(&f.list, SPAN("n1.b.example1.org"), &e), RC_OK);
    assert_string_equal(list_entry_mx(&e, 0), "mx1.provider.net");
    assert_int_equal(list_find(&f.list, SPAN("n1.b.example1.net"), &e), RC_NOT_FOUND);
    assert_int_equal(list_find(&f.list, SPAN("n.example"), &e), RC_NOT_FOUND);
    assert_int_equal(list_find(&f.list, SPAN("zz.zz"), &e), RC_NOT_FOUND);
    /* No symbol, two ways of standing to the domain, a pattern without end, and one of nothing. */
    static const uint8_t bad[] = { 0x00, 0x28, 0x7f, 0x86, 0x88, 0xff };
    for (size_t i = 0; i < sizeof bad; i++) {
        unsigned refused = 0;
        for (uint32_t n = 0; n < f.list.plain; n++) {
            assert_int_equal(list_find_place(&f.list, &f.list.policies, n, &p), RC_OK);
            uint8_t *byte = f.image.p + p.from + (i < 3 ? 2 : p.len - 1), old = *byte;
            *byte = bad[i];
            for (unsigned d = 0; d < 90; d++) {
                enum rc rc = list_find(&f.list, span_of(f.source.domains[d * 97].name), &e);
                assert_true(rc == RC_OK || rc == RC_CORRUPT);
                refused += rc == RC_CORRUPT;
            }
            *byte = old;
        }
        assert_in_range(refused, 40, 90);
    }
}

static void a_search_in_a_long_list(void **state)
{
    (void)state;
    make_many();
    struct list_search s;
    struct list_entry e;
    assert_int_equal(list_search(&s, &f.list, LIST_WITHIN, SPAN("example300.org")), RC_OK);
    unsigned found = 0;
    enum rc rc;
    while ((rc = list_search_next(&s, &e)) == RC_OK || rc == RC_BUSY)
        found += rc == RC_OK;
    assert_int_equal(rc, RC_NOT_FOUND);
    unsigned wanted = 0;
    for (unsigned i = 300; i < MANY; i += 301)
        wanted += i % 5 != 0;
    assert_int_equal(found, wanted);
}

/* --- searching --- */

/* The names found, with a space after each. */
static const char *found_by(enum list_match match, const char *text)
{
    static char memory[4096];
    struct strbuf names = STRBUF(memory);
    struct list_search s;
    struct list_entry e;
    enum rc rc = list_search(&s, &f.list, match, span_of(text));
    assert_int_equal(rc, RC_OK);
    while ((rc = list_search_next(&s, &e)) == RC_OK || rc == RC_BUSY) {
        if (rc == RC_BUSY)
            continue;
        strbuf_puts(&names, s.it.name);
        strbuf_putc(&names, ' ');
        assert_in_range(e.mx_count, 1, LIST_MX_MAX);
    }
    assert_int_equal(rc, RC_NOT_FOUND);
    return names.p;
}

static void a_search_gives_what_matches(void **state)
{
    (void)state;
    make_small();
    assert_string_equal(found_by(LIST_CONTAINING, "host12"), "host126.example.de ");
    assert_string_equal(found_by(LIST_CONTAINING, "EXAMPLE-A"), "example-a.com ");
    assert_string_equal(found_by(LIST_CONTAINING, "nothing"), "");
    assert_string_equal(found_by(LIST_CONTAINING, "st7."), "host7.example.com ");
    assert_string_equal(found_by(LIST_STARTING, "a."), "a.example.com ");
    assert_string_equal(found_by(LIST_STARTING, "example"), "example.com example-a.com ");
    assert_string_equal(found_by(LIST_STARTING, "xample"), "");
    assert_string_equal(found_by(LIST_WITHIN, "example-a.com"), "example-a.com ");
    assert_string_equal(found_by(LIST_WITHIN, "a.example.com"), "a.example.com ");
    assert_string_equal(found_by(LIST_WITHIN, "b.example.com"), "");
    assert_string_equal(found_by(LIST_WITHIN, "aaa"), "");
    assert_string_equal(found_by(LIST_WITHIN, "zzz"), "");
    assert_int_equal(span_count(span_of(found_by(LIST_WITHIN, "de")), ' '), 12);
    assert_int_equal(span_count(span_of(found_by(LIST_WITHIN, "example.com")), ' '), 24 + 2);
    assert_int_equal(span_count(span_of(found_by(LIST_CONTAINING, "e")), ' '), 39);
}

static void a_search_for_no_name_is_refused(void **state)
{
    (void)state;
    make_small();
    char endless[DOMAIN_MAX + 1];
    memset(endless, 'x', sizeof endless);
    struct list_search s;
    assert_int_equal(list_search(&s, &f.list, LIST_CONTAINING, SPAN("")), RC_INVALID);
    assert_int_equal(list_search(&s, &f.list, LIST_STARTING, span_bytes(endless, sizeof endless)), RC_INVALID);
    assert_string_equal(found_by(LIST_CONTAINING, "\x80"), "");
    assert_string_equal(found_by(LIST_WITHIN, "a,b"), "");
}

/* --- damage --- */

static bool is_plain(const char *text)
{
    for (; *text; text++) {
        if (!((*text >= 'a' && *text <= 'z') || (*text >= '0' && *text <= '9') || strchr("-_.", *text)))
            return false;
    }
    return true;
}

static void expect_sane_answer(enum rc rc, const struct list_entry *e)
{
    assert_true(rc == RC_OK || rc == RC_NOT_FOUND || rc == RC_CORRUPT);
    if (rc != RC_OK)
        return;
    assert_in_range(e->mx_count, 1, LIST_MX_MAX);
    assert_in_range(e->text_len, 1, LIST_MX_BYTES);
    for (unsigned i = 0; i < e->mx_count; i++)
        assert_true(is_plain(list_entry_mx(e, i)));
    (void)list_entry_allows(e, SPAN("mx.example.com"));
}

static void look_up_and_walk(const struct list *l)
{
    static const char *const names[] = { "example.com", "host7.example.com", "host0.example.de", "a.b", "zz.zz" };
    struct list_entry e;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        enum rc rc = list_find(l, span_of(names[i]), &e);
        expect_sane_answer(rc, &e);
    }
    struct list_iterator it;
    list_iterate(&it, l);
    enum rc rc;
    uint32_t steps = 0;
    while ((rc = list_next(&it, &e)) == RC_OK) {
        expect_sane_answer(rc, &e);
        assert_true(is_plain(it.name));
        assert_true(++steps <= l->info.domains);
    }
    assert_true(rc == RC_NOT_FOUND || rc == RC_CORRUPT);
}

/* In memory of exactly that size, so that the sanitizer sees a read past the end. */
static void exercise(struct span bytes)
{
    char *exact = tool_alloc(bytes.len, 1);
    memcpy(exact, bytes.p, bytes.len);
    struct span damaged = span_bytes(exact, bytes.len);
    struct reader r = reader_on_span(&damaged);
    struct list l;
    enum rc rc = list_open(&l, &r);
    assert_true(rc == RC_OK || rc == RC_CORRUPT);
    if (rc == RC_OK)
        look_up_and_walk(&l);
    free(exact);
}

static void flipped_bytes_give_an_error_or_an_answer(void **state)
{
    (void)state;
    make_small();
    static const uint8_t flips[] = { 0x01, 0x02, 0x10, 0x40, 0x80, 0xff };
    for (size_t at = 0; at < f.image.len; at++) {
        for (size_t n = 0; n < sizeof flips; n++) {
            f.image.p[at] ^= flips[n];
            exercise(byte_buffer_span(&f.image));
            f.image.p[at] ^= flips[n];
        }
    }
}

static void a_flip_in_the_header_is_seen(void **state)
{
    (void)state;
    make_small();
    struct list l;
    for (size_t at = 0; at < LIST_HEADER_BYTES + strlen(f.source.author) + LIST_OWN_BYTES; at++) {
        f.image.p[at] ^= 4;
        assert_int_equal(list_open(&l, &f.reader), RC_CORRUPT);
        f.image.p[at] ^= 4;
    }
    assert_int_equal(list_open(&l, &f.reader), RC_OK);
}

/* --- entries that no writer makes --- */

/* What a block is made of: its names, and their policies. */
struct crafted {
    struct list_encoder names, policies;
    bool without; /* the line says that the block has no names */
};

static void craft_begin(struct crafted *c)
{
    memset(c, 0, sizeof *c);
    list_encoder_start(&c->names, NULL);
    list_encoder_start(&c->policies, NULL);
}

static void mend_crc(void)
{
    size_t before = LIST_HEADER_BYTES + strlen(f.source.author) + LIST_OWN_BYTES;
    put_le32(f.image.p + 52,
             crc32_update(crc32_update(0, f.image.p, 52), f.image.p + LIST_HEADER_BYTES, before - LIST_HEADER_BYTES));
}

/* An image of `count` names whose only block is what the coders have written. */
static void craft(struct crafted *c, uint32_t count)
{
    struct byte_buffer small = f.image;
    struct list_blocks blocks = { .bits = f.list.names.bits, .usual = f.list.names.usual };
    size_t before = LIST_HEADER_BYTES + strlen(f.source.author) + LIST_OWN_BYTES, policies = (size_t)f.list.policies.at;
    struct list_codes codes = { &c->names, &c->policies, list_encoder_end(&c->names, blocks.bits),
                                list_encoder_end(&c->policies, 0) };
    list_blocks_add(&blocks, &codes, c->without ? 0 : count);
    list_blocks_end(&blocks);
    f.image = (struct byte_buffer){ NULL, 0, 0 };
    byte_buffer_add(&f.image, small.p, before);
    byte_buffer_add(&f.image, blocks.table.p, blocks.table.len);
    byte_buffer_add(&f.image, blocks.data.p, blocks.data.len);
    byte_buffer_add(&f.image, small.p + policies, small.len - policies);
    put_le32(f.image.p + 40, (uint32_t)blocks.data.len);
    put_le32(f.image.p + 24, count);
    put_le32(f.image.p + 28, 0);
    byte_buffer_free(&small);
    list_blocks_free(&blocks);
    list_encoder_free(&c->names);
    list_encoder_free(&c->policies);
    mend_crc();
    f.bytes = byte_buffer_span(&f.image);
    f.reader = reader_on_span(&f.bytes);
    assert_int_equal(list_open(&f.list, &f.reader), RC_OK);
}

static void put_symbols(struct crafted *c, struct list_context *x, unsigned symbol, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        list_code_symbol(&c->names.coder, x, -1, (int)symbol);
        list_context_add(x, symbol);
    }
}

static void put_policy(struct crafted *c, uint32_t number)
{
    list_code_number(&c->policies.coder, f.list.weights, number);
    list_code_own(&c->policies.coder, f.list.weights, list_mode_weight(number, -1), 0);
}

static void expect_damage(struct crafted *c, const char *name, unsigned good)
{
    struct list_entry e;
    struct list_iterator it;
    craft(c, good + 1);
    list_iterate(&it, &f.list);
    for (unsigned i = 0; i < good; i++)
        assert_int_equal(list_next(&it, &e), RC_OK);
    assert_int_equal(list_next(&it, &e), RC_CORRUPT);
    enum rc rc = list_find(&f.list, span_of(name), &e);
    assert_true(rc == RC_CORRUPT || rc == RC_NOT_FOUND); /* a search may end before it meets the fault */
}

static void entries_that_break_a_rule_are_corrupt(void **state)
{
    char endless[DOMAIN_TEXT_MAX];
    for (unsigned fault = 0; fault < 5; fault++) {
        make_small();
        struct crafted c;
        struct list_context x = { .kind = 0 };
        craft_begin(&c);
        memset(endless, 'z', DOMAIN_MAX);
        endless[DOMAIN_MAX] = '\0';
        if (fault == 0) { /* no name at all */
            put_symbols(&c, &x, SYMBOL_END, 1);
            put_policy(&c, 1);
            expect_damage(&c, "a", 0);
        } else if (fault == 1) { /* a policy beyond the table */
            put_symbols(&c, &x, SYMBOLS - 1, 1);
            put_symbols(&c, &x, SYMBOL_END, 1);
            put_policy(&c, f.list.shared + 1);
            expect_damage(&c, "z", 0);
        } else if (fault == 2) { /* a name longer than a name can be */
            put_symbols(&c, &x, SYMBOLS - 1, DOMAIN_MAX + 1);
            put_symbols(&c, &x, SYMBOL_END, 1);
            put_policy(&c, 1);
            expect_damage(&c, endless, 0);
        } else if (fault == 3) { /* a block without names */
            put_symbols(&c, &x, SYMBOLS - 1, 1);
            put_symbols(&c, &x, SYMBOL_END, 1);
            put_policy(&c, 1);
            c.without = true;
            expect_damage(&c, "z", 0);
        } else { /* a name after "z" that shares nothing with it: there is none */
            const uint8_t z = SYMBOLS - 1;
            put_symbols(&c, &x, z, 1);
            put_symbols(&c, &x, SYMBOL_END, 1);
            put_policy(&c, 1);
            list_code_shared(&c.names.coder, &z, 1, &(struct list_shared){ 0, 0 }, 0);
            expect_damage(&c, "zz", 1);
        }
        tear_down(state);
    }
}

static void a_cut_or_padded_image_is_corrupt(void **state)
{
    (void)state;
    make_small();
    struct list l;
    for (size_t len = 0; len < f.image.len; len++) {
        struct span cut = span_bytes(f.image.p, len);
        struct reader r = reader_on_span(&cut);
        assert_int_equal(list_open(&l, &r), RC_CORRUPT);
        exercise(cut);
    }
    byte_buffer_u8(&f.image, 0);
    f.bytes = byte_buffer_span(&f.image);
    f.reader = reader_on_span(&f.bytes);
    assert_int_equal(list_open(&l, &f.reader), RC_CORRUPT);
}

static enum rc failing_read(void *ctx, uint64_t offset, void *out, size_t len)
{
    const struct span *bytes = ctx;
    if (offset >= 180)
        return RC_IO;
    memcpy(out, bytes->p + offset, len);
    return RC_OK;
}

static void a_failing_device_is_not_called_damage(void **state)
{
    (void)state;
    make_small();
    struct reader r = { failing_read, &f.bytes, f.bytes.len };
    struct list l;
    struct list_entry e;
    assert_int_equal(list_open(&l, &r), RC_OK);
    assert_int_equal(list_find(&l, SPAN("example.com"), &e), RC_IO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(every_name_is_found_with_its_policy, tear_down),
        cmocka_unit_test_teardown(relative_policies_are_shared, tear_down),
        cmocka_unit_test_teardown(other_names_are_not_found, tear_down),
        cmocka_unit_test_teardown(a_walk_gives_all_in_order, tear_down),
        cmocka_unit_test_teardown(the_order_is_from_the_tld, tear_down),
        cmocka_unit_test_teardown(patterns_match_hosts, tear_down),
        cmocka_unit_test_teardown(an_empty_list_is_a_list, tear_down),
        cmocka_unit_test_teardown(sizes_around_a_block, tear_down),
        cmocka_unit_test_teardown(a_policy_as_large_as_allowed, tear_down),
        cmocka_unit_test_teardown(a_name_twice_is_refused, tear_down),
        cmocka_unit_test_teardown(a_long_list_has_plain_policies, tear_down),
        cmocka_unit_test_teardown(a_search_in_a_long_list, tear_down),
        cmocka_unit_test_teardown(a_search_gives_what_matches, tear_down),
        cmocka_unit_test_teardown(a_search_for_no_name_is_refused, tear_down),
        cmocka_unit_test_teardown(flipped_bytes_give_an_error_or_an_answer, tear_down),
        cmocka_unit_test_teardown(a_flip_in_the_header_is_seen, tear_down),
        cmocka_unit_test_teardown(entries_that_break_a_rule_are_corrupt, tear_down),
        cmocka_unit_test_teardown(a_cut_or_padded_image_is_corrupt, tear_down),
        cmocka_unit_test_teardown(a_failing_device_is_not_called_damage, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
