#include "toolchain/tools/postern-image/memory_flash.h"

#include "toolchain/tools/common/byte_buffer.h"

static struct flash_geometry geometry;
static uint8_t *bytes;

void memory_flash_init(const struct flash_geometry *g)
{
    geometry = *g;
    bytes = tool_alloc((size_t)g->size_bytes, 1);
    memset(bytes, 0xff, (size_t)g->size_bytes);
}

const void *memory_flash_bytes(void)
{
    return bytes;
}

const struct flash_geometry *flash_geometry(void)
{
    return &geometry;
}

static bool within(uint64_t addr, uint64_t len)
{
    return addr <= geometry.size_bytes && len <= geometry.size_bytes - addr;
}

enum rc flash_read(uint64_t addr, void *out, size_t len)
{
    if (!within(addr, len))
        return RC_INVALID;
    memcpy(out, bytes + addr, len);
    return RC_OK;
}

static bool all_are(const uint8_t *p, size_t len, uint8_t value)
{
    for (size_t i = 0; i < len; i++) {
        if (p[i] != value)
            return false;
    }
    return true;
}

static enum rc erase(uint64_t addr)
{
    if (addr % geometry.erase_block_bytes != 0 || !within(addr, geometry.erase_block_bytes))
        return RC_INVALID;
    memset(bytes + addr, 0xff, geometry.erase_block_bytes);
    return RC_OK;
}

/* A unit is programmed once between erases, but may become zeros at any time. */
static enum rc program(uint64_t addr, const uint8_t *data, uint32_t len)
{
    uint32_t unit = geometry.program_unit_bytes;
    if (addr % unit != 0 || len % unit != 0 || !within(addr, len))
        return RC_INVALID;
    for (uint32_t at = 0; at < len; at += unit) {
        if (!all_are(bytes + addr + at, unit, 0xff) && !all_are(data + at, unit, 0))
            return RC_INVALID;
    }
    memcpy(bytes + addr, data, len);
    return RC_OK;
}

void flash_start(struct flash_op *op)
{
    op->result = op->kind == FLASH_ERASE     ? erase(op->addr)
                 : op->kind == FLASH_PROGRAM ? program(op->addr, op->data, op->len)
                                             : RC_OK;
    op->next = NULL;
    op->done = (struct event){ .set = false };
    op->finished = true;
    event_signal(&op->done);
}

void flash_poll(void)
{
}

bool flash_busy(void)
{
    return false;
}
