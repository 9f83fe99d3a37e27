/* A file of the host as NOR flash. The host's calls are synchronous, so each step is one short call and done. */
#include "boards/drivers/flash_device.h"
#include "boards/drivers/semihosting.h"
#include "board/board_config.h"

#define ERASED_BYTES 256u
#define STEP_BYTES 4096u /* programmed in one call */

static const struct flash_geometry geometry = {
    .size_bytes = FLASH_BYTES,
    .erase_block_bytes = FLASH_BLOCK_BYTES,
    .program_unit_bytes = FLASH_UNIT_BYTES,
};

static struct semihosting_file file;
static uint32_t programmed; /* bytes of the program under way that are in the file */

const struct flash_geometry *flash_geometry(void)
{
    return &geometry;
}

enum rc flash_device_init(void)
{
    uint32_t length = 0;
    enum rc rc = semihosting_open(&file, FLASH_FILE, SEMIHOSTING_UPDATE);
    if (rc == RC_OK)
        rc = semihosting_length(&file, &length);
    return rc == RC_OK && length != FLASH_BYTES ? RC_UNSUPPORTED : rc;
}

enum rc flash_device_read(uint64_t addr, void *out, size_t len)
{
    enum rc rc = semihosting_seek(&file, (uint32_t)addr);
    return rc == RC_OK && len > 0 ? semihosting_read(&file, out, len) : rc;
}

void flash_device_begin(const struct flash_op *op)
{
    (void)op;
    programmed = 0;
}

static enum rc erase(uint32_t addr)
{
    static const uint8_t erased[ERASED_BYTES] = { [0 ... ERASED_BYTES - 1] = 0xff };
    enum rc rc = semihosting_seek(&file, addr);
    for (uint32_t at = 0; at < FLASH_BLOCK_BYTES && rc == RC_OK; at += ERASED_BYTES)
        rc = semihosting_write(&file, erased, ERASED_BYTES);
    return rc;
}

static enum rc program_piece(const struct flash_op *op)
{
    uint32_t left = op->len - programmed;
    uint32_t n = left < STEP_BYTES ? left : STEP_BYTES;
    enum rc rc = semihosting_seek(&file, (uint32_t)op->addr + programmed);
    if (rc == RC_OK)
        rc = semihosting_write(&file, (const uint8_t *)op->data + programmed, n);
    programmed += n;
    return rc;
}

bool flash_device_step(const struct flash_op *op, enum rc *result)
{
    *result = op->kind == FLASH_ERASE ? erase((uint32_t)op->addr) : program_piece(op);
    return op->kind == FLASH_ERASE || *result != RC_OK || programmed == op->len;
}
