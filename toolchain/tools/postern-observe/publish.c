#include "toolchain/tools/postern-observe/publish.h"

#include "hal/base/datetime.h"

#define TEXT_MAX 2048 /* a name or an author as a JSON string: six bytes for a byte */

static void add(struct byte_buffer *out, const char *text)
{
    byte_buffer_add(out, text, strlen(text));
}

static void add_string(struct byte_buffer *out, const char *text)
{
    char memory[TEXT_MAX];
    struct strbuf b = STRBUF(memory);
    strbuf_add_json(&b, span_of(text));
    byte_buffer_add(out, b.p, b.len);
}

static void add_time(struct byte_buffer *out, const char *name, int64_t unix_s)
{
    char memory[40];
    struct strbuf b = STRBUF(memory);
    rfc3339_format(&b, unix_s);
    add(out, "  ");
    add_string(out, name);
    add(out, ": ");
    add_string(out, memory);
    add(out, ",\n");
}

/* A member of "policy-aliases" or "policies". */
static void add_policy(struct byte_buffer *out, const char *name, const struct policy *p, bool first)
{
    add(out, first ? "\n    " : ",\n    ");
    add_string(out, name);
    add(out, p->mode == LIST_ENFORCE ? ": {\n      \"mode\": \"enforce\",\n" : ": {\n      \"mode\": \"testing\",\n");
    add(out, "      \"mxs\": [");
    for (unsigned i = 0; i < p->mx_count; i++) {
        add(out, i > 0 ? ",\n        " : "\n        ");
        add_string(out, p->mx[i]);
    }
    add(out, "\n      ]\n    }");
}

static void add_reference(struct byte_buffer *out, const char *name, const char *alias, bool first)
{
    add(out, first ? "\n    " : ",\n    ");
    add_string(out, name);
    add(out, ": {\n      \"policy-alias\": ");
    add_string(out, alias);
    add(out, "\n    }");
}

static void add_aliases(struct byte_buffer *out, const struct policy_json *list)
{
    bool first = true;
    add(out, "  \"policy-aliases\": {");
    for (size_t i = 0; i < list->alias_count; i++, first = false)
        add_policy(out, list->aliases[i]->name, &list->aliases[i]->policy, first);
    add(out, first ? "},\n" : "\n  },\n");
}

static void add_policies(struct byte_buffer *out, const struct subjects *s)
{
    bool first = true;
    add(out, "  \"policies\": {");
    for (size_t i = 0; i < s->count; i++) {
        const struct subject *d = &s->all[i];
        if (!d->listed)
            continue;
        if (d->alias != NULL)
            add_reference(out, d->name, d->alias, first);
        else
            add_policy(out, d->name, d->policy, first);
        first = false;
    }
    add(out, first ? "}\n" : "\n  }\n");
}

bool publish(const char *path, const struct subjects *s, const struct policy_json *list, const char *author, int64_t timestamp,
             int64_t expires)
{
    struct byte_buffer out = { NULL, 0, 0 };
    add(&out, "{\n");
    add_time(&out, "timestamp", timestamp);
    add_time(&out, "expires", expires);
    add(&out, "  \"version\": \"0.1\",\n  \"author\": ");
    add_string(&out, author);
    add(&out, ",\n");
    add_aliases(&out, list);
    add_policies(&out, s);
    add(&out, "}\n");
    bool good = file_write(path, byte_buffer_span(&out)) == RC_OK;
    byte_buffer_free(&out);
    return good;
}
