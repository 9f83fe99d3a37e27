#include "toolchain/tools/common/policy_json.h"

#include <math.h>
#include <stdarg.h>

#include <cJSON.h>

#include "hal/base/datetime.h"

#define VERSION "0.1"
#define SHOWN_MAX 100 /* of a name or value from the file, in a message */

static const double last_date = 253402300799.0; /* 9999-12-31T23:59:59Z */

struct alias {
    const char *name;
    struct list_source_domain policy; /* name is NULL */
    bool good;
};

struct parse {
    struct policy_json_report *report;
    struct list_source *out;
    struct alias *aliases;
    size_t alias_count;
};

/* --- messages --- */

static void say(struct policy_json_report *r, const char *level, unsigned *count, const char *format, va_list ap)
{
    ++*count;
    if (r->errors + r->warnings > POLICY_JSON_MESSAGES_MAX)
        return;
    char line[1024];
    struct strbuf b = STRBUF(line);
    strbuf_printf(&b, "%s: %s: ", level, r->file);
    strbuf_vprintf(&b, format, ap);
    byte_buffer_add(&r->messages, b.p, b.len);
    byte_buffer_u8(&r->messages, '\n');
}

__attribute__((format(printf, 2, 3))) static void error(struct policy_json_report *r, const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    say(r, "error", &r->errors, format, ap);
    va_end(ap);
}

__attribute__((format(printf, 2, 3))) static void warn(struct policy_json_report *r, const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    say(r, "warning", &r->warnings, format, ap);
    va_end(ap);
}

struct shown {
    char text[SHOWN_MAX + 8];
};

/* Text from the file as it may stand in a message: printable, in its length. */
static struct shown show(const char *text)
{
    struct shown s = { "" };
    struct strbuf b = STRBUF(s.text);
    strbuf_add_printable(&b, span_of(text), SHOWN_MAX);
    return s;
}

/* --- JSON --- */

static void error_at(struct policy_json_report *r, struct span text, size_t at, const char *what)
{
    unsigned line = 1, column = 1;
    for (size_t i = 0; i < at && i < text.len; i++) {
        column = text.p[i] == '\n' ? 1 : column + 1;
        line += text.p[i] == '\n';
    }
    char near[64];
    struct strbuf b = STRBUF(near);
    strbuf_add_printable(&b, span_sub(text, at, 24), sizeof near - 8);
    error(r, "line %u, column %u: %s%s%s", line, column, what, b.len > 0 ? " at: " : " at the end of the file", near);
}

/* A NUL, written or escaped, would end a name early for a reader of C strings: "bank.example\u0000.evil". */
static bool has_nul(struct policy_json_report *r, struct span text)
{
    for (size_t i = 0; i < text.len; i++) {
        if (text.p[i] == '\0' || span_starts(span_from(text, i), "\\u0000")) {
            error_at(r, text, i, "a NUL character");
            return true;
        }
        if (text.p[i] == '\\')
            i++;
    }
    return false;
}

static cJSON *parse_json(struct policy_json_report *r, struct span text)
{
    const char *end = text.p;
    if (has_nul(r, text))
        return NULL;
    char *copy = tool_copy(text); /* NUL-terminated, so that what follows the object is seen as an error */
    cJSON *root = cJSON_ParseWithLengthOpts(copy, text.len + 1, &end, true);
    if (root == NULL)
        error_at(r, text, (size_t)(end - copy), "not JSON");
    else if (!cJSON_IsObject(root))
        error(r, "not a JSON object");
    free(copy);
    if (root != NULL && !cJSON_IsObject(root)) {
        cJSON_Delete(root);
        return NULL;
    }
    return root;
}

/* The member of that name; twice is an error, as two readers might take different ones. */
static const cJSON *member(struct parse *p, const cJSON *object, const char *where, const char *name)
{
    const cJSON *item, *found = NULL;
    cJSON_ArrayForEach(item, object)
    {
        if (strcmp(item->string, name) != 0)
            continue;
        if (found != NULL)
            error(p->report, "%s: \"%s\" is given twice", where, name);
        found = item;
    }
    return found;
}

