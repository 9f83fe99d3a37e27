/* The console on stdin and stdout. A terminal is made raw, for the firmware echoes and edits; Ctrl-C still ends the
 * process. The end of stdin only means that nobody types. */
#include "hal/console.h"

#include <errno.h>
#include <poll.h>
#include <termios.h>
#include <unistd.h>

#include "boards/posix/posix.h"

#define LOOK_INTERVAL_MS 5 /* how often a busy loop asks the kernel for input */

struct event console_input;

static struct termios found_terminal;
static bool terminal_changed;
static uint8_t input[256];
static size_t input_pos, input_len;
static uint64_t looked_ms;

void posix_console_init(void)
{
    posix_stdin_open = true;
    if (!isatty(STDIN_FILENO) || tcgetattr(STDIN_FILENO, &found_terminal) != 0)
        return;
    struct termios raw = found_terminal;
    raw.c_iflag &= ~(tcflag_t)(ICRNL | INLCR | IGNCR | IXON | ISTRIP);
    raw.c_oflag &= ~(tcflag_t)OPOST;
    raw.c_lflag &= ~(tcflag_t)(ECHO | ECHONL | ICANON | IEXTEN);
    raw.c_cc[VMIN] = 1;
    raw.c_cc[VTIME] = 0;
    terminal_changed = tcsetattr(STDIN_FILENO, TCSANOW, &raw) == 0;
}

void posix_console_restore(void)
{
    if (terminal_changed)
        tcsetattr(STDIN_FILENO, TCSANOW, &found_terminal);
}

static bool stdin_has_input(void)
{
    struct pollfd fd = { .fd = STDIN_FILENO, .events = POLLIN };
    return poll(&fd, 1, 0) > 0;
}

void console_poll(void)
{
    if (!posix_stdin_open || input_pos < input_len)
        return;
    uint64_t now_ms = clock_ms();
    if (!posix_stdin_waits && now_ms - looked_ms < LOOK_INTERVAL_MS)
        return;
    looked_ms = now_ms;
    posix_stdin_waits = false;
    if (!stdin_has_input())
        return;
    ssize_t n = read(STDIN_FILENO, input, sizeof input);
    if (n == 0 || (n < 0 && errno != EINTR && errno != EAGAIN))
        posix_stdin_open = false;
    input_pos = 0;
    input_len = n > 0 ? (size_t)n : 0;
    if (input_len > 0)
        event_signal(&console_input);
}

int console_getc(void)
{
    if (input_pos == input_len)
        console_poll();
    return input_pos < input_len ? input[input_pos++] : -1;
}

void console_write(const void *data, size_t len)
{
    const uint8_t *from = data;
    while (len > 0) {
        ssize_t n = write(STDOUT_FILENO, from, len);
        if (n > 0) {
            from += n;
            len -= (size_t)n;
        } else if (n < 0 && errno == EAGAIN) {
            struct pollfd fd = { .fd = STDOUT_FILENO, .events = POLLOUT };
            poll(&fd, 1, -1);
        } else if (n < 0 && errno != EINTR)
            return; /* nobody reads: the box goes on */
    }
}
