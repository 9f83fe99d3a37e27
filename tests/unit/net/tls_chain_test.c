/* net/tls_verify.c and net/tls_cause.c: each fault that a server's chain can have gets its own name, and the words that help
 * to mend it. The handshake is finished all the same. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "hal/random.h"
#include "tests/support/tls_pair.h"

static struct side *const client = &pair_client;

static void serve_as(const char *host, const char *label, int64_t now)
{
    pair_prepare();
    client->params.server_name = host;
    client->params.now = now;
    pair_served = pair_load(label);
    pair_run();
    tls_credentials_release(pair_served);
    assert_int_equal(client->rc, RC_OK);
    assert_int_equal(pair_server.rc, RC_OK);
    assert_int_equal(client->arena.used_bytes, 0);
}

static void serve_at(const char *label, int64_t now)
{
    serve_as(PAIR_HOST, label, now);
}

static void each_fault_has_its_name(void **state)
{
    (void)state;
    static const struct {
        const char *label, *cause;
        bool name_matches;
        const char *detail;
    } cases[] = {
        { "ec", "none", true, "" },
        { "self-signed", "self-signed", true, "CN=mx.example.test, O=Postern Tests" },
        { "missing-intermediate", "missing-intermediate", true, "issued by CN=Test Intermediate EC" },
        { "untrusted-root", "untrusted-root", true, "CN=Root That Nobody Holds" },
        { "untrusted-unsent", "untrusted-root", true, "CN=Its Intermediate, O=Postern Tests, issued by CN=Root That Nobody Holds" },
        { "impostor", "bad-certificate", true, "issued by CN=Test Root EC" },
        { "impostor-sent", "untrusted-root", true, "CN=Test Root EC" },
        { "expired", "expired", true, "CN=mx.example.test, O=Postern Tests ended 2021-01-01T00:00:00Z" },
        { "expired-intermediate", "expired", true, "CN=Old Intermediate, O=Postern Tests ended 2021-01-01T00:00:00Z" },
        { "expired-root", "expired", true, "CN=Test Root Expired, O=Postern Tests ended 2021-01-01T00:00:00Z" },
        { "future", "not-yet-valid", true, "CN=mx.example.test, O=Postern Tests begins 2039-01-01T00:00:00Z" },
        { "wrong-name", "wrong-name", false, "it names other.example.test,*.example.org" },
        { "no-san", "wrong-name", false, "it names no host at all" },
        { "weak-issuer", "weak", true, "CN=mx.example.test" },
        { "weak-sha1", "weak", true, "CN=mx.example.test" },
        { "weak-sha1-direct", "weak", true, "issued by CN=Test Root RSA" },
        { "weak-stranger", "missing-intermediate", true, "issued by CN=Its Intermediate" },
        { "bad-signature", "bad-certificate", true, "issued by CN=Test Intermediate EC" },
    };
    for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        print_message("%s\n", cases[i].label);
        serve_at(cases[i].label, PAIR_NOW);
        const struct tls_facts *f = &client->facts;
        assert_true(f->established);
        assert_string_equal(tls_cause_name(f->cause), cases[i].cause);
        assert_int_equal(f->name_matches, cases[i].name_matches);
        bool chain_good = f->cause == TLS_CAUSE_NONE || f->cause == TLS_CAUSE_WRONG_NAME;
        assert_int_equal(f->chain_valid, chain_good);
        if (strstr(f->detail, cases[i].detail) == NULL)
            fail_msg("detail: %s", f->detail);
    }
}

static void time_decides(void **state)
{
    (void)state;
    serve_at("ec", 0);
    assert_int_equal(client->facts.cause, TLS_CAUSE_CLOCK_UNKNOWN);
    assert_false(client->facts.chain_valid);
    serve_at("expired", 1600000000); /* 2020: it was good then */
    assert_int_equal(client->facts.cause, TLS_CAUSE_NONE);
    serve_at("future", 2190000000);
    assert_int_equal(client->facts.cause, TLS_CAUSE_NONE);
    serve_at("ec", 2208988801); /* a second after the end */
    assert_int_equal(client->facts.cause, TLS_CAUSE_EXPIRED);
    serve_at("self-signed", 0); /* trust is told before time */
    assert_int_equal(client->facts.cause, TLS_CAUSE_SELF_SIGNED);
}

static void wildcard_names_one_label(void **state)
{
    (void)state;
    static const struct {
        const char *host;
        bool matches;
    } cases[] = { { "a.wild.example.test", true }, { "wild.example.test", false }, { "a.b.wild.example.test", false } };
    for (unsigned i = 0; i < 3; i++) {
        serve_as(cases[i].host, "ec", PAIR_NOW);
        assert_int_equal(client->facts.name_matches, cases[i].matches);
        assert_int_equal(client->facts.cause, cases[i].matches ? TLS_CAUSE_NONE : TLS_CAUSE_WRONG_NAME);
    }
}