static void warn_of_others(struct parse *p, const cJSON *object, const char *where, const char *const *known)
{
    const cJSON *item;
    cJSON_ArrayForEach(item, object)
    {
        const char *const *k = known;
        while (*k != NULL && strcmp(*k, item->string) != 0)
            k++;
        if (*k == NULL)
            warn(p->report, "%s: \"%s\" is not known and is left out", where, show(item->string).text);
    }
}

/* --- top level --- */

static int64_t read_time(struct parse *p, const cJSON *root, const char *name)
{
    const cJSON *item = member(p, root, "top level", name);
    int64_t unix_s = 0;
    uint64_t number;
    if (item == NULL)
        error(p->report, "top level: \"%s\" is missing", name);
    else if (cJSON_IsNumber(item) && item->valuedouble >= 1 && item->valuedouble <= last_date &&
             floor(item->valuedouble) == item->valuedouble)
        unix_s = (int64_t)item->valuedouble;
    else if (cJSON_IsString(item) && span_to_u64(span_of(item->valuestring), &number) && number >= 1 && (double)number <= last_date)
        unix_s = (int64_t)number;
    else if (!cJSON_IsString(item) || rfc3339_parse(span_of(item->valuestring), &unix_s) != RC_OK || unix_s < 1)
        error(p->report, "%s: neither an RFC 3339 date and time (2020-05-20T10:25:12-07:00) nor whole seconds since 1970: %s", name,
              cJSON_IsString(item) ? show(item->valuestring).text : "not text");
    return unix_s;
}

static void read_author(struct parse *p, const cJSON *root)
{
    const cJSON *item = member(p, root, "top level", "author");
    struct strbuf author = STRBUF(p->out->author);
    if (item != NULL && !cJSON_IsString(item))
        error(p->report, "author: not text");
    if (item == NULL || !cJSON_IsString(item))
        return;
    strbuf_add_printable(&author, span_of(item->valuestring), LIST_AUTHOR_MAX - 1);
    if (strcmp(author.p, item->valuestring) != 0)
        warn(p->report, "author: shortened, or characters escaped: %s", author.p);
}

static void read_top(struct parse *p, const cJSON *root)
{
    static const char *const known[] = { "timestamp", "expires", "version", "author", "policy-aliases", "policies", NULL };
    warn_of_others(p, root, "top level", known);
    unsigned before = p->report->errors;
    p->out->timestamp = read_time(p, root, "timestamp");
    p->out->expires = read_time(p, root, "expires");
    if (p->report->errors == before && p->out->expires < p->out->timestamp)
        error(p->report, "expires: before the timestamp");
    const cJSON *version = member(p, root, "top level", "version");
    if (version == NULL)
        error(p->report, "top level: \"version\" is missing");
    else if (!cJSON_IsString(version) || strcmp(version->valuestring, VERSION) != 0)
        error(p->report, "version: %s is not the version \"" VERSION "\" that this tool reads",
              cJSON_IsString(version) ? show(version->valuestring).text : "what is given");
    read_author(p, root);
}

/* --- one policy --- */

static bool read_mode(struct parse *p, const cJSON *policy, const char *where, enum list_mode *mode)
{
    const cJSON *item = member(p, policy, where, "mode");
    if (item == NULL) {
        error(p->report, "%s: \"mode\" is missing", where);
        return false;
    }
    const char *text = cJSON_IsString(item) ? item->valuestring : "";
    *mode = strcmp(text, "enforce") == 0 ? LIST_ENFORCE : LIST_TESTING;
    if (*mode == LIST_TESTING && strcmp(text, "testing") != 0) {
        error(p->report, "%s: mode \"%s\" is neither \"testing\" nor \"enforce\"", where, show(text).text);
        return false;
    }
    return true;
}

