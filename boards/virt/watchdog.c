/* hal/watchdog.h in two steps: the hang watch shows where the main loop hangs and resets; should it fail to, the PCI watchdog
 * resets later. */
#include "hal/watchdog.h"

#include "boards/drivers/hang_watch.h"
#include "boards/drivers/i6300esb.h"
#include "boards/drivers/retained.h"
#include "board/board_config.h"

#define HARDWARE_PERIOD_MS (WATCHDOG_PERIOD_MS + WATCHDOG_PERIOD_MS / 2)

void watchdog_start(void)
{
    i6300esb_start(HARDWARE_PERIOD_MS);
    hang_watch_start(WATCHDOG_PERIOD_MS);
    reset_watchdog_runs();
}

void watchdog_kick(void)
{
    i6300esb_kick();
    hang_watch_put_off(WATCHDOG_PERIOD_MS);
}
