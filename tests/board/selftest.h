/* The parts of the board self-test. */
#ifndef TESTS_BOARD_SELFTEST_H
#define TESTS_BOARD_SELFTEST_H

#include <stdbool.h>

#include "tests/board/say.h"

/* Says "PASS name" or "FAIL name: why", and returns good. */
bool check(const char *name, bool good, const char *why);

/* hal/flash.h: erase, program, the rules of NOR, order, and a count of boots that must survive them. Yields. */
void selftest_flash(void);
/* hal/ethernet.h against a host 10.0.2.2 that answers ARP and ping to 10.0.2.15. Yields. */
void selftest_ethernet(void);
/* policy/list.h: a lookup's stack. Yields. */
void selftest_list(void);
/* Takes and drops what was received. */
void selftest_ethernet_drop(void);

#endif
