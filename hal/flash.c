#include "hal/flash.h"

/* The operation lies on this stack, so nothing may end the wait but the driver's signal. */
static enum rc run(struct flash_op *op)
{
    flash_start(op);
    while (!op->finished)
        task_wait_always(&op->done);
    return op->result;
}

enum rc flash_erase(uint64_t block_addr)
{
    struct flash_op op = { .kind = FLASH_ERASE, .addr = block_addr };
    return run(&op);
}

enum rc flash_program(uint64_t addr, const void *data, uint32_t len)
{
    struct flash_op op = { .kind = FLASH_PROGRAM, .addr = addr, .data = data, .len = len };
    return run(&op);
}

enum rc flash_sync(void)
{
    struct flash_op op = { .kind = FLASH_SYNC };
    return run(&op);
}
