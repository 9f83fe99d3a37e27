#include "toolchain/tools/common/policy_json.h"

#include "hal/base/bytes.h"
#include "hal/base/crc32.h"
#include "toolchain/tools/common/json_split.h"
#include "toolchain/tools/common/order_key.h"

#define TICK_DOMAINS 1024

/* A record of the sort: line (4), then 0, mode, count and the patterns with their NULs, or 1 and the alias's number (2). */
enum record_kind { RECORD_POLICY = 0, RECORD_ALIAS = 1 };
#define RECORD_HEAD_BYTES 7

struct parse {
    struct policy_json *out;
    struct policy_report *report;
    struct json_split json;
    void (*tick)(uint64_t bytes);
    unsigned seen; /* bits of enum top_member */
};

enum top_member { TOP_TIMESTAMP, TOP_EXPIRES, TOP_VERSION, TOP_AUTHOR, TOP_ALIASES, TOP_POLICIES, TOP_COUNT };
static const char *const top_name[TOP_COUNT] = { "timestamp", "expires", "version", "author", "policy-aliases", "policies" };

/* A value that comes next; NULL and told when it is too long. */
static enum rc take_value(struct parse *p, const char *where, cJSON **value)
{
    enum rc rc = json_split_value(&p->json, value);
    if (rc != RC_TOO_LONG)
        return rc;
    policy_error(p->report, "%s: takes more than %d bytes", where, JSON_VALUE_MAX);
    return RC_OK;
}

/* --- aliases --- */

/* The alias of that name, made when it is new; NULL and told when there are too many. */
static struct policy_alias *alias_of(struct parse *p, const char *name, size_t *number)
{
    struct policy_json *out = p->out;
    size_t *head = &out->alias_heads[crc32_update(0, name, strlen(name)) % (sizeof out->alias_heads / sizeof out->alias_heads[0])];
    for (size_t i = *head; i != 0; i = out->aliases[i - 1]->next_same_hash) {
        *number = i - 1;
        if (strcmp(out->aliases[i - 1]->name, name) == 0)
            return out->aliases[i - 1];
    }
    if (out->alias_count == POLICY_ALIASES_MAX) {
        policy_error(p->report, "alias \"%s\": more than %d aliases", policy_show(name).text, POLICY_ALIASES_MAX);
        return NULL;
    }
    if (out->aliases == NULL)
        out->aliases = tool_alloc(POLICY_ALIASES_MAX, sizeof *out->aliases);
    struct policy_alias *a = tool_alloc(1, sizeof *a);
    a->name = tool_copy(span_of(name));
    a->next_same_hash = *head;
    *number = out->alias_count;
    out->aliases[out->alias_count++] = a;
    *head = out->alias_count;
    return a;
}

static enum rc read_alias(struct parse *p, const char *name, unsigned line)
{
    cJSON *value = NULL;
    size_t number;
    char where[POLICY_SHOWN_MAX + 32];
    snprintf(where, sizeof where, "alias \"%s\"", policy_show(name).text);
    enum rc rc = take_value(p, where, &value);
    p->report->line = line;
    struct policy_alias *a = rc == RC_OK && value != NULL ? alias_of(p, name, &number) : NULL;
    if (a != NULL && a->line > 0) {
        policy_error(p->report, "%s is defined twice, first in line %u", where, a->line);
    } else if (a != NULL) {
        a->line = line;
        a->good = policy_rule_policy(p->report, value, where, &a->policy);
    }
    cJSON_Delete(value);
    return rc;
}

/* --- domains --- */

static enum rc add_record(struct parse *p, const char *domain, unsigned line, const struct policy *policy, size_t alias)
{
    char key[DOMAIN_TEXT_MAX];
    uint8_t record[RECORD_HEAD_BYTES + LIST_MX_BYTES] = { 0 };
    size_t len = RECORD_HEAD_BYTES;
    put_le32(record, line);
    record[4] = policy != NULL ? RECORD_POLICY : RECORD_ALIAS;
    if (policy != NULL) {
        record[5] = (uint8_t)policy->mode;
        record[6] = (uint8_t)policy->mx_count;
        memcpy(record + len, policy->text, policy->text_len);
        len += policy->text_len;
    } else {
        put_le16(record + 5, (uint16_t)alias);
    }
    order_key_of_name(domain, key);
    if (++p->out->count % TICK_DOMAINS == 0 && p->tick != NULL)
        p->tick(p->json.taken_bytes);
    return external_sort_add(p->out->sorted, span_of(key), span_bytes(record, len));
}

