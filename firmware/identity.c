/* One pair, under index 0. One that was made here or issued is marked, so that it may be replaced without asking; any other is the
 * operator's, and stays on flash whatever becomes of loading it. */
#include "firmware/identity.h"

#include "firmware/alerts.h"
#include "firmware/cert_dialogue.h"
#include "firmware/list_store.h"
#include "firmware/settings.h"
#include "firmware/settings_log.h"
#include "firmware/wallclock.h"
#include "hal/base/bytes.h"
#include "hal/base/datetime.h"
#include "hal/base/log.h"
#include "hal/base/pem.h"
#include "hal/random.h"
#include "hal/task.h"

#define KEY_KEY "tls/key.0"
#define SELF_KEY "tls/self"
#define ISSUED_KEY "tls/acme"
#define LOAD_TRIES 3 /* a device may fail once */
#define LOAD_PAUSE_MS 100
#define SELF_SIGNED_DAYS 3650
#define SELF_SIGNED_KEY_BYTES 1024  /* P-256 in PEM: 250 */
#define SELF_SIGNED_FROM 1577836800 /* 2020-01-01: valid also when the box does not know the time */

static struct tls_credentials *current;
static char pem[IDENTITY_PEM_BYTES];
static bool pem_taken, importing;
static enum identity_origin origin; /* of the stored pair */
static uint32_t issued_for;

char *identity_pem_take(void)
{
    if (pem_taken)
        return NULL;
    pem_taken = true;
    return pem;
}

void identity_pem_give(void)
{
    memset(pem, 0, sizeof pem);
    pem_taken = false;
}

/* The first wanted name from the n-th on that it lacks; false: it lacks none. */
static bool lacks_name(const struct tls_credentials *c, unsigned n, struct strbuf *name)
{
    while (cert_wanted_name(n++, name))
        if (!tls_credentials_names(c, name->p))
            return true;
    return false;
}

/* What is made here names only the box. */
static void judge_names(void)
{
    char memory[DOMAIN_TEXT_MAX];
    struct strbuf name = STRBUF(memory);
    if (!tls_credentials_names(current, settings_get("host.name")))
        alert_raise(ALERT_CERT, "the certificate does not name this box's host.name");
    else if (origin != IDENTITY_SELF_MADE && lacks_name(current, 1, &name))
        alert_raise(ALERT_CERT, "the certificate does not name %.120s", memory);
    else
        alert_clear(ALERT_CERT);
}

static void use(struct tls_credentials *c)
{
    struct tls_leaf_info info;
    tls_credentials_release(current);
    current = c;
    tls_credentials_info(c, &info);
    log_event(LOG_CERT, "use", "subject=\"%s\" names=\"%s\" self_signed=%d key=%s", info.subject, info.names, info.self_signed,
              info.key_type);
    if (info.self_signed)
        alert_raise(ALERT_CERT_SELF_SIGNED, "the certificate is self-signed: mail servers that check will not accept it");
    else
        alert_clear(ALERT_CERT_SELF_SIGNED);
    judge_names();
}

static enum rc load_stored(struct tls_credentials **out)
{
    char words[160], *text = identity_pem_take();
    struct strbuf why = STRBUF(words);
    size_t chain_len = 0, key_len = 0;
    if (!text)
        return RC_BUSY;
    enum rc rc = settings_log_get(SPAN(IDENTITY_CHAIN_KEY), text, IDENTITY_PEM_BYTES, &chain_len);
    if (rc == RC_OK)
        rc = settings_log_get(SPAN(KEY_KEY), text + chain_len, IDENTITY_PEM_BYTES - chain_len, &key_len);
    if (rc == RC_NOT_FOUND && chain_len)
        rc = RC_CORRUPT; /* both are stored at once */
    if (rc == RC_OK)
        rc = tls_credentials_load(span_bytes(text, chain_len), span_bytes(text + chain_len, key_len), out, &why);
    if (rc != RC_OK && rc != RC_NOT_FOUND)
        log_event_at(LOG_ALERT, LOG_CERT, "stored-unusable", "rc=%s why=\"%s\"", rc_name(rc), words);
    identity_pem_give();
    return rc;
}

static enum rc put_records(const struct identity_record *r, unsigned count)
{
    enum rc rc = RC_OK;
    for (unsigned i = 0; rc == RC_OK && i < count; i++)
        rc = r[i].value.p ? settings_log_batch_put(span_of(r[i].key), r[i].value) : settings_log_batch_delete(span_of(r[i].key));
    return rc;
}

