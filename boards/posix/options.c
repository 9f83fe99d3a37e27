/* The command line's result and the board's name: apart from main, so that test programs link without it. */
#include "boards/posix/posix.h"
#include "hal/board.h"

struct posix_options posix_options;
struct posix_carried posix_carried = { .reason = RESET_POWER_ON, .tap_fd = -1 };

const char *board_name(void)
{
    return "posix";
}
