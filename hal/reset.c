#include "hal/reset.h"

const char *reset_reason_name(enum reset_reason r)
{
    switch (r) {
    case RESET_POWER_ON:
        return "power-on";
    case RESET_REQUESTED:
        return "requested";
    case RESET_WATCHDOG:
        return "watchdog";
    case RESET_CRASH:
        return "crash";
    case RESET_UNKNOWN:
        break;
    }
    return "unknown";
}
