/* The serial line under the console. Implemented by pl011.c and cmsdk_uart.c. */
#ifndef BOARDS_DRIVERS_UART_H
#define BOARDS_DRIVERS_UART_H

#include <stdbool.h>
#include <stdint.h>

#include "hal/base/rc.h"

/* Line settings; the receive interrupt is off. Usable before anything else is up. */
void uart_init(void);
/* Lets received bytes end the sleep; quiet() is irq.h's. After irq_init. */
enum rc uart_irq_init(void (*quiet)(void)) MUST_CHECK;
/* Off while nobody has room for more bytes, so that they do not keep the box awake. */
void uart_receive_irq(bool on);
/* The next byte received, or -1. */
int uart_getc(void);
/* Waits for room, then sends. */
void uart_putc(uint8_t c);

#endif
