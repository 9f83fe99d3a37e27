/* What the command lines of the host tools do alike. */
#ifndef TOOLS_COMMAND_LINE_H
#define TOOLS_COMMAND_LINE_H

#include <stdarg.h>
#include <stddef.h>

struct tool_command {
    const char *name;
    int (*run)(int argc, char **argv); /* argv[0] is the command's name */
};

/* One line "error: ..." on stderr. */
void tool_complain(const char *format, va_list ap);
/* Runs the command that argv[1] names and gives its exit code: 1 also when what it printed could not be written. -1: none of that name. */
int tool_run(const struct tool_command *commands, size_t count, int argc, char **argv);

#endif
