/* policy/roots.c on three roots, two of which share their subject, and on the machine's own bundle when it has one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <unistd.h>

#include <cmocka.h>

#include "hal/base/bytes.h"
#include "hal/base/crc32.h"
#include "hal/base/pem.h"
#include "hal/base/strbuf.h"
#include "hal/crypto/der_cert.h"
#include "policy/roots.h"
#include "toolchain/tools/common/image_writer.h"

#define THREE "tests/vectors/roots/three.pem"
#define SYSTEM "/etc/ssl/certs/ca-certificates.crt"
/* Self-signed, with CA:FALSE. */
#define NO_AUTHORITY                                                     \
    "-----BEGIN CERTIFICATE-----\n"                                      \
    "MIIBajCCARCgAwIBAgIUB2jxT7ygyKjoha87dvPnY4sENgcwCgYIKoZIzj0EAwIw\n" \
    "DDEKMAgGA1UEAwwBeDAeFw0yNjExMjIwNTQyNTFaFw0zNjExMTkwNTQyNTFaMAwx\n" \
    "CjAIBgNVBAMMAXgwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAATSR7sBQRAkZUGC\n" \
    "SMVidl2W58oLwK+QizHukum2qs0Q7ilMJayFPbnx1b3sxcUv03x0AkS3/FuSintG\n" \
    "vcWZ2gvuo1AwTjAdBgNVHQ4EFgQUY5LCwZ2PrWEXcp1tWMWHwbDFDJYwHwYDVR0j\n" \
    "BBgwFoAUY5LCwZ2PrWEXcp1tWMWHwbDFDJYwDAYDVR0TAQH/BAIwADAKBggqhkjO\n" \
    "PQQDAgNIADBFAiEAzFM6+tMyKozjCiuz5g5tCtPpWp5rP13AVpN7JMYKVGcCIAXf\n" \
    "RtHKN/LHIZHqY8pf5s+8WHl7nTgN2WQvEcniwA9s\n"                         \
    "-----END CERTIFICATE-----\n"

static struct byte_buffer pem, made;
static struct span bytes;
static struct reader reader;
static struct roots roots;
static char why_text[200];

static void load(const char *path)
{
    unsigned count = 0;
    struct strbuf why = STRBUF(why_text);
    assert_int_equal(file_read(path, &pem), RC_OK);
    assert_int_equal(roots_write(byte_buffer_span(&pem), &made, &count, &why), RC_OK);
    bytes = byte_buffer_span(&made);
    reader = reader_on_span(&bytes);
    assert_int_equal(roots_open(&roots, &reader), RC_OK);
    assert_int_equal(roots.count, count);
}

static int tear_down(void **state)
{
    (void)state;
    byte_buffer_free(&pem);
    byte_buffer_free(&made);
    return 0;
}

static struct span decode(struct span body, uint8_t *der, size_t cap)
{
    size_t len;
    assert_int_equal(pem_decode(body, der, cap, &len), RC_OK);
    return span_bytes(der, len);
}

/* What stands behind the subject of a certificate with its tag: the key. */
static struct span key_of(struct span certificate)
{
    struct span subject, whole, body, rest;
    assert_int_equal(x509_subject_dn(certificate, &subject), RC_OK);
    rest = span_from(certificate, (size_t)(subject.p - certificate.p) + subject.len);
    assert_true(der_take(&rest, 0x30, &whole, &body));
    return whole;
}

/* Name, key and validity (which stands before the subject) are the root's own, and it ends in the empty signature that all have. */
static bool is_made_of(struct span made_one, struct span certificate)
{
    struct span a, b;
    assert_memory_equal(made_one.p + made_one.len - 4, "\x03\x02\x00\x00", 4);
    assert_int_equal(x509_subject_dn(made_one, &a), RC_OK);
    assert_int_equal(x509_subject_dn(certificate, &b), RC_OK);
    size_t validity = 32; /* two UTCTimes */
    return span_eq(a, b) && span_eq(key_of(made_one), key_of(certificate)) && memcmp(a.p - validity, b.p - validity, validity) == 0;
}

