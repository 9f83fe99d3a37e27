/* export: the list for others. */
#include "toolchain/tools/postern-list/commands.h"
#include "toolchain/tools/postern-list/list_file.h"

#define BLANKS 39

static void print_postfix(void *ctx, const char *name, const struct list_entry *e)
{
    (void)ctx;
    if (e->mode != LIST_ENFORCE) {
        printf("# %s is testing\n", name);
        return;
    }
    printf("%s%*ssecure match=", name, (int)(strlen(name) < BLANKS ? BLANKS - strlen(name) : 0) + 1, "");
    const char *mx;
    for (unsigned i = 0; (mx = list_entry_mx(e, i)) != NULL; i++)
        printf("%s%s", i > 0 ? ":" : "", mx);
    printf("\n");
}

int command_export(int argc, char **argv)
{
    struct loaded l;
    if (argc != 3 || strcmp(argv[1], "--postfix") != 0)
        return bad_usage();
    if (!load(&l, argv[2]))
        return 1;
    print_time("# preload list of ", l.list.info.timestamp);
    print_time("# not to be used after ", l.list.info.expires);
    printf("# Postfix lets a pattern with a leading dot match any number of labels, the list means exactly one.\n");
    bool whole = walk(&l.list, print_postfix, NULL);
    byte_buffer_free(&l.file);
    return whole ? 0 : 1;
}
