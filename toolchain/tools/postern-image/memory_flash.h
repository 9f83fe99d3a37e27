/* hal/flash.h on memory, so that the firmware's own code writes what a box will find on its flash. Operations are done when they are
 * started, and NOR's rules are kept: what breaks them is RC_INVALID. */
#ifndef TOOLS_MEMORY_FLASH_H
#define TOOLS_MEMORY_FLASH_H

#include "hal/flash.h"

/* Erased flash of that geometry, from the heap. Once. */
void memory_flash_init(const struct flash_geometry *g);
const void *memory_flash_bytes(void); /* geometry's size_bytes */

#endif
