/* net/x509_key.c: keys, signatures by the vectors of RFC 6979, and certificate requests. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "hal/base/base64.h"
#include "hal/crypto/sha256.h"
#include "hal/random.h"
#include "net/x509_key.h"
#include "tests/support/tls_pair.h"

/* RFC 6979 A.2.5 */
static const char known_key[] = "-----BEGIN EC PRIVATE KEY-----\n"
                                "MHcCAQEEIMmvqdhFunUWa1whV2ex1pNOUMPbNuibEnuKYisSD2choAoGCCqGSM49\n"
                                "AwEHoUQDQgAEYP7UuiVanTHJYet0xjVtaMBJuJI7Yfps5mliLmDyn7Z5A/4QCLi8\n"
                                "maQa6elWKLxk8vGyDC1+n1F3o8KU1EYimQ==\n"
                                "-----END EC PRIVATE KEY-----\n";

static const char *hex(const void *bytes, size_t len)
{
    static char memory[200];
    struct strbuf b = STRBUF(memory);
    strbuf_add_hex(&b, span_bytes(bytes, len));
    return memory;
}

static void the_known_key(void **state)
{
    (void)state;
    struct x509_point p;
    uint8_t signature[64], hash[32] = { 0 };
    size_t before = tls_identity_memory()->used_bytes;
    assert_int_equal(x509_key_point(span_of(known_key), &p), RC_OK);
    assert_string_equal(hex(p.x, 32), "60fed4ba255a9d31c961eb74c6356d68c049b8923b61fa6ce669622e60f29fb6");
    assert_string_equal(hex(p.y, 32), "7903fe1008b8bc99a41ae9e95628bc64f2f1b20c2d7e9f5177a3c294d4462299");
    sha256_of(SPAN("sample"), hash);
    assert_int_equal(x509_key_sign(span_of(known_key), hash, signature), RC_OK);
    assert_string_equal(hex(signature, 64), "efd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0ea84eaf3716"
                                            "f7cb1c942d657c41d436c7a1b6e29f65f3e900dbb9aff4064dc4ab2f843acda8");
    sha256_of(SPAN("test"), hash);
    assert_int_equal(x509_key_sign(span_of(known_key), hash, signature), RC_OK);
    assert_string_equal(hex(signature, 64), "f1abb023518351cd71d881567b1ea663ed3efcf6c5132b354f28d3b0b7d38367"
                                            "019f4113742a2b14bd25926b49c649155f267e60d3814b4c0cc84250e46f0083");
    assert_int_equal(tls_identity_memory()->used_bytes, before);
}

static void keys_are_made(void **state)
{
    (void)state;
    char first[X509_KEY_PEM_MAX], second[X509_KEY_PEM_MAX], little[100];
    struct strbuf a = STRBUF(first), b = STRBUF(second), c = STRBUF(little);
    struct x509_point p, q;
    assert_int_equal(x509_key_make(&a), RC_OK);
    assert_int_equal(x509_key_make(&b), RC_OK);
    assert_int_equal(x509_key_point(strbuf_span(&a), &p), RC_OK);
    assert_int_equal(x509_key_point(strbuf_span(&b), &q), RC_OK);
    assert_memory_not_equal(&p, &q, sizeof p);
    assert_int_equal(x509_key_make(&c), RC_FULL);
    assert_int_equal(c.len, 0);
}

