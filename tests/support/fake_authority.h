/* A certificate authority at the place of net/acme.c, and the errand engine's place: definitions, for the one file of a program that includes it. The
 * certificates are make_pki.py's issued-N. */
#ifndef TESTS_SUPPORT_FAKE_AUTHORITY_H
#define TESTS_SUPPORT_FAKE_AUTHORITY_H

#include "firmware/cert_job.h"
#include "firmware/errand.h"
#include "firmware/identity.h"
#include "firmware/settings.h"
#include "firmware/settings_log.h"
#include "firmware/time_witness.h"
#include "firmware/wallclock.h"
#include "net/acme.h"
#include "net/x509_key.h"
#include "tests/support/flash_sim.h"
#include "tests/support/tls_pair.h"

#define AUTHORITY_DAY 86400
#define AUTHORITY_CERTIFICATES 4 /* 0: what the box had before */

static struct {
    enum rc open_rc, obtain_rc, window_rc, account_rc;
    int64_t retry_after_s;
    int64_t date; /* its clock when ours, the monotonic one, was 0; 0: it says none */
    struct acme_renewal window;
    unsigned opened, obtained, revoked, rolled_over, closed;
    char account_key
        [X509_KEY_PEM_MAX]; /* seen first, or changed to; every later one has to be it, unless a change is being finished */
    bool mute;              /* what is asked about the account is done, and not answered */
    bool finds_out;         /* the key it was opened with is another: only an account may be looked for */
    bool other_key;
    void (*meanwhile)(void); /* happens once, while it is waited for the next answer */
} authority = { .window_rc = RC_UNSUPPORTED, .retry_after_s = -1 };

static struct errand *the_errand;
static char authority_text[TLS_PEM_MAX];

static struct span authority_pem(unsigned n, const char *suffix)
{
    char label[] = "issued-0";
    label[7] = (char)('0' + n);
    return pair_read_file(label, suffix, authority_text);
}

/* Which certificate is in use; -1: none of these. */
static int authority_in_use(void)
{
    static const int64_t days[AUTHORITY_CERTIFICATES] = { 0, 45, 75, 76 };
    struct tls_leaf_info info;
    if (!identity_info(&info))
        return -1;
    for (int i = 1; i < AUTHORITY_CERTIFICATES; i++)
        if (info.not_after == PAIR_NOW + days[i] * AUTHORITY_DAY)
            return i;
    return info.self_signed ? 0 : -1;
}

static enum rc authority_says(struct acme *a, enum rc rc)
{
    struct strbuf why = STRBUF(a->why);
    strbuf_puts(&why, rc == RC_OK ? "" : "the authority says no");
    a->retry_after_s = authority.retry_after_s;
    a->step = "test";
    void (*meanwhile)(void) = authority.meanwhile;
    authority.meanwhile = NULL;
    if (meanwhile)
        meanwhile();
    return rc;
}

enum rc acme_open(struct acme *a, struct http_client *http, struct span directory_url, struct span account_key, char *memory,
                  size_t bytes)
{
    memset(a, 0, sizeof *a);
    a->http = http;
    a->memory = memory;
    a->memory_bytes = bytes;
    if (!authority.account_key[0])
        memcpy(authority.account_key, account_key.p, account_key.len);
    authority.finds_out = !span_is(account_key, authority.account_key);
    authority.other_key |= !directory_url.len;
    authority.opened++;
    return authority_says(a, authority.open_rc);
}

enum rc acme_obtain(struct acme *a, const struct acme_wish *w, struct span *chain)
{
    struct x509_point ours, asked;
    authority.other_key |= authority.finds_out;
    authority.obtained++;
    if (authority.obtain_rc != RC_OK)
        return authority_says(a, authority.obtain_rc);
    struct span first_key = authority_pem(0, "key");
    if (x509_key_point(first_key, &ours) != RC_OK || x509_key_point(w->key, &asked) != RC_OK)
        return authority_says(a, RC_INVALID);
    bool kept = memcmp(&ours, &asked, sizeof ours) == 0;
    *chain = authority_pem(!kept ? 3 : authority_in_use() > 0 ? 2 : 1, "pem");
    memcpy(a->memory, chain->p, chain->len);
    *chain = span_bytes(a->memory, chain->len);
    return authority_says(a, RC_OK);
}

struct span acme_account_url(const struct acme *a)
{
    (void)a;
    return SPAN("https://ca.example/account/1");
}

struct span acme_order_url(const struct acme *a)
{
    return a->why[0] ? SPAN("https://ca.example/order/1") : SPAN("");
}

