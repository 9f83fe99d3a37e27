/* A reset is this program executed anew: same arguments, same process number, same TAP; memory and queued flash operations
 * are gone. What a real box would keep in its reset cause register and its RTC travels in the environment. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "boards/posix/posix.h"
#include "hal/clock.h"

#define ENVIRONMENT_MAX 512
#define QUICK_CRASH_MS 2000 /* a crash so soon after the start is not restarted at full speed */

void posix_carried_load(void)
{
    const char *text = getenv(POSIX_CARRIED_ENV);
    long long values[4];
    for (unsigned i = 0; text != NULL && i < 4; i++) {
        char *end;
        values[i] = strtoll(text, &end, 10);
        text = *end == ':' ? end + 1 : i == 3 && *end == '\0' && end != text ? end : NULL;
    }
    if (text == NULL)
        return;
    posix_carried.reason = values[0] >= 0 && values[0] <= RESET_UNKNOWN ? (enum reset_reason)values[0] : RESET_UNKNOWN;
    posix_carried.rtc_offset_s = values[1];
    posix_carried.tap_fd = values[2] > STDERR_FILENO && fcntl((int)values[2], F_GETFD) >= 0 ? (int)values[2] : -1;
    posix_carried.quick_crashes = (unsigned)values[3];
    unsetenv(POSIX_CARRIED_ENV);
}

/* Usable from a signal handler: no allocation, no locks. */
static char **environment_with(char *carried)
{
    static char *env[ENVIRONMENT_MAX + 2];
    size_t n = 0;
    for (char **e = environ; *e != NULL && n < ENVIRONMENT_MAX; e++)
        env[n++] = *e;
    env[n++] = carried;
    env[n] = NULL;
    return env;
}

void posix_restart(enum reset_reason why)
{
    static char carried[80];
    bool quick = why == RESET_CRASH && clock_ms() < QUICK_CRASH_MS;
    unsigned crashes = quick ? posix_carried.quick_crashes + 1 : 0;
    if (crashes > 1)
        nanosleep(&(struct timespec){ .tv_sec = 1 }, NULL);
    snprintf(carried, sizeof carried, POSIX_CARRIED_ENV "=%d:%lld:%d:%u", why, (long long)posix_carried.rtc_offset_s, posix_tap_fd,
             crashes);
    posix_console_restore();
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    execve("/proc/self/exe", posix_options.argv, environment_with(carried));
    static const char failed[] = "postern: cannot execute itself for the reset\n";
    if (write(STDERR_FILENO, failed, sizeof failed - 1) < 0)
        _exit(71);
    _exit(70);
}

enum reset_reason reset_reason(void)
{
    return posix_carried.reason;
}

void reset_now(enum reset_reason why)
{
    posix_restart(why);
}
