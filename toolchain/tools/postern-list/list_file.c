#include "toolchain/tools/postern-list/list_file.h"

#include "hal/base/datetime.h"
#include "toolchain/tools/common/policy_json.h"
#include "toolchain/tools/postern-list/commands.h"

bool load(struct loaded *l, const char *path)
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

void print_time(const char *label, int64_t unix_s)
{
    char memory[40];
    struct strbuf b = STRBUF(memory);
    rfc3339_format(&b, unix_s);
    printf("%s%s\n", label, b.p);
}

void print_entry(const char *prefix, const char *name, const struct list_entry *e)
{
    printf("%s%s %s", prefix, name, e->mode == LIST_ENFORCE ? "enforce" : "testing");
    const char *mx;
    for (unsigned i = 0; (mx = list_entry_mx(e, i)) != NULL; i++)
        printf(" %s", mx);
    printf("\n");
}

bool walk(const struct list *l, void (*each)(void *ctx, const char *name, const struct list_entry *e), void *ctx)
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

enum rc read_source(const char *path, struct list_source *source)
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
