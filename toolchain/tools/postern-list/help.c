/* help: what each command does, a page each. */
#include "toolchain/tools/postern-list/commands.h"

static const char usage[] =
    "usage: postern-list COMMAND ...; postern-list help COMMAND says more\n"
    "  compile IN -o OUT        make a list from a policy.json as published by STARTTLS Everywhere\n"
    "  show LIST                every domain with its mode and its patterns, in the list's order\n"
    "  find LIST DOMAIN...      the policy of each domain; also --text, --prefix, --within\n"
    "  stats LIST               how many domains, and the bits that each takes\n"
    "  verify LIST [--against IN]  check the whole list, and that it says the same as a policy.json\n"
    "  diff OLD NEW             what came, went and changed\n"
    "  export --postfix LIST    a table for Postfix's smtp_tls_policy_maps\n"
    "  observe LIST.json --state FILE -o NEW.json  the next list, from what its domains publish by MTA-STS\n"
    "LIST, OLD and NEW are compiled lists, list images or policy.json files.\n";

static const char compile_page[] =
    "postern-list compile IN -o OUT [--previous LIST] [--signature FILE --keyring KEY] [--lenient] [--progress]\n\n"
    "Makes the list that the box reads from IN, a policy.json of version 0.1 as STARTTLS Everywhere published it; \"-\" is the\n"
    "standard input. OUT is written whole or not at all. Every fault of IN is told in one run, with its line, domain and rule, at\n"
    "most 50 in words; then nothing is written and the exit code is 1. A million domains take about 60 MB of memory; what is "
    "sorted\n"
    "goes to files without names in $TMPDIR (else /var/tmp).\n\n"
    "  --previous LIST     the list or image that is published: what did not change keeps its place, so that deltas are small\n"
    "                      (postern-image delta). A timestamp that goes back behind LIST's, or that of a list in OUT, is refused\n"
    "  --signature FILE    IN must be signed: a detached OpenPGP signature, judged by gpgv\n"
    "  --keyring KEY       the publisher's public key, binary or armored\n"
    "  --lenient           members that are not known are warned of and left out, not an error\n"
    "  --progress          say how far it is, also when stderr is no terminal\n";

static const char show_page[] =
    "postern-list show LIST\n\n"
    "Prints timestamps and author as lines that begin with #, and for each domain a line NAME MODE PATTERN..., from the top-level\n"
    "domain down. A pattern is a host's name, or .x for any one host under x.\n";

static const char find_page[] =
    "postern-list find LIST DOMAIN...\n"
    "postern-list find LIST --text TEXT | --prefix TEXT | --within DOMAIN\n\n"
    "Prints the line that `show` has for each DOMAIN, or \"DOMAIN not listed\"; names are folded to lower case and\n"
    "A-labels. --text finds names that hold TEXT, --prefix those that begin with it, --within a domain and all below\n"
    "it. The exit code is 1 when a domain is not listed or nothing was found.\n";

static const char stats_page[] =
    "postern-list stats LIST\n\n"
    "Prints how many domains and policies the list has, and the bits a domain by part of the format.\n";

static const char verify_page[] =
    "postern-list verify LIST [--against IN]\n\n"
    "Reads the whole list with the box's own reader: order, counts, and that each name is found with the policy that stands "
    "there.\n"
    "Of an image the section's hash is checked, too; its signatures are for `postern-image verify`. --against compares with a\n"
    "policy.json, domain by domain.\n";

static const char diff_page[] = "postern-list diff OLD NEW\n\n"
                                "  + NAME MODE PATTERN...   was added\n"
                                "  - NAME MODE PATTERN...   was removed\n"
                                "  ~ NAME CHANGE...         testing->enforce, -PATTERN, +PATTERN\n"
                                "  # ...                    timestamps, author, and how many of each\n"
                                "The exit code is 0 when nothing differs, 1 when something does, 2 when that cannot be told.\n";

static const char export_page[] =
    "postern-list export --postfix LIST\n\n"
    "A table for smtp_tls_policy_maps: `postconf -e smtp_tls_policy_maps=hash:/etc/postfix/preload`, then `postmap` on the file. "
    "Of\n"
    "domains in mode enforce: NAME secure match=PATTERN:PATTERN. Domains in mode testing are comments only: a line would take the\n"
    "place of smtp_tls_security_level, and `may` could be less than that. Three things differ from the box. Postfix compares\n"
    "patterns with the names in the certificate, not with the MX host's; .x there means any number of labels, on the list exactly\n"
    "one; and Postfix does not know that the list ends: export anew when a new list is out, and remove the table when it ends.\n";

static const char observe_page[] =
    "postern-list observe LIST.json --state FILE -o NEW.json [OPTION...]\n\n"
    "Asks each domain of the list and each candidate for its MTA-STS policy (RFC 8461) and writes the next list, to be reviewed,\n"
    "signed and published; a report says in words what changed and what failed at which step. `observe --help` lists the options;\n"
    "toolchain/tools/LISTS.md is the page for who keeps a list alive.\n";

static const struct {
    const char *command, *text;
} pages[] = {
    { "compile", compile_page }, { "show", show_page }, { "find", find_page },     { "stats", stats_page },
    { "verify", verify_page },   { "diff", diff_page }, { "export", export_page }, { "observe", observe_page },
};

int bad_usage(void)
{
    fputs(usage, stderr);
    return 2;
}

int command_help(int argc, char **argv)
{
    for (size_t i = 0; argc == 2 && i < sizeof pages / sizeof pages[0]; i++) {
        if (strcmp(argv[1], pages[i].command) == 0) {
            fputs(pages[i].text, stdout);
            return 0;
        }
    }
    if (argc > 1)
        return bad_usage();
    fputs(usage, stdout);
    return 0;
}
