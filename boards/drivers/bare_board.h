/* What boards without an operating system do alike in board.c: the words of bring-up, the console's and the timer's start, sleep. */
#ifndef BOARDS_DRIVERS_BARE_BOARD_H
#define BOARDS_DRIVERS_BARE_BOARD_H

#include "hal/base/rc.h"

/* A line for the operator before the log exists; what ends in CR LF. */
void bare_say(const char *what);
/* Interrupts, timer and console up, in this order. RC_IO, and it is said. */
enum rc bare_start(void) MUST_CHECK;

#endif
