/* hal/board.h's name and sleep for boards without an operating system, and the bring-up that they share. */
#include "boards/drivers/bare_board.h"

#include "boards/drivers/irq.h"
#include "boards/drivers/sleep_timer.h"
#include "boards/drivers/uart.h"
#include "hal/base/span.h"
#include "hal/board.h"
#include "hal/console.h"
#include "hal/flash.h"
#include "board/board_config.h"

const char *board_name(void)
{
    return BOARD_NAME;
}

void bare_say(const char *what)
{
    struct span s = span_of(what);
    console_write(s.p, s.len);
}

enum rc bare_start(void)
{
    irq_init();
    if (sleep_timer_init() == RC_OK && uart_irq_init(console_poll) == RC_OK)
        return RC_OK;
    bare_say("board: timer or console failed\r\n");
    return RC_IO;
}

void board_idle(struct deadline d)
{
    if (flash_busy())
        return; /* it advances in flash_poll only, without an interrupt */
    sleep_timer_arm(d);
    __asm__ volatile("dsb\n wfi" : : : "memory");
    sleep_timer_disarm();
    irq_service();
}
