/* postern-image: makes what is put on a box's flash. */
#include <getopt.h>

#include "hal/base/span.h"
#include "toolchain/tools/postern-image/data_image.h"

static const char usage[] =
    "usage: postern-image data --board BOARD [--settings F] [--list F] [--roots PEM] [--key PEM --cert PEM] -o OUT\n"
    "  --board BOARD   virt, posix or mps2-an500\n"
    "  --settings F    lines KEY VALUE, as the console's show prints them; # begins a comment\n"
    "  --list F        a list made by postern-list compile\n"
    "  --roots PEM     CA certificates that the box trusts\n"
    "  --cert PEM      the box's own certificate, then its intermediates; with --key; else it makes one on first boot\n";

static int data(int argc, char **argv)
{
    static const struct option options[] = {
        { "board", required_argument, NULL, 'b' }, { "settings", required_argument, NULL, 's' },
        { "list", required_argument, NULL, 'l' },  { "roots", required_argument, NULL, 'r' },
        { "key", required_argument, NULL, 'k' },   { "cert", required_argument, NULL, 'c' },
        { "out", required_argument, NULL, 'o' },   { NULL, 0, NULL, 0 },
    };
    struct data_image_options o = { .board = NULL };
    const char **const places[] = {
        ['b'] = &o.board, ['s'] = &o.settings, ['l'] = &o.list, ['r'] = &o.roots, ['k'] = &o.key, ['c'] = &o.cert, ['o'] = &o.out
    };
    int option;
    while ((option = getopt_long(argc, argv, "o:", options, NULL)) != -1) {
        if (option == '?')
            return 2;
        *places[option] = optarg;
    }
    if (o.board == NULL || o.out == NULL || optind != argc || (o.key == NULL) != (o.cert == NULL)) {
        fputs(usage, stderr);
        return 2;
    }
    return data_image_make(&o) == RC_OK ? 0 : 1;
}

int main(int argc, char **argv)
{
    if (argc >= 2 && span_is(span_of(argv[1]), "data"))
        return data(argc - 1, argv + 1);
    bool help = argc >= 2 && (span_is(span_of(argv[1]), "help") || span_is(span_of(argv[1]), "--help"));
    fputs(usage, help ? stdout : stderr);
    return help ? 0 : 2;
}
