/* Commands by name, and errors as one line. */
#include "toolchain/tools/common/command_line.h"

#include <stdio.h>
#include <string.h>

void tool_complain(const char *format, va_list ap)
{
    fputs("error: ", stderr);
    vfprintf(stderr, format, ap);
    fputs("\n", stderr);
}

int tool_run(const struct tool_command *commands, size_t count, int argc, char **argv)
{
    for (size_t i = 0; argc >= 2 && i < count; i++) {
        if (strcmp(argv[1], commands[i].name) != 0)
            continue;
        int result = commands[i].run(argc - 1, argv + 1);
        if (fflush(stdout) == 0 && !ferror(stdout))
            return result;
        fputs("error: cannot write the output\n", stderr);
        return 1;
    }
    return -1;
}
