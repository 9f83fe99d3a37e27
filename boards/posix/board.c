/* Start of the board; the devices are in files of their own. */
#include "hal/board.h"

#include <stdlib.h>

#include "boards/posix/posix.h"

enum rc board_init(void)
{
    posix_console_init();
    if (posix_flash_open(posix_options.flash_path) == RC_OK)
        return RC_OK;
    posix_console_restore(); /* what to do stands on stderr; a reset would only say it again */
    exit(1);
}
