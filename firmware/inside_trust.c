/* The CA's certificates are read from flash when a handshake asks: it is rare, and RAM is dear. */
#include "firmware/inside_trust.h"

#include "firmware/alerts.h"
#include "firmware/list_store.h"
#include "firmware/settings_log.h"
#include "hal/base/log.h"
#include "hal/base/pem.h"
#include "hal/crypto/der_cert.h"
#include "policy/roots.h"

#define CA_PREFIX "tls/inside_ca."
#define PIN_PREFIX "pin/"
#define PIN_BYTES 32

static struct span ca_key(char memory[SETTINGS_LOG_KEY_MAX + 1], unsigned n)
{
    struct strbuf key = strbuf_on(memory, SETTINGS_LOG_KEY_MAX + 1);
    strbuf_printf(&key, CA_PREFIX "%u", n);
    return strbuf_span(&key);
}

static unsigned find_own_ca(void *ctx, struct span issuer_dn, bool (*give)(void *give_ctx, struct span der), void *give_ctx)
{
    char memory[SETTINGS_LOG_KEY_MAX + 1];
    uint8_t *der = list_store_root_memory();
    size_t len = 0;
    unsigned given = 0;
    struct span subject;
    (void)ctx;
    for (unsigned n = 0; n < INSIDE_CA_MAX; n++) {
        if (settings_log_get(ca_key(memory, n), der, ROOT_DER_MAX, &len) != RC_OK)
            continue;
        struct span cert = span_bytes(der, len);
        if (x509_subject_dn(cert, &subject) != RC_OK || !span_eq(subject, issuer_dn))
            continue;
        given++;
        if (!give(give_ctx, cert))
            break;
    }
    return given;
}

const struct tls_trust *inside_trust(void)
{
    static const struct tls_trust trust = { find_own_ca, NULL };
    return &trust;
}

/* Decodes the certificates of text over their own base64. */
static enum rc decode(char *text, size_t bytes, struct span cert[INSIDE_CA_MAX], unsigned *count)
{
    struct span rest = span_bytes(text, bytes), label, body, subject;
    enum rc rc;
    *count = 0;
    while ((rc = pem_block(&rest, &label, &body)) == RC_OK) {
        uint8_t *der = (uint8_t *)text + (body.p - text);
        size_t len = 0;
        if (!span_is(label, "CERTIFICATE"))
            continue;
        if (*count == INSIDE_CA_MAX || pem_decode(body, der, ROOT_DER_MAX, &len) != RC_OK)
            return RC_INVALID;
        cert[*count] = span_bytes(der, len);
        if (x509_subject_dn(cert[(*count)++], &subject) != RC_OK)
            return RC_INVALID;
    }
    return rc != RC_NOT_FOUND ? rc : *count ? RC_OK : RC_NOT_FOUND;
}

static enum rc store(const struct span cert[], unsigned count)
{
    char memory[SETTINGS_LOG_KEY_MAX + 1];
    enum rc rc = settings_log_batch_begin();
    if (rc != RC_OK)
        return rc;
    for (unsigned n = 0; n < INSIDE_CA_MAX && rc == RC_OK; n++) {
        struct span key = ca_key(memory, n);
        rc = n < count ? settings_log_batch_put(key, cert[n]) : settings_log_batch_delete(key);
    }
    if (rc != RC_OK) {
        settings_log_batch_abort();
        return rc;
    }
    return settings_log_batch_end();
}

enum rc inside_trust_import(char *pem, size_t pem_bytes, struct strbuf *why)
{
    struct span cert[INSIDE_CA_MAX];
    unsigned count;
    strbuf_clear(why);
    enum rc rc = decode(pem, pem_bytes, cert, &count);
    if (rc != RC_OK) {
        if (rc == RC_NOT_FOUND)
            strbuf_puts(why, PACKED("there is no certificate in it"));
        else
            strbuf_printf(why, "a certificate in it cannot be read, or there are more than %u", INSIDE_CA_MAX);
        return RC_INVALID;
    }
    rc = store(cert, count);
    if (rc != RC_OK)
        strbuf_printf(why, "the flash refused it (%s)", rc_name(rc));
    return rc;
}

static struct span pin_key(char memory[SETTINGS_LOG_KEY_MAX + 1], struct span host)
{
    struct strbuf key = strbuf_on(memory, SETTINGS_LOG_KEY_MAX + 1);
    strbuf_puts(&key, PIN_PREFIX);
    strbuf_add(&key, host);
    return key.overflow ? span_sub(strbuf_span(&key), 0, SETTINGS_LOG_KEY_MAX) : strbuf_span(&key);
}

bool inside_pin_check(const char *host, const uint8_t spki_sha256[32], bool keep)
{
    char memory[SETTINGS_LOG_KEY_MAX + 1];
    uint8_t stored[PIN_BYTES];
    size_t len = 0;
    struct span key = pin_key(memory, span_of(host));
    enum rc rc = settings_log_get(key, stored, sizeof stored, &len);
    if (rc == RC_NOT_FOUND && !keep)
        return true;
    if (rc == RC_NOT_FOUND) {
        rc = settings_log_put(key, span_bytes(spki_sha256, PIN_BYTES));
        log_event(LOG_DELIVERY, "pinned", "host=%s rc=%s", host, rc_name(rc));
        if (rc == RC_OK)
            alert_clear(ALERT_INSIDE_PIN);
        return rc == RC_OK;
    }
    if (rc == RC_OK && len == PIN_BYTES && memcmp(stored, spki_sha256, PIN_BYTES) == 0) {
        alert_clear(ALERT_INSIDE_PIN);
        return true;
    }
    alert_raise(ALERT_INSIDE_PIN,
                "the office server %s shows another key than before: if it was changed on purpose, say 'cert unpin %s'", host,
                host);
    return false;
}

enum rc inside_pin_forget(struct span host)
{
    char memory[SETTINGS_LOG_KEY_MAX + 1];
    uint8_t stored[PIN_BYTES];
    size_t len = 0;
    struct span key = pin_key(memory, host);
    enum rc rc = settings_log_get(key, stored, sizeof stored, &len);
    return rc == RC_OK ? settings_log_delete(key) : rc;
}
