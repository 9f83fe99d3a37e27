#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "board/dns_sizes.h"
#include "net/dns_answer.h"
#include "net/dns_cache.h"

static uint64_t now_us;
static struct dns_answer in, out;

uint64_t clock_us(void)
{
    return now_us;
}

static void pass_s(uint64_t s)
{
    now_us += s * 1000000;
}

static int fresh(void **state)
{
    (void)state;
    dns_cache_clear();
    return 0;
}

static void make_answer(const char *name, uint32_t ttl_s, unsigned records, size_t bytes_each)
{
    dns_answer_clear(&in);
    struct strbuf owner = STRBUF(in.name);
    strbuf_puts(&owner, name);
    in.outcome = DNS_FOUND;
    in.ttl_s = ttl_s;
    for (unsigned i = 0; i < records; i++) {
        in.record[in.count++] = (struct dns_record){ .preference = (uint16_t)i,
                                                     .at = (uint16_t)in.data_len,
                                                     .len = (uint16_t)bytes_each };
        memset(in.data + in.data_len, (int)('a' + i), bytes_each);
        in.data_len += bytes_each;
    }
}

static void an_answer_comes_back_as_it_was(void **state)
{
    (void)state;
    make_answer("target.example", 100, 3, 5);
    in.security = DNS_SECURE;
    in.truncated = true;
    dns_cache_put(SPAN("www.example"), DNS_TXT, &in);
    pass_s(40);
    memset(&out, 0xee, sizeof out);
    assert_true(dns_cache_get(SPAN("www.example"), DNS_TXT, &out));
    assert_int_equal(out.outcome, DNS_FOUND);
    assert_int_equal(out.security, DNS_SECURE);
    assert_true(out.truncated);
    assert_int_equal(out.ttl_s, 60);
    assert_string_equal(out.name, "target.example");
    assert_int_equal(out.count, 3);
    assert_int_equal(out.record[2].preference, 2);
    assert_true(span_is(dns_record_data(&out, 1), "bbbbb"));
    assert_false(dns_cache_get(SPAN("www.example"), DNS_A, &out));
    assert_false(dns_cache_get(SPAN("ww.example"), DNS_TXT, &out));
    assert_false(dns_cache_get(SPAN("target.example"), DNS_TXT, &out));
}

static void it_is_gone_when_its_time_is_over(void **state)
{
    (void)state;
    unsigned entries;
    size_t bytes;
    make_answer("a.example", 10, 1, 4);
    dns_cache_put(SPAN("a.example"), DNS_A, &in);
    now_us += 9999999;
    assert_true(dns_cache_get(SPAN("a.example"), DNS_A, &out));
    assert_int_equal(out.ttl_s, 0);
    dns_cache_usage(&entries, &bytes);
    assert_int_equal(entries, 1);
    now_us += 1;
    assert_false(dns_cache_get(SPAN("a.example"), DNS_A, &out));
    dns_cache_usage(&entries, &bytes);
    assert_true(entries == 0 && bytes == 0);
}

static void ttl_zero_is_not_kept_and_ends_what_was(void **state)
{
    (void)state;
    make_answer("a.example", 10, 1, 4);
    dns_cache_put(SPAN("a.example"), DNS_A, &in);
    in.ttl_s = 0;
    dns_cache_put(SPAN("a.example"), DNS_A, &in);
    assert_false(dns_cache_get(SPAN("a.example"), DNS_A, &out));
}

static void a_newer_answer_replaces_the_older(void **state)
{
    (void)state;
    unsigned entries;
    size_t bytes;
    make_answer("a.example", 10, 1, 4);
    dns_cache_put(SPAN("a.example"), DNS_A, &in);
    make_answer("a.example", 20, 2, 4);
    dns_cache_put(SPAN("a.example"), DNS_A, &in);
    assert_true(dns_cache_get(SPAN("a.example"), DNS_A, &out) && out.count == 2 && out.ttl_s == 20);
    dns_cache_usage(&entries, &bytes);
    assert_int_equal(entries, 1);
}

static struct span numbered(unsigned i)
{
    static char memory[40];
    struct strbuf name = STRBUF(memory);
    strbuf_printf(&name, "host%u.example", i);
    return strbuf_span(&name);
}

static void the_memory_is_capped_and_the_unused_go_first(void **state)
{
    (void)state;
    unsigned entries, kept = 0;
    size_t bytes;
    for (unsigned i = 0; i < 1000; i++) {
        make_answer("x.example", 1000 + i, 1 + i % 20, 4);
        dns_cache_put(numbered(i), DNS_A, &in);
        assert_true(dns_cache_get(numbered(0), DNS_A, &out)); /* used all the time: stays */
        assert_true(out.count == 1);
        dns_cache_usage(&entries, &bytes);
        assert_true(bytes <= DNS_CACHE_BYTES);
    }
    for (unsigned i = 1; i < 1000; i++)
        if (dns_cache_get(numbered(i), DNS_A, &out)) {
            kept++;
            assert_int_equal(out.count, 1 + i % 20);
            assert_true(i + entries >= 1000); /* no gaps: the latest ones */
        }
    assert_int_equal(kept + 1, entries);
    assert_true(entries > 30);
}

static void the_largest_answer_fits(void **state)
{
    (void)state;
    char name[DOMAIN_MAX];
    memset(name, 'n', sizeof name);
    make_answer("", 100, DNS_RECORDS_MAX, DNS_DATA_BYTES / DNS_RECORDS_MAX);
    memset(in.name, 'o', DOMAIN_MAX);
    in.name[DOMAIN_MAX] = '\0';
    for (unsigned i = 0; i < 20; i++)
        dns_cache_put(span_bytes(name, sizeof name - i), DNS_A, &in);
    assert_true(dns_cache_get(span_bytes(name, sizeof name - 19), DNS_A, &out));
    assert_string_equal(out.name, in.name);
    assert_memory_equal(out.data, in.data, in.data_len);
    assert_memory_equal(out.record, in.record, sizeof in.record);
    assert_false(dns_cache_get(span_bytes(name, sizeof name), DNS_A, &out));
}

#define TEST(f) cmocka_unit_test_setup(f, fresh)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_answer_comes_back_as_it_was),
        TEST(it_is_gone_when_its_time_is_over),
        TEST(ttl_zero_is_not_kept_and_ends_what_was),
        TEST(a_newer_answer_replaces_the_older),
        TEST(the_memory_is_capped_and_the_unused_go_first),
        TEST(the_largest_answer_fits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
