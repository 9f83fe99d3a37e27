/* mps2-an500: brings the devices up in order and resets through the system control block. */
#include "hal/board.h"

#include "boards/drivers/bare_board.h"
#include "boards/drivers/flash_device.h"
#include "boards/drivers/fpgaio_clock.h"
#include "boards/drivers/mmio.h"
#include "boards/drivers/retained.h"
#include "boards/drivers/semihosting.h"
#include "boards/drivers/uart.h"
#include "boards/mps2-an500/mpu.h"
#include "board/board_config.h"

#define SCB_AIRCR 0xe000ed0cu
#define AIRCR_SYSTEM_RESET (0x05fau << 16 | 1u << 2)

void board_main(void) __attribute__((noreturn)); /* from start.S */

void board_main(void)
{
    mpu_start();
    uart_init();
    reset_reason_infer();
    firmware_main();
}

static enum rc flash_up(void)
{
    enum rc rc = flash_device_init();
    if (rc == RC_NOT_FOUND)
        bare_say("flash: " FLASH_FILE " cannot be opened in QEMU's working directory\r\n");
    else if (rc != RC_OK)
        bare_say("flash: " FLASH_FILE " is not 16 MiB long\r\n");
    return rc;
}

enum rc board_init(void)
{
    fpgaio_clock_init();
    if (bare_start() != RC_OK)
        return RC_IO;
    if (semihosting_entropy_init() != RC_OK)
        bare_say("entropy: " ENTROPY_FILE " cannot be opened\r\n");
    return flash_up() == RC_OK ? RC_OK : RC_IO;
}

void board_reset(void)
{
    mmio_barrier();
    mmio_write32(SCB_AIRCR, AIRCR_SYSTEM_RESET);
    for (;;) {
    }
}