/* All or nothing. self, issued: the marks; empty for none. */
static enum rc store(struct span chain, struct span key, struct span self, struct span issued, const struct identity_record *more,
                     unsigned count)
{
    const struct identity_record pair[] = {
        { IDENTITY_CHAIN_KEY, chain }, { KEY_KEY, key }, { SELF_KEY, self }, { ISSUED_KEY, issued }
    };
    enum rc rc = settings_log_batch_begin();
    if (rc != RC_OK)
        return rc;
    rc = put_records(pair, 4);
    if (rc == RC_OK)
        rc = put_records(more, count);
    if (rc != RC_OK) {
        settings_log_batch_abort();
        return rc;
    }
    rc = settings_log_batch_end();
    if (rc != RC_OK)
        return rc;
    origin = self.p ? IDENTITY_SELF_MADE : issued.p ? IDENTITY_ISSUED : IDENTITY_IMPORTED;
    issued_for = issued.p ? get_le32((const uint8_t *)issued.p) : 0;
    return RC_OK;
}

static const char *own_name(void)
{
    const char *name = settings_get("host.name");
    return name && name[0] ? name : "postern.invalid";
}

/* Takes the place of the stored pair if that may be replaced, else serves from RAM until the next start. */
static void make_self_signed(bool replace_stored)
{
    const char *names[] = { own_name() };
    char words[160], *text = identity_pem_take();
    if (!text) {
        alert_raise(ALERT_CERT, "the certificate does not name this box's host.name");
        return;
    }
    struct strbuf key = strbuf_on(text, SELF_SIGNED_KEY_BYTES), why = STRBUF(words);
    struct strbuf chain = strbuf_on(text + SELF_SIGNED_KEY_BYTES, IDENTITY_PEM_BYTES - SELF_SIGNED_KEY_BYTES);
    struct tls_credentials *made = NULL;
    const struct span none = { NULL, 0 };
    enum rc rc = x509_self_signed(names, 1, SELF_SIGNED_FROM, SELF_SIGNED_DAYS, &key, &chain);
    if (rc == RC_OK)
        rc = tls_credentials_load(strbuf_span(&chain), strbuf_span(&key), &made, &why);
    enum rc stored = rc != RC_OK || !replace_stored ? RC_OK
                                                    : store(strbuf_span(&chain), strbuf_span(&key), SPAN("1"), none, NULL, 0);
    identity_pem_give();
    if (rc != RC_OK) {
        alert_raise(ALERT_CERT, "no certificate could be made (%s)%s", rc_name(rc), current ? "" : ": STARTTLS is not offered");
        return;
    }
    log_event(LOG_CERT, "self-signed", "name=%s stored=%s", names[0], replace_stored ? rc_name(stored) : "no");
    use(made);
    if (stored != RC_OK)
        alert_raise(ALERT_CERT_STORED, "the certificate made for %.60s could not be stored (%s): it lasts until the next start",
                    names[0], rc_name(stored));
    else if (replace_stored)
        alert_clear(ALERT_CERT_STORED);
}

static void load_origin(void)
{
    uint8_t mark[4];
    size_t len = 0;
    issued_for = 0;
    origin = IDENTITY_IMPORTED;
    if (settings_log_get(SPAN(ISSUED_KEY), mark, sizeof mark, &len) == RC_OK && len == sizeof mark) {
        origin = IDENTITY_ISSUED;
        issued_for = get_le32(mark);
    } else if (settings_log_get(SPAN(SELF_KEY), mark, 1, &len) == RC_OK) {
        origin = IDENTITY_SELF_MADE;
    } else if (settings_log_get(SPAN(IDENTITY_CHAIN_KEY), mark, 0, &len) == RC_NOT_FOUND) {
        origin = IDENTITY_NONE;
    }
}

enum identity_origin identity_origin(uint32_t *for_what)
{
    if (for_what)
        *for_what = issued_for;
    return origin;
}

bool identity_names(const char *host)
{
    return current && tls_credentials_names(current, host);
}

static void follow_host_name(void)
{
    if (importing || !random_ready() || !current)
        return;
    if (origin == IDENTITY_SELF_MADE && !tls_credentials_names(current, own_name()))
        make_self_signed(true);
    else
        judge_names();
}

static bool may_pass(enum rc rc)
{
    return rc == RC_IO || rc == RC_NO_MEMORY || rc == RC_BUSY;
}

static enum rc load_patiently(struct tls_credentials **out)
{
    enum rc rc = load_stored(out);
    for (unsigned tries = 1; tries < LOAD_TRIES && may_pass(rc) && task_sleep_ms(LOAD_PAUSE_MS) == RC_OK; tries++)
        rc = load_stored(out);
    return rc;
}

void identity_init(void)
{
    struct tls_credentials *stored = NULL;
    importing = false;
    if (!random_ready()) {
        alert_raise(ALERT_NO_ENTROPY, "this board gives no random numbers: TLS is off");
        return;
    }
    enum rc rc = load_patiently(&stored);
    load_origin();
    if (rc == RC_OK)
        use(stored);
    bool self_made = origin == IDENTITY_SELF_MADE;
    bool replace = rc == RC_NOT_FOUND || (self_made && rc != RC_OK && !may_pass(rc));
    if (replace || (rc == RC_OK && self_made && !tls_credentials_names(current, own_name()))) {
        make_self_signed(true);
    } else if (rc != RC_OK) {
        make_self_signed(false);
        alert_raise(ALERT_CERT_STORED, "the stored certificate cannot be loaded (%s) and is kept: %s; restart, or import it again",
                    rc_name(rc), current ? "a temporary one is shown" : "STARTTLS is not offered");
    }
    settings_on_change(follow_host_name);
}

