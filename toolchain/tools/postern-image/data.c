/* postern-image data: the contents of a box's data flash. */
#include <getopt.h>

#include "toolchain/tools/postern-image/commands.h"
#include "toolchain/tools/postern-image/data_image.h"

int command_data(int argc, char **argv)
{
    static const struct option options[] = {
        LIST_IMAGE_OPTIONS,
        { "board", required_argument, NULL, 'b' },
        { "settings", required_argument, NULL, 's' },
        { "key", required_argument, NULL, 'k' },
        { "cert", required_argument, NULL, 'c' },
        { "out", required_argument, NULL, 'o' },
        { NULL, 0, NULL, 0 },
    };
    struct data_image_options o = { .board = NULL };
    const char **const places[] = { ['b'] = &o.board, ['s'] = &o.settings, ['k'] = &o.key, ['c'] = &o.cert, ['o'] = &o.out };
    int option;
    while ((option = getopt_long(argc, argv, "o:", options, NULL)) != -1) {
        if (option == '?')
            return 2;
        if (!list_image_option(&o.image, option, optarg))
            *places[option] = optarg;
    }
    if (o.board == NULL || o.out == NULL || optind != argc || (o.key == NULL) != (o.cert == NULL))
        return bad_usage();
    return data_image_make(&o) == RC_OK ? 0 : 1;
}
