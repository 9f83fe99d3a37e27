/* The serial console: bytes in, bytes out. Never yields; the firmware's console task adds lines and waiting. */
#ifndef HAL_CONSOLE_H
#define HAL_CONSOLE_H

#include <stddef.h>

#include "hal/task.h"

/* The next byte received (0..255), or -1 when there is none now. */
int console_getc(void);
/* Signalled when a byte may have come in. */
extern struct event console_input;
/* Writes all of it, busy-waiting on the device if it must: also usable from a crash. */
void console_write(const void *data, size_t len);
/* Moves bytes from the device and signals console_input; called by the main loop. */
void console_poll(void);

#endif