/* Canonical pattern into out. The rules say why they refuse, in the words of the one who wrote the pattern. */
static bool fold_pattern(struct parse *p, const char *where, const char *text, struct strbuf *out)
{
    char memory[DOMAIN_TEXT_MAX];
    struct strbuf host = STRBUF(memory);
    bool suffix = text[0] == '.';
    const char *wrong = NULL;
    if (strchr(text, '*') != NULL)
        wrong = "a star has no meaning here; write \".example.com\" for any one host under example.com";
    else if (domain_canonical(span_of(text + suffix), &host) != RC_OK)
        wrong = "not a host name: labels have 1 to 63 letters, digits and hyphens";
    else if (domain_labels(strbuf_span(&host)) < 2)
        wrong = suffix ? "a suffix of one label would match whole top-level domains" : "a host name has at least two labels";
    else if (!domain_is_hostname(strbuf_span(&host)))
        wrong = "not a host name: no label begins or ends with a hyphen, and the last one is not a number";
    if (wrong != NULL) {
        error(p->report, "%s: pattern \"%s\": %s", where, show(text).text, wrong);
        return false;
    }
    strbuf_puts(out, suffix ? "." : "");
    strbuf_add(out, strbuf_span(&host));
    return true;
}

static bool has_pattern(const struct list_source_domain *d, const char *pattern)
{
    for (unsigned i = 0; i < d->mx_count; i++) {
        if (strcmp(d->mx[i], pattern) == 0)
            return true;
    }
    return false;
}

static bool read_patterns(struct parse *p, const cJSON *policy, const char *where, struct list_source_domain *out)
{
    const cJSON *mxs = member(p, policy, where, "mxs"), *item;
    if (!cJSON_IsArray(mxs) || cJSON_GetArraySize(mxs) == 0) {
        error(p->report, "%s: \"mxs\" is %s", where, mxs == NULL ? "missing" : "not a list with at least one host");
        return false;
    }
    unsigned before = p->report->errors;
    size_t bytes = 0;
    out->mx = tool_alloc((size_t)cJSON_GetArraySize(mxs), sizeof *out->mx);
    cJSON_ArrayForEach(item, mxs)
    {
        char memory[DOMAIN_TEXT_MAX + 1];
        struct strbuf pattern = STRBUF(memory);
        if (!cJSON_IsString(item))
            error(p->report, "%s: \"mxs\" holds something that is not text", where);
        else if (fold_pattern(p, where, item->valuestring, &pattern) && has_pattern(out, pattern.p))
            warn(p->report, "%s: pattern \"%s\" is given twice", where, pattern.p);
        else if (pattern.len > 0) {
            out->mx[out->mx_count++] = tool_copy(strbuf_span(&pattern));
            bytes += pattern.len + 1;
        }
    }
    if (out->mx_count > LIST_MX_MAX || bytes > LIST_MX_BYTES)
        error(p->report, "%s: %u patterns of %zu bytes; a policy has at most %d of %d", where, out->mx_count, bytes, LIST_MX_MAX,
              LIST_MX_BYTES);
    return p->report->errors == before;
}

static void free_policy(struct list_source_domain *d)
{
    for (unsigned i = 0; i < d->mx_count; i++)
        free(d->mx[i]);
    free(d->mx);
    free(d->name);
}

static bool read_policy(struct parse *p, const cJSON *policy, const char *where, struct list_source_domain *out)
{
    static const char *const known[] = { "mode", "mxs", NULL };
    if (!cJSON_IsObject(policy)) {
        error(p->report, "%s: not an object", where);
        return false;
    }
    warn_of_others(p, policy, where, known);
    bool mode_good = read_mode(p, policy, where, &out->mode);
    return read_patterns(p, policy, where, out) && mode_good;
}

/* --- aliases and domains --- */

static void read_aliases(struct parse *p, const cJSON *root)
{
    const cJSON *aliases = member(p, root, "top level", "policy-aliases"), *item;
    if (aliases == NULL)
        return;
    if (!cJSON_IsObject(aliases)) {
        error(p->report, "policy-aliases: not an object");
        return;
    }
    p->aliases = tool_alloc((size_t)cJSON_GetArraySize(aliases), sizeof *p->aliases);
    cJSON_ArrayForEach(item, aliases)
    {
        char where[SHOWN_MAX + 32];
        struct alias *a = &p->aliases[p->alias_count];
        snprintf(where, sizeof where, "alias \"%s\"", show(item->string).text);
        for (size_t i = 0; i < p->alias_count; i++) {
            if (strcmp(p->aliases[i].name, item->string) == 0)
                error(p->report, "%s is defined twice", where);
        }
        a->name = item->string;
        p->alias_count++;
        a->good = read_policy(p, item, where, &a->policy);
    }
}

