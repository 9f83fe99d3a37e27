#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "hal/clock.h"
#include "hal/crypto/chacha20.h"
#include "hal/entropy.h"
#include "hal/random.h"

static enum rc entropy_rc;
static uint8_t entropy_byte;
static unsigned entropy_reads;

uint64_t clock_us(void)
{
    return 42;
}

enum rc entropy_read(void *out, size_t len)
{
    entropy_reads++;
    memset(out, entropy_rc == RC_OK ? entropy_byte : 0, len);
    return entropy_rc;
}

/* RFC 8439 section 2.3.2 */
static void chacha20_gives_the_block_of_the_rfc(void **state)
{
    (void)state;
    static const uint8_t nonce[12] = { 0, 0, 0, 9, 0, 0, 0, 0x4a, 0, 0, 0, 0 };
    static const uint8_t expected[64] = {
        0x10, 0xf1, 0xe7, 0xe4, 0xd1, 0x3b, 0x59, 0x15, 0x50, 0x0f, 0xdd, 0x1f, 0xa3, 0x20, 0x71, 0xc4,
        0xc7, 0xd1, 0xf4, 0xc7, 0x33, 0xc0, 0x68, 0x03, 0x04, 0x22, 0xaa, 0x9a, 0xc3, 0xd4, 0x6c, 0x4e,
        0xd2, 0x82, 0x64, 0x46, 0x07, 0x9f, 0xaa, 0x09, 0x14, 0xc2, 0xd7, 0x05, 0xd9, 0x8b, 0x02, 0xa2,
        0xb5, 0x12, 0x9c, 0xd1, 0xde, 0x16, 0x4e, 0xb9, 0xcb, 0xd0, 0x83, 0xe8, 0xa2, 0x50, 0x3c, 0x4e,
    };
    uint8_t key[32], out[64];
    for (unsigned i = 0; i < 32; i++)
        key[i] = (uint8_t)i;
    chacha20_block(key, nonce, 1, out);
    assert_memory_equal(out, expected, 64);
}

static void without_entropy_it_is_not_ready(void **state)
{
    (void)state;
    uint8_t a[16], b[16];
    entropy_rc = RC_UNSUPPORTED;
    assert_int_equal(random_init(), RC_UNSUPPORTED);
    assert_false(random_ready());
    random_bytes(a, sizeof a);
    random_bytes(b, sizeof b);
    assert_memory_not_equal(a, b, sizeof a);
}

static void the_seed_decides_the_bytes(void **state)
{
    (void)state;
    uint8_t a[600], b[600];
    entropy_rc = RC_OK;
    entropy_byte = 1;
    assert_int_equal(random_init(), RC_OK);
    assert_true(random_ready());
    random_bytes(a, sizeof a);
    assert_int_equal(random_init(), RC_OK);
    random_bytes(b, sizeof b);
    assert_memory_not_equal(a, b, sizeof a);
    assert_memory_not_equal(a, a + 300, 300);
    entropy_rc = RC_IO;
    assert_int_equal(random_init(), RC_IO);
    assert_false(random_ready());
}

static void pieces_of_any_size_hold_no_repeats(void **state)
{
    (void)state;
    static uint8_t big[5000];
    size_t at = 0;
    for (size_t piece = 1; at + piece <= sizeof big; at += piece++)
        random_bytes(big + at, piece);
    for (size_t i = 0; i + 16 <= at; i += 16)
        for (size_t k = i + 16; k + 16 <= at; k += 16)
            assert_memory_not_equal(big + i, big + k, 16);
}

static void below_is_within_and_uniform(void **state)
{
    (void)state;
    unsigned count[6] = { 0 };
    for (unsigned i = 0; i < 60000; i++) {
        uint32_t value = random_below(6);
        assert_in_range(value, 0, 5);
        count[value]++;
    }
    for (unsigned i = 0; i < 6; i++)
        assert_in_range(count[i], 9500, 10500);
    assert_int_equal(random_below(1), 0);
    uint32_t high = 0;
    for (unsigned i = 0; i < 64; i++)
        high |= random_below(0x80000001u);
    assert_true(high > 0x40000000u);
}

static void fresh_entropy_is_mixed_in(void **state)
{
    (void)state;
    static uint8_t chunk[4096];
    entropy_rc = RC_OK;
    unsigned before = entropy_reads;
    for (unsigned i = 0; i < 600; i++)
        random_bytes(chunk, sizeof chunk);
    assert_true(entropy_reads > before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(chacha20_gives_the_block_of_the_rfc), cmocka_unit_test(without_entropy_it_is_not_ready),
        cmocka_unit_test(the_seed_decides_the_bytes),          cmocka_unit_test(pieces_of_any_size_hold_no_repeats),
        cmocka_unit_test(below_is_within_and_uniform),         cmocka_unit_test(fresh_entropy_is_mixed_in),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
