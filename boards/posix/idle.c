/* Sleeping until a device or a deadline wants the main loop. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

#include "boards/posix/board_config.h"
#include "boards/posix/posix.h"
#include "hal/board.h"

int posix_tap_fd = -1, posix_flash_event_fd = -1;
bool posix_stdin_open, posix_stdin_waits;
void (*posix_idle_hook)(void);

void board_idle(struct deadline d)
{
    if (posix_idle_hook != NULL)
        posix_idle_hook();
    struct pollfd fds[] = { { .fd = posix_tap_fd, .events = POLLIN },
                            { .fd = posix_flash_event_fd, .events = POLLIN },
                            { .fd = posix_stdin_open ? STDIN_FILENO : -1, .events = POLLIN } };
    uint64_t left_ms = deadline_left_ms(d);
    if (left_ms > BOARD_WATCHDOG_MS / 4) /* so that an idle main loop comes by often enough to kick it */
        left_ms = BOARD_WATCHDOG_MS / 4;
    struct timespec timeout = { .tv_sec = (time_t)(left_ms / 1000), .tv_nsec = (long)(left_ms % 1000) * 1000000 };
    int ready = ppoll(fds, sizeof fds / sizeof fds[0], &timeout, NULL);
    if (ready < 0 && errno != EINTR)
        board_panic("ppoll failed");
    posix_stdin_waits = ready > 0 && fds[2].revents != 0;
}
