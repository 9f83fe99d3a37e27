/* NOR flash with the Intel command set (JEDEC CFI, JESD68; vendor sets 0001h and 0003h): a 32-bit bank of two x16 chips, each
 * command and status doubled. Erase and buffered program as a state machine that flash_poll advances. A read suspends an
 * erase and waits for a program, which is short. After init the chips are in array mode except in the two busy states. */
#include "boards/drivers/flash_device.h"
#include "boards/drivers/nor_bus.h"
#include "hal/base/bytes.h"

#define BOTH(cmd) ((uint32_t)(cmd)*0x00010001u)
#define CMD_ARRAY BOTH(0xff)
#define CMD_QUERY BOTH(0x98)
#define CMD_CLEAR_STATUS BOTH(0x50)
#define CMD_ERASE BOTH(0x20)
#define CMD_CONFIRM BOTH(0xd0)
#define CMD_SUSPEND BOTH(0xb0)
#define CMD_READ_STATUS BOTH(0x70)
#define CMD_WORD_PROGRAM BOTH(0x40)
#define CMD_BUFFER_PROGRAM BOTH(0xe8)
#define STATUS_READY BOTH(0x80)
#define STATUS_SUSPENDED BOTH(0x40)
#define STATUS_ERRORS BOTH(0x3a) /* erase, program, voltage, locked block */

#define BANK_WORD_BYTES 4u
#define CHIPS 2u
#define QUERY(n) (BANK_WORD_BYTES * (n)) /* CFI addresses count words of one chip */
#define CFI_VENDOR_INTEL_EXTENDED 1
#define CFI_VENDOR_INTEL 3
#define SETTLE_POLLS_MAX 1000000u /* far over the slowest part's program and suspend times */

enum nor_state { NOR_IDLE, NOR_ERASING, NOR_WRITING };

static struct flash_geometry geometry = { .program_unit_bytes = BANK_WORD_BYTES };
static enum nor_state state;
static uint32_t buffer_bytes; /* of the bank; a power of two */
static uint32_t block;        /* whose status is read */
static uint32_t written;      /* bytes of the program that the chips were given */
static enum rc outcome;       /* of what went to NOR_IDLE last */

const struct flash_geometry *flash_geometry(void)
{
    return &geometry;
}

static bool is_power_of_two(uint32_t v)
{
    return v != 0 && (v & (v - 1)) == 0;
}

static uint32_t query(unsigned n)
{
    return nor_bus_read(QUERY(n)) & 0xff;
}

/* Little-endian over two query bytes. */
static uint32_t query16(unsigned n)
{
    return query(n) | query(n + 1) << 8;
}

/* A bank of equal blocks with a vendor's command set that this driver speaks. */
static bool learn_geometry(void)
{
    uint32_t vendor = query16(0x13);
    uint32_t chip_log2_bytes = query(0x27);
    uint32_t blocks = query16(0x2d) + 1;
    bool known = query(0x11) == 'R' && query(0x12) == 'Y' && (vendor == CFI_VENDOR_INTEL || vendor == CFI_VENDOR_INTEL_EXTENDED) &&
                 query(0x2c) == 1;
    geometry.erase_block_bytes = CHIPS * 256u * query16(0x2f);
    geometry.size_bytes = (uint64_t)geometry.erase_block_bytes * blocks;
    buffer_bytes = CHIPS << (query16(0x2a) & 31);
    return known && chip_log2_bytes < 31 && geometry.size_bytes == (uint64_t)CHIPS << chip_log2_bytes &&
           is_power_of_two(geometry.erase_block_bytes) && buffer_bytes >= BANK_WORD_BYTES &&
           buffer_bytes <= geometry.erase_block_bytes;
}

enum rc flash_device_init(void)
{
    nor_bus_write(QUERY(0x55), CMD_QUERY);
    bool found = query(0x10) == 'Q';
    bool known = found && learn_geometry();
    nor_bus_write(0, CMD_ARRAY);
    state = NOR_IDLE;
    if (!found)
        return RC_NOT_FOUND;
    return known ? RC_OK : RC_UNSUPPORTED;
}

static bool ready(uint32_t status)
{
    return (status & STATUS_READY) == STATUS_READY;
}

