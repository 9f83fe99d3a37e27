#include "firmware/cert_store.h"

#include "firmware/settings.h"
#include "firmware/settings_log.h"
#include "hal/base/bytes.h"
#include "hal/base/crc32.h"
#include "hal/base/secret.h"
#include "hal/crypto/sha256.h"
#include "hal/random.h"
#include "net/x509_key.h"

#define ACCOUNT_KEY "acme/key"
#define NEXT_ACCOUNT_KEY "acme/next"
#define CURRENT_KEY "tls/key.0"
#define HEAD_BYTES offsetof(struct cert_state, why)
#define URL_BYTES (4 + CERT_ACCOUNT_MAX - 1)

/* --- state --- */

_Static_assert(HEAD_BYTES == 48 && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "struct cert_state is the format");

void cert_store_load(struct cert_state *s)
{
    size_t len = 0;
    memset(s, 0, sizeof *s);
    if (settings_log_get(SPAN(CERT_STATE_KEY), s, sizeof *s - 1, &len) == RC_OK && len >= HEAD_BYTES &&
        s->version == CERT_STATE_VERSION && s->hold <= RENEWAL_HOLD_FRESH)
        return;
    memset(s, 0, sizeof *s);
    s->version = CERT_STATE_VERSION;
    s->jitter = random_u32();
}

struct span cert_store_record(const struct cert_state *s)
{
    return span_bytes(s, HEAD_BYTES + strlen(s->why));
}

enum rc cert_store_save(const struct cert_state *s)
{
    return settings_log_put(SPAN(CERT_STATE_KEY), cert_store_record(s));
}

/* --- keys --- */

static enum rc read_key(const char *name, struct strbuf *pem)
{
    struct x509_point point;
    size_t len = 0;
    strbuf_clear(pem);
    enum rc rc = settings_log_get(span_of(name), pem->p, pem->cap - 1, &len);
    if (rc == RC_TOO_LONG)
        rc = RC_INVALID;
    if (rc != RC_OK)
        return rc;
    pem->len = len;
    pem->p[len] = '\0';
    return x509_key_point(strbuf_span(pem), &point);
}

static enum rc read_or_make(const char *name, struct strbuf *pem)
{
    enum rc rc = read_key(name, pem);
    if (rc != RC_NOT_FOUND && rc != RC_INVALID && rc != RC_CORRUPT)
        return rc;
    strbuf_clear(pem);
    rc = x509_key_make(pem);
    if (rc == RC_OK)
        rc = settings_log_put(span_of(name), strbuf_span(pem));
    if (rc != RC_OK)
        secret_wipe(pem->p, pem->cap);
    return rc;
}

enum rc cert_store_account_key(struct strbuf *pem)
{
    return read_or_make(ACCOUNT_KEY, pem);
}

enum rc cert_store_next_account_key(struct strbuf *pem)
{
    return read_or_make(NEXT_ACCOUNT_KEY, pem);
}

enum rc cert_store_next_key(struct strbuf *pem)
{
    return read_or_make(CERT_NEXT_KEY, pem);
}

enum rc cert_store_current_key(struct strbuf *pem)
{
    return read_key(CURRENT_KEY, pem);
}

enum rc cert_store_next_pin(uint8_t out[32])
{
    /* What stands before the point in a SubjectPublicKeyInfo of P-256 (RFC 5480). */
    static const uint8_t head[] = { 0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06,
                                    0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00, 0x04 };
    char memory[X509_KEY_PEM_MAX];
    struct strbuf pem = STRBUF(memory);
    struct x509_point point;
    struct sha256 h;
    enum rc rc = read_key(CERT_NEXT_KEY, &pem);
    if (rc == RC_OK)
        rc = x509_key_point(strbuf_span(&pem), &point);
    secret_wipe(memory, sizeof memory);
    if (rc != RC_OK)
        return rc;
    sha256_init(&h);
    sha256_update(&h, span_bytes(head, sizeof head));
    sha256_update(&h, span_bytes(point.x, sizeof point.x));
    sha256_update(&h, span_bytes(point.y, sizeof point.y));
    sha256_final(&h, out);
    return RC_OK;
}

/* --- the account, an order --- */

uint32_t cert_store_directory(void)
{
    struct span url = span_of(settings_get("acme.directory"));
    return crc32_update(0, url.p, url.len);
}

enum rc cert_store_url(const char *key, uint32_t what, struct strbuf *url)
{
    uint8_t raw[URL_BYTES];
    size_t len = 0;
    enum rc rc = settings_log_get(span_of(key), raw, sizeof raw, &len);
    if (rc == RC_OK && (len <= 4 || get_le32(raw) != what))
        rc = RC_NOT_FOUND;
    strbuf_clear(url);
    if (rc == RC_OK)
        strbuf_add(url, span_bytes(raw + 4, len - 4));
    return rc;
}

enum rc cert_store_put_url(const char *key, uint32_t what, struct span url)
{
    uint8_t raw[URL_BYTES], stored[URL_BYTES];
    size_t len = 0;
    if (url.len > sizeof raw - 4)
        return RC_TOO_LONG;
    put_le32(raw, what);
    memcpy(raw + 4, url.p, url.len);
    struct span record = span_bytes(raw, url.len ? 4 + url.len : 0);
    enum rc rc = settings_log_get(span_of(key), stored, sizeof stored, &len);
    if (rc == RC_NOT_FOUND ? !url.len : rc == RC_OK && span_eq(span_bytes(stored, len), record))
        return RC_OK;
    return url.len ? settings_log_put(span_of(key), record) : settings_log_delete(span_of(key));
}

enum rc cert_store_settle_account(struct span key)
{
    static const char *const gone[] = { NEXT_ACCOUNT_KEY, ACCOUNT_KEY, CERT_ACCOUNT, CERT_ORDER, CERT_RECORD };
    unsigned count = key.len ? 1 : sizeof gone / sizeof gone[0];
    enum rc rc = settings_log_batch_begin();
    if (rc != RC_OK)
        return rc;
    for (unsigned i = 0; rc == RC_OK && i < count; i++)
        rc = settings_log_batch_delete(span_of(gone[i]));
    if (rc == RC_OK && key.len)
        rc = settings_log_batch_put(SPAN(ACCOUNT_KEY), key);
    if (rc == RC_OK)
        return settings_log_batch_end();
    settings_log_batch_abort();
    return rc;
}
