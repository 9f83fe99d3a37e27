/* The memory: first net/acme's, then texts of ours that outlive a wait (settings may change meanwhile), one behind the other. */
#include "firmware/cert_dialogue.h"

#include "firmware/challenges.h"
#include "firmware/identity.h"
#include "firmware/setting_value.h"
#include "firmware/settings.h"
#include "firmware/settings_log.h"
#include "hal/base/base64.h"
#include "hal/base/log.h"
#include "hal/base/pem.h"
#include "net/dns.h"
#include "net/x509_key.h"

#define ACME_BYTES 7168
#define TEXTS_BYTES (IDENTITY_PEM_BYTES - ACME_BYTES) /* two keys 640, account and order 510, settings 1300, names 600 */
#define MAC_KEY_MAX 192                               /* of acme.eab_key's 255 characters */
#define LOOKUP_MS 15000
#define LEAF_PEM_MAX 2400 /* one to be revoked: 16 names of 60 characters */

static struct {
    struct acme acme;
    char *memory;
    struct strbuf texts;
    char id[ACME_ID_MAX]; /* of the certificate in use; empty: none that was issued */
    const char *name[X509_CSR_NAMES_MAX];
    unsigned names;
    bool unpublished; /* a record that the authority will look for is not in the DNS */
} d;

static enum rc because(struct strbuf *why, enum rc rc, const char *words)
{
    strbuf_clear(why);
    strbuf_puts(why, rc == RC_OK ? "" : words);
    return rc;
}

static enum rc said(struct strbuf *why, enum rc rc)
{
    return because(why, rc, d.acme.why);
}

/* --- texts that last --- */

static char *room(size_t bytes)
{
    char *at = d.texts.p + d.texts.len;
    if (bytes > d.texts.cap - d.texts.len) {
        d.texts.overflow = true;
        return NULL;
    }
    d.texts.len += bytes;
    return at;
}

static struct span keep(struct span text)
{
    char *at = room(text.len + 1);
    if (!at)
        return SPAN("");
    memcpy(at, text.p, text.len);
    at[text.len] = '\0';
    return span_bytes(at, text.len);
}

static struct span keep_setting(const char *key)
{
    return keep(span_of(settings_get(key)));
}

/* --- what is wanted --- */

uint32_t cert_wanted(void)
{
    static const char *const keys[] = { "host.name", "acme.names", "acme.profile", "acme.directory" };
    return settings_sum(0, keys, sizeof keys / sizeof keys[0]);
}

bool cert_wanted_name(unsigned n, struct strbuf *name)
{
    struct span host = span_of(settings_get("host.name")), rest = span_of(settings_get("acme.names")), item;
    bool more = rest.len > 0;
    strbuf_clear(name);
    if (host.len && n-- == 0) {
        strbuf_add(name, host);
        return true;
    }
    while (more && setting_list_next(&rest, &more, &item))
        if (!span_eq(item, host) && n-- == 0) {
            strbuf_add(name, item);
            return true;
        }
    return false;
}

bool cert_wanted_record(unsigned n, struct strbuf *owner, struct strbuf *data)
{
    char memory[DOMAIN_TEXT_MAX];
    struct strbuf name = STRBUF(memory);
    strbuf_clear(owner);
    if (!span_starts(span_of(settings_get("acme.challenge")), "dns-") || !cert_wanted_name(n, &name) ||
        cert_store_url(CERT_RECORD, cert_store_directory(), data) != RC_OK)
        return false;
    strbuf_printf(owner, "_validation-persist.%s", memory);
    return true;
}

static enum rc collect_names(void)
{
    char memory[DOMAIN_TEXT_MAX];
    struct strbuf name = STRBUF(memory);
    for (d.names = 0; cert_wanted_name(d.names, &name); d.names++) {
        if (d.names == X509_CSR_NAMES_MAX)
            return RC_FULL;
        d.name[d.names] = keep(strbuf_span(&name)).p;
    }
    return d.names ? RC_OK : RC_NOT_FOUND;
}

/* --- the directory --- */

/* The first certificate of the chain in use, as a PEM text in the dialogue's memory. */
static struct span load_leaf(void)
{
    size_t len = 0;
    if (identity_origin(NULL) != IDENTITY_ISSUED || settings_log_get(SPAN(IDENTITY_CHAIN_KEY), d.memory, ACME_BYTES, &len) != RC_OK)
        return SPAN("");
    struct span chain = span_bytes(d.memory, len), rest = chain, label, body;
    return pem_block(&rest, &label, &body) == RC_OK ? span_sub(chain, 0, chain.len - rest.len) : SPAN("");
}

static void identify(void)
{
    struct strbuf id = STRBUF(d.id);
    struct span rest = load_leaf(), label, body;
    size_t len;
    if (pem_block(&rest, &label, &body) != RC_OK || pem_decode(body, (uint8_t *)d.memory, ACME_BYTES, &len) != RC_OK ||
        acme_renewal_id(span_bytes(d.memory, len), &id) != RC_OK)
        strbuf_clear(&id);
}

