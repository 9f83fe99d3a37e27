/* clock_us() from the free-running 32-bit counter of the MPS2 FPGA (AN500, 3.7), carried on to 64 bits at each reading. */
#include "boards/drivers/fpgaio_clock.h"

#include "boards/drivers/mmio.h"
#include "boards/drivers/ticks.h"
#include "hal/clock.h"
#include "board/board_config.h"

#define FPGAIO_COUNTER (FPGAIO_BASE + 0x18)
#define FPGAIO_PRESCALE (FPGAIO_BASE + 0x1c)

static struct ticks ticks;
static uint64_t extended;

static uint64_t counter(void)
{
    uint32_t now = mmio_read32(FPGAIO_COUNTER);
    extended += now - (uint32_t)extended;
    return extended;
}

void fpgaio_clock_init(void)
{
    mmio_write32(FPGAIO_PRESCALE, 0);
    extended = mmio_read32(FPGAIO_COUNTER);
    ticks_init(&ticks, SYSTEM_CLOCK_HZ, extended);
}

uint64_t clock_us(void)
{
    return ticks.hz == 0 ? 0 : ticks_to_us(&ticks, counter());
}
