/* postern-list: makes, shows and compares preload lists in the form that the box reads (policy/LIST.md). */
#include <stdarg.h>

#include "toolchain/tools/postern-list/commands.h"

static const char usage[] = "usage: postern-list COMMAND ...\n"
                            "  compile IN -o OUT        make a list from a policy.json as published by STARTTLS Everywhere\n"
                            "  show LIST                every domain with its mode and its patterns, in the list's order\n"
                            "  find LIST DOMAIN...      the policy of each domain; ends in 1 when one is not listed\n"
                            "  find LIST --text TEXT    every domain that contains TEXT; --prefix, --within DOMAIN\n"
                            "  stats LIST               how many domains, and the bits that each takes\n"
                            "  verify LIST [--against IN]  check the whole list, and that it says the same as a policy.json\n"
                            "  diff OLD NEW             what came, went and changed; ends in 1 when they differ\n"
                            "  export --postfix LIST    a table for Postfix's smtp_tls_policy_maps\n"
                            "LIST, OLD and NEW are compiled lists, list images or policy.json files.\n";

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

int bad_usage(void)
{
    fputs(usage, stderr);
    return 2;
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        int (*run)(int argc, char **argv);
    } commands[] = {
        { "compile", command_compile }, { "show", command_show }, { "find", command_find },     { "stats", command_stats },
        { "verify", command_verify },   { "diff", command_diff }, { "export", command_export },
    };
    if (argc >= 2 && (strcmp(argv[1], "help") == 0 || strcmp(argv[1], "--help") == 0)) {
        fputs(usage, stdout);
        return 0;
    }
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
