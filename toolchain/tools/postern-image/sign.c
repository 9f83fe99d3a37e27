/* postern-image sign: adds signatures in the room that an image has for them. */
#include <getopt.h>
#include <stdio.h>

#include "policy/image.h"
#include "toolchain/tools/postern-image/commands.h"
#include "toolchain/tools/postern-image/key_folder.h"

static enum rc sign_with_file(const char *path, struct byte_buffer *image)
{
    struct signing_key key;
    enum rc rc = signing_key_read(path, &key);
    if (rc == RC_OK)
        rc = key_sign(&key, path, image);
    signing_key_wipe(&key);
    return rc;
}

static enum rc open_whole(const char *path, struct byte_buffer *bytes, struct image *i)
{
    enum rc rc = file_read(path, bytes);
    if (rc != RC_OK)
        return rc;
    struct span whole = byte_buffer_span(bytes);
    struct reader r = reader_on_span(&whole);
    if (image_open(i, &r) != RC_OK || i->size_bytes != bytes->len)
        return fail("%s: not an image, or not a whole one", path);
    i->reader = NULL;
    return RC_OK;
}

static enum rc sign_with_folder(const char *dir, const struct image *i, struct byte_buffer *image)
{
    enum keyring_role role = i->kind == IMAGE_KEYRING ? KEYRING_ROOT : i->kind == IMAGE_FIRMWARE ? KEYRING_FIRMWARE : KEYRING_LIST;
    return key_folder_sign(dir, role, image);
}

int command_sign(int argc, char **argv)
{
    static const struct option options[] = { { "key", required_argument, NULL, 'k' },
                                             { "keys", required_argument, NULL, 'd' },
                                             { "out", required_argument, NULL, 'o' },
                                             { NULL, 0, NULL, 0 } };
    const char *files[IMAGE_SIGNATURES_MAX], *dir = NULL, *out = NULL;
    unsigned count = 0;
    int option;
    while ((option = getopt_long(argc, argv, "o:", options, NULL)) != -1) {
        if (option == '?' || (option == 'k' && count == IMAGE_SIGNATURES_MAX))
            return bad_usage();
        if (option == 'k')
            files[count++] = optarg;
        else
            *(option == 'd' ? &dir : &out) = optarg;
    }
    if (optind + 1 != argc || (count > 0) == (dir != NULL))
        return bad_usage();
    struct byte_buffer bytes = { NULL, 0, 0 };
    struct image i;
    enum rc rc = open_whole(argv[optind], &bytes, &i);
    if (rc == RC_OK && dir != NULL)
        rc = sign_with_folder(dir, &i, &bytes);
    for (unsigned n = 0; rc == RC_OK && n < count; n++)
        rc = sign_with_file(files[n], &bytes);
    if (rc == RC_OK)
        rc = file_write(out != NULL ? out : argv[optind], byte_buffer_span(&bytes));
    byte_buffer_free(&bytes);
    return rc == RC_OK ? 0 : 1;
}
