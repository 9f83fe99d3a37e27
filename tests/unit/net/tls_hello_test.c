/* Hellos as clients send them, cut and broken everywhere. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "net/tls_hello.h"

/* What is put together: extensions, the message around them, records around that. */
static char ext[3000], message[4000], wire[12000];

static void put(struct strbuf *b, unsigned bytes, size_t value)
{
    while (bytes-- > 0)
        strbuf_putc(b, (char)(value >> 8 * bytes));
}

static void put_server_name(struct strbuf *b, struct span name)
{
    put(b, 2, 0);
    put(b, 2, name.len + 5);
    put(b, 2, name.len + 3);
    put(b, 1, 0);
    put(b, 2, name.len);
    strbuf_add(b, name);
}

static void put_alpn(struct strbuf *b, const char *first, const char *second)
{
    size_t len = 1 + strlen(first) + (second ? 1 + strlen(second) : 0);
    put(b, 2, 16);
    put(b, 2, len + 2);
    put(b, 2, len);
    put(b, 1, strlen(first));
    strbuf_puts(b, first);
    if (second) {
        put(b, 1, strlen(second));
        strbuf_puts(b, second);
    }
}

static void put_other(struct strbuf *b, unsigned type, size_t len)
{
    put(b, 2, type);
    put(b, 2, len);
    for (; len > 0; len--)
        strbuf_putc(b, (char)len);
}

static struct span message_of(struct span extensions)
{
    struct strbuf b = STRBUF(message);
    put(&b, 1, 1);
    put(&b, 3, 2 + 32 + 1 + 32 + 2 + 4 + 1 + 1 + 2 + extensions.len);
    put(&b, 2, 0x0303);
    for (unsigned i = 0; i < 32; i++)
        strbuf_putc(&b, 'R');
    put(&b, 1, 32);
    for (unsigned i = 0; i < 32; i++)
        strbuf_putc(&b, 'S');
    put(&b, 2, 4);
    put(&b, 4, 0x13011302);
    put(&b, 2, 0x0100);
    put(&b, 2, extensions.len);
    strbuf_add(&b, extensions);
    assert_false(b.overflow);
    return strbuf_span(&b);
}

static struct span records_of(struct span m, size_t bytes_each)
{
    struct strbuf b = STRBUF(wire);
    for (size_t at = 0; at < m.len; at += bytes_each) {
        struct span piece = span_sub(m, at, bytes_each);
        put(&b, 3, 0x160301);
        put(&b, 2, piece.len);
        strbuf_add(&b, piece);
    }
    assert_false(b.overflow);
    return strbuf_span(&b);
}

/* As a browser's: a large key share ahead of the name. */
static struct span hello_for(const char *name, const char *first, const char *second)
{
    struct strbuf b = STRBUF(ext);
    put_other(&b, 51, 1200);
    put_server_name(&b, span_of(name));
    put_other(&b, 43, 3);
    if (first)
        put_alpn(&b, first, second);
    put_other(&b, 0x3a3a, 0);
    return message_of(strbuf_span(&b));
}

/* Looked at in memory of its own size, so that the sanitizer sees each byte beyond. */
static enum rc look(struct span bytes, struct tls_hello *out)
{
    char *copy = malloc(bytes.len ? bytes.len : 1);
    if (bytes.len)
        memcpy(copy, bytes.p, bytes.len);
    enum rc rc = tls_hello_look(span_bytes(copy, bytes.len), out);
    free(copy);
    return rc;
}

static void the_name_in_any_records(void **state)
{
    (void)state;
    static const size_t sizes[] = { 1, 2, 5, 100, 1237, 16384 };
    struct tls_hello h;
    for (unsigned i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        struct span bytes = records_of(hello_for("WWW.Office.example.", "h2", "http/1.1"), sizes[i]);
        assert_int_equal(look(bytes, &h), RC_OK);
        assert_string_equal(h.sni, "www.office.example");
        assert_false(h.acme_tls);
    }
}

static void every_beginning_wants_more(void **state)
{
    (void)state;
    struct tls_hello h;
    struct span bytes = records_of(hello_for("www.office.example", "acme-tls/1", NULL), 300);
    bool seen = false;
    for (size_t n = 0; n < bytes.len; n++) {
        assert_int_equal(look(span_sub(bytes, 0, n), &h), RC_NOT_FOUND);
        seen = seen || h.sni[0];
        assert_string_equal(h.sni, seen ? "www.office.example" : "");
    }
    assert_true(seen); /* before its end */
    assert_int_equal(look(bytes, &h), RC_OK);
    assert_true(h.acme_tls);
}

