/* The NOR driver and its queue against two emulated chips that take their time, unlike QEMU's: they refuse commands while busy,
 * finish at different moments, suspend late, and only ever turn ones into zeros. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* The driver's names would meet those of the simulated flash that all tests are linked with. */
#define flash_geometry nor_geometry
#define flash_read nor_read
#define flash_start nor_start
#define flash_poll nor_poll
#define flash_busy nor_busy
#include "boards/drivers/cfi_nor.c"
#include "boards/drivers/flash_queue.c"

#define BLOCKS 4u
#define CHIP_BLOCK_WORDS 1024u /* 2 KiB a chip, 4 KiB of the bank */
#define BLOCK_BYTES (2u * 2u * CHIP_BLOCK_WORDS)
#define BANK_BYTES (BLOCKS * BLOCK_BYTES)
#define BUFFER_WORDS 32u /* a chip's: 64 bytes */
#define POLLS_MAX 100000

enum expect { COMMAND, ERASE_CONFIRM, PROGRAM_WORD, BUFFER_COUNT, BUFFER_DATA, BUFFER_CONFIRM };

struct chip {
    uint16_t word[BLOCKS * CHIP_BLOCK_WORDS];
    enum expect expect;
    enum { ARRAY, STATUS, QUERY_MODE } mode;
    unsigned busy;       /* reads of status until the chip is ready */
    unsigned suspending; /* reads until it has suspended */
    bool suspended, erasing;
    uint8_t status;
    uint32_t block; /* being erased, in words */
    unsigned left;  /* of the buffer */
    uint32_t buffer_at[BUFFER_WORDS];
    uint16_t buffer[BUFFER_WORDS];
    unsigned filled;
};

static struct chip chips[2];
static unsigned erase_polls[2], program_polls, suspends;
static uint8_t fail_status; /* of the second chip's next operation */
static uint8_t cfi_regions;

static unsigned cfi_byte(uint32_t word)
{
    switch (word) {
    case 0x10:
        return 'Q';
    case 0x11:
        return 'R';
    case 0x12:
        return 'Y';
    case 0x13:
        return CFI_VENDOR_INTEL_EXTENDED;
    case 0x27:
        return 13; /* 8 KiB a chip */
    case 0x2a:
        return 6; /* 64 bytes of buffer */
    case 0x2c:
        return cfi_regions;
    case 0x2d:
        return BLOCKS - 1;
    case 0x2f:
        return 2 * CHIP_BLOCK_WORDS / 256;
    default:
        return 0;
    }
}

static void begin(struct chip *c, unsigned polls)
{
    c->busy = polls;
    c->mode = STATUS;
    c->expect = COMMAND;
    if (c == &chips[1]) {
        c->status |= fail_status;
        fail_status = 0;
    }
}

static void program(struct chip *c, uint32_t at, uint16_t value)
{
    c->word[at] &= value;
}

static void program_buffer(struct chip *c)
{
    for (unsigned i = 0; i < c->filled; i++) {
        assert_int_equal(c->buffer_at[i] / BUFFER_WORDS, c->buffer_at[0] / BUFFER_WORDS);
        program(c, c->buffer_at[i], c->buffer[i]);
    }
    begin(c, program_polls);
}

static void erase_chip_block(struct chip *c)
{
    for (uint32_t i = 0; i < CHIP_BLOCK_WORDS; i++)
        c->word[c->block + i] = 0xffff;
}

static void command_while_busy(struct chip *c, uint8_t cmd)
{
    assert_true(cmd == 0xb0 || cmd == 0x70);
    if (cmd == 0xb0 && c->erasing && c->suspending == 0)
        c->suspending = 3;
}

