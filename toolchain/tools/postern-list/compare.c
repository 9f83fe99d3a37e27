/* verify, diff: a list against itself, against a policy.json, against another list. */
#include <errno.h>

#include "hal/base/datetime.h"
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

/* --- verify --- */

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

/* Each domain of the file is looked up, so the list has no others when the counts agree. */
static unsigned differences_from(const struct list *l, struct policy_json *p, const char *json_path)
{
    struct list_source_domain d;
    struct list_entry e;
    unsigned differences = 0;
    enum rc rc = policy_json_rewind(p);
    while (rc == RC_OK && (rc = policy_json_next(p, &d)) == RC_OK) {
        enum rc found = list_find(l, span_of(d.name), &e);
        if (found == RC_OK && list_source_says(&d, &e))
            continue;
        differences++;
        fail("%s: line %u: %s is %s", json_path, p->line, d.name,
             found == RC_NOT_FOUND ? "not in the list" : "another policy in the list");
    }
    if (rc != RC_NOT_FOUND || l->info.domains != p->count)
        differences += 1 + (unsigned)fail("%s: %zu domains, the list has %u", json_path, p->count, l->info.domains);
    return differences;
}

static int check_against(const struct loaded *l, const char *json_path)
{
    struct policy_json p;
    FILE *f = open_input(json_path);
    if (f == NULL)
        return 1;
    enum rc rc = read_policies(f, json_path, true, NULL, &p);
    if (f != stdin)
        fclose(f);
    if (rc != RC_OK)
        return 1;
    unsigned differences = differences_from(&l->list, &p, json_path);
    if (l->list.info.timestamp != p.timestamp || l->list.info.expires != p.expires || strcmp(l->list.info.author, p.author) != 0)
        differences += (unsigned)fail("timestamp, expiry or author differs from %s", json_path);
    policy_json_close(&p);
    return differences > 0;
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

/* --- diff --- */

struct tally {
    unsigned added, removed, changed, head;
};

static const char *mode_name(enum list_mode mode)
{
    return mode == LIST_ENFORCE ? "enforce" : "testing";
}

static bool has_mx(const struct list_entry *e, const char *wanted)
{
    const char *mx;
    for (unsigned i = 0; (mx = list_entry_mx(e, i)) != NULL; i++) {
        if (strcmp(mx, wanted) == 0)
            return true;
    }
    return false;
}

/* The patterns of a that b lacks; how many. */
static unsigned print_lacking(const char *sign, const struct list_entry *a, const struct list_entry *b)
{
    const char *mx;
    unsigned count = 0;
    for (unsigned i = 0; (mx = list_entry_mx(a, i)) != NULL; i++) {
        if (has_mx(b, mx))
            continue;
        printf(" %s%s", sign, mx);
        count++;
    }
    return count;
}

static void print_change(const char *name, const struct list_entry *old, const struct list_entry *new)
{
    printf("~ %s", name);
    if (old->mode != new->mode)
        printf(" %s->%s", mode_name(old->mode), mode_name(new->mode));
    unsigned patterns = print_lacking("-", old, new) + print_lacking("+", new, old);
    if (old->mode == new->mode && patterns == 0)
        printf(" order of patterns");
    printf("\n");
}

/* One step over the two, each in its order. */
static void step(struct walker *a, struct walker *b, struct tally *t)
{
    int order = a->rc != RC_OK ? 1 : b->rc != RC_OK ? -1 : list_name_cmp(a->it.name, b->it.name);
    if (order < 0) {
        print_entry("- ", a->it.name, &a->entry);
        t->removed++;
    } else if (order > 0) {
        print_entry("+ ", b->it.name, &b->entry);
        t->added++;
    } else if (!same_entry(&a->entry, &b->entry)) {
        print_change(a->it.name, &a->entry, &b->entry);
        t->changed++;
    }
    if (order <= 0)
        walker_next(a);
    if (order >= 0)
        walker_next(b);
}

static void compare_time(struct tally *t, const char *what, int64_t old, int64_t new)
{
    char before[32], after[32];
    struct strbuf a = STRBUF(before), b = STRBUF(after);
    if (old == new)
        return;
    rfc3339_format(&a, old);
    rfc3339_format(&b, new);
    printf("# %s %s -> %s\n", what, before, after);
    t->head++;
}

/* 0 the same, 1 different, 2 a list is damaged. */
static int compare(const struct list *old, const struct list *new)
{
    struct walker a, b;
    struct tally t = { 0, 0, 0, 0 };
    compare_time(&t, "published", old->info.timestamp, new->info.timestamp);
    compare_time(&t, "expires", old->info.expires, new->info.expires);
    if (strcmp(old->info.author, new->info.author) != 0) {
        printf("# author %s -> %s\n", old->info.author, new->info.author);
        t.head++;
    }
    walker_start(&a, old);
    walker_start(&b, new);
    while (a.rc == RC_OK || b.rc == RC_OK)
        step(&a, &b, &t);
    if (a.rc != RC_NOT_FOUND || b.rc != RC_NOT_FOUND)
        return 2 * fail("a list is damaged");
    if (t.added + t.removed + t.changed + t.head == 0)
        return 0;
    printf("# %u added, %u removed, %u changed\n", t.added, t.removed, t.changed);
    return 1;
}

int command_diff(int argc, char **argv)
{
    struct loaded old, new;
    if (argc != 3)
        return bad_usage();
    if (!load(&old, argv[1]))
        return 2;
    int result = 2;
    if (load(&new, argv[2])) {
        result = compare(&old.list, &new.list);
        byte_buffer_free(&new.file);
    }
    byte_buffer_free(&old.file);
    return result;
}