/* With key identifiers in the roots, in the leaf, in both and in neither; the right root is first, last or between. */
static void roots_of_one_name(void **state)
{
    (void)state;
    static const char *const labels[] = { "twin", "bare-twin", "half-twin", "other-half-twin" };
    static const struct {
        const char *roots[3];
        int64_t now;
        const char *cause;
    } cases[] = {
        { { "new", "old", "other" }, PAIR_NOW, "none" },
        { { "other", "new", "old" }, PAIR_NOW, "none" },
        { { "old", "other", "new" }, PAIR_NOW, "none" },
        { { "future", "other", "new" }, PAIR_NOW, "none" },
        { { "unreadable", "new", "other" }, PAIR_NOW, "none" },
        { { "other" }, PAIR_NOW, "bad-certificate" },
        { { "old" }, PAIR_NOW, "expired" },
        { { "future" }, PAIR_NOW, "not-yet-valid" },
        { { "old", "other" }, PAIR_NOW, "expired" }, /* rather its own out of time than another's in time */
        { { "other", "old" }, PAIR_NOW, "expired" },
        { { "new", "other" }, 0, "clock-unknown" },
        { { "other", "new" }, 0, "clock-unknown" },
        { { "other", "new", "unreadable" }, 0, "clock-unknown" },
        { { "unreadable" }, PAIR_NOW, "missing-intermediate" },
    };
    for (unsigned i = 0; i < sizeof labels / sizeof labels[0]; i++) {
        for (unsigned k = 0; k < sizeof cases / sizeof cases[0]; k++) {
            pair_hold_root(NULL);
            for (unsigned n = 0; n < 3 && cases[k].roots[n] != NULL; n++) {
                char name[40];
                snprintf(name, sizeof name, "root-%s-%s", labels[i], cases[k].roots[n]);
                pair_hold_root(name);
            }
            serve_at(labels[i], cases[k].now);
            if (strcmp(tls_cause_name(client->facts.cause), cases[k].cause) != 0)
                fail_msg("%s, case %u: %s", labels[i], k, tls_cause_name(client->facts.cause));
        }
    }
}

static void no_roots_at_all(void **state)
{
    (void)state;
    pair_prepare();
    client->params.trust = NULL;
    pair_served = pair_load("ec");
    pair_run();
    tls_credentials_release(pair_served);
    assert_int_equal(client->facts.cause, TLS_CAUSE_UNTRUSTED_ROOT);
    assert_true(client->facts.established);
}

static void a_leaf_held_as_a_root_is_trusted(void **state)
{
    (void)state;
    pair_hold_root(NULL);
    pair_hold_root("self-signed");
    serve_at("self-signed", PAIR_NOW);
    assert_int_equal(client->facts.cause, TLS_CAUSE_NONE);
    assert_true(client->facts.chain_valid);
}

/* A fault of the path is told before one of the name, and without a name that is asked for there is none. */
static void path_before_name(void **state)
{
    (void)state;
    static const struct {
        const char *label, *host;
        int64_t now;
        const char *cause;
    } cases[] = {
        { "ec", "other.example.test", 0, "wrong-name" },
        { "expired", "other.example.test", PAIR_NOW, "expired" },
        { "self-signed", "other.example.test", PAIR_NOW, "self-signed" },
        { "self-signed", NULL, PAIR_NOW, "self-signed" },
        { "ec", NULL, PAIR_NOW, "none" },
        { "ec", NULL, 0, "clock-unknown" },
    };
    for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        serve_as(cases[i].host, cases[i].label, cases[i].now);
        assert_string_equal(tls_cause_name(client->facts.cause), cases[i].cause);
        assert_false(client->facts.name_matches);
    }
}

/* Addresses are held against addresses alone, names against DNS names alone; what is neither is passed over. */
static void names_and_addresses(void **state)
{
    (void)state;
    static const struct {
        const char *label, *host;
        bool matches;
        const char *names;
    } cases[] = {
        { "kinds-of-names", PAIR_HOST, true, PAIR_HOST ",192.0.2.1,2001:db8::1" },
        { "kinds-of-names", "192.0.2.1", true, PAIR_HOST ",192.0.2.1,2001:db8::1" },
        { "kinds-of-names", "2001:DB8::1", true, PAIR_HOST ",192.0.2.1,2001:db8::1" },
        { "kinds-of-names", "192.0.2.2", false, PAIR_HOST ",192.0.2.1,2001:db8::1" },
        { "kinds-of-names", "2001:db8::2", false, PAIR_HOST ",192.0.2.1,2001:db8::1" },
        { "kinds-of-names", "mail.example.test", false, PAIR_HOST ",192.0.2.1,2001:db8::1" },
        { "kinds-of-names", "uri.example.test", false, PAIR_HOST ",192.0.2.1,2001:db8::1" },
        { "like-address", "97.46.98.99", false, "a.bc" },
        { "some-names", PAIR_HOST, true, NULL }, /* more than the text takes: the last of them counts all the same */
    };
    for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        serve_as(cases[i].host, cases[i].label, PAIR_NOW);
        const struct tls_facts *f = &client->facts;
        assert_int_equal(f->name_matches, cases[i].matches);
        assert_int_equal(f->cause, cases[i].matches ? TLS_CAUSE_NONE : TLS_CAUSE_WRONG_NAME);
        if (cases[i].names != NULL)
            assert_string_equal(f->names, cases[i].names);
        else
            assert_string_equal(f->names + strlen(f->names) - 9, ".test,...");
    }
}

static int hold_roots(void **state)
{
    (void)state;
    pair_hold_root(NULL);
    pair_hold_root("root-ec");
    pair_hold_root("root-rsa");
    pair_hold_root("root-expired");
    return 0;
}

static int setup(void **state)
{
    (void)state;
    return random_init() == RC_OK && tls_init() == RC_OK ? 0 : -1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(each_fault_has_its_name, hold_roots),
        cmocka_unit_test_setup(time_decides, hold_roots),
        cmocka_unit_test_setup(wildcard_names_one_label, hold_roots),
        cmocka_unit_test_setup(roots_of_one_name, hold_roots),
        cmocka_unit_test_setup(no_roots_at_all, hold_roots),
        cmocka_unit_test_setup(a_leaf_held_as_a_root_is_trusted, hold_roots),
        cmocka_unit_test_setup(path_before_name, hold_roots),
        cmocka_unit_test_setup(names_and_addresses, hold_roots),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
