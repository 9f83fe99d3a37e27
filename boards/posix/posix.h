/* What the files of the posix board share: the command line, and what survives a reset. */
#ifndef BOARDS_POSIX_POSIX_H
#define BOARDS_POSIX_POSIX_H

#include <stdbool.h>
#include <stdint.h>

#include "hal/base/rc.h"
#include "hal/reset.h"

struct posix_options {
    const char *flash_path; /* --flash */
    const char *tap;        /* --tap; NULL: no Ethernet */
    bool rtc_set;           /* --rtc */
    int64_t rtc_unix_s;
    char **argv; /* as given, for the reset */
};
extern struct posix_options posix_options;

/* Carried over a reset in the environment, as "reason:rtc offset:tap descriptor:crashes in a row". A first start has no
 * such variable: power-on. */
struct posix_carried {
    enum reset_reason reason;
    int64_t rtc_offset_s; /* RTC minus the host's clock */
    int tap_fd;           /* -1: none */
    unsigned quick_crashes;
};
extern struct posix_carried posix_carried;
#define POSIX_CARRIED_ENV "POSTERN_RESET"

void posix_carried_load(void);
/* Executes this program anew with the same arguments, from any thread, also from a signal handler. */
void posix_restart(enum reset_reason why) __attribute__((noreturn));

/* Registers the handlers that turn a fatal signal into a crash dump and RESET_CRASH. */
void posix_crash_init(void);
void posix_rtc_start(int64_t unix_s); /* the RTC shows this now */
void posix_console_init(void);
void posix_console_restore(void); /* the terminal as it was found */
/* Opens or makes the flash file. On error a line is on stderr. */
enum rc posix_flash_open(const char *path) MUST_CHECK;

/* What board_idle sleeps on; -1: nothing. */
extern int posix_tap_fd, posix_flash_event_fd;
extern bool posix_stdin_open;
extern bool posix_stdin_waits; /* set when board_idle saw input */
/* Called by board_idle before it sleeps, where there is something to hurry on: syncs held back for company. */
extern void (*posix_idle_hook)(void);

#endif