enum rc cert_dialogue_open(struct http_client *http, char *memory, struct strbuf *why)
{
    d.memory = memory;
    d.texts = strbuf_on(memory + ACME_BYTES, TEXTS_BYTES);
    d.acme.retry_after_s = -1;
    identify();
    struct strbuf key = strbuf_on(room(X509_KEY_PEM_MAX), X509_KEY_PEM_MAX);
    enum rc rc = cert_store_account_key(&key);
    if (rc != RC_OK)
        return because(why, rc, PACKED("the account's key could not be made or stored"));
    rc = acme_open(&d.acme, http, keep_setting("acme.directory"), strbuf_span(&key), memory, ACME_BYTES);
    return said(why, rc);
}

int64_t cert_dialogue_retry_after_s(void)
{
    return d.acme.retry_after_s;
}

enum rc cert_dialogue_window(struct acme_renewal *out, struct strbuf *why)
{
    if (!d.id[0])
        return RC_UNSUPPORTED;
    return said(why, acme_renewal_info(&d.acme, span_of(d.id), out));
}

/* --- the wish --- */

static enum rc take_binding(struct acme_binding *b)
{
    struct span text = span_of(settings_get("acme.eab_key"));
    char *mac_key = room(MAC_KEY_MAX);
    size_t len = 0;
    if (!mac_key || !text.len)
        return RC_INVALID;
    enum rc rc = base64url_decode(text, (uint8_t *)mac_key, MAC_KEY_MAX, &len);
    b->kid = keep_setting("acme.eab_kid");
    b->mac_key = span_bytes(mac_key, len);
    return rc;
}

/* The key that the certificate is for. */
static enum rc choose_key(bool *new_key, struct span *key)
{
    char *memory = room(X509_KEY_PEM_MAX);
    enum identity_origin origin = identity_origin(NULL);
    if (!memory)
        return RC_FULL;
    struct strbuf pem = strbuf_on(memory, X509_KEY_PEM_MAX);
    bool ours = origin == IDENTITY_SELF_MADE || origin == IDENTITY_ISSUED;
    if (!ours || *new_key || cert_store_current_key(&pem) != RC_OK)
        *new_key = true;
    enum rc rc = *new_key ? cert_store_next_key(&pem) : RC_OK;
    *key = strbuf_span(&pem);
    return rc;
}

static struct span stored_url(const char *key, uint32_t what)
{
    char memory[CERT_ACCOUNT_MAX];
    struct strbuf url = STRBUF(memory);
    return cert_store_url(key, what, &url) == RC_OK ? keep(strbuf_span(&url)) : SPAN("");
}

static enum rc make_wish(struct acme_wish *w, struct acme_binding *binding, uint32_t order_for, struct strbuf *why)
{
    enum rc rc = collect_names();
    if (rc != RC_OK)
        return because(why, rc, PACKED("too many names for one certificate"));
    if (settings_get("acme.eab_kid")[0]) {
        if (take_binding(binding) != RC_OK)
            return because(why, RC_INVALID, PACKED("acme.eab_key is not base64url"));
        w->binding = binding;
    }
    w->account = stored_url(CERT_ACCOUNT, cert_store_directory());
    w->order = stored_url(CERT_ORDER, order_for);
    w->contact = keep_setting("acme.contact");
    w->profile = keep_setting("acme.profile");
    w->issuer = keep_setting("acme.chain");
    w->replaces = span_of(d.id);
    w->names = d.name;
    w->count = d.names;
    return d.texts.overflow ? because(why, RC_FULL, PACKED("too many names for one certificate")) : RC_OK;
}

/* --- the certificate --- */

/* More may stand behind the record that is wanted: until when, and whether for names below. */
static bool is_published(const struct acme_challenge *c)
{
    static struct dns_answer answer;
    char memory[DOMAIN_TEXT_MAX];
    struct strbuf name = STRBUF(memory);
    struct span want = span_of(c->record);
    strbuf_printf(&name, "%s.%s", c->record_label, c->identifier);
    dns_cache_clear(); /* it may just have been put there */
    if (name.overflow || dns_lookup(strbuf_span(&name), DNS_TXT, &answer, deadline_in_ms(LOOKUP_MS)) != RC_OK)
        return false;
    for (unsigned i = 0; i < answer.count; i++) {
        struct span data = dns_record_data(&answer, i), rest = span_trim(span_from(data, want.len));
        if (span_eq(span_sub(data, 0, want.len), want) && (rest.len == 0 || rest.p[0] == ';'))
            return true;
    }
    return false;
}

