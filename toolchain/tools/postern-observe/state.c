#include "toolchain/tools/postern-observe/state.h"

#include <errno.h>

#include "hal/base/datetime.h"
#include "toolchain/tools/common/json_split.h"

#define VERSION "1"
#define LINE_MAX_BYTES 1024

struct reading {
    const char *path;
    struct subjects *subjects;
    struct json_split json;
    int64_t observed;
    bool has_version;
};

static enum rc refuse(const struct reading *r, unsigned line, const char *name, const char *why)
{
    fprintf(stderr, "error: %s: line %u: %s: %s\n", r->path, line, policy_show(name).text, why);
    return RC_INVALID;
}

/* --- reading --- */

static bool read_time(const cJSON *object, const char *name, int64_t *out)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, name);
    if (item == NULL)
        return true;
    return cJSON_IsString(item) && rfc3339_parse(span_of(item->valuestring), out) == RC_OK;
}

static bool read_memory(const cJSON *value, struct memory *m)
{
    const cJSON *follows = cJSON_GetObjectItemCaseSensitive(value, "follows"), *id = cJSON_GetObjectItemCaseSensitive(value, "id"),
                *max_age = cJSON_GetObjectItemCaseSensitive(value, "max-age");
    struct strbuf b = STRBUF(m->id);
    if (!cJSON_IsObject(value) || !read_time(value, "first-valid", &m->first_valid) ||
        !read_time(value, "last-valid", &m->last_valid))
        return false;
    if ((follows != NULL && !cJSON_IsBool(follows)) || (id != NULL && !cJSON_IsString(id)))
        return false;
    if (max_age != NULL && (!cJSON_IsNumber(max_age) || max_age->valuedouble < 0 || max_age->valuedouble > STS_MAX_AGE_S))
        return false;
    m->follows = cJSON_IsTrue(follows);
    m->max_age_s = max_age != NULL ? (uint32_t)max_age->valuedouble : 0;
    strbuf_puts(&b, id != NULL ? id->valuestring : "");
    return !b.overflow;
}

static enum rc read_domain(struct reading *r, const char *name, unsigned line)
{
    cJSON *value;
    struct memory m = { .follows = false };
    enum rc rc = json_split_value(&r->json, &value);
    if (rc == RC_OK && !read_memory(value, &m))
        rc = refuse(r, line, name, "not what this tool writes");
    struct subject *s = rc == RC_OK ? subjects_find(r->subjects, name) : NULL;
    if (s != NULL)
        s->memory = m;
    cJSON_Delete(value);
    return rc == RC_TOO_LONG ? refuse(r, line, name, "not what this tool writes") : rc;
}

static enum rc read_domains(struct reading *r, unsigned line)
{
    char *name;
    enum rc rc = json_split_object(&r->json);
    if (rc == RC_NOT_FOUND)
        return refuse(r, line, "domains", "not an object");
    while (rc == RC_OK && (rc = json_split_member(&r->json, &name, &line)) == RC_OK) {
        rc = read_domain(r, name, line);
        free(name);
    }
    return rc == RC_NOT_FOUND ? RC_OK : rc;
}

static enum rc read_member(struct reading *r, const char *name, unsigned line)
{
    cJSON *value = NULL;
    if (strcmp(name, "domains") == 0)
        return read_domains(r, line);
    enum rc rc = json_split_value(&r->json, &value);
    if (rc == RC_OK && strcmp(name, "version") == 0) {
        r->has_version = cJSON_IsString(value) && strcmp(value->valuestring, VERSION) == 0;
        rc = r->has_version ? RC_OK : refuse(r, line, name, "not the version that this tool reads");
    } else if (rc == RC_OK && strcmp(name, "observed") == 0) {
        bool good = cJSON_IsString(value) && rfc3339_parse(span_of(value->valuestring), &r->observed) == RC_OK;
        rc = good ? RC_OK : refuse(r, line, name, "not a time");
    }
    cJSON_Delete(value);
    return rc == RC_TOO_LONG ? refuse(r, line, name, "not what this tool writes") : rc;
}

static enum rc read_all(struct reading *r)
{
    char *name;
    unsigned line;
    enum rc rc = json_split_object(&r->json);
    while (rc == RC_OK && (rc = json_split_member(&r->json, &name, &line)) == RC_OK) {
        rc = read_member(r, name, line);
        free(name);
    }
    if (rc != RC_NOT_FOUND)
        return rc;
    if (!r->has_version)
        return refuse(r, 1, "version", "missing: not a state file");
    return json_split_finish(&r->json);
}

bool state_read(const char *path, struct subjects *s, int64_t *observed)
{
    *observed = 0;
    FILE *f = fopen(path, "rb");
    if (f == NULL && errno == ENOENT)
        return true;
    if (f == NULL) {
        fprintf(stderr, "error: %s: %s\n", path, strerror(errno));
        return false;
    }
    struct reading *r = tool_alloc(1, sizeof *r);
    r->path = path;
    r->subjects = s;
    json_split_start(&r->json, f);
    enum rc rc = read_all(r);
    if (r->json.error[0] != '\0')
        fprintf(stderr, "error: %s: %s\n", path, r->json.error);
    *observed = r->observed;
    json_split_free(&r->json);
    free(r);
    fclose(f);
    return rc == RC_OK;
}

/* --- writing --- */

static void add_time(struct strbuf *b, const char *name, int64_t unix_s)
{
    if (unix_s == 0)
        return;
    strbuf_printf(b, ", \"%s\": \"", name);
    rfc3339_format(b, unix_s);
    strbuf_puts(b, "\"");
}

bool state_write(const char *path, const struct subjects *s, int64_t observed)
{
    struct byte_buffer out = { NULL, 0, 0 };
    char line[LINE_MAX_BYTES];
    struct strbuf b = STRBUF(line);
    strbuf_puts(&b, "{\"version\": \"" VERSION "\"");
    add_time(&b, "observed", observed);
    strbuf_puts(&b, ", \"domains\": {");
    byte_buffer_add(&out, b.p, b.len);
    const char *comma = "";
    for (size_t i = 0; i < s->count; i++) {
        const struct memory *m = &s->all[i].memory;
        if (!m->follows && m->last_valid == 0)
            continue;
        strbuf_clear(&b);
        strbuf_printf(&b, "%s\n\"%s\": {\"follows\": %s", comma, s->all[i].name, m->follows ? "true" : "false");
        add_time(&b, "first-valid", m->first_valid);
        add_time(&b, "last-valid", m->last_valid);
        strbuf_printf(&b, ", \"max-age\": %u, \"id\": ", (unsigned)m->max_age_s);
        strbuf_add_json(&b, span_of(m->id));
        strbuf_puts(&b, "}");
        byte_buffer_add(&out, b.p, b.len);
        comma = ",";
    }
    byte_buffer_add(&out, "\n}}\n", 4);
    bool good = file_write(path, byte_buffer_span(&out)) == RC_OK;
    byte_buffer_free(&out);
    return good;
}
