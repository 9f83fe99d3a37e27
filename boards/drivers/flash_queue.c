/* hal/flash.h over one device: the order of operations, and the rules of NOR that a caller could break. Programs are durable
 * when done here, so a sync is done when it comes to the head of the queue. */
#include <string.h>

#include "boards/drivers/flash_device.h"

#define CHECK_BYTES 256u /* compared at a time; a multiple of every program unit */

static struct flash_op *first, *last;
static bool begun;

bool flash_busy(void)
{
    return first != NULL;
}

static bool in_bounds(uint64_t addr, uint64_t len)
{
    uint64_t size = flash_geometry()->size_bytes;
    return addr <= size && len <= size - addr;
}

enum rc flash_read(uint64_t addr, void *out, size_t len)
{
    return in_bounds(addr, len) ? flash_device_read(addr, out, len) : RC_INVALID;
}

static bool all_bytes(const uint8_t *p, size_t len, uint8_t value)
{
    for (size_t i = 0; i < len; i++)
        if (p[i] != value)
            return false;
    return true;
}

/* A unit is programmed once between erases; to zeros always. */
static bool units_programmable(const uint8_t *old, const uint8_t *new, size_t len, size_t unit)
{
    for (size_t i = 0; i < len; i += unit)
        if (!all_bytes(old + i, unit, 0xff) && !all_bytes(new + i, unit, 0))
            return false;
    return true;
}

/* Some devices, emulated ones above all, would take a forbidden program without a word. */
static enum rc check_program(const struct flash_op *op)
{
    uint32_t unit = flash_geometry()->program_unit_bytes;
    uint8_t old[CHECK_BYTES];
    if (op->addr % unit != 0 || op->len % unit != 0 || !in_bounds(op->addr, op->len))
        return RC_INVALID;
    for (uint32_t at = 0; at < op->len;) {
        uint32_t n = op->len - at < CHECK_BYTES ? op->len - at : CHECK_BYTES;
        enum rc rc = flash_device_read(op->addr + at, old, n);
        if (rc != RC_OK)
            return rc;
        if (!units_programmable(old, (const uint8_t *)op->data + at, n, unit))
            return RC_INVALID;
        at += n;
    }
    return RC_OK;
}

static enum rc check(const struct flash_op *op)
{
    uint32_t block_bytes = flash_geometry()->erase_block_bytes;
    switch (op->kind) {
    case FLASH_ERASE:
        return op->addr % block_bytes == 0 && in_bounds(op->addr, block_bytes) ? RC_OK : RC_INVALID;
    case FLASH_PROGRAM:
        return check_program(op);
    case FLASH_SYNC:
        return RC_OK;
    }
    return RC_INVALID;
}

void flash_start(struct flash_op *op)
{
    op->done = (struct event){ NULL, false };
    op->finished = false;
    op->result = RC_OK;
    op->next = NULL;
    if (first == NULL)
        first = op;
    else
        last->next = op;
    last = op;
}

/* op may be gone as soon as it is signalled. */
static void finish(struct flash_op *op, enum rc result)
{
    first = op->next;
    begun = false;
    op->result = result;
    op->finished = true;
    event_signal(&op->done);
}

static bool is_work(const struct flash_op *op)
{
    return op->kind != FLASH_SYNC && !(op->kind == FLASH_PROGRAM && op->len == 0);
}

/* One piece of the operation at the head; what costs nothing is finished at once. */
void flash_poll(void)
{
    while (first != NULL) {
        struct flash_op *op = first;
        enum rc result = begun ? RC_OK : check(op);
        if (result != RC_OK || !is_work(op)) {
            finish(op, result);
            continue;
        }
        if (!begun)
            flash_device_begin(op);
        begun = true;
        if (flash_device_step(op, &result))
            finish(op, result);
        return;
    }
}
