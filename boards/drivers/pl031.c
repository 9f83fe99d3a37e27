/* ARM PrimeCell real-time clock PL031 (DDI 0224): seconds since 1970 in 32 bits. */
#include "boards/drivers/mmio.h"
#include "hal/clock.h"
#include "board/board_config.h"

#define RTC_DR (RTC_BASE + 0x00)
#define RTC_LR (RTC_BASE + 0x08)
#define RTC_CR (RTC_BASE + 0x0c)

#define YEAR_2000_S 946684800 /* a clock that shows less lost its battery */

enum rc clock_rtc_read(int64_t *unix_s)
{
    uint32_t now = mmio_read32(RTC_DR);
    if (now < YEAR_2000_S)
        return RC_INVALID;
    *unix_s = now;
    return RC_OK;
}

enum rc clock_rtc_write(int64_t unix_s)
{
    if (unix_s < 0 || unix_s > UINT32_MAX)
        return RC_INVALID;
    mmio_write32(RTC_LR, (uint32_t)unix_s);
    mmio_write32(RTC_CR, 1);
    return RC_OK;
}
