/* NOR flash: erase to ones by block, program ones to zeros, each program unit once between erases (programming a unit to all
 * zeros is allowed at any time). Erase, program and sync are started, then awaited, and never stop the main loop.
 *
 * Durability: a completed operation may still be lost by a power cut until a later flash_sync has completed, and operations
 * not yet synced may be lost in any subset; one that is under way may be torn anywhere. A sync covers every operation that
 * completed before it was started. On boards whose program is durable when done, sync completes at once.
 *
 * Data is read by flash_read only (never by pointer). Operations run in the order they were started. */
#ifndef HAL_FLASH_H
#define HAL_FLASH_H

#include "hal/task.h"

struct flash_geometry {
    uint64_t size_bytes;         /* a multiple of erase_block_bytes */
    uint32_t erase_block_bytes;  /* a power of two */
    uint32_t program_unit_bytes; /* a power of two, 1..32; address and length of a program are multiples of it */
};

enum flash_op_kind { FLASH_ERASE, FLASH_PROGRAM, FLASH_SYNC };

/* One operation. Owned by the flash driver from flash_start until done is signalled; data must stay unchanged as long. */
struct flash_op {
    enum flash_op_kind kind;
    uint64_t addr;    /* ERASE: start of a block; PROGRAM: multiple of the program unit; SYNC: ignored */
    const void *data; /* PROGRAM */
    uint32_t len;     /* PROGRAM: a multiple of the program unit, may cross blocks */
    struct event done;
    bool finished;
    enum rc result; /* RC_OK; RC_IO: the device reports failure (worn out); RC_INVALID: bounds, alignment, or an attempt to
                       turn zeros into ones (boards that can check do) */
    struct flash_op *next;
};

const struct flash_geometry *flash_geometry(void);
/* Never yields, at most waits for or suspends an operation under way. RC_INVALID out of bounds, RC_IO. */
enum rc flash_read(uint64_t addr, void *out, size_t len) MUST_CHECK;
/* Queues op. Fill kind, addr, data, len; the rest is set here. Never fails and never yields: errors come as op->result. */
void flash_start(struct flash_op *op);
/* Advances the device; called by the main loop. */
void flash_poll(void);
/* True while an operation is queued or under way (the main loop must not sleep long). */
bool flash_busy(void);

/* The same as start + task_wait_always: for code in tasks, and at boot. Yield. */
enum rc flash_erase(uint64_t block_addr) MUST_CHECK;
enum rc flash_program(uint64_t addr, const void *data, uint32_t len) MUST_CHECK;
/* Group commit: every flash_sync that waits when the device gets to it is served by one sync. */
enum rc flash_sync(void) MUST_CHECK;

#endif