static void acme_alone_is_acme(void **state)
{
    (void)state;
    static const struct {
        const char *first, *second;
        bool acme;
    } offers[] = { { "acme-tls/1", NULL, true },  { "acme-tls/1", "h2", false },  { "h2", "acme-tls/1", false },
                   { "acme-tls/2", NULL, false }, { "acme-tls/10", NULL, false }, { "acme-tls/", NULL, false },
                   { "", NULL, false },           { NULL, NULL, false },          { "acme-tls/1", "acme-tls/1", false } };
    struct tls_hello h;
    for (unsigned i = 0; i < sizeof offers / sizeof offers[0]; i++) {
        assert_int_equal(look(records_of(hello_for("a.example", offers[i].first, offers[i].second), 16384), &h), RC_OK);
        assert_int_equal(h.acme_tls, offers[i].acme);
    }
}

static void a_name_that_is_none(void **state)
{
    (void)state;
    char longest[300];
    struct tls_hello h;
    memset(longest, 'a', sizeof longest);
    static const char *const bad[] = { "", ".", "a b.example", "a\x01", "m\xc3\xbcller.example", "a/b", "../etc", "a:443" };
    for (unsigned i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(look(records_of(hello_for(bad[i], NULL, NULL), 16384), &h), RC_OK);
        assert_string_equal(h.sni, "");
    }
    for (size_t len = 252; len < sizeof longest; len++) {
        struct strbuf b = STRBUF(ext);
        put_server_name(&b, span_bytes(longest, len));
        assert_int_equal(look(records_of(message_of(strbuf_span(&b)), 16384), &h), RC_OK);
        assert_int_equal(strlen(h.sni), len <= DOMAIN_MAX ? len : 0);
    }
    struct strbuf b = STRBUF(ext);
    put_server_name(&b, span_bytes("a\0b", 3));
    assert_int_equal(look(records_of(message_of(strbuf_span(&b)), 16384), &h), RC_OK);
    assert_string_equal(h.sni, "");
}

static void without_extensions(void **state)
{
    (void)state;
    struct tls_hello h;
    struct span m = message_of(SPAN(""));
    assert_int_equal(look(records_of(m, 16384), &h), RC_OK);
    message[3] = (char)(m.len - 4 - 2); /* not even their length */
    assert_int_equal(look(records_of(span_sub(m, 0, m.len - 2), 16384), &h), RC_OK);
    assert_string_equal(h.sni, "");
}

static void no_hello(void **state)
{
    (void)state;
    struct tls_hello h;
    static const struct span other[] = {
        { "G", 1 },
        { "GET / HTTP/1.1\r\n\r\n", 18 },
        { "\x16\x02", 2 },
        { "\x15\x03\x01\x00\x02\x01\x00", 7 },
        { "\x80\x2e\x01", 3 },
        { "\x17\x03\x03", 3 },
        { "\x16\x03\x01\x40\x01", 5 },
        { "\x16\x03\x01\x00\x04\x02", 6 },
    };
    for (unsigned i = 0; i < sizeof other / sizeof other[0]; i++)
        assert_int_equal(look(other[i], &h), RC_PROTOCOL);
    assert_int_equal(look(SPAN("\x16\x03\x01\x00\x00"), &h), RC_PROTOCOL); /* a record without contents, for ever */
    assert_int_equal(look(SPAN("\x16\x03"), &h), RC_NOT_FOUND);
    assert_int_equal(look(SPAN(""), &h), RC_NOT_FOUND);
}

/* Each length byte of the message changed: whatever that gives, nothing is read beyond what holds it. */
static void lengths_that_lie(void **state)
{
    (void)state;
    struct tls_hello h;
    struct span good = hello_for("www.office.example", "acme-tls/1", NULL);
    static char kept[sizeof message];
    memcpy(kept, good.p, good.len);
    unsigned refused = 0;
    for (size_t at = 1; at < good.len; at++)
        for (unsigned change = 1; change <= 255; change += 127) {
            memcpy(message, kept, good.len);
            message[at] = (char)(message[at] + (int)change);
            refused += look(records_of(span_bytes(message, good.len), 16384), &h) == RC_PROTOCOL;
        }
    assert_true(refused > 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_name_in_any_records), cmocka_unit_test(every_beginning_wants_more),
        cmocka_unit_test(acme_alone_is_acme),      cmocka_unit_test(a_name_that_is_none),
        cmocka_unit_test(without_extensions),      cmocka_unit_test(no_hello),
        cmocka_unit_test(lengths_that_lie),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
