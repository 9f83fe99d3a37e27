/* The box as a Linux process: the command line, then the firmware. */
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "boards/posix/posix.h"
#include "hal/base/datetime.h"
#include "hal/board.h"

static const char usage[] = "usage: postern --flash FILE [--tap IFACE] [--rtc TIME]\n"
                            "  --flash FILE  the flash's contents; made with 64 MiB if missing\n"
                            "  --tap IFACE   the TAP device that is the box's Ethernet\n"
                            "  --rtc TIME    start the real-time clock at TIME (RFC 3339), not at the host's time\n"
                            "The console is on stdin and stdout.\n";

static void fail(const char *what, const char *value)
{
    fprintf(stderr, "postern: %s%s%s\n%s", what, value != NULL ? ": " : "", value != NULL ? value : "", usage);
    exit(2);
}

static void parse(int argc, char **argv)
{
    static const struct option known[] = { { "flash", required_argument, NULL, 'f' },
                                           { "tap", required_argument, NULL, 't' },
                                           { "rtc", required_argument, NULL, 'r' },
                                           { "help", no_argument, NULL, 'h' },
                                           { NULL, 0, NULL, 0 } };
    posix_options.argv = argv;
    for (int c; (c = getopt_long(argc, argv, "", known, NULL)) != -1;) {
        if (c == 'f')
            posix_options.flash_path = optarg;
        else if (c == 't')
            posix_options.tap = optarg;
        else if (c == 'r' && rfc3339_parse(span_of(optarg), &posix_options.rtc_unix_s) == RC_OK)
            posix_options.rtc_set = true;
        else if (c == 'r')
            fail("--rtc is not a time like 2020-05-20T17:00:00Z", optarg);
        else if (c == 'h') {
            fputs(usage, stdout);
            exit(0);
        } else
            fail("bad option", NULL);
    }
    if (optind < argc)
        fail("unexpected argument", argv[optind]);
    if (posix_options.flash_path == NULL)
        fail("--flash is missing", NULL);
}

/* The end of a process is a power cut: nothing is flushed. */
static void on_terminate(int signal_number)
{
    (void)signal_number;
    posix_console_restore();
    _exit(0);
}

static void take_signals(void)
{
    struct sigaction end = { .sa_handler = on_terminate };
    sigaction(SIGTERM, &end, NULL);
    sigaction(SIGINT, &end, NULL);
    sigaction(SIGHUP, &end, NULL);
    signal(SIGPIPE, SIG_IGN);
    posix_crash_init();
}

int main(int argc, char **argv)
{
    parse(argc, argv);
    take_signals();
    posix_carried_load();
    if (posix_options.rtc_set && posix_carried.reason == RESET_POWER_ON)
        posix_rtc_start(posix_options.rtc_unix_s);
    firmware_main();
}
