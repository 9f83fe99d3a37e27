/* The 32-bit bus to a bank of two x16 NOR chips, as cfi_nor.c sees it; offsets are in bytes from the bank's start and
 * multiples of 4. A board gives it at its address; a test gives chips of its own. */
#ifndef BOARDS_DRIVERS_NOR_BUS_H
#define BOARDS_DRIVERS_NOR_BUS_H

#include <stddef.h>
#include <stdint.h>

uint32_t nor_bus_read(uint32_t offset);
void nor_bus_write(uint32_t offset, uint32_t value);
/* Any alignment; the chips must be in array mode. */
void nor_bus_copy(uint32_t offset, void *out, size_t len);

#endif
