/* The console's ring over a serial device with one byte of buffer that interrupts only when a byte comes in. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* The posix board, which all tests are linked with, has these too. */
#define console_input uart_console_input
#define console_poll uart_console_poll
#define console_getc uart_console_getc
#define console_write uart_console_write
#include "boards/drivers/console_uart.c"

static int waiting; /* in the device, -1 none */
static bool irq_on, line_high;
static uint8_t sent[64];
static size_t sent_len;

int uart_getc(void)
{
    int c = waiting;
    waiting = -1;
    line_high = false;
    return c;
}

void uart_putc(uint8_t c)
{
    sent[sent_len++] = c;
}

void uart_receive_irq(bool on)
{
    irq_on = on;
    line_high = line_high && on;
}

/* A sender with flow control; the box services its interrupt at once. */
static bool arrives(uint8_t c)
{
    if (waiting >= 0)
        return false;
    waiting = c;
    line_high = irq_on;
    if (line_high)
        console_poll();
    return true;
}

static int fresh(void **fixture)
{
    (void)fixture;
    while (console_getc() >= 0) {
    }
    event_reset(&console_input);
    waiting = -1;
    irq_on = true;
    sent_len = 0;
    return 0;
}

static void bytes_come_in_order_with_a_signal(void **fixture)
{
    (void)fixture;
    assert_int_equal(console_getc(), -1);
    console_poll();
    assert_false(console_input.set);
    assert_true(arrives('a') && arrives(0) && arrives(255));
    assert_true(console_input.set);
    assert_int_equal(console_getc(), 'a');
    assert_int_equal(console_getc(), 0);
    assert_int_equal(console_getc(), 255);
    assert_int_equal(console_getc(), -1);
}

static void a_full_ring_neither_loses_nor_keeps_awake(void **fixture)
{
    (void)fixture;
    unsigned in = 0, out = 0;
    while (arrives((uint8_t)(in * 7)))
        in++;
    assert_int_equal(in, RING_BYTES + 1); /* the last one stays in the device */
    assert_false(line_high);
    for (; out < 5 * RING_BYTES; out++) {
        assert_int_equal(console_getc(), (uint8_t)(out * 7));
        while (arrives((uint8_t)(in * 7)))
            in++;
    }
    for (; out < in; out++)
        assert_int_equal(console_getc(), (uint8_t)(out * 7));
    assert_int_equal(console_getc(), -1);
    assert_true(irq_on);
}

static void everything_is_written(void **fixture)
{
    (void)fixture;
    console_write("ab\0c", 4);
    console_write("", 0);
    assert_int_equal(sent_len, 4);
    assert_memory_equal(sent, "ab\0c", 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(bytes_come_in_order_with_a_signal, fresh),
        cmocka_unit_test_setup(a_full_ring_neither_loses_nor_keeps_awake, fresh),
        cmocka_unit_test_setup(everything_is_written, fresh),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
