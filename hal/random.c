/* Fast key erasure over ChaCha20: each refill runs the cipher under the key, the first 32 bytes become the next key and
 * the rest is handed out once and erased, so that what was given cannot be found again from the state. Fresh entropy is
 * mixed into the key every RESEED_REFILLS refills. */
#include "hal/random.h"

#include <string.h>

#include "hal/base/bytes.h"
#include "hal/base/secret.h"
#include "hal/clock.h"
#include "hal/crypto/chacha20.h"
#include "hal/entropy.h"

#define POOL_BLOCKS 8u
#define RESEED_REFILLS 4096u /* about 2 MB of output */

static uint8_t key[CHACHA20_KEY_BYTES];
static uint8_t pool[POOL_BLOCKS * CHACHA20_BLOCK_BYTES];
static size_t pool_left; /* bytes at the end of pool that were not yet given */
static uint32_t refills;
static bool ready;

static void refill(void)
{
    /* The nonce may repeat, as the key never does; the clock in it makes an unseeded box differ a little each time. */
    uint8_t nonce[CHACHA20_NONCE_BYTES] = { 0 };
    put_le64(nonce, clock_us());
    for (uint32_t i = 0; i < POOL_BLOCKS; i++)
        chacha20_block(key, nonce, i, pool + i * CHACHA20_BLOCK_BYTES);
    memcpy(key, pool, sizeof key);
    memset(pool, 0, sizeof key);
    pool_left = sizeof pool - sizeof key;
}

static enum rc mix_entropy(void)
{
    uint8_t fresh[CHACHA20_KEY_BYTES];
    enum rc rc = entropy_read(fresh, sizeof fresh);
    for (size_t i = 0; rc == RC_OK && i < sizeof key; i++)
        key[i] ^= fresh[i];
    secret_wipe(fresh, sizeof fresh);
    return rc;
}

enum rc random_init(void)
{
    pool_left = 0;
    ready = false;
    enum rc rc = mix_entropy();
    ready = rc == RC_OK;
    return rc;
}

bool random_ready(void)
{
    return ready;
}

void random_bytes(void *out, size_t len)
{
    uint8_t *to = out;
    while (len > 0) {
        if (pool_left == 0) {
            /* A source that fails later takes nothing from the key that was good before. */
            if (++refills % RESEED_REFILLS == 0)
                (void)!mix_entropy();
            refill();
        }
        size_t take = len < pool_left ? len : pool_left;
        uint8_t *from = pool + sizeof pool - pool_left;
        memcpy(to, from, take);
        memset(from, 0, take);
        pool_left -= take;
        to += take;
        len -= take;
    }
}

uint32_t random_u32(void)
{
    uint8_t b[4];
    random_bytes(b, sizeof b);
    return get_le32(b);
}

uint32_t random_below(uint32_t bound)
{
    uint32_t uneven = (uint32_t)-bound % bound; /* 2^32 mod bound: as many low values would come once too often */
    uint32_t value;
    do
        value = random_u32();
    while (value < uneven);
    return value % bound;
}
