/* The protected memory system architecture of ARMv7-M (B3.5): four regions over the default map. */
#include "boards/mps2-an500/mpu.h"

#include "boards/drivers/mmio.h"
#include "board/board_config.h"

#define MPU_CTRL 0xe000ed94u
#define MPU_RBAR 0xe000ed9cu
#define MPU_RASR 0xe000eda0u

#define CTRL_ON_WITH_DEFAULT_MAP (1u << 0 | 1u << 2)
#define RBAR_VALID (1u << 4)
#define RASR_XN (1u << 28)
#define RASR_NO_ACCESS (0u << 24)
#define RASR_READ_WRITE (3u << 24)
#define RASR_READ_ONLY (6u << 24)
#define RASR_NORMAL (1u << 17)
#define RASR_SIZE(log2_bytes) (((log2_bytes)-1u) << 1 | 1u)

#define CODE_LOG2_BYTES 22u
#define NULL_LOG2_BYTES 10u
#define RAM_LOG2_BYTES 19u
#define GUARD_LOG2_BYTES 20u
_Static_assert(RAM_BYTES == 1u << RAM_LOG2_BYTES, "the RAM region must cover RAM");

static void region(unsigned number, uint32_t base, uint32_t attributes)
{
    mmio_write32(MPU_RBAR, base | RBAR_VALID | number);
    mmio_write32(MPU_RASR, attributes);
}

/* Where regions overlap the higher number wins. */
void mpu_start(void)
{
    region(0, CODE_BASE, RASR_READ_ONLY | RASR_NORMAL | RASR_SIZE(CODE_LOG2_BYTES));
    region(1, CODE_BASE, RASR_NO_ACCESS | RASR_XN | RASR_SIZE(NULL_LOG2_BYTES));
    region(2, RAM_BASE, RASR_READ_WRITE | RASR_XN | RASR_NORMAL | RASR_SIZE(RAM_LOG2_BYTES));
    region(3, RAM_BASE - (1u << GUARD_LOG2_BYTES), RASR_NO_ACCESS | RASR_XN | RASR_SIZE(GUARD_LOG2_BYTES));
    mmio_write32(MPU_CTRL, CTRL_ON_WITH_DEFAULT_MAP);
    __asm__ volatile("dsb\n isb" : : : "memory");
}