/* How many certificates the search gives for this one's subject, and whether it is among them. */
static unsigned search(struct span certificate, bool *seen)
{
    struct span subject;
    uint8_t der[ROOT_DER_MAX];
    uint32_t cursor = 0;
    size_t len;
    unsigned given = 0;
    *seen = false;
    assert_int_equal(x509_subject_dn(certificate, &subject), RC_OK);
    enum rc rc;
    while ((rc = roots_find(&roots, subject, &cursor, der, sizeof der, &len)) == RC_OK) {
        given++;
        *seen = *seen || is_made_of(span_bytes(der, len), certificate);
    }
    assert_int_equal(rc, RC_NOT_FOUND);
    assert_int_equal(roots_find(&roots, subject, &cursor, der, sizeof der, &len), RC_NOT_FOUND);
    return given;
}

static unsigned search_all(unsigned *most)
{
    struct span rest = byte_buffer_span(&pem), label, body;
    uint8_t der[ROOT_DER_MAX];
    unsigned searched = 0;
    *most = 0;
    while (pem_block(&rest, &label, &body) == RC_OK) {
        bool seen;
        unsigned given = search(decode(body, der, sizeof der), &seen);
        assert_true(seen);
        *most = given > *most ? given : *most;
        searched++;
    }
    return searched;
}

static void each_is_found_by_its_subject(void **state)
{
    (void)state;
    unsigned most;
    load(THREE);
    assert_int_equal(roots.count, 3);
    assert_int_equal(search_all(&most), 3);
    assert_int_equal(most, 2);
}

static void the_systems_roots_are_all_found(void **state)
{
    (void)state;
    unsigned most;
    if (access(SYSTEM, R_OK) != 0)
        skip();
    load(SYSTEM);
    assert_true(roots.count > 100);
    assert_true(search_all(&most) >= roots.count);
    assert_in_range(most, 1, 3);
}

static void others_are_not_found(void **state)
{
    (void)state;
    load(THREE);
    uint8_t der[ROOT_DER_MAX];
    size_t len;
    uint32_t cursor = 0;
    assert_int_equal(roots_find(&roots, SPAN(""), &cursor, der, sizeof der, &len), RC_NOT_FOUND);
    cursor = 0;
    assert_int_equal(roots_find(&roots, SPAN("\x30\x00"), &cursor, der, sizeof der, &len), RC_NOT_FOUND);
}

static void a_small_buffer_is_said(void **state)
{
    (void)state;
    load(THREE);
    uint8_t der[ROOT_DER_MAX];
    struct span rest = byte_buffer_span(&pem), label, body, subject;
    size_t len;
    uint32_t cursor = 0;
    assert_int_equal(pem_block(&rest, &label, &body), RC_OK);
    assert_int_equal(x509_subject_dn(decode(body, der, sizeof der), &subject), RC_OK);
    char copy[200];
    memcpy(copy, subject.p, subject.len);
    assert_int_equal(roots_find(&roots, span_bytes(copy, subject.len), &cursor, der, 100, &len), RC_TOO_LONG);
    assert_int_equal(roots_find(&roots, span_bytes(copy, subject.len), &cursor, der, 100, &len), RC_NOT_FOUND);
    uint8_t whole[ROOT_DER_MAX];
    size_t whole_len;
    cursor = 0;
    assert_int_equal(roots_find(&roots, span_bytes(copy, subject.len), &cursor, whole, sizeof whole, &whole_len), RC_OK);
    unsigned fits = 0;
    for (size_t cap = 100; cap < sizeof der; cap++) {
        cursor = 0;
        enum rc rc = roots_find(&roots, span_bytes(copy, subject.len), &cursor, der, cap, &len);
        fits += rc == RC_OK;
        assert_int_equal(rc, fits > 0 ? RC_OK : RC_TOO_LONG);
        if (rc == RC_OK)
            assert_true(span_eq(span_bytes(der, len), span_bytes(whole, whole_len)));
    }
    assert_true(fits > 0);
}

