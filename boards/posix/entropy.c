#include "hal/entropy.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/random.h>

enum rc entropy_read(void *out, size_t len)
{
    uint8_t *to = out;
    for (size_t have = 0; have < len;) {
        ssize_t n = getrandom(to + have, len - have, 0);
        if (n > 0)
            have += (size_t)n;
        else if (errno != EINTR) {
            memset(out, 0, len);
            return RC_IO;
        }
    }
    return RC_OK;
}
