/* postern-image list: a list image, as boxes fetch it. */
#include <getopt.h>

#include "hal/base/datetime.h"
#include "toolchain/tools/postern-image/commands.h"
#include "toolchain/tools/postern-image/list_image.h"

static enum rc take_option(struct list_image_options *o, int option, const char *value)
{
    if (list_image_option(o, option, value))
        return RC_OK;
    switch (option) {
    case 'b':
        o->board = value;
        return RC_OK;
    case 'v':
        return span_to_u64(span_of(value), &o->version) && o->version > 0 ? RC_OK : fail("--version %s: write a number", value);
    default:
        return rfc3339_parse(span_of(value), option == 'c' ? &o->created : &o->expires) == RC_OK
                   ? RC_OK
                   : fail("%s: write a time like 2026-12-31T00:00:00Z", value);
    }
}

int command_list(int argc, char **argv)
{
    static const struct option options[] = {
        LIST_IMAGE_OPTIONS,
        { "board", required_argument, NULL, 'b' },
        { "version", required_argument, NULL, 'v' },
        { "created", required_argument, NULL, 'c' },
        { "expires", required_argument, NULL, 'e' },
        { "out", required_argument, NULL, 'o' },
        { NULL, 0, NULL, 0 },
    };
    struct list_image_options o = { .list = NULL };
    const char *out = NULL;
    int option;
    while ((option = getopt_long(argc, argv, "o:", options, NULL)) != -1) {
        if (option == '?')
            return 2;
        if (option == 'o')
            out = optarg;
        else if (take_option(&o, option, optarg) != RC_OK)
            return 1;
    }
    if (out == NULL || optind != argc || (o.list == NULL && o.roots == NULL))
        return bad_usage();
    struct byte_buffer image = { NULL, 0, 0 };
    enum rc rc = list_image_make(&o, &image);
    if (rc == RC_OK)
        rc = file_write(out, byte_buffer_span(&image));
    byte_buffer_free(&image);
    return rc == RC_OK ? 0 : 1;
}
