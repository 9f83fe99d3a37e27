/* net/jws.c: what is signed is what a verifier reads. The goldens were verified by Python's cryptography. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "hal/random.h"
#include "net/jws.h"
#include "tests/support/tls_pair.h"

/* RFC 6979 A.2.5 */
static const char key[] = "-----BEGIN EC PRIVATE KEY-----\n"
                          "MHcCAQEEIMmvqdhFunUWa1whV2ex1pNOUMPbNuibEnuKYisSD2choAoGCCqGSM49\n"
                          "AwEHoUQDQgAEYP7UuiVanTHJYet0xjVtaMBJuJI7Yfps5mliLmDyn7Z5A/4QCLi8\n"
                          "maQa6elWKLxk8vGyDC1+n1F3o8KU1EYimQ==\n"
                          "-----END EC PRIVATE KEY-----\n";
static char text[2048], scratch_memory[JWS_PROTECTED_MAX];

static void keys_and_thumbprints(void **state)
{
    (void)state;
    struct strbuf out = STRBUF(text);
    char exact[JWK_MAX], little[20];
    struct strbuf fits = STRBUF(exact), small = STRBUF(little);
    assert_int_equal(jwk_write(span_of(key), &fits), RC_OK);
    assert_string_equal(exact, "{\"crv\":\"P-256\",\"kty\":\"EC\",\"x\":\"YP7UuiVanTHJYet0xjVtaMBJuJI7Yfps5mliLmDyn7Y\","
                               "\"y\":\"eQP-EAi4vJmkGunpVii8ZPLxsgwtfp9Rd6PClNRGIpk\"}");
    assert_int_equal(jwk_thumbprint(span_of(key), &out), RC_OK);
    assert_string_equal(text, "DOvxvJiAdIqVWIkFt5hDtCunXLF0BV4-JGv4f-ALSm0");
    assert_int_equal(out.len, JWK_THUMBPRINT_CHARS);
    assert_int_equal(jwk_write(span_of(key), &small), RC_FULL);
    assert_int_equal(jwk_thumbprint(span_of(key), &small), RC_FULL);
    assert_int_equal(jwk_thumbprint(SPAN("no key"), &out), RC_INVALID);
    assert_true(small.len == 0 && out.len == 0);
}

static void signed_requests(void **state)
{
    (void)state;
    struct strbuf out = STRBUF(text), scratch = STRBUF(scratch_memory);
    struct jws_header h = { .nonce = SPAN("n0nce_-"), .url = SPAN("https://ca.example/new-acct") };
    assert_int_equal(jws_sign(&h, span_of(key), SPAN("{\"termsOfServiceAgreed\":true}"), &scratch, &out), RC_OK);
    assert_string_equal(text, "{\"protected\":\"eyJhbGciOiJFUzI1NiIsImp3ayI6eyJjcnYiOiJQLTI1NiIsImt0eSI6IkVDIiwieCI6IllQN1V1aVZhblR"
                              "ISllldDB4alZ0YU1CSnVKSTdZZnBzNW1saUxtRHluN1kiLCJ5IjoiZVFQLUVBaTR2Sm1rR3VucFZpaThaUEx4c2d3dGZwOVJkNlB"
                              "DbE5SR0lwayJ9LCJub25jZSI6Im4wbmNlXy0iLCJ1cmwiOiJodHRwczovL2NhLmV4YW1wbGUvbmV3LWFjY3QifQ\",\"payload"
                              "\":\"eyJ0ZXJtc09mU2VydmljZUFncmVlZCI6dHJ1ZX0\",\"signature\":\"GRj0ubXbB_qxBzur_eikENNPWYIVACKcy6ao9"
                              "eAdyB1O5m-I8Tu-Y1Up7EGivqesbUh8UkDwP64Tjh2MqFlQrQ\"}");
    h.kid = SPAN("https://ca.example/acct/1");
    assert_int_equal(jws_sign(&h, span_of(key), SPAN(""), &scratch, &out), RC_OK);
    assert_string_equal(text, "{\"protected\":\"eyJhbGciOiJFUzI1NiIsImtpZCI6Imh0dHBzOi8vY2EuZXhhbXBsZS9hY2N0LzEiLCJub25jZSI6Im4wbmN"
                              "lXy0iLCJ1cmwiOiJodHRwczovL2NhLmV4YW1wbGUvbmV3LWFjY3QifQ\",\"payload\":\"\",\"signature\":\"BRMYLmMMD"
                              "GulDK7jQG_HzKOWL5bqey9mH3lEkpvgrrHgAmNARJw2FSEQE4EVRzP3XunhHLHrCj4FgkaQU26kFQ\"}");
}