/* A try that is bound to fail is not made: authorities count those. */
static enum rc prepare(void *ctx, const struct acme_challenge *c)
{
    (void)ctx;
    log_event(LOG_ACME, "challenge", "type=%s identifier=%s", c->type, c->identifier);
    if (!c->record_label)
        return challenges_put(c->type, c->identifier, c->token, c->key_authorization);
    enum rc rc = cert_store_put_url(CERT_RECORD, cert_store_directory(), span_of(c->record));
    if (rc != RC_OK)
        return rc;
    d.unpublished = !is_published(c);
    return d.unpublished ? RC_NOT_FOUND : RC_OK;
}

static void done(void *ctx, const struct acme_challenge *c)
{
    (void)ctx;
    (void)c;
    challenges_clear();
}

/* An order whose certificate is of no use is not gone on with. */
static void keep_urls(enum rc rc, uint32_t order_for)
{
    enum rc stored = cert_store_put_url(CERT_ACCOUNT, cert_store_directory(), acme_account_url(&d.acme));
    if (stored == RC_OK)
        stored = cert_store_put_url(CERT_ORDER, order_for, rc == RC_INVALID ? SPAN("") : acme_order_url(&d.acme));
    if (stored != RC_OK)
        log_event_at(LOG_WARN, LOG_ACME, "urls-not-stored", "rc=%s", rc_name(stored));
}

static enum rc put_in(const struct cert_state *fresh, bool new_key, struct span chain, struct span key, uint32_t wanted,
                      struct strbuf *why)
{
    const struct identity_record more[] = { { CERT_STATE_KEY, cert_store_record(fresh) },
                                            { CERT_PAGE, { NULL, 0 } },
                                            { CERT_NEXT_KEY, { NULL, 0 } } };
    const struct identity_issued issued = {
        .chain_pem = chain, .key_pem = key, .issued_for = wanted, .more = more, .more_count = new_key ? 3 : 2
    };
    return identity_issue(&issued, why);
}

enum rc cert_dialogue_issue(const struct cert_state *fresh, bool new_key, struct strbuf *why)
{
    const struct acme_solver solver = { keep_setting("acme.challenge").p, prepare, done, NULL };
    struct acme_wish w = { .solvers = &solver, .solver_count = 1 };
    struct acme_binding binding;
    struct span chain;
    uint32_t wanted = cert_wanted();
    enum rc rc = choose_key(&new_key, &w.key);
    if (rc != RC_OK)
        return because(why, rc, PACKED("a new key could not be made or stored"));
    rc = make_wish(&w, &binding, wanted + new_key, why);
    if (rc != RC_OK)
        return rc;
    d.unpublished = false;
    rc = said(why, acme_obtain(&d.acme, &w, &chain));
    if (d.unpublished)
        because(why, rc, PACKED("the TXT record that 'cert info' shows is not in the DNS yet"));
    log_event(LOG_ACME, "order", "rc=%s step=%s requests=%u dropped=%u", rc_name(rc), d.acme.step, d.acme.requests, d.acme.dropped);
    if (rc == RC_OK)
        rc = put_in(fresh, new_key, chain, w.key, wanted, why);
    keep_urls(rc, wanted + new_key);
    return rc;
}

enum rc cert_dialogue_revoke(bool stolen, struct strbuf *why)
{
    size_t before = d.texts.len;
    char *leaf = room(LEAF_PEM_MAX);
    enum rc rc = said(why, acme_account(&d.acme, SPAN(""), NULL, true));
    struct span text = load_leaf();
    if (rc == RC_OK && (!leaf || !text.len || text.len > LEAF_PEM_MAX)) {
        rc = because(why, RC_NOT_FOUND, PACKED("the certificate in use is none that was issued, or too long"));
    } else if (rc == RC_OK) {
        memcpy(leaf, text.p, text.len);
        rc = said(why, acme_revoke(&d.acme, span_bytes(leaf, text.len), stolen ? 1 : 0, SPAN("")));
    }
    strbuf_truncate(&d.texts, before);
    return rc;
}

enum rc cert_dialogue_account(bool close, struct strbuf *why)
{
    struct strbuf key = strbuf_on(room(X509_KEY_PEM_MAX), X509_KEY_PEM_MAX);
    enum rc rc = close ? RC_OK : cert_store_next_account_key(&key);
    if (rc != RC_OK)
        return because(why, rc, PACKED("a new key could not be made or stored"));
    rc = acme_account(&d.acme, SPAN(""), NULL, true);
    struct span problem = span_of(d.acme.problem);
    bool gone = rc == RC_REFUSED && (span_is(problem, "accountDoesNotExist") || (close && span_is(problem, "unauthorized")));
    if (rc == RC_OK)
        rc = close ? acme_deactivate(&d.acme) : acme_change_key(&d.acme, strbuf_span(&key));
    if (rc != RC_OK && !gone)
        return said(why, rc == RC_REFUSED && acme_is_busy(&d.acme) ? RC_BUSY : rc);
    return because(why, cert_store_settle_account(strbuf_span(&key)), PACKED("it could not be stored"));
}
