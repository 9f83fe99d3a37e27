/* hal/entropy.h from the host's random device. */
#include <string.h>

#include "boards/drivers/semihosting.h"
#include "hal/entropy.h"
#include "board/board_config.h"

static struct semihosting_file source = { -1 };

enum rc semihosting_entropy_init(void)
{
    return semihosting_open(&source, ENTROPY_FILE, SEMIHOSTING_READ);
}

enum rc entropy_read(void *out, size_t len)
{
    enum rc rc = source.handle < 0 ? RC_UNSUPPORTED : RC_OK;
    if (rc == RC_OK && len > 0)
        rc = semihosting_read(&source, out, len);
    if (rc != RC_OK)
        memset(out, 0, len);
    return rc;
}
