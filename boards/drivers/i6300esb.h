/* Intel's 6300ESB watchdog on PCI. */
#ifndef BOARDS_DRIVERS_I6300ESB_H
#define BOARDS_DRIVERS_I6300ESB_H

#include <stdbool.h>
#include <stdint.h>

/* Finds the device. True: it is what reset the box last; that is then forgotten. */
bool i6300esb_init(void);
/* False: the box runs without a watchdog. */
bool i6300esb_present(void);
/* The box is reset when nobody kicks for period_ms (at most 1,000,000). Without the device these do nothing. */
void i6300esb_start(uint32_t period_ms);
void i6300esb_kick(void);

#endif
