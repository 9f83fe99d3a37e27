/* compile: from a policy.json to a list. */
#include <getopt.h>

#include "toolchain/tools/postern-list/commands.h"
#include "toolchain/tools/postern-list/list_file.h"

int command_compile(int argc, char **argv)
{
    const char *out_path = NULL;
    int option;
    while ((option = getopt(argc, argv, "o:")) != -1) {
        if (option != 'o')
            return bad_usage();
        out_path = optarg;
    }
    if (out_path == NULL || optind + 1 != argc)
        return bad_usage();
    struct list_source source;
    struct byte_buffer image = { NULL, 0, 0 };
    if (read_source(argv[optind], &source) != RC_OK)
        return 1;
    size_t count = source.count;
    enum rc rc = list_write(&source, &image, NULL);
    list_source_free(&source);
    if (rc != RC_OK)
        return fail("%s: the list does not read back as it was written (%s)", argv[optind], rc_name(rc));
    rc = file_write(out_path, byte_buffer_span(&image));
    if (rc == RC_OK)
        printf("%s: %zu domains, %zu bytes\n", out_path, count, image.len);
    byte_buffer_free(&image);
    return rc == RC_OK ? 0 : 1;
}