/* A faulty entry is kept too, for its name may come twice; it is never given to anybody, as the file is refused. */
static enum rc judge_domain(struct parse *p, const char *name, unsigned line, const cJSON *value)
{
    char memory[DOMAIN_TEXT_MAX];
    struct strbuf domain = STRBUF(memory);
    struct policy policy = { .mx_count = 0 };
    struct policy_shown where = policy_show(name);
    const char *alias;
    size_t number = 0;
    if (!policy_rule_domain(p->report, name, &domain))
        return RC_OK;
    if (!policy_rule_reference(p->report, value, where.text, &alias))
        return add_record(p, memory, line, &policy, 0);
    if (alias == NULL) {
        (void)policy_rule_policy(p->report, value, where.text, &policy);
        return add_record(p, memory, line, &policy, 0);
    }
    if (alias_of(p, alias, &number) == NULL)
        return RC_OK;
    return add_record(p, memory, line, NULL, number);
}

static enum rc read_domain(struct parse *p, const char *name, unsigned line)
{
    cJSON *value = NULL;
    enum rc rc = take_value(p, policy_show(name).text, &value);
    p->report->line = line;
    if (rc == RC_OK && value != NULL)
        rc = judge_domain(p, name, line, value);
    cJSON_Delete(value);
    return rc;
}

/* --- top level --- */

static enum rc read_members(struct parse *p, const char *name, enum rc (*read)(struct parse *p, const char *name, unsigned line))
{
    char *member;
    unsigned line;
    enum rc rc = json_split_object(&p->json);
    if (rc == RC_NOT_FOUND) {
        cJSON *value = NULL;
        policy_error(p->report, "top level: \"%s\" is not an object", name);
        rc = take_value(p, name, &value);
        cJSON_Delete(value);
        return rc;
    }
    while (rc == RC_OK && (rc = json_split_member(&p->json, &member, &line)) == RC_OK) {
        p->report->line = line;
        rc = read(p, member, line);
        free(member);
    }
    p->report->line = 0;
    return rc == RC_NOT_FOUND ? RC_OK : rc;
}

static enum rc read_scalar(struct parse *p, enum top_member m, const char *name)
{
    cJSON *value = NULL;
    enum rc rc = take_value(p, "top level", &value);
    if (rc == RC_OK && value != NULL) {
        if (m == TOP_TIMESTAMP)
            (void)policy_rule_time(p->report, value, name, &p->out->timestamp);
        else if (m == TOP_EXPIRES)
            (void)policy_rule_time(p->report, value, name, &p->out->expires);
        else if (m == TOP_VERSION)
            (void)policy_rule_version(p->report, value);
        else if (m == TOP_AUTHOR)
            (void)policy_rule_author(p->report, value, p->out->author);
        else
            policy_rule_unknown(p->report, "top level", name);
    }
    cJSON_Delete(value);
    return rc;
}

static enum rc read_top_member(struct parse *p, const char *name, unsigned line)
{
    unsigned m = 0;
    while (m < TOP_COUNT && strcmp(top_name[m], name) != 0)
        m++;
    p->report->line = line;
    if (m < TOP_COUNT && p->seen & 1u << m)
        policy_error(p->report, "top level: \"%s\" is given twice", name);
    p->seen |= 1u << m;
    if (m == TOP_ALIASES)
        return read_members(p, name, read_alias);
    if (m == TOP_POLICIES)
        return read_members(p, name, read_domain);
    return read_scalar(p, m, name);
}

static enum rc read_all(struct parse *p)
{
    char *name;
    unsigned line;
    enum rc rc = json_split_object(&p->json);
    if (rc == RC_NOT_FOUND) {
        policy_error(p->report, "not a JSON object");
        return RC_INVALID;
    }
    while (rc == RC_OK && (rc = json_split_member(&p->json, &name, &line)) == RC_OK) {
        rc = read_top_member(p, name, line);
        free(name);
    }
    rc = rc == RC_NOT_FOUND ? json_split_finish(&p->json) : rc;
    p->report->line = 0;
    if (p->json.error[0] != '\0')
        policy_error(p->report, "%s", p->json.error);
    return rc;
}

