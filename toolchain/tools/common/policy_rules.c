#include "toolchain/tools/common/policy_rules.h"

#include <math.h>
#include <stdarg.h>

#include "hal/base/datetime.h"

#define VERSION "0.1"

static const double last_date = 253402300799.0; /* 9999-12-31T23:59:59Z */

/* --- messages --- */

static void say(struct policy_report *r, const char *level, unsigned *count, const char *format, va_list ap)
{
    ++*count;
    if (r->errors + r->warnings > POLICY_REPORT_MESSAGES_MAX)
        return;
    char line[1024];
    struct strbuf b = STRBUF(line);
    strbuf_printf(&b, "%s: %s: ", level, r->file);
    if (r->line > 0)
        strbuf_printf(&b, "line %u: ", r->line);
    strbuf_vprintf(&b, format, ap);
    byte_buffer_add(&r->messages, b.p, b.len);
    byte_buffer_u8(&r->messages, '\n');
}

void policy_error(struct policy_report *r, const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    say(r, "error", &r->errors, format, ap);
    va_end(ap);
}

void policy_warn(struct policy_report *r, const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    say(r, "warning", &r->warnings, format, ap);
    va_end(ap);
}

void policy_report_print(struct policy_report *r)
{
    if (r->messages.len > 0)
        fwrite(r->messages.p, 1, r->messages.len, stderr);
    if (r->errors + r->warnings > POLICY_REPORT_MESSAGES_MAX)
        fprintf(stderr, "error: %s: %u errors and %u warnings in all\n", r->file, r->errors, r->warnings);
    byte_buffer_free(&r->messages);
}

struct policy_shown policy_show(const char *text)
{
    struct policy_shown s = { "" };
    struct strbuf b = STRBUF(s.text);
    strbuf_add_printable(&b, span_of(text), POLICY_SHOWN_MAX);
    return s;
}

/* --- members --- */

void policy_rule_unknown(struct policy_report *r, const char *where, const char *member)
{
    if (r->lenient)
        policy_warn(r, "%s: \"%s\" is not known and is left out", where, policy_show(member).text);
    else
        policy_error(r, "%s: \"%s\" is not known (--lenient leaves such members out)", where, policy_show(member).text);
}

/* Every member is one of known; twice is an error, as two readers might take different ones. */
static bool check_members(struct policy_report *r, const cJSON *object, const char *where, const char *const *known)
{
    unsigned before = r->errors;
    const cJSON *item;
    cJSON_ArrayForEach(item, object)
    {
        const char *const *k = known;
        while (*k != NULL && strcmp(*k, item->string) != 0)
            k++;
        if (*k == NULL)
            policy_rule_unknown(r, where, item->string);
        else if (cJSON_GetObjectItemCaseSensitive(object, *k) != item)
            policy_error(r, "%s: \"%s\" is given twice", where, *k);
    }
    return r->errors == before;
}

/* --- top level --- */

bool policy_rule_time(struct policy_report *r, const cJSON *item, const char *name, int64_t *unix_s)
{
    uint64_t number;
    if (cJSON_IsNumber(item) && item->valuedouble >= 1 && item->valuedouble <= last_date &&
        floor(item->valuedouble) == item->valuedouble) {
        *unix_s = (int64_t)item->valuedouble;
        return true;
    }
    if (cJSON_IsString(item) && span_to_u64(span_of(item->valuestring), &number) && number >= 1 && (double)number <= last_date) {
        *unix_s = (int64_t)number;
        return true;
    }
    if (cJSON_IsString(item) && rfc3339_parse(span_of(item->valuestring), unix_s) == RC_OK && *unix_s >= 1)
        return true;
    *unix_s = 0;
    policy_error(r, "%s: neither an RFC 3339 date and time (2020-05-20T10:25:12-07:00) nor whole seconds since 1970: %s", name,
                 cJSON_IsString(item) ? policy_show(item->valuestring).text : "not text");
    return false;
}

bool policy_rule_version(struct policy_report *r, const cJSON *item)
{
    if (cJSON_IsString(item) && strcmp(item->valuestring, VERSION) == 0)
        return true;
    policy_error(r, "version: %s is not the version \"" VERSION "\" that this tool reads",
                 cJSON_IsString(item) ? policy_show(item->valuestring).text : "what is given");
    return false;
}

bool policy_rule_author(struct policy_report *r, const cJSON *item, char author[LIST_AUTHOR_MAX])
{
    struct strbuf b = strbuf_on(author, LIST_AUTHOR_MAX);
    if (!cJSON_IsString(item)) {
        policy_error(r, "author: not text");
        return false;
    }
    strbuf_add_printable(&b, span_of(item->valuestring), LIST_AUTHOR_MAX - 1);
    if (strcmp(author, item->valuestring) != 0)
        policy_warn(r, "author: shortened, or characters escaped: %s", author);
    return true;
}

