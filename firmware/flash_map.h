/* How the flash is divided: settings, list slots A and B, firmware staging, spool. Computed from the board's geometry, so that it
 * is the same for firmware and host tools: see flash_map.c for the table. */
#ifndef FIRMWARE_FLASH_MAP_H
#define FIRMWARE_FLASH_MAP_H

#include "hal/flash.h"

struct flash_area {
    uint64_t addr, size_bytes; /* whole erase blocks */
};

struct flash_map {
    struct flash_area settings; /* two halves of equal size */
    struct flash_area list[2];
    struct flash_area staging;
    struct flash_area spool;
};

/* 256 KiB blocks (64 MiB and up): settings 4 blocks, list 2 x 32, staging 4, spool the rest. 4 KiB blocks (16 MiB and up): settings 32,
 * list 2 x 256, staging 128, spool the rest. RC_UNSUPPORTED for a geometry that fits neither. */
enum rc flash_map_compute(const struct flash_geometry *g, struct flash_map *out) MUST_CHECK;

#endif