static void command(struct chip *c, uint8_t cmd, uint32_t at)
{
    switch (cmd) {
    case 0xff:
        c->mode = ARRAY;
        break;
    case 0x98:
        c->mode = QUERY_MODE;
        break;
    case 0x70:
        c->mode = STATUS;
        break;
    case 0x50:
        c->status = 0;
        break;
    case 0x20:
        assert_false(c->suspended);
        c->block = at / CHIP_BLOCK_WORDS * CHIP_BLOCK_WORDS;
        c->expect = ERASE_CONFIRM;
        break;
    case 0x40:
        c->expect = PROGRAM_WORD;
        break;
    case 0xe8:
        c->mode = STATUS;
        c->expect = BUFFER_COUNT;
        break;
    case 0xd0:
        assert_true(c->suspended);
        c->suspended = false;
        c->mode = STATUS;
        break;
    case 0xb0: /* too late: nothing is under way */
        break;
    default:
        fail_msg("command %02x", cmd);
    }
}

static void write_chip(struct chip *c, unsigned lane, uint32_t at, uint16_t v)
{
    switch (c->expect) {
    case COMMAND:
        if (c->busy > 0 && !c->suspended)
            command_while_busy(c, (uint8_t)v);
        else
            command(c, (uint8_t)v, at);
        return;
    case ERASE_CONFIRM:
        assert_int_equal(v, 0xd0);
        c->erasing = true;
        begin(c, erase_polls[lane]);
        return;
    case PROGRAM_WORD:
        program(c, at, v);
        begin(c, program_polls);
        return;
    case BUFFER_COUNT:
        assert_true(v < BUFFER_WORDS);
        c->left = v + 1u;
        c->filled = 0;
        c->expect = BUFFER_DATA;
        return;
    case BUFFER_DATA:
        c->buffer_at[c->filled] = at;
        c->buffer[c->filled++] = v;
        if (--c->left == 0)
            c->expect = BUFFER_CONFIRM;
        return;
    case BUFFER_CONFIRM:
        assert_int_equal(v, 0xd0);
        program_buffer(c);
        return;
    }
}

static void pass_time(struct chip *c)
{
    if (c->suspended || c->busy == 0)
        return;
    if (c->suspending > 0 && --c->suspending == 0) {
        c->suspended = true;
        suspends++;
        return;
    }
    if (--c->busy > 0)
        return;
    c->suspending = 0;
    if (c->erasing)
        erase_chip_block(c);
    c->erasing = false;
}

static uint16_t read_chip(struct chip *c, uint32_t at)
{
    pass_time(c);
    if (c->mode == QUERY_MODE)
        return (uint16_t)cfi_byte(at);
    if (c->mode == ARRAY)
        return c->word[at];
    bool ready_now = c->busy == 0 || c->suspended;
    return (uint16_t)((ready_now ? 0x80 : 0) | (c->suspended ? 0x40 : 0) | (ready_now ? c->status : 0));
}

uint32_t nor_bus_read(uint32_t offset)
{
    uint32_t low = read_chip(&chips[0], offset / 4);
    return (uint32_t)read_chip(&chips[1], offset / 4) << 16 | low;
}

void nor_bus_write(uint32_t offset, uint32_t value)
{
    write_chip(&chips[0], 0, offset / 4, (uint16_t)value);
    write_chip(&chips[1], 1, offset / 4, (uint16_t)(value >> 16));
}

void nor_bus_copy(uint32_t offset, void *out, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        const struct chip *c = &chips[(offset + i) / 2 % 2];
        assert_int_equal(c->mode, ARRAY);
        assert_true(c->busy == 0 || c->suspended);
        ((uint8_t *)out)[i] = (uint8_t)(c->word[(offset + i) / 4] >> 8 * ((offset + i) % 2));
    }
}

/* --- */

static int power_on(void **fixture)
{
    (void)fixture;
    memset(chips, 0, sizeof chips);
    cfi_regions = 1;
    erase_polls[0] = erase_polls[1] = program_polls = 1;
    suspends = 0;
    fail_status = 0;
    return flash_device_init() == RC_OK ? 0 : -1;
}

static enum rc run(struct flash_op *op)
{
    flash_start(op);
    for (unsigned i = 0; i < POLLS_MAX && !op->finished; i++)
        flash_poll();
    assert_true(op->finished);
    return op->result;
}

