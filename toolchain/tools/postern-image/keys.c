/* postern-image keys: the first keys, or one more. */
#include <getopt.h>
#include <stdio.h>

#include "hal/base/strbuf.h"
#include "hal/random.h"
#include "toolchain/tools/postern-image/commands.h"
#include "toolchain/tools/postern-image/key_folder.h"

static enum rc make_one(const char *path)
{
    struct signing_key key;
    char memory[65];
    struct strbuf id = STRBUF(memory);
    if (random_init() != RC_OK)
        return fail("no random numbers on this machine");
    enum rc rc = signing_key_make(path, &key);
    if (rc != RC_OK)
        return rc;
    strbuf_add_hex(&id, span_bytes(key.id, sizeof key.id));
    printf("made %s, key id %s\n", path, memory);
    signing_key_wipe(&key);
    return RC_OK;
}

int command_keys(int argc, char **argv)
{
    static const struct option options[] = { { "dir", required_argument, NULL, 'd' },
                                             { "new", required_argument, NULL, 'n' },
                                             { NULL, 0, NULL, 0 } };
    const char *dir = NULL, *one = NULL;
    int option;
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (option == '?')
            return 2;
        *(option == 'd' ? &dir : &one) = optarg;
    }
    if (optind != argc || (dir != NULL && one != NULL))
        return bad_usage();
    enum rc rc = one != NULL ? make_one(one) : key_folder_make(dir != NULL ? dir : key_folder_default());
    return rc == RC_OK ? 0 : 1;
}
