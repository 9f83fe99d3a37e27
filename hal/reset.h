/* Ends and reasons. */
#ifndef HAL_RESET_H
#define HAL_RESET_H

enum reset_reason { RESET_POWER_ON, RESET_REQUESTED, RESET_WATCHDOG, RESET_CRASH, RESET_UNKNOWN };

/* Why the box started this time; survives the reset itself. */
enum reset_reason reset_reason(void);
const char *reset_reason_name(enum reset_reason r); /* "power-on", "requested", "watchdog", "crash", "unknown"; hal/reset.c */
/* Resets the box at once. Does not return. Durable state must have been synced. */
void reset_now(enum reset_reason why) __attribute__((noreturn));

#endif
