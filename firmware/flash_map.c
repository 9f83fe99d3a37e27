#include "firmware/flash_map.h"

/* Two tables, by the size of a block: small blocks come with small devices. Areas follow each other from address 0. */
struct division {
    uint32_t block_bytes;
    uint64_t least_size_bytes;
    uint32_t settings_blocks, list_blocks, staging_blocks;
};

static const struct division divisions[] = {
    { 256 * 1024, 64ull * 1024 * 1024, 4, 32, 4 },
    { 4 * 1024, 16ull * 1024 * 1024, 32, 256, 128 },
};

static struct flash_area take(uint64_t *at, uint64_t size_bytes)
{
    struct flash_area area = { *at, size_bytes };
    *at += size_bytes;
    return area;
}

enum rc flash_map_compute(const struct flash_geometry *g, struct flash_map *out)
{
    for (size_t i = 0; i < sizeof divisions / sizeof divisions[0]; i++) {
        const struct division *d = &divisions[i];
        if (g->erase_block_bytes != d->block_bytes || g->size_bytes < d->least_size_bytes)
            continue;
        uint64_t at = 0, block = d->block_bytes;
        out->settings = take(&at, d->settings_blocks * block);
        out->list[0] = take(&at, d->list_blocks * block);
        out->list[1] = take(&at, d->list_blocks * block);
        out->staging = take(&at, d->staging_blocks * block);
        out->spool = take(&at, g->size_bytes / block * block - at);
        return RC_OK;
    }
    return RC_UNSUPPORTED;
}
