/* Numbers of the posix board. */
#ifndef BOARDS_POSIX_BOARD_CONFIG_H
#define BOARDS_POSIX_BOARD_CONFIG_H

#define BOARD_WATCHDOG_MS 10000u /* a main loop that has not come by for so long hangs */

#define POSIX_FLASH_BLOCK_BYTES (256u * 1024)
#define POSIX_FLASH_UNIT_BYTES 4u
#define POSIX_FLASH_NEW_BYTES (64u * 1024 * 1024) /* a flash file that is made here */
#define POSIX_SYNC_WAIT_MS 2                      /* a sync waits so long for others to share it, if the box is busy */

#endif