static void the_crc_alone_finds_nothing(void **state)
{
    (void)state;
    load(THREE);
    uint8_t der[ROOT_DER_MAX], out[ROOT_DER_MAX];
    struct span rest = byte_buffer_span(&pem), label, body, subject;
    assert_int_equal(pem_block(&rest, &label, &body), RC_OK);
    assert_int_equal(pem_block(&rest, &label, &body), RC_OK); /* the second subject is in there once */
    assert_int_equal(x509_subject_dn(decode(body, der, sizeof der), &subject), RC_OK);
    uint8_t *stored = made.p + ROOTS_HEADER_BYTES + 3 * ROOTS_LINE_BYTES;
    while (!span_eq(span_bytes(stored, subject.len), subject))
        stored++;
    stored[subject.len - 1] ^= 1;
    uint32_t cursor = 0;
    size_t len;
    assert_int_equal(roots_find(&roots, subject, &cursor, out, sizeof out, &len), RC_NOT_FOUND);
}

static void damage_is_seen_or_harmless(void **state)
{
    (void)state;
    load(THREE);
    uint8_t der[ROOT_DER_MAX];
    struct span rest = byte_buffer_span(&pem), label, body;
    assert_int_equal(pem_block(&rest, &label, &body), RC_OK);
    struct span subject, certificate = decode(body, der, sizeof der);
    assert_int_equal(x509_subject_dn(certificate, &subject), RC_OK);
    for (size_t at = 0; at < made.len; at++) {
        made.p[at] ^= 0x81;
        enum rc rc = roots_open(&roots, &reader);
        if (at < ROOTS_HEADER_BYTES + 3 * ROOTS_LINE_BYTES)
            assert_int_equal(rc, RC_CORRUPT);
        uint8_t out[ROOT_DER_MAX];
        uint32_t cursor = 0;
        size_t len;
        while (rc == RC_OK)
            rc = roots_find(&roots, subject, &cursor, out, sizeof out, &len);
        assert_true(rc == RC_NOT_FOUND || rc == RC_CORRUPT);
        made.p[at] ^= 0x81;
    }
    for (size_t len = 0; len < made.len; len++) {
        struct span cut = span_bytes(made.p, len);
        struct reader r = reader_on_span(&cut);
        assert_int_equal(roots_open(&roots, &r), RC_CORRUPT);
    }
}

static void mend_crc(void)
{
    uint32_t crc = crc32_update(0, made.p, 16);
    put_le32(made.p + 16, crc32_update(crc, made.p + ROOTS_HEADER_BYTES, 3 * ROOTS_LINE_BYTES));
}

/* Its CRC is sound, but not what it says. */
static void an_index_that_lies(void **state)
{
    (void)state;
    enum { SECOND = ROOTS_HEADER_BYTES + ROOTS_LINE_BYTES, ROOTS = ROOTS_HEADER_BYTES + 3 * ROOTS_LINE_BYTES };
    load(THREE);
    uint32_t roots_bytes = get_le32(made.p + 12), size = get_le32(made.p + SECOND + 8);
    const struct {
        unsigned at;
        uint32_t value;
    } cases[] = {
        { 0, 0x53545251 },                      /* magic */
        { 4, ROOTS_FORMAT + 1 },                /* format */
        { 8, ROOTS_MAX + 1 },                   /* more than there may be */
        { 8, UINT32_MAX },                      /* and far more */
        { SECOND, 0 },                          /* not in order */
        { SECOND + 4, roots_bytes + 1 },        /* a root behind the end, */
        { SECOND + 4, UINT32_MAX - size + 1 },  /* so far that the sum comes round, */
        { SECOND + 4, roots_bytes - size + 1 }, /* over it, */
        { SECOND + 8, roots_bytes + 1 },        /* too long */
        { SECOND + 8, UINT32_MAX },
        { SECOND + 8, 0 }, /* or empty */
    };
    for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint32_t old = get_le32(made.p + cases[i].at);
        put_le32(made.p + cases[i].at, cases[i].value);
        mend_crc();
        if (roots_open(&roots, &reader) != RC_CORRUPT)
            fail_msg("case %u is taken", i);
        put_le32(made.p + cases[i].at, old);
        mend_crc();
        assert_int_equal(roots_open(&roots, &reader), RC_OK);
    }
    byte_buffer_fill(&made, 0, ROOT_DER_MAX);
    bytes = byte_buffer_span(&made);
    reader = reader_on_span(&bytes);
    put_le32(made.p + 12, roots_bytes + ROOT_DER_MAX);
    mend_crc();
    assert_int_equal(roots_open(&roots, &reader), RC_OK);
    put_le32(made.p + SECOND + 4, 0);
    put_le32(made.p + SECOND + 8, ROOT_DER_MAX + 1);
    mend_crc();
    assert_int_equal(roots_open(&roots, &reader), RC_CORRUPT);
}

