/* postern-list: makes, shows and compares preload lists in the form that the box reads (policy/LIST.md). */
#include <getopt.h>
#include <stdarg.h>

#include "hal/base/datetime.h"
#include "toolchain/tools/common/policy_json.h"

#define BLANKS 39

static const char usage[] = "usage: postern-list COMMAND ...\n"
                            "  compile IN -o OUT        make a list from a policy.json as published by STARTTLS Everywhere\n"
                            "  show LIST                every domain with its mode and its patterns, in the list's order\n"
                            "  find LIST DOMAIN...      the policy of each domain; ends in 1 when one is not listed\n"
                            "  find LIST --text TEXT    every domain that contains TEXT\n"
                            "  stats LIST               how many domains, and the bits that each takes\n"
                            "  verify LIST [--against IN]  check the whole list, and that it says the same as a policy.json\n"
                            "  diff OLD NEW             what came, went and changed; ends in 1 when they differ\n"
                            "  export --postfix LIST    a table for Postfix's smtp_tls_policy_maps\n";

struct loaded {
    struct byte_buffer file;
    struct span bytes;
    struct reader reader;
    struct list list;
};

__attribute__((format(printf, 1, 2))) static int fail(const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    fprintf(stderr, "error: ");
    vfprintf(stderr, format, ap);
    fprintf(stderr, "\n");
    va_end(ap);
    return 1;
}

static int bad_usage(void)
{
    fputs(usage, stderr);
    return 2;
}

static bool load(struct loaded *l, const char *path)
{
    memset(l, 0, sizeof *l);
    if (file_read(path, &l->file) != RC_OK)
        return false;
    l->bytes = byte_buffer_span(&l->file);
    l->reader = reader_on_span(&l->bytes);
    if (list_open(&l->list, &l->reader) == RC_OK)
        return true;
    fail("%s: %s", path,
         span_starts(l->bytes, "PLST") ? "the list is damaged" : "not a compiled list (postern-list compile makes one)");
    byte_buffer_free(&l->file);
    return false;
}

static void print_time(const char *label, int64_t unix_s)
{
    char memory[40];
    struct strbuf b = STRBUF(memory);
    rfc3339_format(&b, unix_s);
    printf("%s%s\n", label, b.p);
}

static void print_entry(const char *prefix, const char *name, const struct list_entry *e)
{
    printf("%s%s %s", prefix, name, e->mode == LIST_ENFORCE ? "enforce" : "testing");
    const char *mx;
    for (unsigned i = 0; (mx = list_entry_mx(e, i)) != NULL; i++)
        printf(" %s", mx);
    printf("\n");
}

/* --- compile --- */

static enum rc read_source(const char *path, struct list_source *source)
{
    struct byte_buffer json = { NULL, 0, 0 };
    struct policy_json_report report = { .file = path };
    enum rc rc = file_read(path, &json);
    if (rc == RC_OK)
        rc = policy_json_read(byte_buffer_span(&json), source, &report);
    fwrite(report.messages.p, 1, report.messages.len, stderr);
    if (report.errors + report.warnings > POLICY_JSON_MESSAGES_MAX)
        fprintf(stderr, "error: %s: %u errors and %u warnings in all\n", path, report.errors, report.warnings);
    byte_buffer_free(&report.messages);
    byte_buffer_free(&json);
    return rc;
}

static int compile(int argc, char **argv)
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

/* --- show, find, stats --- */

/* Calls each for every entry; true when the walk came to its end. */
static bool walk(const struct list *l, void (*each)(void *ctx, const char *name, const struct list_entry *e), void *ctx)
{
    struct list_iterator it;
    struct list_entry e;
    enum rc rc;
    list_iterate(&it, l);
    while ((rc = list_next(&it, &e)) == RC_OK)
        each(ctx, it.name, &e);
    if (rc != RC_NOT_FOUND)
        fail("entry %u cannot be read (%s)", it.position + 1, rc_name(rc));
    return rc == RC_NOT_FOUND;
}

static void print_each(void *ctx, const char *name, const struct list_entry *e)
{
    print_entry(ctx, name, e);
}

static int show(int argc, char **argv)
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

static int find(int argc, char **argv)
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

struct totals {
    size_t name_bytes, patterns;
};

static void add_totals(void *ctx, const char *name, const struct list_entry *e)
{
    struct totals *t = ctx;
    t->name_bytes += strlen(name);
    t->patterns += e->mx_count;
}

static int stats(int argc, char **argv)
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

/* --- verify and diff: two lists are walked side by side --- */

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

static int verify(int argc, char **argv)
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

static int diff(int argc, char **argv)
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

/* --- export --- */

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

static int export(int argc, char **argv)
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

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        int (*run)(int argc, char **argv);
    } commands[] = {
        { "compile", compile }, { "show", show }, { "find", find },     { "stats", stats },
        { "verify", verify },   { "diff", diff }, { "export", export },
    };
    if (argc >= 2 && (strcmp(argv[1], "help") == 0 || strcmp(argv[1], "--help") == 0)) {
        fputs(usage, stdout);
        return 0;
    }
    for (size_t i = 0; argc >= 2 && i < sizeof commands / sizeof commands[0]; i++) {
        if (strcmp(argv[1], commands[i].name) == 0) {
            int result = commands[i].run(argc - 1, argv + 1);
            if (fflush(stdout) != 0 || ferror(stdout))
                return fail("cannot write the output");
            return result;
        }
    }
    return bad_usage();
}