struct tls_credentials *identity_select(void *ctx, const char *sni)
{
    (void)ctx;
    (void)sni; /* one pair: shown to every name, as RFC 6066 section 3 allows */
    if (current)
        tls_credentials_hold(current);
    return current;
}

bool identity_ready(void)
{
    return current != NULL;
}

bool identity_info(struct tls_leaf_info *out)
{
    if (current)
        tls_credentials_info(current, out);
    return current != NULL;
}

static void time_fault(struct strbuf *words)
{
    struct tls_leaf_info info;
    int64_t now = wallclock_now();
    tls_credentials_info(current, &info);
    if (now && now >= info.not_after) {
        strbuf_puts(words, "it expired at ");
        rfc3339_format(words, info.not_after);
    } else if (now && now < info.not_before) {
        strbuf_puts(words, "it is not valid before ");
        rfc3339_format(words, info.not_before);
    }
}

bool identity_fault(enum identity_fault kind, struct strbuf *words)
{
    char memory[128];
    struct strbuf issuer = STRBUF(memory);
    const char *name = settings_get("host.name");
    strbuf_clear(words);
    if (!current)
        return false;
    if (kind == IDENTITY_FAULT_TIME)
        time_fault(words);
    else if (kind == IDENTITY_FAULT_NAME && name[0] && !identity_names(name))
        strbuf_printf(words, "it does not name host.name %s", name);
    else if (kind == IDENTITY_FAULT_ISSUER && list_store_roots() && tls_credentials_lack(current, list_store_trust(), &issuer))
        strbuf_printf(words, "it was issued by %s, no root that this box knows: put in that intermediate, too", memory);
    return words->len > 0;
}

/* Narrows both texts to what is stored: from the first to the last certificate, and the key's block. */
static enum rc narrow(struct span *chain, struct span *key, struct strbuf *why)
{
    *chain = pem_section(*chain, "CERTIFICATE");
    *key = pem_section(*key, "PRIVATE KEY");
    if (!chain->len || !key->len)
        strbuf_printf(why, "there is no %s in it", chain->len ? "private key" : "certificate");
    else if (chain->len + key->len > IDENTITY_PEM_BYTES || chain->len > SETTINGS_LOG_VALUE_MAX || key->len > SETTINGS_LOG_VALUE_MAX)
        strbuf_printf(why, "it is longer than %u bytes", SETTINGS_LOG_VALUE_MAX);
    else
        return RC_OK;
    return RC_INVALID;
}

/* Of what was asked for; wishes that have changed since are the next certificate's. */
static enum rc check_names(const struct tls_credentials *c, uint32_t asked_for, struct strbuf *why)
{
    char memory[DOMAIN_TEXT_MAX];
    struct strbuf name = STRBUF(memory);
    if (asked_for != cert_wanted() || !lacks_name(c, 0, &name))
        return RC_OK;
    strbuf_printf(why, "it does not name %s", memory);
    return RC_INVALID;
}

static enum rc put_in(const struct identity_issued *i, bool issued, struct strbuf *why)
{
    struct tls_credentials *loaded = NULL;
    struct span chain = i->chain_pem, key = i->key_pem;
    uint8_t mark[4];
    put_le32(mark, i->issued_for);
    strbuf_clear(why);
    if (importing)
        return RC_BUSY;
    enum rc rc = narrow(&chain, &key, why);
    if (rc == RC_OK)
        rc = tls_credentials_load(chain, key, &loaded, why);
    if (rc != RC_OK)
        return rc;
    rc = issued ? check_names(loaded, i->issued_for, why) : RC_OK;
    if (rc == RC_OK) {
        importing = true;
        rc = store(chain, key, (struct span){ NULL, 0 }, issued ? span_bytes(mark, sizeof mark) : (struct span){ NULL, 0 }, i->more,
                   i->more_count);
        importing = false;
        strbuf_printf(why, "the flash refused it (%s)", rc_name(rc));
    }
    if (rc != RC_OK) {
        tls_credentials_release(loaded);
        return rc;
    }
    strbuf_clear(why);
    use(loaded);
    alert_clear(ALERT_CERT_STORED);
    return RC_OK;
}

enum rc identity_import(struct span chain, struct span key, struct strbuf *why)
{
    const struct identity_issued i = { .chain_pem = chain, .key_pem = key };
    return put_in(&i, false, why);
}

enum rc identity_issue(const struct identity_issued *i, struct strbuf *why)
{
    return put_in(i, true, why);
}
