/* ARM generic timer (ARMv7-A architecture manual, B8): the virtual counter is the clock, its comparator ends the sleep. The
 * physical timer's comparator is the hang watch. */
#include "boards/drivers/cp15.h"
#include "boards/drivers/hang_watch.h"
#include "boards/drivers/irq.h"
#include "boards/drivers/sleep_timer.h"
#include "boards/drivers/ticks.h"
#include "board/board_config.h"

#define CTL_ENABLE 1u
#define SLEEP_MAX_US (WATCHDOG_PERIOD_MS * 1000u / 4) /* the main loop must kick the watchdog meanwhile */
#define COUNTER_MIN_HZ 1000001u

static struct ticks ticks;

DEFINE_CP15_READ(frequency_hz, 0, "c14, c0, 0")

static uint64_t counter(void)
{
    uint64_t v;
    __asm__ volatile("isb\n mrrc p15, 1, %Q0, %R0, c14" : "=r"(v) : : "memory");
    return v;
}

static void set_compare(uint64_t v)
{
    __asm__ volatile("mcrr p15, 3, %Q0, %R0, c14" : : "r"(v));
}

static void set_control(uint32_t v)
{
    __asm__ volatile("mcr p15, 0, %0, c14, c3, 1\n isb" : : "r"(v));
}

enum rc sleep_timer_init(void)
{
    uint32_t hz = frequency_hz();
    if (hz < COUNTER_MIN_HZ)
        return RC_IO;
    set_control(0);
    ticks_init(&ticks, hz, counter());
    return irq_enable(IRQ_TIMER, sleep_timer_disarm);
}

uint64_t clock_us(void)
{
    return ticks.hz == 0 ? 0 : ticks_to_us(&ticks, counter());
}

void sleep_timer_arm(struct deadline d)
{
    uint64_t now = counter();
    uint64_t now_us = ticks_to_us(&ticks, now);
    uint64_t left_us = SLEEP_MAX_US;
    if (d.at_ms <= now_us / 1000)
        left_us = 0;
    else if (d.at_ms < (now_us + SLEEP_MAX_US) / 1000)
        left_us = d.at_ms * 1000 - now_us;
    set_compare(now + ticks_of_us(&ticks, left_us));
    set_control(CTL_ENABLE);
}

void sleep_timer_disarm(void)
{
    set_control(0);
}

static uint64_t physical_counter(void)
{
    uint64_t v;
    __asm__ volatile("isb\n mrrc p15, 0, %Q0, %R0, c14" : "=r"(v) : : "memory");
    return v;
}

void hang_watch_put_off(uint32_t ms)
{
    uint64_t at = physical_counter() + ticks_of_us(&ticks, ms * 1000ull);
    __asm__ volatile("mcrr p15, 2, %Q0, %R0, c14\n" /* CNTP_CVAL */
                     "mcr p15, 0, %1, c14, c2, 1\n" /* CNTP_CTL */
                     "isb"
                     :
                     : "r"(at), "r"(CTL_ENABLE));
}

void hang_watch_start(uint32_t ms)
{
    hang_watch_put_off(ms);
    irq_enable_fast(IRQ_HANG_WATCH);
    __asm__ volatile("cpsie f" : : : "memory");
}
