/* Bring-up of the PCI watchdog behind hal/watchdog.h. */
#ifndef BOARDS_DRIVERS_I6300ESB_H
#define BOARDS_DRIVERS_I6300ESB_H

#include <stdbool.h>

/* Finds the device. True: it is what reset the box last; that is then forgotten. */
bool i6300esb_init(void);
/* False: the box runs without a watchdog. */
bool i6300esb_present(void);

#endif
