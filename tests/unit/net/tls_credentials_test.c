/* net/tls_credentials.c and net/x509_write.c: what is taken as our own certificate and key, and why not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "hal/random.h"
#include "tests/support/tls_pair.h"

static char chain_text[2 * TLS_PEM_MAX], key_text[TLS_PEM_MAX], why_text[300];
static struct tls_credentials *loaded;

static struct strbuf chain_of(const char *first, const char *second)
{
    struct strbuf chain = STRBUF(chain_text);
    static char file[TLS_PEM_MAX];
    strbuf_add(&chain, pair_read_file(first, "pem", file));
    if (second != NULL)
        strbuf_add(&chain, pair_read_file(second, "pem", file));
    assert_false(chain.overflow);
    return chain;
}

static enum rc load(struct span chain, struct span key)
{
    struct strbuf why = STRBUF(why_text);
    return tls_credentials_load(chain, key, &loaded, &why);
}

static void expect_refusal(struct span chain, struct span key, const char *reason)
{
    size_t before = tls_identity_memory()->used_bytes;
    assert_int_equal(load(chain, key), RC_INVALID);
    assert_null(loaded);
    if (strstr(why_text, reason) == NULL)
        fail_msg("%s, not: %s", why_text, reason);
    assert_int_equal(tls_identity_memory()->used_bytes, before);
}

static void refusals_have_reasons(void **state)
{
    (void)state;
    struct strbuf chain = chain_of("ec", NULL);
    struct span key = pair_read_file("ec", "key", key_text);
    char broken[TLS_PEM_MAX];
    expect_refusal(SPAN(""), key, "there is no certificate");
    expect_refusal(SPAN("just text\n"), key, "there is no certificate");
    expect_refusal(key, key, "there is no certificate");
    expect_refusal(strbuf_span(&chain), SPAN(""), "there is no private key");
    expect_refusal(strbuf_span(&chain), strbuf_span(&chain), "there is no private key");
    expect_refusal(span_sub(strbuf_span(&chain), 0, chain.len - 30), key, "does not end");
    expect_refusal(strbuf_span(&chain), span_sub(key, 0, key.len - 30), "does not end");
    expect_refusal(strbuf_span(&chain), SPAN("-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n"),
                   "encrypted");
    expect_refusal(strbuf_span(&chain), SPAN("-----BEGIN PRIVATE KEY-----\nMAAA\n-----END PRIVATE KEY-----\n"), "cannot be read");
    memcpy(broken, chain.p, chain.len);
    memset(broken + 200, 'A', 20);
    expect_refusal(span_bytes(broken, chain.len), key, "certificate 1 cannot be read");
}

static void what_does_not_fit_together(void **state)
{
    (void)state;
    struct strbuf chain = chain_of("ec", NULL);
    expect_refusal(strbuf_span(&chain), pair_read_file("ec-second", "key", key_text), "does not belong to the first certificate");
    expect_refusal(strbuf_span(&chain), pair_read_file("rsa", "key", key_text), "does not belong to the first certificate");
    chain = chain_of("ec", "rsa");
    expect_refusal(strbuf_span(&chain), pair_read_file("ec", "key", key_text),
                   "certificate 3 of the chain is not the issuer of certificate 2");
    chain = chain_of("root-ec", "ec");
    expect_refusal(strbuf_span(&chain), pair_read_file("ec", "key", key_text),
                   "certificate 2 of the chain is not the issuer of certificate 1");
    chain = chain_of("weak-key", NULL);
    expect_refusal(strbuf_span(&chain), pair_read_file("weak-key", "key", key_text), "1024 bits is too weak");
    chain = chain_of("huge-key", NULL);
    expect_refusal(strbuf_span(&chain), pair_read_file("huge-key", "key", key_text), "4104 bits is more than");
    chain = chain_of("long-rsa", NULL);
    expect_refusal(strbuf_span(&chain), pair_read_file("long-rsa", "key", key_text), "leave out the root");
    memset(chain_text, 'x', sizeof chain_text);
    expect_refusal(span_bytes(chain_text, TLS_PEM_MAX + 1), SPAN(""), "more than 16384 bytes");
}

static void facts_of_the_leaf(void **state)
{
    (void)state;
    struct strbuf chain = chain_of("ec", NULL);
    struct tls_leaf_info info;
    assert_int_equal(load(strbuf_span(&chain), pair_read_file("ec", "key", key_text)), RC_OK);
    tls_credentials_info(loaded, &info);
    assert_string_equal(info.subject, "CN=mx.example.test, O=Postern Tests");
    assert_string_equal(info.issuer, "CN=Test Intermediate EC, O=Postern Tests");
    assert_string_equal(info.names, "mx.example.test,*.wild.example.test");
    assert_string_equal(info.key_type, "ECDSA P-256");
    assert_int_equal(info.chain_length, 2);
    assert_false(info.self_signed);
    assert_true(info.not_before == 1577836800 && info.not_after == 2208988800);
    assert_true(tls_credentials_names(loaded, "mx.example.test"));
    assert_true(tls_credentials_names(loaded, "one.wild.example.test"));
    assert_false(tls_credentials_names(loaded, "example.test"));
    tls_credentials_release(loaded);
    chain = chain_of("rsa", NULL);
    assert_int_equal(load(strbuf_span(&chain), pair_read_file("rsa", "key", key_text)), RC_OK);
    tls_credentials_info(loaded, &info);
    assert_string_equal(info.key_type, "RSA-2048");
    tls_credentials_release(loaded);
}

/* The shared memory holds so many pairs and then says so; what is given back can be used again. */
static void running_out_of_memory_is_said(void **state)
{
    (void)state;
    struct tls_credentials *held[64];
    unsigned count = 0;
    struct strbuf chain = chain_of("rsa", NULL);
    struct span key = pair_read_file("rsa", "key", key_text);
    size_t before = tls_identity_memory()->used_bytes;
    enum rc rc;
    while ((rc = load(strbuf_span(&chain), key)) == RC_OK && count < 64)
        held[count++] = loaded;
    assert_int_equal(rc, RC_NO_MEMORY);
    assert_non_null(strstr(why_text, "no memory"));
    assert_true(count >= 2);
    while (count > 0)
        tls_credentials_release(held[--count]);
    assert_int_equal(tls_identity_memory()->used_bytes, before);
    assert_int_equal(load(strbuf_span(&chain), key), RC_OK);
    tls_credentials_release(loaded);
    tls_credentials_release(NULL);
}

