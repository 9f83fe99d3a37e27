/* A thread that looks whether the main loop has come by. It counts its own looks, not the clock: a process that was
 * stopped and goes on (a debugger, a sleeping laptop) does not count as hanging. */
#include "hal/watchdog.h"

#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

#include "boards/posix/board_config.h"
#include "boards/posix/posix.h"
#include "hal/board.h"
#include "hal/console.h"

#define LOOKS 10

static atomic_uint kicks;

static void *watch(void *arg)
{
    (void)arg;
    const struct timespec pause = { .tv_sec = BOARD_WATCHDOG_MS / LOOKS / 1000,
                                    .tv_nsec = BOARD_WATCHDOG_MS / LOOKS % 1000 * 1000000L };
    unsigned seen = atomic_load(&kicks);
    for (unsigned idle = 0; idle < LOOKS; idle++) {
        nanosleep(&pause, NULL);
        unsigned now = atomic_load(&kicks);
        if (now != seen)
            idle = 0;
        seen = now;
    }
    static const char text[] = "\r\nwatchdog: the main loop hangs\r\n";
    console_write(text, sizeof text - 1);
    posix_restart(RESET_WATCHDOG);
}

void watchdog_start(void)
{
    pthread_t thread;
    static bool started;
    if (started)
        return;
    started = true;
    if (pthread_create(&thread, NULL, watch, NULL) != 0)
        board_panic("no thread for the watchdog");
    pthread_detach(thread);
}

void watchdog_kick(void)
{
    atomic_fetch_add_explicit(&kicks, 1, memory_order_relaxed);
}
