/* observe: done by postern-observe, which stands beside this program and links what speaks to the internet. */
#include <errno.h>
#include <unistd.h>

#include "toolchain/tools/postern-list/commands.h"

#define PROGRAM "postern-observe"

int command_observe(int argc, char **argv)
{
    char path[4096];
    (void)argc;
    ssize_t len = readlink("/proc/self/exe", path, sizeof path - sizeof PROGRAM - 1);
    if (len <= 0)
        return fail("/proc/self/exe: %s", strerror(errno));
    path[len] = '\0';
    char *slash = strrchr(path, '/');
    memcpy(slash + 1, PROGRAM, sizeof PROGRAM);
    execv(path, argv);
    return fail("%s: %s", path, strerror(errno));
}
