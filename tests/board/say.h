/* What firmwares that are tests have in the place of a console. */
#ifndef TESTS_BOARD_SAY_H
#define TESTS_BOARD_SAY_H

/* One line. */
void say(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
