/* hal/console.h on a serial line: a ring between the device and the console task. */
#include "boards/drivers/uart.h"
#include "hal/console.h"

/* More than a pasted line; the device's own flow control holds the rest back. A power of two. */
#define RING_BYTES 512u

struct event console_input;

static uint8_t ring[RING_BYTES];
static unsigned head, tail; /* free-running; head - tail bytes are stored */

void console_poll(void)
{
    unsigned before = head;
    while (head - tail < RING_BYTES) {
        int c = uart_getc();
        if (c < 0)
            break;
        ring[head++ % RING_BYTES] = (uint8_t)c;
    }
    if (head - tail == RING_BYTES)
        uart_receive_irq(false);
    if (head != before)
        event_signal(&console_input);
}

int console_getc(void)
{
    if (head == tail)
        return -1;
    bool was_full = head - tail == RING_BYTES;
    int c = ring[tail++ % RING_BYTES];
    if (was_full) {
        uart_receive_irq(true);
        console_poll(); /* what waits in the device already will not interrupt again */
    }
    return c;
}

void console_write(const void *data, size_t len)
{
    const uint8_t *p = data;
    for (size_t i = 0; i < len; i++)
        uart_putc(p[i]);
}
