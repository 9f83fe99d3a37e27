/* show, find: what a list says. */
#include "toolchain/tools/postern-list/commands.h"
#include "toolchain/tools/postern-list/list_file.h"

static void print_each(void *ctx, const char *name, const struct list_entry *e)
{
    print_entry(ctx, name, e);
}

int command_show(int argc, char **argv)
{
    struct loaded l;
    if (argc != 2)
        return bad_usage();
    if (!load(&l, argv[1]))
        return 1;
    print_time("# published ", l.list.info.timestamp);
    print_time("# expires   ", l.list.info.expires);
    printf("# author    %s\n", l.list.info.author);
    bool whole = walk(&l.list, print_each, "");
    byte_buffer_free(&l.file);
    return whole ? 0 : 1;
}

struct text_search {
    const char *text;
    unsigned found;
};

static void print_if_contained(void *ctx, const char *name, const struct list_entry *e)
{
    struct text_search *s = ctx;
    if (strstr(name, s->text) == NULL)
        return;
    s->found++;
    print_entry("", name, e);
}

static int find_one(const struct list *l, const char *text)
{
    char memory[DOMAIN_TEXT_MAX];
    struct strbuf name = STRBUF(memory);
    struct list_entry e;
    if (domain_canonical(span_of(text), &name) != RC_OK)
        return fail("%s: not a domain name", text);
    enum rc rc = list_find(l, strbuf_span(&name), &e);
    if (rc == RC_OK)
        print_entry("", name.p, &e);
    else if (rc == RC_NOT_FOUND)
        printf("%s not listed\n", name.p);
    else
        fail("%s: the list is damaged (%s)", name.p, rc_name(rc));
    return rc == RC_OK ? 0 : 1;
}

int command_find(int argc, char **argv)
{
    struct loaded l;
    if (argc < 3)
        return bad_usage();
    bool by_text = strcmp(argv[2], "--text") == 0;
    if (by_text && argc != 4)
        return bad_usage();
    if (!load(&l, argv[1]))
        return 1;
    int result = 0;
    if (by_text) {
        struct text_search s = { argv[3], 0 };
        result = walk(&l.list, print_if_contained, &s) && s.found > 0 ? 0 : 1;
    }
    for (int i = 2; !by_text && i < argc; i++)
        result |= find_one(&l.list, argv[i]);
    byte_buffer_free(&l.file);
    return result;
}
