/* The hardware watchdog: bites when the main loop hangs. The board's period is named in its board_config.h. */
#ifndef HAL_WATCHDOG_H
#define HAL_WATCHDOG_H

void watchdog_start(void);
void watchdog_kick(void);

#endif
