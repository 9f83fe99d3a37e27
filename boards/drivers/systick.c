/* The SysTick timer of ARMv7-M (B3.3) as the end of a sleep: 24 bits, so a long sleep is several short ones. */
#include "boards/drivers/mmio.h"
#include "boards/drivers/sleep_timer.h"
#include "board/board_config.h"

#define SYST_CSR 0xe000e010u
#define SYST_RVR 0xe000e014u
#define SYST_CVR 0xe000e018u
#define SCB_ICSR 0xe000ed04u

#define CSR_RUN 7u /* processor clock, exception, on */
#define RELOAD_MAX 0xffffffu
#define ICSR_CLEAR_SYSTICK (1u << 25)
#define TICKS_PER_US (SYSTEM_CLOCK_HZ / 1000000u)

enum rc sleep_timer_init(void)
{
    sleep_timer_disarm();
    return RC_OK;
}

void sleep_timer_arm(struct deadline d)
{
    uint64_t now_us = clock_us();
    uint32_t left = RELOAD_MAX;
    if (d.at_ms <= now_us / 1000)
        left = 1;
    else if (d.at_ms < now_us / 1000 + RELOAD_MAX / TICKS_PER_US / 1000)
        left = (uint32_t)(d.at_ms * 1000 - now_us) * TICKS_PER_US;
    mmio_write32(SYST_RVR, left);
    mmio_write32(SYST_CVR, 0);
    mmio_write32(SYST_CSR, CSR_RUN);
}

void sleep_timer_disarm(void)
{
    mmio_write32(SYST_CSR, 0);
    mmio_write32(SCB_ICSR, ICSR_CLEAR_SYSTICK);
}
