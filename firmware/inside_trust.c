/* The CA's certificates are decoded from the stored PEM when a handshake asks: it is rare, and RAM is dear. */
#include "firmware/inside_trust.h"

#include "firmware/alerts.h"
#include "firmware/settings_log.h"
#include "hal/base/log.h"
#include "hal/base/pem.h"
#include "hal/crypto/der_cert.h"
#include "policy/roots.h"

#define CA_KEY "tls/inside_ca"
#define PIN_PREFIX "pin/"
#define PIN_BYTES 32

static char pem[SETTINGS_LOG_VALUE_MAX]; /* filled and used without a yield in between */
static uint8_t der[ROOT_DER_MAX];

static unsigned find_own_ca(void *ctx, struct span issuer_dn, bool (*give)(void *give_ctx, struct span der), void *give_ctx)
{
    (void)ctx;
    size_t len = 0;
    unsigned given = 0;
    struct span subject;
    if (settings_log_get(SPAN(CA_KEY), pem, sizeof pem, &len) != RC_OK)
        return 0;
    struct span rest = span_bytes(pem, len);
    while (pem_next(&rest, "CERTIFICATE", der, sizeof der, &len) == RC_OK) {
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

enum rc inside_trust_import(struct span text, struct strbuf *why)
{
    struct span rest = text, subject;
    size_t len = 0;
    unsigned found = 0;
    enum rc rc;
    strbuf_clear(why);
    while ((rc = pem_next(&rest, "CERTIFICATE", der, sizeof der, &len)) == RC_OK) {
        if (x509_subject_dn(span_bytes(der, len), &subject) != RC_OK)
            rc = RC_INVALID;
        if (rc != RC_OK)
            break;
        found++;
    }
    if (rc != RC_NOT_FOUND || !found || text.len > SETTINGS_LOG_VALUE_MAX) {
        strbuf_puts(why, !found ? "there is no certificate in it" : "a certificate in it cannot be read, or it is too long");
        return RC_INVALID;
    }
    rc = settings_log_put(SPAN(CA_KEY), text);
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

bool inside_pin_check(const char *host, const uint8_t spki_sha256[32])
{
    char memory[SETTINGS_LOG_KEY_MAX + 1];
    uint8_t stored[PIN_BYTES];
    size_t len = 0;
    struct span key = pin_key(memory, span_of(host));
    enum rc rc = settings_log_get(key, stored, sizeof stored, &len);
    if (rc == RC_NOT_FOUND) {
        rc = settings_log_put(key, span_bytes(spki_sha256, PIN_BYTES));
        log_event(LOG_DELIVERY, "pinned", "host=%s rc=%s", host, rc_name(rc));
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