static enum rc erase_at(uint64_t addr)
{
    struct flash_op op = { .kind = FLASH_ERASE, .addr = addr };
    return run(&op);
}

static enum rc program_at(uint64_t addr, const void *data, uint32_t len)
{
    struct flash_op op = { .kind = FLASH_PROGRAM, .addr = addr, .data = data, .len = len };
    return run(&op);
}

static void assert_holds(uint64_t addr, const uint8_t *expected, size_t len)
{
    uint8_t bytes[BLOCK_BYTES];
    assert_int_equal(flash_read(addr, bytes, len), RC_OK);
    assert_memory_equal(bytes, expected, len);
}

static void fill(uint8_t *p, size_t len, unsigned seed)
{
    for (size_t i = 0; i < len; i++)
        p[i] = (uint8_t)((i + seed) * 37 % 251);
}

static void geometry_comes_from_the_chips(void **fixture)
{
    (void)fixture;
    assert_int_equal(flash_geometry()->size_bytes, BANK_BYTES);
    assert_int_equal(flash_geometry()->erase_block_bytes, BLOCK_BYTES);
    assert_int_equal(flash_geometry()->program_unit_bytes, 4);
    cfi_regions = 2;
    assert_int_equal(flash_device_init(), RC_UNSUPPORTED);
}

static void programs_of_any_place_and_length(void **fixture)
{
    (void)fixture;
    static uint8_t data[BLOCK_BYTES + 1];
    for (uint32_t from = 0; from < 300; from += 52)
        for (uint32_t len = 4; len < 700; len += 60) {
            fill(data, sizeof data, from + len);
            assert_int_equal(erase_at(BLOCK_BYTES), RC_OK);
            assert_int_equal(program_at(BLOCK_BYTES + from, data + 1, len), RC_OK);
            assert_holds(BLOCK_BYTES + from, data + 1, len);
            assert_holds(BLOCK_BYTES + from + len, (const uint8_t[4]){ 255, 255, 255, 255 }, 4);
        }
    assert_int_equal(erase_at(BLOCK_BYTES), RC_OK);
    assert_int_equal(erase_at(2 * BLOCK_BYTES), RC_OK);
    assert_int_equal(program_at(2 * BLOCK_BYTES - 100, data, 400), RC_OK);
    assert_holds(2 * BLOCK_BYTES - 100, data, 400);
}

static void a_read_suspends_the_erase(void **fixture)
{
    (void)fixture;
    uint8_t data[64];
    fill(data, sizeof data, 1);
    assert_int_equal(erase_at(0), RC_OK);
    assert_int_equal(program_at(0, data, sizeof data), RC_OK);
    erase_polls[0] = 40;
    erase_polls[1] = 95; /* one chip is done long before the other */
    struct flash_op op = { .kind = FLASH_ERASE, .addr = BLOCK_BYTES };
    flash_start(&op);
    unsigned reads = 0;
    for (; !op.finished && reads < POLLS_MAX; reads++) {
        flash_poll();
        assert_holds(0, data, sizeof data);
    }
    assert_int_equal(op.result, RC_OK);
    assert_true(reads > 10 && suspends > 10);
    assert_int_equal(program_at(BLOCK_BYTES, data, sizeof data), RC_OK);
    assert_holds(BLOCK_BYTES, data, sizeof data);
}

static void a_read_waits_for_a_program(void **fixture)
{
    (void)fixture;
    uint8_t data[256];
    fill(data, sizeof data, 2);
    assert_int_equal(erase_at(0), RC_OK);
    program_polls = 7;
    struct flash_op op = { .kind = FLASH_PROGRAM, .addr = 0, .data = data, .len = sizeof data };
    flash_start(&op);
    flash_poll();
    assert_holds(0, data, 64); /* the first buffer */
    while (!op.finished)
        flash_poll();
    assert_int_equal(op.result, RC_OK);
    assert_holds(0, data, sizeof data);
}

