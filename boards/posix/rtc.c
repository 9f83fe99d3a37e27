/* The battery-backed clock: the host's, set off by --rtc or by what was written. The offset survives resets. */
#include <time.h>

#include "boards/posix/posix.h"
#include "hal/clock.h"

static int64_t host_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return now.tv_sec;
}

void posix_rtc_start(int64_t unix_s)
{
    posix_carried.rtc_offset_s = unix_s - host_s();
}

enum rc clock_rtc_read(int64_t *unix_s)
{
    *unix_s = host_s() + posix_carried.rtc_offset_s;
    return *unix_s >= 0 ? RC_OK : RC_INVALID;
}

enum rc clock_rtc_write(int64_t unix_s)
{
    posix_rtc_start(unix_s);
    return RC_OK;
}
