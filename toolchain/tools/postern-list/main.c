/* postern-list: makes, shows and compares preload lists in the form that the box reads (policy/LIST.md). */
#include <stdarg.h>

#include "toolchain/tools/common/command_line.h"
#include "toolchain/tools/postern-list/commands.h"

int fail(const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    tool_complain(format, ap);
    va_end(ap);
    return 1;
}

int main(int argc, char **argv)
{
    static const struct tool_command commands[] = {
        { "compile", command_compile }, { "show", command_show },   { "find", command_find },     { "stats", command_stats },
        { "verify", command_verify },   { "diff", command_diff },   { "export", command_export }, { "observe", command_observe },
        { "help", command_help },       { "--help", command_help },
    };
    int result = tool_run(commands, sizeof commands / sizeof commands[0], argc, argv);
    return result < 0 ? bad_usage() : result;
}
