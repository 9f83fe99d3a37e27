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
#define CURRENT_KEY "tls/key.0"
#define VERSION 1
#define HEAD_BYTES 48
#define URL_BYTES (4 + CERT_ACCOUNT_MAX - 1)

/* --- state --- */

void cert_store_load(struct cert_state *s)
{
    uint8_t raw[CERT_STATE_BYTES];
    size_t len = 0;
    *s = (struct cert_state){ .jitter = random_u32() };
    if (settings_log_get(SPAN(CERT_STATE_KEY), raw, sizeof raw, &len) != RC_OK || len < HEAD_BYTES || raw[0] != VERSION)
        return;
    struct strbuf why = STRBUF(s->why);
    s->failures = raw[1];
    s->hold = raw[2] <= RENEWAL_HOLD_FRESH ? raw[2] : RENEWAL_HOLD_NONE;
    s->flags = raw[3];
    s->jitter = get_le32(raw + 4);
    s->hold_until = (int64_t)get_le64(raw + 8);
    s->window_start = (int64_t)get_le64(raw + 16);
    s->window_end = (int64_t)get_le64(raw + 24);
    s->look_at = (int64_t)get_le64(raw + 32);
    s->failed_at = (int64_t)get_le64(raw + 40);
    strbuf_add(&why, span_bytes(raw + HEAD_BYTES, len - HEAD_BYTES));
}

struct span cert_store_record(const struct cert_state *s, uint8_t memory[CERT_STATE_BYTES])
{
    struct span why = span_of(s->why);
    memory[0] = VERSION;
    memory[1] = s->failures;
    memory[2] = s->hold;
    memory[3] = s->flags;
    put_le32(memory + 4, s->jitter);
    const int64_t times[] = { s->hold_until, s->window_start, s->window_end, s->look_at, s->failed_at };
    for (unsigned i = 0; i < 5; i++)
        put_le64(memory + 8 + 8 * i, (uint64_t)times[i]);
    memcpy(memory + HEAD_BYTES, why.p, why.len);
    return span_bytes(memory, HEAD_BYTES + why.len);
}

enum rc cert_store_save(const struct cert_state *s)
{
    uint8_t memory[CERT_STATE_BYTES];
    return settings_log_put(SPAN(CERT_STATE_KEY), cert_store_record(s, memory));
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