static void check_top(struct parse *p)
{
    static const enum top_member needed[] = { TOP_TIMESTAMP, TOP_EXPIRES, TOP_VERSION, TOP_POLICIES };
    for (size_t i = 0; i < sizeof needed / sizeof needed[0]; i++) {
        if (!(p->seen & 1u << needed[i]))
            policy_error(p->report, "top level: \"%s\" is missing", top_name[needed[i]]);
    }
    if (p->out->timestamp > 0 && p->out->expires > 0 && p->out->expires < p->out->timestamp)
        policy_error(p->report, "expires: before the timestamp");
}

/* What can only be seen when all was read: names that come twice, aliases that are not there. */
static enum rc check_sorted(struct parse *p)
{
    struct policy_json *out = p->out;
    struct list_source_domain d;
    char before[DOMAIN_TEXT_MAX] = "";
    unsigned before_line = 0;
    enum rc rc = policy_json_rewind(out);
    while (rc == RC_OK && (rc = policy_json_next(out, &d)) == RC_OK) {
        p->report->line = out->line;
        if (strcmp(before, out->name) == 0)
            policy_error(
                p->report,
                "%s: is given twice, first in line %u (names are compared in lower case, with international ones as A-labels)",
                out->name, before_line);
        if (out->alias != NULL && out->alias->line == 0)
            policy_error(p->report, "%s: there is no alias \"%s\"", out->name, policy_show(out->alias->name).text);
        memcpy(before, out->name, strlen(out->name) + 1);
        before_line = out->line;
    }
    p->report->line = 0;
    return rc == RC_NOT_FOUND ? RC_OK : rc;
}

/* --- what the caller sees --- */

enum rc policy_json_open(struct policy_json *out, FILE *file, struct policy_report *report, void (*tick)(uint64_t bytes))
{
    memset(out, 0, sizeof *out);
    struct parse *p = tool_alloc(1, sizeof *p);
    *p = (struct parse){ .out = out, .report = report, .tick = tick };
    out->sorted = external_sort_new(EXTERNAL_SORT_MEMORY);
    json_split_start(&p->json, file);
    enum rc rc = read_all(p);
    if (rc == RC_OK) {
        check_top(p);
        rc = check_sorted(p);
    }
    json_split_free(&p->json);
    free(p);
    if (rc == RC_OK && report->errors > 0)
        rc = RC_INVALID;
    if (rc != RC_OK)
        policy_json_close(out);
    return rc;
}

void policy_json_close(struct policy_json *p)
{
    for (size_t i = 0; i < p->alias_count; i++) {
        free(p->aliases[i]->name);
        free(p->aliases[i]);
    }
    free(p->aliases);
    external_sort_free(p->sorted);
    memset(p, 0, sizeof *p);
}

enum rc policy_json_rewind(void *ctx)
{
    struct policy_json *p = ctx;
    return external_sort_rewind(p->sorted);
}

static void fill_policy(struct policy *out, const uint8_t *record, struct span texts)
{
    out->mode = (enum list_mode)record[5];
    out->mx_count = 0;
    out->text_len = 0;
    while (texts.len > 0) {
        size_t len = strnlen(texts.p, texts.len);
        (void)policy_add_mx(out, span_sub(texts, 0, len)); /* it was checked when the record was made */
        texts = span_from(texts, len + 1);
    }
}

enum rc policy_json_next(void *ctx, struct list_source_domain *out)
{
    struct policy_json *p = ctx;
    struct sort_record r;
    enum rc rc = external_sort_next(p->sorted, &r);
    if (rc != RC_OK)
        return rc;
    const uint8_t *record = (const uint8_t *)r.value.p;
    order_key_to_name(r.key, p->name);
    p->line = get_le32(record);
    p->alias = record[4] == RECORD_ALIAS ? p->aliases[get_le16(record + 5)] : NULL;
    if (p->alias == NULL)
        fill_policy(&p->policy, record, span_from(r.value, RECORD_HEAD_BYTES));
    struct policy *policy = p->alias != NULL ? (struct policy *)&p->alias->policy : &p->policy;
    *out = (struct list_source_domain){ .name = p->name, .mode = policy->mode, .mx = policy->mx, .mx_count = policy->mx_count };
    return RC_OK;
}
