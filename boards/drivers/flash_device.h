/* What flash_queue.c asks of a flash device: the parts of hal/flash.h that differ between devices. Implemented by cfi_nor.c
 * and semihosting_flash.c. The queue has checked bounds and alignment before it calls anything here. */
#ifndef BOARDS_DRIVERS_FLASH_DEVICE_H
#define BOARDS_DRIVERS_FLASH_DEVICE_H

#include "hal/flash.h"

/* Brings the device up. RC_NOT_FOUND: none; RC_UNSUPPORTED: one that the driver does not know; RC_IO. */
enum rc flash_device_init(void) MUST_CHECK;
/* Reads, also while an operation is under way. */
enum rc flash_device_read(uint64_t addr, void *out, size_t len) MUST_CHECK;
/* Starts an ERASE or PROGRAM; only one is under way at a time. */
void flash_device_begin(const struct flash_op *op);
/* Does the next bounded piece of it. True when it is done, with its result. */
bool flash_device_step(const struct flash_op *op, enum rc *result);

#endif