static void account_binding(void **state)
{
    (void)state;
    struct strbuf out = STRBUF(text), scratch = STRBUF(scratch_memory);
    static const char long_key[] = "a mac key of more than one block of the hash, which is hashed first and then used";
    assert_int_equal(
        jws_bind(SPAN("kid-1"), SPAN("secret"), SPAN("https://ca.example/new-acct"), SPAN("{\"kty\":\"EC\"}"), &scratch, &out),
        RC_OK);
    assert_string_equal(text, "{\"protected\":\"eyJhbGciOiJIUzI1NiIsImtpZCI6ImtpZC0xIiwidXJsIjoiaHR0cHM6Ly9jYS5leGFtcGxlL25ldy1hY2N"
                              "0In0\",\"payload\":\"eyJrdHkiOiJFQyJ9\",\"signature\":\"iP1eK9RgLujQ3dfIaudR0mFWZxHXUD_wosSlAEyo9o4"
                              "\"}");
    assert_int_equal(
        jws_bind(SPAN("kid-1"), span_of(long_key), SPAN("https://ca.example/new-acct"), SPAN("{\"kty\":\"EC\"}"), &scratch, &out),
        RC_OK);
    assert_string_equal(text, "{\"protected\":\"eyJhbGciOiJIUzI1NiIsImtpZCI6ImtpZC0xIiwidXJsIjoiaHR0cHM6Ly9jYS5leGFtcGxlL25ldy1hY2N"
                              "0In0\",\"payload\":\"eyJrdHkiOiJFQyJ9\",\"signature\":\"z2gImm2Zh9adoWa7AG3TcDNHjUDRunTW9SukNp6aMGg"
                              "\"}");
    assert_int_equal(jws_bind(SPAN("kid-1"), SPAN(""), SPAN("https://ca.example/"), SPAN("{}"), &scratch, &out), RC_INVALID);
}

/* Texts of the server's get into the header: none may end it. */
static void what_is_not_signed(void **state)
{
    (void)state;
    struct strbuf out = STRBUF(text), scratch = STRBUF(scratch_memory);
    static const struct jws_header bad[] = {
        { SPAN(""), SPAN("a\"b"), SPAN("https://ca.example/") },      { SPAN(""), SPAN("a\\b"), SPAN("https://ca.example/") },
        { SPAN("a\nb"), SPAN("n"), SPAN("https://ca.example/") },     { SPAN("k"), SPAN("n"), SPAN("https://ca.example/\x7f") },
        { SPAN("k"), SPAN("\xc3\xbc"), SPAN("https://ca.example/") },
    };
    struct jws_header good = { SPAN("k"), SPAN("n"), SPAN("https://ca.example/") };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(jws_sign(&bad[i], span_of(key), SPAN("{}"), &scratch, &out), RC_INVALID);
    assert_int_equal(jws_sign(&good, SPAN("no key"), SPAN("{}"), &scratch, &out), RC_INVALID);
    assert_int_equal(out.len, 0);
    char little[60];
    struct strbuf small = STRBUF(little);
    assert_int_equal(jws_sign(&good, span_of(key), SPAN("{}"), &scratch, &small), RC_FULL);
    assert_int_equal(small.len, 0);
    small = STRBUF(little);
    small.cap = 20;
    assert_int_equal(jws_sign(&good, span_of(key), SPAN("{}"), &small, &out), RC_FULL);
    assert_int_equal(out.len, 0);
}

static int setup(void **state)
{
    (void)state;
    return random_init() == RC_OK && tls_init() == RC_OK ? 0 : -1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_and_thumbprints),
        cmocka_unit_test(signed_requests),
        cmocka_unit_test(account_binding),
        cmocka_unit_test(what_is_not_signed),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
