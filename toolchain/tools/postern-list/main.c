/* postern-list: makes, shows and compares preload lists in the form that the box reads (policy/LIST.md). */
#include <stdarg.h>

#include "toolchain/tools/postern-list/commands.h"

int fail(const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    fprintf(stderr, "error: ");
    vfprintf(stderr, format, ap);
    fprintf(stderr, "\n");
    va_end(ap);
    return 1;
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        int (*run)(int argc, char **argv);
    } commands[] = {
        { "compile", command_compile }, { "show", command_show },   { "find", command_find },     { "stats", command_stats },
        { "verify", command_verify },   { "diff", command_diff },   { "export", command_export }, { "observe", command_observe },
        { "help", command_help },       { "--help", command_help },
    };
    for (size_t i = 0; argc >= 2 && i < sizeof commands / sizeof commands[0]; i++) {
        if (strcmp(argv[1], commands[i].name) == 0) {
            int result = commands[i].run(argc - 1, argv + 1);
            if (fflush(stdout) != 0 || ferror(stdout))
                return fail("cannot write the output");
            return result;
        }
    }
    return bad_usage();
}
