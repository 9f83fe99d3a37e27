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

/* --- find --- */

/* -1: not one of the options that name a way to match. */
static int match_of(const char *option)
{
    static const struct {
        const char *option;
        enum list_match match;
    } ways[] = { { "--text", LIST_CONTAINING }, { "--prefix", LIST_STARTING }, { "--within", LIST_WITHIN } };
    for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++) {
        if (strcmp(option, ways[i].option) == 0)
            return (int)ways[i].match;
    }
    return -1;
}

static int find_matching(const struct list *l, enum list_match match, const char *text)
{
    struct list_search s;
    struct list_entry e;
    char memory[DOMAIN_TEXT_MAX];
    struct strbuf domain = STRBUF(memory);
    struct span wanted = span_of(text);
    unsigned found = 0;
    if (match == LIST_WITHIN && domain_canonical(wanted, &domain) == RC_OK)
        wanted = strbuf_span(&domain);
    enum rc rc = list_search(&s, l, match, wanted);
    if (rc == RC_INVALID)
        return fail("%s: cannot be in a domain's name", text);
    while (rc == RC_OK || rc == RC_BUSY) {
        rc = list_search_next(&s, &e);
        if (rc == RC_OK) {
            print_entry("", s.it.name, &e);
            found++;
        }
    }
    if (rc != RC_NOT_FOUND)
        return fail("the list is damaged (%s)", rc_name(rc));
    return found > 0 ? 0 : 1;
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
    int match = match_of(argv[2]), result = 0;
    if (match >= 0 ? argc != 4 : argv[2][0] == '-')
        return bad_usage();
    if (!load(&l, argv[1]))
        return 1;
    if (match >= 0)
        result = find_matching(&l.list, (enum list_match)match, argv[3]);
    for (int i = 2; match < 0 && i < argc; i++)
        result |= find_one(&l.list, argv[i]);
    byte_buffer_free(&l.file);
    return result;
}
