/* hal/base/pem.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdio.h>

#include "hal/base/pem.h"

#define BEGIN(label) "-----BEGIN " label "-----\n"
#define END(label) "-----END " label "-----\n"

static uint8_t out[256];
static size_t len;

static void blocks_in_order(void **state)
{
    (void)state;
    struct span rest = SPAN("subject=x\n" BEGIN("EC PARAMETERS") "AAAA\n" END("EC PARAMETERS")
                                BEGIN("PRIVATE KEY") "AQID\nBAU=\n" END("PRIVATE KEY") "tail");
    struct span label, body;
    assert_int_equal(pem_block(&rest, &label, &body), RC_OK);
    assert_true(span_is(label, "EC PARAMETERS"));
    assert_int_equal(pem_block(&rest, &label, &body), RC_OK);
    assert_true(span_is(label, "PRIVATE KEY"));
    assert_int_equal(pem_decode(body, out, sizeof out, &len), RC_OK);
    assert_int_equal(len, 5);
    assert_memory_equal(out, "\1\2\3\4\5", 5);
    assert_int_equal(pem_block(&rest, &label, &body), RC_NOT_FOUND);
}

static void one_label_is_picked(void **state)
{
    (void)state;
    struct span rest = SPAN(BEGIN("A") "AAAA\n" END("A") BEGIN("B") "AQ==\n" END("B") BEGIN("B") "Ag==\n" END("B"));
    assert_int_equal(pem_next(&rest, "B", out, sizeof out, &len), RC_OK);
    assert_int_equal(out[0], 1);
    assert_int_equal(pem_next(&rest, "B", out, sizeof out, &len), RC_OK);
    assert_int_equal(out[0], 2);
    assert_int_equal(pem_next(&rest, "B", out, sizeof out, &len), RC_NOT_FOUND);
    assert_int_equal(len, 0);
}

static void line_ends_and_blanks(void **state)
{
    (void)state;
    struct span rest = SPAN("-----BEGIN A-----\r\nAQ\r\nID \r\n\r\n-----END A-----");
    assert_int_equal(pem_next(&rest, "A", out, sizeof out, &len), RC_OK);
    assert_memory_equal(out, "\1\2\3", 3);
}

static void broken_blocks(void **state)
{
    (void)state;
    static const struct span cases[] = {
        SPAN(BEGIN("A")),
        SPAN("-----BEGIN A-----"),
        SPAN(BEGIN("A") "AAAA\n"),
        SPAN(BEGIN("A") "AAAA\n" END("B")),
        SPAN(BEGIN("A") "AAAA\n" BEGIN("A") "AAAA\n" END("A")),
        SPAN(BEGIN("A") END("A")),
        SPAN(BEGIN("A") "AAA\n" END("A")),
        SPAN(BEGIN("A") "AA=A\n" END("A")),
        SPAN(BEGIN("A") "A===\n" END("A")),
        SPAN(BEGIN("A") "Proc-Type: 4,ENCRYPTED\nAAAA\n" END("A")),
    };
    for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct span rest = cases[i];
        if (pem_next(&rest, "A", out, sizeof out, &len) != RC_INVALID)
            fail_msg("case %u", i);
        assert_int_equal(len, 0);
    }
}

static void bounds(void **state)
{
    (void)state;
    struct span rest = SPAN(BEGIN("A") "AQIDBAUG\n" END("A")), again = rest;
    assert_int_equal(pem_next(&rest, "A", out, 5, &len), RC_TOO_LONG);
    assert_int_equal(pem_next(&again, "A", out, 6, &len), RC_OK);
    assert_int_equal(len, 6);
}

static void written_is_read(void **state)
{
    (void)state;
    char text[1024];
    uint8_t bytes[200];
    for (size_t n = 1; n < sizeof bytes; n++) {
        struct strbuf b = STRBUF(text);
        bytes[n - 1] = (uint8_t)(n * 31);
        pem_write(&b, "X", span_bytes(bytes, n));
        assert_false(b.overflow);
        struct span rest = strbuf_span(&b);
        assert_int_equal(pem_next(&rest, "X", out, sizeof out, &len), RC_OK);
        assert_int_equal(len, n);
        assert_memory_equal(out, bytes, n);
    }
    struct strbuf b = STRBUF(text);
    pem_write(&b, "X", span_bytes(bytes, 49));
    assert_int_equal(span_find(strbuf_span(&b), 0, '\n'), strlen("-----BEGIN X-----"));
    assert_int_equal(span_find(strbuf_span(&b), 18, '\n'), 18 + 64);
}

static void sections(void **state)
{
    (void)state;
    const char *cert = BEGIN("CERTIFICATE") "AAAA\n" END("CERTIFICATE"),
               *key = BEGIN("EC PRIVATE KEY") "AQID\n" END("EC PRIVATE KEY");
    char text[600];
    snprintf(text, sizeof text, "subject=x\n%s" BEGIN("EC PARAMETERS") "AAAA\n" END("EC PARAMETERS") "%s%s\ntail", cert, cert, key);
    struct span section = pem_section(span_of(text), "PRIVATE KEY");
    assert_true(span_eq(section, span_of(key)));
    section = pem_section(span_of(text), "CERTIFICATE");
    assert_ptr_equal(section.p, strstr(text, cert));
    assert_ptr_equal(section.p + section.len, strstr(text, key));
    assert_int_equal(pem_section(span_of(text), "PUBLIC KEY").len, 0);
    snprintf(text, sizeof text, "%.*s", (int)strlen(key) - 1, key); /* without the last line's end */
    assert_int_equal(pem_section(span_of(text), "PRIVATE KEY").len, strlen(key) - 1);
    snprintf(text, sizeof text, "%.*s", (int)strlen(key) - 2, key);
    assert_int_equal(pem_section(span_of(text), "PRIVATE KEY").len, 0);
}

static void decoded_where_it_lies(void **state)
{
    (void)state;
    char text[] = "AQID\nBAU=\n";
    assert_int_equal(pem_decode(span_of(text), (uint8_t *)text, sizeof text, &len), RC_OK);
    assert_int_equal(len, 5);
    assert_memory_equal(text, "\1\2\3\4\5", 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blocks_in_order),
        cmocka_unit_test(one_label_is_picked),
        cmocka_unit_test(line_ends_and_blanks),
        cmocka_unit_test(broken_blocks),
        cmocka_unit_test(bounds),
        cmocka_unit_test(written_is_read),
        cmocka_unit_test(sections),
        cmocka_unit_test(decoded_where_it_lies),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
