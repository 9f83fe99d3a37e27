/* hal/crypto/der_cert.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "hal/crypto/der_cert.h"

/* A certificate cut down to what is walked: issuer "I", subject "S". */
#define NAME(letter) "\x30\x0c\x31\x0a\x30\x08\x06\x03\x55\x04\x03\x0c\x01" letter
#define AFTER_VERSION "\x02\x01\x05\x30\x00" NAME("I") "\x30\x00" NAME("S") "\x30\x00"
#define TAIL "\x30\x00\x03\x01\x00"
static const char v3[] = "\x30\x31\x30\x2a\xa0\x03\x02\x01\x02" AFTER_VERSION TAIL;
static const char v1[] = "\x30\x2c\x30\x25" AFTER_VERSION TAIL;

static void finds_both_names(void **state)
{
    (void)state;
    const struct span certs[] = { span_bytes(v3, sizeof v3 - 1), span_bytes(v1, sizeof v1 - 1) };
    for (unsigned i = 0; i < 2; i++) {
        struct span dn;
        assert_int_equal(x509_subject_dn(certs[i], &dn), RC_OK);
        assert_true(span_eq(dn, SPAN(NAME("S"))));
        assert_int_equal(x509_issuer_dn(certs[i], &dn), RC_OK);
        assert_true(span_eq(dn, SPAN(NAME("I"))));
    }
}

static void refuses_what_is_no_certificate(void **state)
{
    (void)state;
    struct span dn = SPAN("x");
    for (size_t len = 0; len < sizeof v3 - 1; len++) {
        assert_int_equal(x509_subject_dn(span_bytes(v3, len), &dn), RC_INVALID);
        assert_int_equal(dn.len, 0);
    }
    assert_int_equal(x509_subject_dn(span_bytes(v3, sizeof v3), &dn), RC_INVALID);                /* a byte more */
    assert_int_equal(x509_subject_dn(SPAN("\x30\x80\x30\x00\x00\x00"), &dn), RC_INVALID);         /* indefinite */
    assert_int_equal(x509_subject_dn(SPAN("\x30\x81\x05\x30\x03\x02\x01\x00"), &dn), RC_INVALID); /* not the shortest */
    assert_int_equal(x509_subject_dn(SPAN("\x30\x84\x00\x00\x00\x05\x30\x03\x02\x01\x00"), &dn), RC_INVALID);
    assert_int_equal(x509_subject_dn(SPAN("\x30\x83\xff\xff\xff\x30\x03\x02\x01\x00"), &dn), RC_INVALID);
}

/* Any change of one byte gives a view inside or a refusal; the sanitizers watch. */
static void stays_inside(void **state)
{
    (void)state;
    for (size_t at = 0; at < sizeof v3 - 1; at++) {
        for (unsigned value = 0; value < 256; value++) {
            char changed[sizeof v3 - 1];
            struct span dn;
            memcpy(changed, v3, sizeof changed);
            changed[at] = (char)value;
            if (x509_subject_dn(span_bytes(changed, sizeof changed), &dn) == RC_OK)
                assert_true(dn.p >= changed && dn.p + dn.len <= changed + sizeof changed);
            else
                assert_int_equal(dn.len, 0);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_both_names),
        cmocka_unit_test(refuses_what_is_no_certificate),
        cmocka_unit_test(stays_inside),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
