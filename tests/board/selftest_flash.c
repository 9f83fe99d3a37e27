#include <string.h>

#include "hal/flash.h"
#include "tests/board/selftest.h"

#define PATTERN_BYTES 10016u /* crosses buffers and, on small blocks, blocks; a multiple of every program unit */
#define BOOTS_UNITS 32u      /* a boot each; the block is erased when they are used up */

static uint8_t pattern[PATTERN_BYTES + 1], back[PATTERN_BYTES + 1];

static uint64_t test_base(void)
{
    return flash_geometry()->size_bytes - 4ull * flash_geometry()->erase_block_bytes;
}

static void fill_pattern(uint32_t seed)
{
    for (size_t i = 0; i < sizeof pattern; i++) {
        seed = seed * 1664525u + 1013904223u;
        pattern[i] = (uint8_t)(seed >> 24);
    }
}

static bool reads_as(uint64_t addr, const uint8_t *expected, uint32_t len)
{
    memset(back, 0x5a, sizeof back);
    return flash_read(addr, back, len) == RC_OK && memcmp(back, expected, len) == 0 && back[len] == 0x5a;
}

static bool is_erased(uint64_t addr, uint32_t len)
{
    for (uint32_t at = 0; at < len; at += 64) {
        uint8_t bytes[64];
        if (flash_read(addr + at, bytes, sizeof bytes) != RC_OK)
            return false;
        for (size_t i = 0; i < sizeof bytes; i++)
            if (bytes[i] != 0xff)
                return false;
    }
    return true;
}

static bool erase_all(void)
{
    enum rc rc = RC_OK;
    for (uint32_t i = 0; i < 3 && rc == RC_OK; i++)
        rc = flash_erase(test_base() + i * flash_geometry()->erase_block_bytes);
    return check("flash-erase", rc == RC_OK && is_erased(test_base(), 3 * flash_geometry()->erase_block_bytes), rc_name(rc));
}

static void check_geometry(void)
{
    const struct flash_geometry *g = flash_geometry();
    uint32_t block = g->erase_block_bytes, unit = g->program_unit_bytes;
    check("flash-geometry",
          block != 0 && (block & (block - 1)) == 0 && unit >= 1 && unit <= 32 && (unit & (unit - 1)) == 0 &&
              g->size_bytes % block == 0 && g->size_bytes >= 8 * (uint64_t)block,
          "not by the contract");
}

static void check_program(void)
{
    uint32_t unit = flash_geometry()->program_unit_bytes;
    uint64_t at = test_base() + unit;
    fill_pattern(1);
    enum rc rc = flash_program(at, pattern + 1, PATTERN_BYTES);
    check("flash-program", rc == RC_OK && reads_as(at, pattern + 1, PATTERN_BYTES), rc_name(rc));
    check("flash-program-alone",
          is_erased(at + PATTERN_BYTES + 64 - unit - PATTERN_BYTES % 64, 256) && flash_read(test_base(), back, 1) == RC_OK &&
              back[0] == 0xff,
          "neighbours changed");
    check("flash-read-unaligned", reads_as(at + 3, pattern + 4, 1001), "other bytes");
}

static void check_rules(void)
{
    uint32_t unit = flash_geometry()->program_unit_bytes;
    uint64_t at = test_base() + unit, size = flash_geometry()->size_bytes;
    static const uint8_t zeros[64];
    fill_pattern(2);
    check("flash-no-reprogram", flash_program(at, pattern, unit * 2) == RC_INVALID, "taken");
    fill_pattern(1);
    check("flash-refusal-changes-nothing", reads_as(at, pattern + 1, PATTERN_BYTES), "other bytes");
    check("flash-zeros", flash_program(at, zeros, 64) == RC_OK && reads_as(at, zeros, 64), "not zeros");
    check("flash-bounds",
          flash_program(size, zeros, unit) == RC_INVALID && flash_erase(size) == RC_INVALID &&
              flash_read(size - 1, back, 2) == RC_INVALID && flash_read(UINT64_MAX, back, 2) == RC_INVALID &&
              flash_program(size - unit, zeros, unit * 2) == RC_INVALID,
          "taken");
    check("flash-erase-alignment", flash_erase(test_base() + unit) == RC_INVALID, "taken");
    check("flash-program-alignment", unit == 1 || flash_program(test_base() + 1, zeros, unit) == RC_INVALID, "taken");
}

static void await(struct flash_op *op)
{
    while (!op->finished)
        task_wait_always(&op->done);
}

/* All are queued at once; the program falls into the block that the erase before it clears. */
static void check_order(void)
{
    static struct flash_op erase, program, sync, bad;
    uint64_t at = test_base();
    fill_pattern(3);
    erase = (struct flash_op){ .kind = FLASH_ERASE, .addr = at };
    program = (struct flash_op){ .kind = FLASH_PROGRAM, .addr = at, .data = pattern, .len = 1024 };
    bad = (struct flash_op){ .kind = FLASH_PROGRAM, .addr = at, .data = pattern + 1, .len = 1024 };
    sync = (struct flash_op){ .kind = FLASH_SYNC };
    flash_start(&erase);
    flash_start(&program);
    flash_start(&bad);
    flash_start(&sync);
    check("flash-busy", flash_busy() && !sync.finished, "nothing is queued");
    await(&sync);
    check("flash-order",
          erase.finished && program.finished && bad.finished && erase.result == RC_OK && program.result == RC_OK &&
              bad.result == RC_INVALID && sync.result == RC_OK,
          "other results");
    check("flash-order-data", reads_as(at, pattern, 1024), "other bytes");
    await(&bad);
    check("flash-idle", !flash_busy(), "still busy");
}

/* Reads of one block while another is erased and a long program is on its way. */
static void check_read_while_busy(void)
{
    static struct flash_op erase, program;
    uint32_t block = flash_geometry()->erase_block_bytes;
    uint64_t at = test_base();
    fill_pattern(3);
    erase = (struct flash_op){ .kind = FLASH_ERASE, .addr = at + block };
    program = (struct flash_op){ .kind = FLASH_PROGRAM, .addr = at + block, .data = pattern, .len = 2048 };
    flash_start(&erase);
    flash_start(&program);
    bool good = true;
    while (!program.finished) {
        good = reads_as(at, pattern, 256) && good;
        if (task_yield() != RC_OK)
            good = false;
    }
    check("flash-read-while-busy", good && erase.result == RC_OK && program.result == RC_OK, "other bytes");
    check("flash-whole-after-reads", reads_as(at + block, pattern, 2048), "other bytes");
}

/* Each boot programs one more unit of the last block to zeros. */
static void count_boots(void)
{
    uint32_t unit = flash_geometry()->program_unit_bytes;
    uint64_t at = test_base() + 3ull * flash_geometry()->erase_block_bytes;
    static const uint8_t zeros[32];
    uint8_t first = 0;
    unsigned boots = 0;
    while (boots < BOOTS_UNITS && flash_read(at + boots * unit, &first, 1) == RC_OK && first == 0)
        boots++;
    if (boots == BOOTS_UNITS || first != 0xff) {
        check("flash-boots-erase", flash_erase(at) == RC_OK, "failed");
        boots = 0;
    }
    check("flash-boots", flash_program(at + boots * unit, zeros, unit) == RC_OK && flash_sync() == RC_OK, "failed");
    say("boots: %u", boots + 1);
}

void selftest_flash(void)
{
    check_geometry();
    count_boots();
    if (!erase_all())
        return;
    check_program();
    check_rules();
    check_order();
    check_read_while_busy();
}
