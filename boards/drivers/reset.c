/* hal/reset.h for boards whose RAM survives a reset: the reason is left at the end of RAM, outside of what start code clears. */
#include "boards/drivers/retained.h"

#include <stdint.h>

#define MAGIC 0x706f7374u

/* What the box was doing; anything but the first two is a reset of our own. */
enum retained_state { STATE_RUNNING, STATE_WATCHED, STATE_REQUESTED, STATE_WATCHDOG, STATE_CRASH, STATE_COUNT };

struct retained {
    uint32_t magic;
    uint32_t state;
    uint32_t check; /* both, inverted: RAM after power-on is not taken for ours */
};

extern volatile struct retained retained_ram; /* from the linker script */

static enum reset_reason reason = RESET_UNKNOWN;

static void retain(enum retained_state state)
{
    retained_ram.magic = MAGIC;
    retained_ram.state = state;
    retained_ram.check = ~(MAGIC ^ (uint32_t)state);
}

static bool retained_valid(void)
{
    return retained_ram.magic == MAGIC && retained_ram.state < STATE_COUNT && retained_ram.check == ~(MAGIC ^ retained_ram.state);
}

static enum reset_reason reason_of(enum retained_state state, bool watchdog_bit)
{
    switch (state) {
    case STATE_REQUESTED:
        return RESET_REQUESTED;
    case STATE_WATCHDOG:
        return RESET_WATCHDOG;
    case STATE_CRASH:
        return RESET_CRASH;
    default:
        return watchdog_bit ? RESET_WATCHDOG : RESET_UNKNOWN;
    }
}

void reset_reason_init(bool watchdog_bit)
{
    if (retained_valid())
        reason = reason_of((enum retained_state)retained_ram.state, watchdog_bit);
    else
        reason = watchdog_bit ? RESET_WATCHDOG : RESET_POWER_ON;
    retain(STATE_RUNNING);
}

void reset_reason_infer(void)
{
    reset_reason_init(retained_valid() && retained_ram.state == STATE_WATCHED);
}

void reset_watchdog_runs(void)
{
    retain(STATE_WATCHED);
}

enum reset_reason reset_reason(void)
{
    return reason;
}

void reset_now(enum reset_reason why)
{
    switch (why) {
    case RESET_CRASH:
        retain(STATE_CRASH);
        break;
    case RESET_WATCHDOG:
        retain(STATE_WATCHDOG);
        break;
    default:
        retain(STATE_REQUESTED);
        break;
    }
    board_reset();
}