/* What a root is made of is looked at when it is found. */
static void a_root_that_breaks_a_rule(void **state)
{
    (void)state;
    load(THREE);
    uint8_t out[ROOT_DER_MAX], *line = made.p + ROOTS_HEADER_BYTES;
    struct span subject, body,
        all = span_bytes(made.p + ROOTS_HEADER_BYTES + 3 * ROOTS_LINE_BYTES + get_le32(line + 4), get_le32(line + 8));
    uint8_t *root = (uint8_t *)all.p;
    struct span rest = span_from(all, ROOT_HEAD_BYTES);
    assert_true(der_take(&rest, 0x30, &subject, &body));
    const struct {
        size_t at;
        uint8_t value;
        enum rc rc;
    } cases[] = {
        { 0, (uint8_t)(root[0] + 1), RC_CORRUPT }, /* a key identifier longer than the root, */
        { 0, (uint8_t)(root[0] - 1), RC_CORRUPT }, /* or shorter */
        { 1, 0x80, RC_CORRUPT },                   /* no path is so long */
        { 1, 0x7f, RC_OK },
        { 1, ROOT_NO_PATH_LENGTH, RC_OK },
        { ROOT_HEAD_BYTES + subject.len, 0x31, RC_CORRUPT }, /* the validity is no SEQUENCE */
    };
    for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint8_t old = root[cases[i].at];
        uint32_t cursor = 0;
        size_t len;
        root[cases[i].at] = cases[i].value;
        assert_int_equal(roots_find(&roots, subject, &cursor, out, sizeof out, &len), cases[i].rc);
        if (cases[i].rc == RC_OK)
            assert_memory_equal(out + len - 4, "\x03\x02\x00\x00", 4);
        root[cases[i].at] = old;
    }
    for (uint32_t size = 1; size < all.len; size++) { /* cut anywhere */
        uint32_t cursor = 0;
        size_t len;
        put_le32(line + 8, size);
        mend_crc();
        assert_int_equal(roots_open(&roots, &reader), RC_OK);
        enum rc rc = roots_find(&roots, subject, &cursor, out, sizeof out, &len);
        assert_int_equal(rc, RC_CORRUPT);
    }
}

static void expect_refused(struct span text, const char *words)
{
    struct strbuf why = STRBUF(why_text);
    unsigned count;
    assert_int_equal(roots_write(text, &made, &count, &why), RC_INVALID);
    assert_non_null(strstr(why_text, words));
    byte_buffer_free(&made);
}

static void what_is_no_bundle_is_named(void **state)
{
    (void)state;
    expect_refused(SPAN(""), "no PEM certificate");
    expect_refused(SPAN("hello"), "no PEM certificate");
    expect_refused(SPAN("-----BEGIN CERTIFICATE-----\nMAA=\n"), "does not end");
    expect_refused(SPAN("-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n"), "certificate 1: not an X.509");
    expect_refused(SPAN(NO_AUTHORITY), "certificate 1: not an authority's");
    expect_refused(SPAN("-----BEGIN CERTIFICATE-----\n!!\n-----END CERTIFICATE-----\n"), "certificate 1: not base64");
    expect_refused(SPAN("-----BEGIN PRIVATE KEY-----\nMAA=\n-----END PRIVATE KEY-----\n"), "PRIVATE KEY");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(each_is_found_by_its_subject, tear_down),
        cmocka_unit_test_teardown(the_systems_roots_are_all_found, tear_down),
        cmocka_unit_test_teardown(others_are_not_found, tear_down),
        cmocka_unit_test_teardown(a_small_buffer_is_said, tear_down),
        cmocka_unit_test_teardown(the_crc_alone_finds_nothing, tear_down),
        cmocka_unit_test_teardown(damage_is_seen_or_harmless, tear_down),
        cmocka_unit_test_teardown(an_index_that_lies, tear_down),
        cmocka_unit_test_teardown(a_root_that_breaks_a_rule, tear_down),
        cmocka_unit_test_teardown(what_is_no_bundle_is_named, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