/* The chips have finished what they were given: back to array mode. Errors would stick. No command more than needed: each
 * change of mode costs QEMU 0.1 ms. */
static void settle(uint32_t status)
{
    outcome = status & STATUS_ERRORS ? RC_IO : RC_OK;
    if (outcome != RC_OK)
        nor_bus_write(block, CMD_CLEAR_STATUS);
    nor_bus_write(block, CMD_ARRAY);
    state = NOR_IDLE;
}

static uint32_t wait_ready(void)
{
    uint32_t status = 0;
    for (uint32_t polls = 0; polls < SETTLE_POLLS_MAX && !ready(status); polls++)
        status = nor_bus_read(block);
    return status;
}

/* Each chip for itself: one may have finished its half of the erase already. */
static uint32_t resume_command(uint32_t status)
{
    uint32_t low = status & 0x40 ? 0xd0u : 0xffu;
    uint32_t high = status >> 16 & 0x40 ? 0xd0u : 0xffu;
    return high << 16 | low;
}

enum rc flash_device_read(uint64_t addr, void *out, size_t len)
{
    uint32_t status = STATUS_READY;
    uint32_t suspended = 0;
    if (state != NOR_IDLE) {
        status = nor_bus_read(block);
        if (!ready(status) && state == NOR_ERASING) {
            nor_bus_write(block, CMD_SUSPEND);
            nor_bus_write(block, CMD_READ_STATUS);
        }
        status = wait_ready();
        if (!ready(status))
            return RC_IO;
        suspended = state == NOR_ERASING ? status & STATUS_SUSPENDED : 0;
        if (suspended)
            nor_bus_write(block, CMD_ARRAY);
        else
            settle(status);
    }
    nor_bus_copy((uint32_t)addr, out, len);
    if (suspended) {
        nor_bus_write(block, resume_command(status));
        nor_bus_write(block, CMD_READ_STATUS);
    }
    return RC_OK;
}

void flash_device_begin(const struct flash_op *op)
{
    written = 0;
    outcome = RC_OK;
    if (op->kind == FLASH_PROGRAM)
        return;
    block = (uint32_t)op->addr;
    nor_bus_write(block, CMD_ERASE);
    nor_bus_write(block, CMD_CONFIRM);
    state = NOR_ERASING;
}

static uint32_t bank_word(const struct flash_op *op, uint32_t at)
{
    return get_le32((const uint8_t *)op->data + at);
}

/* Gives the chips what fits their buffers. */
static void write_piece(const struct flash_op *op)
{
    uint32_t addr = (uint32_t)op->addr + written;
    uint32_t room = buffer_bytes - addr % buffer_bytes;
    uint32_t n = op->len - written < room ? op->len - written : room;
    block = addr - addr % geometry.erase_block_bytes;
    if (n == BANK_WORD_BYTES) {
        nor_bus_write(addr, CMD_WORD_PROGRAM);
        nor_bus_write(addr, bank_word(op, written));
    } else {
        /* Any address in the block would do for the chips; QEMU takes the buffer's place from the count's. */
        nor_bus_write(addr, CMD_BUFFER_PROGRAM);
        if (!ready(wait_ready())) {
            settle(STATUS_ERRORS);
            return;
        }
        nor_bus_write(addr, BOTH(n / BANK_WORD_BYTES - 1));
        for (uint32_t i = 0; i < n; i += BANK_WORD_BYTES)
            nor_bus_write(addr + i, bank_word(op, written + i));
        nor_bus_write(addr, CMD_CONFIRM);
    }
    written += n;
    state = NOR_WRITING;
}

bool flash_device_step(const struct flash_op *op, enum rc *result)
{
    if (state != NOR_IDLE) {
        uint32_t status = nor_bus_read(block);
        if (!ready(status))
            return false;
        if (state == NOR_WRITING && !(status & STATUS_ERRORS) && written < op->len)
            state = NOR_IDLE; /* the next piece follows without a way round over array mode */
        else
            settle(status);
    }
    *result = outcome;
    if (op->kind == FLASH_ERASE || outcome != RC_OK || written == op->len)
        return true;
    write_piece(op);
    return false;
}
