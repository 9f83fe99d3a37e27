/* verify, diff: two lists are walked side by side. */
#include "toolchain/tools/postern-list/commands.h"
#include "toolchain/tools/postern-list/list_file.h"

struct walker {
    struct list_iterator it;
    struct list_entry entry;
    enum rc rc;
};

static void walker_next(struct walker *w)
{
    w->rc = list_next(&w->it, &w->entry);
}

static void walker_start(struct walker *w, const struct list *l)
{
    list_iterate(&w->it, l);
    walker_next(w);
}

static bool same_entry(const struct list_entry *a, const struct list_entry *b)
{
    return a->mode == b->mode && a->mx_count == b->mx_count && a->text_len == b->text_len &&
           memcmp(a->text, b->text, a->text_len) == 0;
}

/* Number of differences, each printed; or -1 when a list is damaged. */
static int compare(const struct list *old, const struct list *new)
{
    struct walker a, b;
    int differences = 0;
    walker_start(&a, old);
    walker_start(&b, new);
    while (a.rc == RC_OK || b.rc == RC_OK) {
        int order = a.rc != RC_OK ? 1 : b.rc != RC_OK ? -1 : list_name_cmp(a.it.name, b.it.name);
        bool changed = order != 0 || !same_entry(&a.entry, &b.entry);
        differences += changed;
        if (changed && order <= 0)
            print_entry("- ", a.it.name, &a.entry);
        if (changed && order >= 0)
            print_entry("+ ", b.it.name, &b.entry);
        if (order <= 0)
            walker_next(&a);
        if (order >= 0)
            walker_next(&b);
    }
    if (a.rc == RC_NOT_FOUND && b.rc == RC_NOT_FOUND)
        return differences;
    fail("a list is damaged");
    return -1;
}

/* Order, counts, and that each name is found with the policy that the walk gives it. */
static int check_whole(const char *path, const struct list *l)
{
    struct walker w;
    struct list_entry found;
    char before[DOMAIN_TEXT_MAX] = "";
    uint32_t enforce = 0;
    for (walker_start(&w, l); w.rc == RC_OK; walker_next(&w)) {
        if (before[0] != '\0' && list_name_cmp(before, w.it.name) >= 0)
            return fail("%s: %s stands out of order", path, w.it.name);
        if (list_find(l, span_of(w.it.name), &found) != RC_OK || !same_entry(&found, &w.entry))
            return fail("%s: %s is listed, but not found", path, w.it.name);
        enforce += w.entry.mode == LIST_ENFORCE;
        memcpy(before, w.it.name, strlen(w.it.name) + 1);
    }
    if (w.rc != RC_NOT_FOUND)
        return fail("%s: entry %u is damaged", path, w.it.position + 1);
    if (enforce != l->info.enforce)
        return fail("%s: %u domains are in mode enforce, the header says %u", path, enforce, l->info.enforce);
    return 0;
}

static int check_against(const struct loaded *l, const char *json_path)
{
    struct list_source source;
    struct byte_buffer image = { NULL, 0, 0 };
    if (read_source(json_path, &source) != RC_OK)
        return 1;
    enum rc rc = list_write(&source, &image, NULL);
    struct span bytes = byte_buffer_span(&image);
    struct reader r = reader_on_span(&bytes);
    struct list expected;
    if (rc == RC_OK)
        rc = list_open(&expected, &r);
    int differences = rc == RC_OK ? compare(&l->list, &expected) : -1;
    if (differences > 0)
        fail("%d domains differ from %s (- the list, + the file)", differences, json_path);
    if (rc == RC_OK && (l->list.info.timestamp != source.timestamp || l->list.info.expires != source.expires))
        differences = fail("timestamp or expiry differs from %s", json_path);
    list_source_free(&source);
    byte_buffer_free(&image);
    return differences == 0 ? 0 : 1;
}

int command_verify(int argc, char **argv)
{
    struct loaded l;
    bool against = argc == 4 && strcmp(argv[2], "--against") == 0;
    if (argc != 2 && !against)
        return bad_usage();
    if (!load(&l, argv[1]))
        return 1;
    int result = check_whole(argv[1], &l.list);
    if (result == 0 && against)
        result = check_against(&l, argv[3]);
    if (result == 0)
        printf("%s: good, %u domains\n", argv[1], l.list.info.domains);
    byte_buffer_free(&l.file);
    return result;
}

int command_diff(int argc, char **argv)
{
    struct loaded old, new;
    if (argc != 3)
        return bad_usage();
    if (!load(&old, argv[1]))
        return 2;
    if (!load(&new, argv[2])) {
        byte_buffer_free(&old.file);
        return 2;
    }
    int differences = compare(&old.list, &new.list);
    byte_buffer_free(&old.file);
    byte_buffer_free(&new.file);
    return differences < 0 ? 2 : differences > 0;
}