static void self_signed_can_be_served(void **state)
{
    (void)state;
    static const char *const names[] = { "mail.example.org", "mx.example.test" };
    struct strbuf key = STRBUF(key_text), cert = STRBUF(chain_text);
    struct tls_leaf_info info;
    uint8_t first[32];
    size_t before = tls_identity_memory()->used_bytes;
    assert_int_equal(x509_self_signed(names, 2, PAIR_NOW, 3650, &key, &cert), RC_OK);
    assert_int_equal(tls_identity_memory()->used_bytes, before);
    assert_int_equal(load(strbuf_span(&cert), strbuf_span(&key)), RC_OK);
    tls_credentials_info(loaded, &info);
    assert_string_equal(info.subject, "CN=mail.example.org");
    assert_string_equal(info.names, "mail.example.org,mx.example.test");
    assert_true(info.self_signed);
    assert_true(info.not_before == PAIR_NOW && info.not_after == PAIR_NOW + INT64_C(3650) * 86400);
    memcpy(first, info.spki_sha256, sizeof first);

    pair_prepare();
    pair_served = loaded;
    pair_run();
    assert_int_equal(pair_client.rc, RC_OK);
    assert_int_equal(pair_client.facts.cause, TLS_CAUSE_SELF_SIGNED);
    assert_true(pair_client.facts.name_matches);
    assert_memory_equal(pair_client.facts.spki_sha256, first, sizeof first);
    assert_memory_equal(pair_client.facts.leaf_sha256, info.sha256, sizeof info.sha256);
    tls_credentials_release(loaded);

    assert_int_equal(x509_self_signed(names, 2, PAIR_NOW, 3650, &key, &cert), RC_OK);
    assert_int_equal(load(strbuf_span(&cert), strbuf_span(&key)), RC_OK);
    tls_credentials_info(loaded, &info);
    assert_memory_not_equal(info.spki_sha256, first, sizeof first); /* a key of its own each time */
    tls_credentials_release(loaded);
}

/* Lengths of one byte, of two and of three, times of either form, a name too long for a subject. */
static void self_signed_of_any_size(void **state)
{
    (void)state;
    char text[16][100];
    const char *names[16];
    struct tls_leaf_info info;
    for (unsigned i = 0; i < 16; i++) {
        struct strbuf name = STRBUF(text[i]);
        strbuf_printf(&name, "%.*s%u.%.*s.example", (int)(i * 3), "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", i, 30,
                      "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbb");
        names[15 - i] = text[i];
    }
    for (unsigned count = 1; count <= 16; count++) {
        struct strbuf key = STRBUF(key_text), cert = STRBUF(chain_text);
        unsigned days = count * 600;
        assert_int_equal(x509_self_signed(names, count, PAIR_NOW, days, &key, &cert), RC_OK);
        assert_int_equal(load(strbuf_span(&cert), strbuf_span(&key)), RC_OK);
        tls_credentials_info(loaded, &info);
        assert_true(info.self_signed && info.not_after == PAIR_NOW + (int64_t)days * 86400);
        assert_string_equal(info.subject, "CN=postern");
        assert_non_null(strstr(info.names, names[0]));
        tls_credentials_release(loaded);
    }
}

