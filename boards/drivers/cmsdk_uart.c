/* The APB UART of ARM's Cortex-M System Design Kit (DDI 0479): one byte of buffer each way. */
#include "boards/drivers/irq.h"
#include "boards/drivers/mmio.h"
#include "boards/drivers/uart.h"
#include "board/board_config.h"

#define UART_DATA (UART_BASE + 0x00)
#define UART_STATE (UART_BASE + 0x04)
#define UART_CTRL (UART_BASE + 0x08)
#define UART_INTCLEAR (UART_BASE + 0x0c)
#define UART_BAUDDIV (UART_BASE + 0x10)

#define STATE_TX_FULL 1u
#define STATE_RX_FULL 2u
#define CTRL_TX_RX 3u
#define CTRL_RX_INTERRUPT 8u
#define INT_RX 2u

void uart_init(void)
{
    mmio_write32(UART_BAUDDIV, SYSTEM_CLOCK_HZ / CONSOLE_BAUD);
    mmio_write32(UART_CTRL, CTRL_TX_RX);
}

enum rc uart_irq_init(void (*quiet)(void))
{
    uart_receive_irq(true);
    return irq_enable(IRQ_UART_RX, quiet);
}

void uart_receive_irq(bool on)
{
    mmio_write32(UART_CTRL, on ? CTRL_TX_RX | CTRL_RX_INTERRUPT : CTRL_TX_RX);
    if (!on)
        mmio_write32(UART_INTCLEAR, INT_RX);
}

/* The interrupt is cleared before the byte is taken: the next byte raises it anew. */
int uart_getc(void)
{
    if (!(mmio_read32(UART_STATE) & STATE_RX_FULL))
        return -1;
    mmio_write32(UART_INTCLEAR, INT_RX);
    return (int)(mmio_read32(UART_DATA) & 0xff);
}

void uart_putc(uint8_t c)
{
    while (mmio_read32(UART_STATE) & STATE_TX_FULL) {
    }
    mmio_write32(UART_DATA, c);
}
