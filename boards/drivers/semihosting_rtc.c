/* hal/clock.h's real-time clock from the host, which the board cannot set. */
#include "boards/drivers/semihosting.h"
#include "hal/clock.h"

enum rc clock_rtc_read(int64_t *unix_s)
{
    *unix_s = semihosting_time();
    return RC_OK;
}

enum rc clock_rtc_write(int64_t unix_s)
{
    (void)unix_s;
    return RC_UNSUPPORTED;
}
