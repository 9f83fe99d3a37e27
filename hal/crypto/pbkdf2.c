/* HMAC's two inner states are computed once from the password; each iteration goes on from copies of them. */
#include "hal/crypto/pbkdf2.h"

#include "hal/base/secret.h"

#define BLOCK_BYTES 64

static void start_padded(struct sha256 *h, const uint8_t key[BLOCK_BYTES], uint8_t with)
{
    uint8_t padded[BLOCK_BYTES];
    for (unsigned i = 0; i < BLOCK_BYTES; i++)
        padded[i] = key[i] ^ with;
    sha256_init(h);
    sha256_update(h, span_bytes(padded, sizeof padded));
    secret_wipe(padded, sizeof padded);
}

/* p->u becomes HMAC(password, a || b). */
static void round_of(struct pbkdf2 *p, struct span a, struct span b)
{
    struct sha256 h = p->inner;
    uint8_t digest[SHA256_BYTES];
    sha256_update(&h, a);
    sha256_update(&h, b);
    sha256_final(&h, digest);
    h = p->outer;
    sha256_update(&h, span_bytes(digest, sizeof digest));
    sha256_final(&h, p->u);
}

void pbkdf2_start(struct pbkdf2 *p, struct span password, struct span salt, uint32_t iterations)
{
    uint8_t key[BLOCK_BYTES] = { 0 };
    if (password.len > sizeof key)
        sha256_of(password, key);
    else
        memcpy(key, password.p, password.len);
    start_padded(&p->inner, key, 0x36);
    start_padded(&p->outer, key, 0x5c);
    secret_wipe(key, sizeof key);
    round_of(p, salt, SPAN("\0\0\0\1"));
    memcpy(p->result, p->u, sizeof p->result);
    p->left = iterations - 1;
}

bool pbkdf2_go_on(struct pbkdf2 *p, uint32_t n)
{
    for (; n > 0 && p->left > 0; n--, p->left--) {
        round_of(p, span_bytes(p->u, sizeof p->u), span_of(""));
        for (unsigned i = 0; i < sizeof p->result; i++)
            p->result[i] ^= p->u[i];
    }
    return p->left == 0;
}

void pbkdf2_wipe(struct pbkdf2 *p)
{
    secret_wipe(p, sizeof *p);
}
