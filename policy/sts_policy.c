#include "policy/sts_policy.h"

#include <string.h>

#include "hal/base/packed_text.h"

#define EXTENSION_NAME_MAX 32
#define MAX_AGE_DIGITS 10

static bool is_alnum(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

/* Names of fields in both texts: a letter or digit, then those and "_-.". */
static bool is_field_name(struct span s)
{
    if (s.len < 1 || s.len > EXTENSION_NAME_MAX || !is_alnum(s.p[0]))
        return false;
    for (size_t i = 1; i < s.len; i++) {
        if (!is_alnum(s.p[i]) && s.p[i] != '_' && s.p[i] != '-' && s.p[i] != '.')
            return false;
    }
    return true;
}

/* --- the TXT record --- */

static bool is_id(struct span s)
{
    bool good = s.len >= 1 && s.len <= STS_ID_MAX;
    for (size_t i = 0; good && i < s.len; i++)
        good = is_alnum(s.p[i]);
    return good;
}

static bool is_extension_value(struct span s)
{
    bool good = s.len >= 1;
    for (size_t i = 0; good && i < s.len; i++)
        good = s.p[i] > ' ' && s.p[i] < 0x7f && s.p[i] != '=' && s.p[i] != ';';
    return good;
}

/* What follows "v=STSv1;". */
static bool parse_record(struct span rest, struct sts_records *out)
{
    struct span field;
    bool more = true, has_id = false;
    while (span_split(&rest, &more, ';', &field)) {
        field = span_trim(field);
        if (field.len == 0) { /* only the last ';' has nothing behind it */
            if (more)
                return false;
            continue;
        }
        size_t equals = span_find(field, 0, '=');
        if (equals == SIZE_MAX)
            return false;
        struct span name = span_sub(field, 0, equals), value = span_from(field, equals + 1);
        if (span_is(name, "id") && !has_id) {
            if (!is_id(value))
                return false;
            memcpy(out->id, value.p, value.len);
            out->id[value.len] = '\0';
            has_id = true;
        } else if (!is_field_name(name) || !is_extension_value(value)) {
            return false;
        }
    }
    return has_id;
}

void sts_records_add(struct sts_records *r, struct span txt)
{
    static const char version[] = "v=STSv1;";
    if (!span_starts(txt, version))
        return;
    if (++r->found > 1)
        return;
    r->valid = parse_record(span_from(txt, sizeof version - 1), r);
    if (!r->valid)
        r->id[0] = '\0';
}

enum rc sts_records_result(const struct sts_records *r)
{
    if (r->found == 0)
        return RC_NOT_FOUND;
    return r->found == 1 && r->valid ? RC_OK : RC_INVALID;
}

/* --- the policy file --- */

struct parse {
    struct sts_policy *out;
    bool version, mode, max_age;
    const char *why;
};

static enum rc refuse(struct parse *p, const char *why)
{
    p->why = why;
    return RC_INVALID;
}

static enum rc take_version(struct parse *p, struct span value)
{
    p->version = true;
    return span_is(value, "STSv1") ? RC_OK : refuse(p, PACKED("the version is not STSv1"));
}

static enum rc take_mode(struct parse *p, struct span value)
{
    static const char *const names[] = { [STS_NONE] = "none", [STS_TESTING] = "testing", [STS_ENFORCE] = "enforce" };
    p->mode = true;
    for (unsigned i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (span_is(value, names[i])) {
            p->out->mode = (enum sts_mode)i;
            return RC_OK;
        }
    }
    return refuse(p, PACKED("the mode is not enforce, testing or none"));
}

static enum rc take_max_age(struct parse *p, struct span value)
{
    uint64_t seconds;
    p->max_age = true;
    if (value.len > MAX_AGE_DIGITS || !span_to_u64(value, &seconds))
        return refuse(p, PACKED("max_age is not a number of seconds"));
    p->out->max_age_s = seconds < STS_MAX_AGE_S ? (uint32_t)seconds : STS_MAX_AGE_S;
    return RC_OK;
}

/* A host name, or "*." and one; A-labels only, as the file is what mail software compares with. */
static enum rc take_mx(struct parse *p, struct span value)
{
    char memory[DOMAIN_TEXT_MAX];
    struct strbuf host = STRBUF(memory);
    struct sts_policy *out = p->out;
    bool suffix = span_starts(value, "*.");
    struct span given = span_from(value, suffix ? 2 : 0);
    for (size_t i = 0; i < given.len; i++) {
        if ((given.p[i] & 0x80) != 0)
            return refuse(p, PACKED("a pattern of mx is not written in A-labels"));
    }
    if (domain_canonical(given, &host) != RC_OK || !domain_is_hostname(strbuf_span(&host)))
        return refuse(p, PACKED("a pattern of mx is not a host name, nor \"*.\" and a host name"));
    size_t need = suffix + host.len + 1;
    if (out->mx_count == STS_MX_MAX || need > sizeof out->text - out->text_len) {
        p->why = PACKED("more patterns of mx than are held");
        return RC_TOO_LONG;
    }
    struct strbuf b = strbuf_on(out->text + out->text_len, sizeof out->text - out->text_len);
    strbuf_puts(&b, suffix ? "." : "");
    strbuf_add(&b, strbuf_span(&host));
    out->text_len += need;
    out->mx_count++;
    return RC_OK;
}

/* Printable ASCII and UTF-8, blanks within. */
static bool is_value(struct span s)
{
    bool good = s.len >= 1;
    for (size_t i = 0; good && i < s.len; i++)
        good = (uint8_t)s.p[i] >= ' ' && s.p[i] != 0x7f;
    return good;
}

static enum rc take_line(struct parse *p, struct span line)
{
    size_t colon = span_find(line, 0, ':');
    if (colon == SIZE_MAX)
        return refuse(p, PACKED("a line is not a field, a colon and a value"));
    struct span name = span_sub(line, 0, colon), value = span_trim(span_from(line, colon + 1));
    if (!is_field_name(name) || !is_value(value))
        return refuse(p, PACKED("a line is not a field, a colon and a value"));
    if (span_is(name, "mx"))
        return take_mx(p, value);
    if (span_is(name, "version"))
        return p->version ? RC_OK : take_version(p, value);
    if (span_is(name, "mode"))
        return p->mode ? RC_OK : take_mode(p, value);
    if (span_is(name, "max_age"))
        return p->max_age ? RC_OK : take_max_age(p, value);
    return RC_OK;
}

static enum rc check_whole(struct parse *p)
{
    if (!p->version)
        return refuse(p, PACKED("there is no version"));
    if (!p->mode)
        return refuse(p, PACKED("there is no mode"));
    if (!p->max_age)
        return refuse(p, PACKED("there is no max_age"));
    if (p->out->mx_count == 0 && p->out->mode != STS_NONE)
        return refuse(p, PACKED("there is no mx"));
    return RC_OK;
}

enum rc sts_policy_parse(struct span file, struct sts_policy *out, const char **why)
{
    struct parse p = { .out = out, .why = "" };
    struct span line;
    bool more = true;
    enum rc rc = RC_OK;
    memset(out, 0, sizeof *out);
    if (file.len > STS_POLICY_FILE_BYTES) {
        p.why = PACKED("longer than 64 KiB");
        rc = RC_TOO_LONG;
    }
    while (rc == RC_OK && span_split(&file, &more, '\n', &line)) {
        if (more && line.len > 0 && line.p[line.len - 1] == '\r')
            line.len--;
        if (span_trim(line).len > 0) /* empty lines are against the grammar, and common at the end */
            rc = take_line(&p, line);
    }
    if (rc == RC_OK)
        rc = check_whole(&p);
    if (rc != RC_OK)
        memset(out, 0, sizeof *out);
    if (why != NULL)
        *why = p.why;
    return rc;
}

const char *sts_policy_mx(const struct sts_policy *p, unsigned i)
{
    if (i >= p->mx_count)
        return NULL;
    const char *at = p->text;
    while (i-- > 0)
        at += strlen(at) + 1;
    return at;
}

bool sts_policy_allows(const struct sts_policy *p, struct span mx_host)
{
    const char *mx;
    for (unsigned i = 0; (mx = sts_policy_mx(p, i)) != NULL; i++) {
        if (domain_matches_pattern(mx_host, span_of(mx)))
            return true;
    }
    return false;
}

bool sts_media_type(struct span value)
{
    return span_is_nocase(span_trim(span_sub(value, 0, span_find(value, 0, ';'))), "text/plain");
}