static void failures_are_reported_once(void **fixture)
{
    (void)fixture;
    const uint8_t data[8] = { 1, 2, 3, 4, 5, 6, 7, 8 };
    fail_status = 0x20;
    assert_int_equal(erase_at(0), RC_IO);
    assert_int_equal(erase_at(0), RC_OK);
    fail_status = 0x10;
    assert_int_equal(program_at(0, data, 8), RC_IO);
    assert_int_equal(program_at(8, data, 8), RC_OK);
    fail_status = 0x10;
    assert_int_equal(program_at(16, data, 4), RC_IO);
    assert_int_equal(program_at(20, data, 4), RC_OK);
    assert_holds(20, data, 4);
    erase_polls[0] = 50;
    fail_status = 0x20; /* seen by a read, told by the operation */
    struct flash_op op = { .kind = FLASH_ERASE, .addr = BLOCK_BYTES };
    flash_start(&op);
    flash_poll();
    while (!op.finished) {
        assert_holds(20, data, 4);
        flash_poll();
    }
    assert_int_equal(op.result, RC_IO);
}

static void what_nor_cannot_do_is_refused(void **fixture)
{
    (void)fixture;
    static const uint8_t ones[8] = { 255, 255, 255, 255, 255, 255, 255, 255 }, zeros[8], half[4] = { 15, 15, 15, 15 };
    assert_int_equal(erase_at(0), RC_OK);
    assert_int_equal(program_at(0, half, 4), RC_OK);
    assert_int_equal(program_at(0, ones, 8), RC_INVALID);
    assert_int_equal(program_at(0, half, 4), RC_INVALID); /* a unit is programmed once, to the same value too */
    assert_int_equal(program_at(0, zeros, 8), RC_OK);
    assert_int_equal(program_at(2, zeros, 4), RC_INVALID);
    assert_int_equal(program_at(8, zeros, 3), RC_INVALID);
    assert_int_equal(program_at(BANK_BYTES - 4, zeros, 8), RC_INVALID);
    assert_int_equal(program_at(UINT64_MAX - 3, zeros, 4), RC_INVALID);
    assert_int_equal(erase_at(4), RC_INVALID);
    assert_int_equal(erase_at(BANK_BYTES), RC_INVALID);
    assert_holds(0, zeros, 8);
    uint8_t byte;
    assert_int_equal(flash_read(BANK_BYTES, &byte, 1), RC_INVALID);
    assert_int_equal(flash_read(UINT64_MAX, &byte, 2), RC_INVALID);
}

static void operations_keep_their_order(void **fixture)
{
    (void)fixture;
    static const uint8_t data[4] = { 1, 2, 3, 4 };
    struct flash_op op[5] = { { .kind = FLASH_ERASE, .addr = 0 },
                              { .kind = FLASH_PROGRAM, .addr = 0, .data = data, .len = 4 },
                              { .kind = FLASH_PROGRAM, .addr = 0, .data = data, .len = 4 },
                              { .kind = FLASH_SYNC },
                              { .kind = FLASH_PROGRAM, .addr = 4, .data = data, .len = 0 } };
    assert_false(flash_busy());
    for (unsigned i = 0; i < 5; i++)
        flash_start(&op[i]);
    for (unsigned polls = 0; flash_busy() && polls < POLLS_MAX; polls++) {
        flash_poll();
        for (unsigned i = 1; i < 5; i++)
            assert_true(op[i - 1].finished || !op[i].finished);
    }
    const enum rc expected[5] = { RC_OK, RC_OK, RC_INVALID, RC_OK, RC_OK };
    for (unsigned i = 0; i < 5; i++) {
        assert_true(op[i].finished && op[i].done.set);
        assert_int_equal(op[i].result, expected[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(geometry_comes_from_the_chips, power_on),
        cmocka_unit_test_setup(programs_of_any_place_and_length, power_on),
        cmocka_unit_test_setup(a_read_suspends_the_erase, power_on),
        cmocka_unit_test_setup(a_read_waits_for_a_program, power_on),
        cmocka_unit_test_setup(failures_are_reported_once, power_on),
        cmocka_unit_test_setup(what_nor_cannot_do_is_refused, power_on),
        cmocka_unit_test_setup(operations_keep_their_order, power_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