enum rc acme_account(struct acme *a, struct span contact, const struct acme_binding *binding, bool only_existing)
{
    (void)contact;
    (void)binding;
    if (authority.finds_out && only_existing) {
        struct strbuf problem = STRBUF(a->problem);
        strbuf_puts(&problem, "accountDoesNotExist");
        return authority_says(a, RC_REFUSED);
    }
    return authority_says(a, RC_OK);
}

/* The account's key becomes this one. */
static enum rc authority_takes(struct acme *a, struct span key)
{
    authority.other_key |= authority.finds_out;
    if (authority.account_rc != RC_OK)
        return authority_says(a, authority.account_rc);
    memset(authority.account_key, 0, sizeof authority.account_key);
    memcpy(authority.account_key, key.p, key.len);
    return authority_says(a, authority.mute ? RC_TIMEOUT : RC_OK);
}

enum rc acme_change_key(struct acme *a, struct span new_key)
{
    authority.rolled_over++;
    return authority_takes(a, new_key);
}

enum rc acme_deactivate(struct acme *a)
{
    authority.closed++;
    return authority_takes(a, SPAN(""));
}

bool acme_is_busy(const struct acme *a)
{
    (void)a;
    return false;
}

enum rc acme_use_account(struct acme *a, struct span url)
{
    (void)url;
    return authority_says(a, RC_OK);
}

enum rc acme_revoke(struct acme *a, struct span chain_pem, unsigned reason, struct span key)
{
    (void)reason;
    (void)key;
    authority.revoked += span_starts(chain_pem, "-----BEGIN CERTIFICATE-----");
    return authority_says(a, RC_OK);
}

enum rc acme_renewal_id(struct span der, struct strbuf *out)
{
    strbuf_clear(out);
    strbuf_puts(out, der.len > 100 ? "key.serial" : "");
    return der.len > 100 ? RC_OK : RC_INVALID;
}

enum rc acme_renewal_info(struct acme *a, struct span id, struct acme_renewal *out)
{
    *out = authority.window;
    return authority_says(a, span_is(id, "key.serial") ? authority.window_rc : RC_INVALID);
}

void errand_add(struct errand *e)
{
    the_errand = e;
}

bool errand_now(struct errand *e)
{
    return e == the_errand;
}

int64_t errand_verified_date(const struct http_client *http)
{
    (void)http;
    return authority.date ? authority.date + (int64_t)(pair_now_us / 1000000) : 0;
}

void time_witness_heard(enum time_witness w, int64_t unix_s)
{
    if (w == WITNESS_ACME && unix_s)
        (void)!wallclock_from_https(unix_s, clock_us(), 2);
}

/* --- a box of this authority --- */

static void authority_poll(void)
{
    pair_now_us += 1000;
    flash_poll();
}

/* What lies on its flash before the first boot: settings, an own pair, the key that will be next. */
static enum rc authority_furnish(void)
{
    static const char *const records[][2] = { { "set/host.name", "mail.office.example" },
                                              { "set/acme.directory", "https://ca.example/dir" },
                                              { "tls/self", "1" } };
    static const char *const files[][3] = { { "tls/chain.0", "0", "pem" },
                                            { "tls/key.0", "0", "key" },
                                            { "tls/next", "3", "key" } };
    enum rc rc = RC_OK;
    for (unsigned i = 0; rc == RC_OK && i < 3; i++) {
        rc = settings_log_put(span_of(records[i][0]), span_of(records[i][1]));
        if (rc == RC_OK)
            rc = settings_log_put(span_of(files[i][0]), authority_pem((unsigned)(files[i][1][0] - '0'), files[i][2]));
    }
    return rc;
}

static void authority_boot(void)
{
    settings_load();
    wallclock_init();
    identity_pem_give();
    identity_init();
    cert_job_init();
}

static void authority_wait(uint32_t seconds)
{
    pair_now_us += seconds * 1000000ull;
}

/* Waits as long as the job says, and runs it once. How long that was. */
static uint32_t authority_turn(enum rc *rc)
{
    static struct http_client http;
    char words[HTTP_WHY_MAX];
    struct strbuf why = STRBUF(words);
    uint32_t waited = 0, next_s = 0, wait;
    while ((wait = the_errand->due_in_s()) > 0 && waited < 400u * AUTHORITY_DAY) {
        authority_wait(wait);
        waited += wait;
    }
    *rc = the_errand->run(&http, &next_s, &why);
    return waited;
}

#endif
