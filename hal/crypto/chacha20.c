#include "hal/crypto/chacha20.h"

#include "hal/base/bytes.h"

static uint32_t rotl(uint32_t x, unsigned n)
{
    return x << n | x >> (32 - n);
}

static void quarter_round(uint32_t *x, unsigned a, unsigned b, unsigned c, unsigned d)
{
    x[a] += x[b];
    x[d] = rotl(x[d] ^ x[a], 16);
    x[c] += x[d];
    x[b] = rotl(x[b] ^ x[c], 12);
    x[a] += x[b];
    x[d] = rotl(x[d] ^ x[a], 8);
    x[c] += x[d];
    x[b] = rotl(x[b] ^ x[c], 7);
}

static void double_round(uint32_t *x)
{
    for (unsigned i = 0; i < 4; i++)
        quarter_round(x, i, 4 + i, 8 + i, 12 + i);
    for (unsigned i = 0; i < 4; i++)
        quarter_round(x, i, 4 + (i + 1) % 4, 8 + (i + 2) % 4, 12 + (i + 3) % 4);
}

void chacha20_block(const uint8_t key[CHACHA20_KEY_BYTES], const uint8_t nonce[CHACHA20_NONCE_BYTES], uint32_t counter,
                    uint8_t out[CHACHA20_BLOCK_BYTES])
{
    uint32_t start[16] = { 0x61707865, 0x3320646e, 0x79622d32, 0x6b206574 }, x[16];
    for (unsigned i = 0; i < 8; i++)
        start[4 + i] = get_le32(key + 4 * i);
    start[12] = counter;
    for (unsigned i = 0; i < 3; i++)
        start[13 + i] = get_le32(nonce + 4 * i);
    for (unsigned i = 0; i < 16; i++)
        x[i] = start[i];
    for (unsigned i = 0; i < 10; i++)
        double_round(x);
    for (unsigned i = 0; i < 16; i++)
        put_le32(out + 4 * i, x[i] + start[i]);
}
