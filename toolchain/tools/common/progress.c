#include "toolchain/tools/common/progress.h"

#include <inttypes.h>
#include <time.h>

#define INTERVAL_MS 100
#define CLEAR "\r\033[K"

static bool shown, wanted;
static int64_t last_ms;

static int64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

void progress_start(bool on)
{
    wanted = on;
    shown = false;
    last_ms = 0;
}

void progress_show(const char *what, uint64_t done, uint64_t total)
{
    if (!wanted)
        return;
    int64_t now = now_ms();
    if (shown && now - last_ms < INTERVAL_MS)
        return;
    last_ms = now;
    shown = true;
    if (total > 0)
        fprintf(stderr, CLEAR "%s: %" PRIu64 " of %" PRIu64 " (%" PRIu64 " %%)", what, done, total, done * 100 / total);
    else
        fprintf(stderr, CLEAR "%s: %" PRIu64, what, done);
    fflush(stderr);
}

void progress_end(void)
{
    if (shown)
        fputs(CLEAR, stderr);
    shown = false;
}
