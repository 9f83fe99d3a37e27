/* ARM PrimeCell UART PL011 (DDI 0183). */
#include "boards/drivers/irq.h"
#include "boards/drivers/mmio.h"
#include "boards/drivers/uart.h"
#include "board/board_config.h"

#define UART_DR (UART_BASE + 0x00)
#define UART_FR (UART_BASE + 0x18)
#define UART_IBRD (UART_BASE + 0x24)
#define UART_FBRD (UART_BASE + 0x28)
#define UART_LCR_H (UART_BASE + 0x2c)
#define UART_CR (UART_BASE + 0x30)
#define UART_IMSC (UART_BASE + 0x38)
#define UART_ICR (UART_BASE + 0x44)

#define FR_RX_EMPTY (1u << 4)
#define FR_TX_FULL (1u << 5)
#define LCR_8BIT_FIFO (3u << 5 | 1u << 4)
#define CR_ENABLE_TX_RX (1u << 0 | 1u << 8 | 1u << 9)
#define INT_RX (1u << 4)
#define INT_RX_TIMEOUT (1u << 6)
#define INT_OTHERS (0x7ffu & ~(INT_RX | INT_RX_TIMEOUT))

void uart_init(void)
{
    uint32_t divisor_q6 = UART_CLOCK_HZ * 4 / CONSOLE_BAUD;
    mmio_write32(UART_CR, 0);
    mmio_write32(UART_IMSC, 0);
    mmio_write32(UART_IBRD, divisor_q6 >> 6);
    mmio_write32(UART_FBRD, divisor_q6 & 0x3f);
    mmio_write32(UART_LCR_H, LCR_8BIT_FIFO);
    mmio_write32(UART_ICR, INT_OTHERS);
    mmio_write32(UART_CR, CR_ENABLE_TX_RX);
}

enum rc uart_irq_init(void (*quiet)(void))
{
    uart_receive_irq(true);
    return irq_enable(IRQ_UART, quiet);
}

void uart_receive_irq(bool on)
{
    mmio_write32(UART_IMSC, on ? INT_RX | INT_RX_TIMEOUT : 0);
}

int uart_getc(void)
{
    if (mmio_read32(UART_FR) & FR_RX_EMPTY)
        return -1;
    return (int)(mmio_read32(UART_DR) & 0xff);
}

void uart_putc(uint8_t c)
{
    while (mmio_read32(UART_FR) & FR_TX_FULL) {
    }
    mmio_write32(UART_DR, c);
}