static void self_signed_refuses(void **state)
{
    (void)state;
    static const char *const good[] = { "mx.example.test" }, *const bad[] = { "mx.example.test", "new\nline" };
    char small[100];
    struct strbuf key = STRBUF(key_text), cert = STRBUF(chain_text), tight = STRBUF(small);
    size_t before = tls_identity_memory()->used_bytes;
    assert_int_equal(x509_self_signed(good, 0, PAIR_NOW, 1, &key, &cert), RC_INVALID);
    assert_int_equal(x509_self_signed(bad, 2, PAIR_NOW, 1, &key, &cert), RC_INVALID);
    assert_int_equal(x509_self_signed(good, 1, PAIR_NOW, 1, &key, &tight), RC_FULL);
    assert_int_equal(x509_self_signed(good, 1, PAIR_NOW, 1, &tight, &cert), RC_FULL);
    assert_int_equal(key.len, 0);
    assert_int_equal(cert.len, 0);
    assert_int_equal(tls_identity_memory()->used_bytes, before);
}

/* What is in the certificate beside its name is seen by real clients in tests/e2e/test_web.py. */
static void acme_identifier_names_one(void **state)
{
    (void)state;
    static const char *const good[] = { "mail.example.org", "192.0.2.1", "2001:db8::1" }, *const bad[] = { "", "new\nline",
                                                                                                           "*.example.org" };
    static const char *const others[] = { "MAIL.example.org.", "192.0.2.1", "2001:DB8:0::1", "192.0.2.2",
                                          "2001:db8::2",       "\xc0",      "192.0.2.1.",    "::ffff:192.0.2.1" };
    size_t before = tls_identity_memory()->used_bytes;
    struct tls_leaf_info info;
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(x509_acme_identifier(good[i], SPAN("token.print"), &loaded), RC_OK);
        tls_credentials_info(loaded, &info);
        assert_string_equal(info.names, good[i]);
        assert_string_equal(info.key_type, "ECDSA P-256");
        assert_int_equal(info.chain_length, 1);
        assert_true(info.self_signed);
        for (unsigned other = 0; other < sizeof others / sizeof others[0]; other++)
            assert_int_equal(tls_credentials_names(loaded, others[other]), other == i);
        tls_credentials_release(loaded);
        assert_int_equal(tls_identity_memory()->used_bytes, before);
        assert_int_equal(x509_acme_identifier(bad[i], SPAN("token.print"), &loaded), RC_INVALID);
        assert_null(loaded);
    }
}

static void acme_identifier_without_memory(void **state)
{
    (void)state;
    struct arena *all = (struct arena *)tls_identity_memory();
    void *blocks[64];
    unsigned count = 0, refused = 0;
    while (count < 64 && (blocks[count] = arena_calloc(all, 1, 512)) != NULL)
        count++;
    size_t full = all->used_bytes;
    enum rc rc = RC_NO_MEMORY;
    for (; rc == RC_NO_MEMORY && count > 0; refused++) {
        rc = x509_acme_identifier("mail.example.org", SPAN("token.print"), &loaded);
        if (rc == RC_OK)
            break;
        assert_int_equal(all->used_bytes, full);
        arena_free(all, blocks[--count]);
        full = all->used_bytes;
    }
    assert_int_equal(rc, RC_OK);
    assert_true(refused > 2);
    tls_credentials_release(loaded);
    while (count > 0)
        arena_free(all, blocks[--count]);
}

static int setup(void **state)
{
    (void)state;
    return random_init() == RC_OK && tls_init() == RC_OK ? 0 : -1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refusals_have_reasons),
        cmocka_unit_test(what_does_not_fit_together),
        cmocka_unit_test(facts_of_the_leaf),
        cmocka_unit_test(running_out_of_memory_is_said),
        cmocka_unit_test(self_signed_can_be_served),
        cmocka_unit_test(self_signed_of_any_size),
        cmocka_unit_test(self_signed_refuses),
        cmocka_unit_test(acme_identifier_names_one),
        cmocka_unit_test(acme_identifier_without_memory),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
