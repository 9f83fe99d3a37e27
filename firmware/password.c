/* The kept form of passwords, made and checked. */
#include "firmware/password.h"

#include "hal/base/base64.h"
#include "hal/base/secret.h"
#include "hal/crypto/pbkdf2.h"
#include "hal/random.h"
#include "hal/task.h"

#define SCHEME "pbkdf2-sha256"
#define SALT_BYTES 16
#define SALT_MAX 32
#define AT_ONCE 16 /* iterations between looks at the clock: a millisecond at 100 MHz */

struct kept {
    uint32_t iterations;
    size_t salt_len;
    uint8_t salt[SALT_MAX], hash[SHA256_BYTES];
};

static bool take_base64(struct span *rest, bool *more, uint8_t *out, size_t cap, size_t *len)
{
    struct span part;
    return span_split(rest, more, ':', &part) && base64_decode(part, out, cap, len) == RC_OK && *len > 0;
}

static bool parse(struct span text, struct kept *k)
{
    struct span part;
    bool more = true;
    size_t hash_len;
    if (!span_split(&text, &more, ':', &part) || !span_is(part, SCHEME))
        return false;
    if (!span_split(&text, &more, ':', &part) || !span_to_u32(part, &k->iterations))
        return false;
    if (k->iterations == 0 || k->iterations > PASSWORD_ITERATIONS_MAX)
        return false;
    return take_base64(&text, &more, k->salt, sizeof k->salt, &k->salt_len) &&
           take_base64(&text, &more, k->hash, sizeof k->hash, &hash_len) && hash_len == sizeof k->hash && !more;
}

bool password_is_kept_form(struct span text)
{
    struct kept k;
    return text.len < PASSWORD_TEXT_MAX && parse(text, &k);
}

/* k->salt and k->iterations are given. Yields every PASSWORD_SLICE_MS. */
static enum rc derive(struct span password, const struct kept *k, uint8_t out[SHA256_BYTES])
{
    struct pbkdf2 p;
    enum rc rc = RC_OK;
    uint64_t since_ms = clock_ms();
    pbkdf2_start(&p, password, span_bytes(k->salt, k->salt_len), k->iterations);
    while (rc == RC_OK && !pbkdf2_go_on(&p, AT_ONCE)) {
        if (clock_ms() - since_ms < PASSWORD_SLICE_MS)
            continue;
        rc = task_yield();
        since_ms = clock_ms();
    }
    memcpy(out, p.result, SHA256_BYTES);
    pbkdf2_wipe(&p);
    return rc;
}

enum rc password_keep(struct span password, struct strbuf *out)
{
    struct kept k = { .iterations = PASSWORD_ITERATIONS, .salt_len = SALT_BYTES };
    if (password.len < PASSWORD_MIN || password.len > PASSWORD_MAX)
        return RC_INVALID;
    if (!random_ready())
        return RC_UNSUPPORTED;
    random_bytes(k.salt, k.salt_len);
    enum rc rc = derive(password, &k, k.hash);
    if (rc != RC_OK)
        return rc;
    strbuf_printf(out, SCHEME ":%u:", (unsigned)k.iterations);
    base64_encode(out, span_bytes(k.salt, k.salt_len));
    strbuf_putc(out, ':');
    base64_encode(out, span_bytes(k.hash, sizeof k.hash));
    return out->overflow ? RC_TOO_LONG : RC_OK;
}

static enum rc check(struct span password, const struct kept *k)
{
    uint8_t hash[SHA256_BYTES];
    enum rc rc = derive(password, k, hash);
    if (rc == RC_OK && !secret_eq(hash, k->hash, sizeof hash))
        rc = RC_REFUSED;
    secret_wipe(hash, sizeof hash);
    return rc;
}

enum rc password_check(struct span password, struct span kept)
{
    struct kept k;
    return parse(kept, &k) ? check(password, &k) : RC_INVALID;
}

enum rc password_check_nobody(struct span password)
{
    const struct kept k = { .iterations = PASSWORD_ITERATIONS, .salt_len = SALT_BYTES };
    enum rc rc = check(password, &k);
    return rc == RC_OK ? RC_REFUSED : rc;
}