static bool copy_alias(struct parse *p, const cJSON *reference, const char *where, struct list_source_domain *out)
{
    if (!cJSON_IsString(reference)) {
        error(p->report, "%s: \"policy-alias\" is not text", where);
        return false;
    }
    for (size_t i = 0; i < p->alias_count; i++) {
        const struct alias *a = &p->aliases[i];
        if (strcmp(a->name, reference->valuestring) != 0)
            continue;
        out->mode = a->policy.mode;
        out->mx = tool_alloc(a->policy.mx_count, sizeof *out->mx);
        for (; out->mx_count < a->policy.mx_count; out->mx_count++)
            out->mx[out->mx_count] = tool_copy(span_of(a->policy.mx[out->mx_count]));
        return a->good; /* a faulty alias was told where it stands */
    }
    error(p->report, "%s: there is no alias \"%s\"", where, show(reference->valuestring).text);
    return false;
}

static bool read_domain(struct parse *p, const cJSON *item, struct list_source_domain *out)
{
    char memory[DOMAIN_TEXT_MAX];
    struct strbuf name = STRBUF(memory);
    struct shown where = show(item->string);
    if (domain_canonical(span_of(item->string), &name) != RC_OK || !domain_is_hostname(strbuf_span(&name)) ||
        domain_labels(strbuf_span(&name)) < 2) {
        error(p->report, "\"%s\": not a mail domain", where.text);
        return false;
    }
    out->name = tool_copy(strbuf_span(&name));
    const cJSON *alias = cJSON_IsObject(item) ? member(p, item, where.text, "policy-alias") : NULL;
    if (alias == NULL)
        return read_policy(p, item, where.text, out);
    static const char *const known[] = { "policy-alias", NULL };
    warn_of_others(p, item, where.text, known);
    return copy_alias(p, alias, where.text, out);
}

static int by_name(const void *a, const void *b)
{
    const struct list_source_domain *x = a, *y = b;
    return list_name_cmp(x->name, y->name);
}

static void refuse_doubles(struct parse *p)
{
    struct list_source *s = p->out;
    if (s->count > 1)
        qsort(s->domains, s->count, sizeof *s->domains, by_name);
    for (size_t i = 1; i < s->count; i++) {
        if (strcmp(s->domains[i - 1].name, s->domains[i].name) == 0)
            error(p->report, "%s: is given twice (names are compared in lower case, with international ones as A-labels)",
                  s->domains[i].name);
    }
}

static void read_domains(struct parse *p, const cJSON *root)
{
    const cJSON *policies = member(p, root, "top level", "policies"), *item;
    if (!cJSON_IsObject(policies)) {
        error(p->report, "top level: \"policies\" is %s", policies == NULL ? "missing" : "not an object");
        return;
    }
    p->out->domains = tool_alloc((size_t)cJSON_GetArraySize(policies), sizeof *p->out->domains);
    cJSON_ArrayForEach(item, policies)
    {
        struct list_source_domain d = { .name = NULL };
        if (read_domain(p, item, &d) || d.name != NULL)
            p->out->domains[p->out->count++] = d;
        else
            free_policy(&d);
    }
    refuse_doubles(p);
}

enum rc policy_json_read(struct span text, struct list_source *out, struct policy_json_report *report)
{
    memset(out, 0, sizeof *out);
    struct parse p = { .report = report, .out = out };
    cJSON *root = parse_json(report, text);
    if (root == NULL)
        return RC_INVALID;
    read_top(&p, root);
    read_aliases(&p, root);
    read_domains(&p, root);
    for (size_t i = 0; i < p.alias_count; i++)
        free_policy(&p.aliases[i].policy);
    free(p.aliases);
    cJSON_Delete(root);
    if (report->errors == 0)
        return RC_OK;
    list_source_free(out);
    return RC_INVALID;
}
