#include "toolchain/tools/postern-observe/subjects.h"

static bool complain(const char *path, unsigned line, const char *name, const char *why)
{
    fprintf(stderr, "error: %s: line %u: %s: %s\n", path, line, policy_show(name).text, why);
    return false;
}

static struct subject *add(struct subjects *s, const char *name)
{
    if (s->count == s->cap) {
        s->cap = s->cap * 2 + 256;
        s->all = tool_resize(s->all, s->cap, sizeof *s->all);
    }
    struct subject *new = &s->all[s->count++];
    memset(new, 0, sizeof *new);
    new->name = tool_copy(span_of(name));
    return new;
}

void subject_set_policy(struct subject *s, const struct policy *p)
{
    struct policy *copy = tool_alloc(1, sizeof *copy);
    copy->mode = p->mode;
    for (unsigned i = 0; i < p->mx_count; i++)
        (void)policy_add_mx(copy, span_of(p->mx[i])); /* it fitted in *p */
    free(s->policy);
    free(s->alias);
    s->alias = NULL;
    s->policy = copy;
}

bool subjects_add_list(struct subjects *s, struct policy_json *list)
{
    struct list_source_domain d;
    enum rc rc = policy_json_rewind(list);
    while (rc == RC_OK && (rc = policy_json_next(list, &d)) == RC_OK) {
        struct subject *new = add(s, d.name);
        new->listed = true;
        subject_set_policy(new, list->alias != NULL ? &list->alias->policy : &list->policy);
        if (list->alias != NULL)
            new->alias = tool_copy(span_of(list->alias->name));
    }
    return rc == RC_NOT_FOUND;
}

/* --- files of names: one a line, '#' begins a comment --- */

static bool read_names(const char *path, bool (*take)(struct subjects *s, const char *path, unsigned line, const char *name),
                       struct subjects *s)
{
    struct byte_buffer text = { NULL, 0, 0 };
    if (file_read(path, &text) != RC_OK)
        return false;
    struct span rest = byte_buffer_span(&text), line;
    bool more = true, good = true;
    unsigned number = 0;
    while (span_split(&rest, &more, '\n', &line)) {
        char memory[DOMAIN_TEXT_MAX];
        struct strbuf name = STRBUF(memory);
        number++;
        line = span_sub(line, 0, span_find(line, 0, '#'));
        if (line.len > 0 && line.p[line.len - 1] == '\r')
            line.len--;
        line = span_trim(line);
        if (line.len == 0)
            continue;
        char *shown = tool_copy(line);
        if (domain_canonical(line, &name) != RC_OK || !domain_is_hostname(strbuf_span(&name)) ||
            domain_labels(strbuf_span(&name)) < 2)
            good = complain(path, number, shown, "not a mail domain");
        else
            good = take(s, path, number, memory) && good;
        free(shown);
    }
    byte_buffer_free(&text);
    return good;
}

static bool take_candidate(struct subjects *s, const char *path, unsigned line, const char *name)
{
    (void)path;
    (void)line;
    add(s, name)->candidate = true;
    return true;
}

bool subjects_add_candidates(struct subjects *s, const char *path)
{
    return read_names(path, take_candidate, s);
}

static int by_name(const void *a, const void *b)
{
    const struct subject *x = a, *y = b;
    int order = list_name_cmp(x->name, y->name);
    return order != 0 ? order : y->listed - x->listed; /* what is listed comes first */
}

void subjects_sort(struct subjects *s)
{
    size_t kept = 0;
    if (s->count > 1)
        qsort(s->all, s->count, sizeof *s->all, by_name);
    for (size_t i = 0; i < s->count; i++) {
        if (kept > 0 && strcmp(s->all[kept - 1].name, s->all[i].name) == 0) {
            s->all[kept - 1].candidate = true;
            free(s->all[i].name);
        } else {
            s->all[kept++] = s->all[i];
        }
    }
    s->count = kept;
}

struct subject *subjects_find(const struct subjects *s, const char *name)
{
    size_t low = 0, high = s->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = list_name_cmp(s->all[middle].name, name);
        if (order == 0)
            return &s->all[middle];
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

/* --- what the operator says of single domains --- */

static bool take_followed(struct subjects *s, const char *path, unsigned line, const char *name)
{
    struct subject *found = subjects_find(s, name);
    if (found == NULL || !found->listed)
        return complain(path, line, name, "is not in the list, so there is no entry that could follow");
    found->to_follow = true;
    return true;
}

bool subjects_mark_followed(struct subjects *s, const char *path_or_all)
{
    if (strcmp(path_or_all, "all") != 0)
        return read_names(path_or_all, take_followed, s);
    for (size_t i = 0; i < s->count; i++)
        s->all[i].to_follow = s->all[i].listed;
    return true;
}

static bool take_excepted(struct subjects *s, const char *path, unsigned line, const char *name)
{
    (void)path;
    (void)line;
    struct subject *found = subjects_find(s, name);
    if (found != NULL)
        found->excepted = true;
    return true;
}

bool subjects_mark_excepted(struct subjects *s, const char *path)
{
    return read_names(path, take_excepted, s);
}

void subjects_free(struct subjects *s)
{
    for (size_t i = 0; i < s->count; i++) {
        free(s->all[i].name);
        free(s->all[i].alias);
        free(s->all[i].policy);
    }
    free(s->all);
    *s = (struct subjects){ NULL, 0, 0 };
}
