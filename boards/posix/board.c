/* Start of the board; the devices are in files of their own. */
#include "hal/board.h"

#include "boards/posix/posix.h"

enum rc board_init(void)
{
    posix_console_init();
    return posix_flash_open(posix_options.flash_path);
}
