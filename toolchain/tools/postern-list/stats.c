/* stats: how many domains, and the bits that each takes. */
#include "toolchain/tools/postern-list/commands.h"
#include "toolchain/tools/postern-list/list_file.h"

struct totals {
    size_t name_bytes, patterns;
};

static void add_totals(void *ctx, const char *name, const struct list_entry *e)
{
    struct totals *t = ctx;
    t->name_bytes += strlen(name);
    t->patterns += e->mx_count;
}

int command_stats(int argc, char **argv)
{
    struct loaded l;
    struct totals t = { 0, 0 };
    if (argc != 2)
        return bad_usage();
    if (!load(&l, argv[1]))
        return 1;
    bool whole = walk(&l.list, add_totals, &t);
    const struct list_info *i = &l.list.info;
    print_time("published        ", i->timestamp);
    print_time("expires          ", i->expires);
    printf("author           %s\n", i->author);
    printf("domains          %u (enforce %u, testing %u)\n", i->domains, i->enforce, i->testing);
    printf("policies         %u distinct, %zu patterns in all\n", i->policies, t.patterns);
    printf("bytes            %zu\n", l.file.len);
    if (i->domains > 0)
        printf("bits a domain    %.1f (its name as text: %.1f)\n", 8.0 * (double)l.file.len / i->domains,
               8.0 * (double)t.name_bytes / i->domains);
    byte_buffer_free(&l.file);
    return whole ? 0 : 1;
}