static void what_is_no_such_key(void **state)
{
    (void)state;
    static const char *const others[] = {
        /* P-384, short for want of its point */
        "-----BEGIN EC PRIVATE "
        "KEY-----\nMD4CAQEEMHqQ51WRSAx2c8IKykw7oa62GSW86FeFj+YicaoQv1ZeG6s+44LM6B5y\nf0WYEdnBh6AHBgUrgQQAIg==\n"
        "-----END EC PRIVATE KEY-----\n",
        /* X25519 */
        "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VuBCIEIJCeTyoa++1mGL9pAGH3VoEjOh7ECVUOHjY7MVrfNMNH\n-----END PRIVATE "
        "KEY-----\n",
    };
    static char text[TLS_PEM_MAX];
    uint8_t signature[64], hash[32] = { 0 };
    struct x509_point p;
    size_t before = tls_identity_memory()->used_bytes;
    assert_int_equal(x509_key_point(SPAN(""), &p), RC_INVALID);
    assert_int_equal(x509_key_sign(SPAN("-----BEGIN EC PRIVATE KEY-----\nMHcC\n-----END EC PRIVATE KEY-----\n"), hash, signature),
                     RC_INVALID);
    assert_int_equal(x509_key_point(pair_read_file("ec", "pem", text), &p), RC_INVALID); /* a certificate */
    assert_int_equal(x509_key_point(span_sub(span_of(known_key), 0, 150), &p), RC_INVALID);
    for (unsigned i = 0; i < sizeof others / sizeof others[0]; i++) {
        assert_int_equal(x509_key_point(span_of(others[i]), &p), RC_INVALID);
        assert_int_equal(x509_key_sign(span_of(others[i]), hash, signature), RC_INVALID);
    }
    assert_int_equal(tls_identity_memory()->used_bytes, before);
}

/* Signatures are deterministic, so a request is, too; this one was read by `openssl req -verify`. */
static void requests(void **state)
{
    (void)state;
    static const char *const names[] = { "mail.office.example", "192.0.2.7", "mta-sts.office.example", "2001:db8::7" };
    static const char *const bad[] = { "mail.office.example", "no host name" };
    char memory[600], text[900];
    struct strbuf der = STRBUF(memory), base64 = STRBUF(text);
    size_t before = tls_identity_memory()->used_bytes;
    assert_int_equal(x509_csr(span_of(known_key), names, 4, &der), RC_OK);
    base64_encode(&base64, strbuf_span(&der));
    assert_string_equal(text, "MIIBGzCBwwIBADAAMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEYP7UuiVanTHJYet0xjVtaMBJuJI7Yfps5mliLmDyn7Z5A/4Q"
                              "CLi8maQa6elWKLxk8vGyDC1+n1F3o8KU1EYimaBhMF8GCSqGSIb3DQEJDjFSMFAwTgYDVR0RBEcwRYITbWFpbC5vZmZpY2UuZXhh"
                              "bXBsZYcEwAACB4IWbXRhLXN0cy5vZmZpY2UuZXhhbXBsZYcQIAENuAAAAAAAAAAAAAAABzAKBggqhkjOPQQDAgNHADBEAiAVOcae"
                              "0AI9i8kZDhfKfvDZc84GV0eXhHe90zUU3vhZ1wIgEMVayYEW9RFVPzkmP15yXNkxpC0m+VoTjgy9SXUYeLw=");
    strbuf_clear(&der);
    assert_int_equal(x509_csr(span_of(known_key), bad, 2, &der), RC_INVALID);
    assert_int_equal(x509_csr(span_of(known_key), names, 0, &der), RC_INVALID);
    assert_int_equal(x509_csr(span_of(known_key), names, X509_CSR_NAMES_MAX + 1, &der), RC_INVALID);
    assert_int_equal(x509_csr(SPAN("x"), names, 1, &der), RC_INVALID);
    assert_int_equal(der.len, 0);
    der = strbuf_on(memory, 100);
    assert_int_equal(x509_csr(span_of(known_key), names, 1, &der), RC_FULL);
    assert_int_equal(der.len, 0);
    assert_int_equal(tls_identity_memory()->used_bytes, before);
}

static int setup(void **state)
{
    (void)state;
    return random_init() == RC_OK && tls_init() == RC_OK ? 0 : -1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_known_key),
        cmocka_unit_test(keys_are_made),
        cmocka_unit_test(what_is_no_such_key),
        cmocka_unit_test(requests),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
