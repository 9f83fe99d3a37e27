/* The second NOR bank of virt on the bus. Device memory: only aligned words are read. */
#include "boards/drivers/nor_bus.h"

#include <string.h>

#include "boards/drivers/mmio.h"
#include "board/board_config.h"

uint32_t nor_bus_read(uint32_t offset)
{
    return mmio_read32(FLASH_BASE + offset);
}

void nor_bus_write(uint32_t offset, uint32_t value)
{
    mmio_write32(FLASH_BASE + offset, value);
}

void nor_bus_copy(uint32_t offset, void *out, size_t len)
{
    uint8_t *p = out;
    while (len > 0) {
        uint32_t word = mmio_read32(FLASH_BASE + (offset & ~3u));
        size_t skip = offset & 3u;
        size_t n = 4 - skip < len ? 4 - skip : len;
        if (n == 4)
            memcpy(p, &word, 4);
        else
            memcpy(p, (const uint8_t *)&word + skip, n);
        offset += n;
        p += n;
        len -= n;
    }
}
