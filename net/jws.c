/* The JSON is written as it goes out and hashed on the way: nothing is held twice. */
#include "net/jws.h"

#include "hal/base/base64.h"
#include "hal/crypto/sha256.h"
#include "net/x509_key.h"

static enum rc give_up(struct strbuf *out, enum rc rc)
{
    strbuf_clear(out);
    return rc;
}

enum rc jwk_write(struct span key_pem, struct strbuf *out)
{
    struct x509_point p;
    strbuf_clear(out);
    enum rc rc = x509_key_point(key_pem, &p);
    if (rc != RC_OK)
        return rc;
    strbuf_puts(out, "{\"crv\":\"P-256\",\"kty\":\"EC\",\"x\":\"");
    base64url_encode(out, span_bytes(p.x, sizeof p.x));
    strbuf_puts(out, "\",\"y\":\"");
    base64url_encode(out, span_bytes(p.y, sizeof p.y));
    strbuf_puts(out, "\"}");
    return out->overflow ? give_up(out, RC_FULL) : RC_OK;
}

enum rc jwk_thumbprint(struct span key_pem, struct strbuf *out)
{
    char memory[JWK_MAX];
    uint8_t hash[SHA256_BYTES];
    struct strbuf jwk = STRBUF(memory);
    strbuf_clear(out);
    enum rc rc = jwk_write(key_pem, &jwk);
    if (rc != RC_OK)
        return rc;
    sha256_of(strbuf_span(&jwk), hash);
    base64url_encode(out, span_bytes(hash, sizeof hash));
    return out->overflow ? give_up(out, RC_FULL) : RC_OK;
}

static bool is_plain(struct span s)
{
    for (size_t i = 0; i < s.len; i++)
        if (s.p[i] < 0x20 || s.p[i] >= 0x7f || s.p[i] == '"' || s.p[i] == '\\')
            return false;
    return true;
}

static void add_member(struct strbuf *b, const char *name, struct span value)
{
    if (!value.len)
        return;
    strbuf_printf(b, ",\"%s\":\"", name);
    strbuf_add(b, value);
    strbuf_putc(b, '"');
}

/* Appends name and the base64url of bytes; what was appended of it is also the view that is signed. */
static struct span add_part(struct strbuf *out, const char *name, struct span bytes)
{
    strbuf_puts(out, name);
    size_t from = out->len;
    base64url_encode(out, bytes);
    return span_from(strbuf_span(out), from);
}

/* {"protected":"P","payload":"Q","signature":" : the hash is of P.Q, which HMAC and ECDSA both need. */
static void add_parts(struct strbuf *out, struct span header, struct span payload, struct sha256 *hash)
{
    struct span p = add_part(out, "{\"protected\":\"", header);
    sha256_update(hash, p);
    sha256_update(hash, SPAN("."));
    struct span q = add_part(out, "\",\"payload\":\"", payload);
    sha256_update(hash, q);
    strbuf_puts(out, "\",\"signature\":\"");
}

/* The header, and the hash of both parts; *out waits for the signature. */
static enum rc begin(const char *alg, const struct jws_header *h, struct span jwk, struct span payload, struct sha256 *hash,
                     struct strbuf *scratch, struct strbuf *out)
{
    strbuf_clear(out);
    strbuf_clear(scratch);
    if (!is_plain(h->kid) || !is_plain(h->nonce) || !is_plain(h->url))
        return RC_INVALID;
    strbuf_printf(scratch, "{\"alg\":\"%s\"", alg);
    if (jwk.len)
        strbuf_printf(scratch, ",\"jwk\":%.*s", (int)jwk.len, jwk.p);
    add_member(scratch, "kid", h->kid);
    add_member(scratch, "nonce", h->nonce);
    add_member(scratch, "url", h->url);
    strbuf_putc(scratch, '}');
    add_parts(out, strbuf_span(scratch), payload, hash);
    return scratch->overflow || out->overflow ? RC_FULL : RC_OK;
}

static enum rc end(struct strbuf *out, enum rc rc, const uint8_t *signature, size_t len)
{
    if (rc == RC_OK) {
        base64url_encode(out, span_bytes(signature, len));
        strbuf_puts(out, "\"}");
    }
    if (rc == RC_OK && out->overflow)
        rc = RC_FULL;
    return rc == RC_OK ? RC_OK : give_up(out, rc);
}

enum rc jws_sign(const struct jws_header *h, struct span key_pem, struct span payload, struct strbuf *scratch, struct strbuf *out)
{
    char memory[JWK_MAX];
    uint8_t digest[SHA256_BYTES], signature[64];
    struct strbuf jwk = STRBUF(memory);
    struct sha256 hash;
    sha256_init(&hash);
    enum rc rc = h->kid.len ? RC_OK : jwk_write(key_pem, &jwk);
    if (rc == RC_OK)
        rc = begin("ES256", h, strbuf_span(&jwk), payload, &hash, scratch, out);
    sha256_final(&hash, digest);
    if (rc == RC_OK)
        rc = x509_key_sign(key_pem, digest, signature);
    return end(out, rc, signature, sizeof signature);
}

/* HMAC (RFC 2104) in its two passes, because what it is over is written in pieces. */
static void hmac_begin(struct sha256 *h, struct span key, uint8_t fill)
{
    uint8_t block[64] = { 0 };
    if (key.len > sizeof block)
        sha256_of(key, block);
    for (size_t i = 0; key.len <= sizeof block && i < key.len; i++)
        block[i] = (uint8_t)key.p[i];
    for (size_t i = 0; i < sizeof block; i++)
        block[i] ^= fill;
    sha256_init(h);
    sha256_update(h, span_bytes(block, sizeof block));
}

enum rc jws_bind(struct span kid, struct span mac_key, struct span url, struct span jwk, struct strbuf *scratch, struct strbuf *out)
{
    const struct jws_header h = { .kid = kid, .url = url };
    struct sha256 inner, outer;
    uint8_t digest[SHA256_BYTES];
    hmac_begin(&inner, mac_key, 0x36);
    enum rc rc = begin("HS256", &h, SPAN(""), jwk, &inner, scratch, out);
    if (!mac_key.len)
        rc = RC_INVALID;
    sha256_final(&inner, digest);
    hmac_begin(&outer, mac_key, 0x5c);
    sha256_update(&outer, span_bytes(digest, sizeof digest));
    sha256_final(&outer, digest);
    return end(out, rc, digest, sizeof digest);
}
