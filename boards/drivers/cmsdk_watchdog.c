/* hal/watchdog.h on the APB watchdog of ARM's Cortex-M System Design Kit (DDI 0479). When it first runs out it raises the
 * non-maskable interrupt, whose handler shows what hung and resets; should that hang too, it resets by itself when it runs
 * out again. */
#include "boards/drivers/mmio.h"
#include "boards/drivers/retained.h"
#include "hal/watchdog.h"
#include "board/board_config.h"

#define WDOG_LOAD (WATCHDOG_BASE + 0x000)
#define WDOG_CONTROL (WATCHDOG_BASE + 0x008)
#define WDOG_INTCLR (WATCHDOG_BASE + 0x00c)
#define WDOG_LOCK (WATCHDOG_BASE + 0xc00)

#define CONTROL_INTERRUPT_RESET 3u
#define UNLOCK_KEY 0x1acce551u

void watchdog_start(void)
{
    mmio_write32(WDOG_LOCK, UNLOCK_KEY);
    mmio_write32(WDOG_LOAD, SYSTEM_CLOCK_HZ / 1000u * WATCHDOG_PERIOD_MS);
    mmio_write32(WDOG_CONTROL, CONTROL_INTERRUPT_RESET);
    mmio_write32(WDOG_LOCK, 0);
    reset_watchdog_runs();
}

/* Clearing the interrupt also starts the count anew. */
void watchdog_kick(void)
{
    mmio_write32(WDOG_LOCK, UNLOCK_KEY);
    mmio_write32(WDOG_INTCLR, 1);
    mmio_write32(WDOG_LOCK, 0);
}