bool policy_rule_domain(struct policy_report *r, const char *text, struct strbuf *canonical)
{
    if (domain_canonical(span_of(text), canonical) == RC_OK && domain_is_hostname(strbuf_span(canonical)) &&
        domain_labels(strbuf_span(canonical)) >= 2)
        return true;
    policy_error(r, "\"%s\": not a mail domain", policy_show(text).text);
    return false;
}

/* --- one policy --- */

static bool read_mode(struct policy_report *r, const cJSON *policy, const char *where, enum list_mode *mode)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(policy, "mode");
    if (item == NULL) {
        policy_error(r, "%s: \"mode\" is missing", where);
        return false;
    }
    const char *text = cJSON_IsString(item) ? item->valuestring : "";
    *mode = strcmp(text, "enforce") == 0 ? LIST_ENFORCE : LIST_TESTING;
    if (*mode == LIST_TESTING && strcmp(text, "testing") != 0) {
        policy_error(r, "%s: mode \"%s\" is neither \"testing\" nor \"enforce\"", where, policy_show(text).text);
        return false;
    }
    return true;
}

/* Canonical pattern into out. The rules say why they refuse, in the words of the one who wrote the pattern. */
static bool fold_pattern(struct policy_report *r, const char *where, const char *text, struct strbuf *out)
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
        policy_error(r, "%s: pattern \"%s\": %s", where, policy_show(text).text, wrong);
        return false;
    }
    strbuf_puts(out, suffix ? "." : "");
    strbuf_add(out, strbuf_span(&host));
    return true;
}

static bool has_pattern(const struct policy *p, const char *pattern)
{
    for (unsigned i = 0; i < p->mx_count; i++) {
        if (strcmp(p->mx[i], pattern) == 0)
            return true;
    }
    return false;
}

bool policy_add_mx(struct policy *p, struct span pattern)
{
    if (p->mx_count == LIST_MX_MAX || pattern.len + 1 > sizeof p->text - p->text_len)
        return false;
    char *at = p->text + p->text_len;
    memcpy(at, pattern.p, pattern.len);
    at[pattern.len] = '\0';
    p->text_len += pattern.len + 1;
    p->mx[p->mx_count++] = at;
    return true;
}

static bool read_patterns(struct policy_report *r, const cJSON *policy, const char *where, struct policy *out)
{
    unsigned before = r->errors, count = 0;
    size_t bytes = 0;
    const cJSON *mxs = cJSON_GetObjectItemCaseSensitive(policy, "mxs"), *item;
    if (mxs == NULL)
        policy_error(r, "%s: \"mxs\" is missing", where);
    else if (!cJSON_IsArray(mxs) || cJSON_GetArraySize(mxs) == 0)
        policy_error(r, "%s: \"mxs\" is not a list with at least one pattern", where);
    const cJSON *list = cJSON_IsArray(mxs) ? mxs : NULL;
    cJSON_ArrayForEach(item, list)
    {
        char memory[DOMAIN_TEXT_MAX + 1];
        struct strbuf pattern = STRBUF(memory);
        if (!cJSON_IsString(item)) {
            policy_error(r, "%s: \"mxs\" holds something that is not text", where);
        } else if (fold_pattern(r, where, item->valuestring, &pattern)) {
            if (has_pattern(out, pattern.p)) {
                policy_warn(r, "%s: pattern \"%s\" is given twice", where, pattern.p);
                continue;
            }
            count++;
            bytes += pattern.len + 1;
            (void)policy_add_mx(out, strbuf_span(&pattern)); /* counted all the same */
        }
    }
    if (count > out->mx_count)
        policy_error(r, "%s: %u patterns of %zu bytes; a policy has at most %d of %d", where, count, bytes, LIST_MX_MAX,
                     LIST_MX_BYTES);
    return r->errors == before;
}

bool policy_rule_policy(struct policy_report *r, const cJSON *item, const char *where, struct policy *out)
{
    static const char *const known[] = { "mode", "mxs", NULL };
    out->mx_count = 0;
    out->text_len = 0;
    if (!cJSON_IsObject(item)) {
        policy_error(r, "%s: not an object", where);
        return false;
    }
    bool members_good = check_members(r, item, where, known);
    bool mode_good = read_mode(r, item, where, &out->mode);
    return read_patterns(r, item, where, out) && mode_good && members_good;
}

bool policy_rule_reference(struct policy_report *r, const cJSON *item, const char *where, const char **alias)
{
    static const char *const known[] = { "policy-alias", NULL };
    const cJSON *reference = cJSON_IsObject(item) ? cJSON_GetObjectItemCaseSensitive(item, "policy-alias") : NULL;
    *alias = NULL;
    if (reference == NULL)
        return true;
    if (cJSON_HasObjectItem(item, "mode") || cJSON_HasObjectItem(item, "mxs")) {
        policy_error(r, "%s: has a policy of its own and \"policy-alias\"; only one of them can hold", where);
        return false;
    }
    bool good = check_members(r, item, where, known);
    if (!cJSON_IsString(reference)) {
        policy_error(r, "%s: \"policy-alias\" is not text", where);
        return false;
    }
    *alias = reference->valuestring;
    return good;
}
