#include "toolchain/tools/postern-list/list_file.h"

#include <errno.h>

#include "hal/base/datetime.h"
#include "policy/image.h"
#include "toolchain/tools/postern-list/commands.h"

FILE *open_input(const char *path)
{
    if (strcmp(path, "-") == 0)
        return stdin;
    FILE *f = fopen(path, "rb");
    if (f == NULL)
        fail("%s: %s", path, strerror(errno));
    return f;
}

enum rc read_policies(FILE *file, const char *name, bool lenient, void (*tick)(uint64_t bytes), struct policy_json *out)
{
    struct policy_report report = { .file = name, .lenient = lenient };
    enum rc rc = policy_json_open(out, file, &report, tick);
    policy_report_print(&report);
    return rc;
}

struct list_input policies_as_input(struct policy_json *p)
{
    return (struct list_input){ .timestamp = p->timestamp,
                                .expires = p->expires,
                                .author = p->author,
                                .ctx = p,
                                .rewind = policy_json_rewind,
                                .next = policy_json_next };
}

/* --- loading --- */

static bool open_section(struct loaded *l, const char *path)
{
    l->reader = reader_on_span(&l->bytes);
    if (list_open(&l->list, &l->reader) == RC_OK)
        return true;
    fail("%s: the list is damaged", path);
    return false;
}

static bool open_image(struct loaded *l, const char *path)
{
    struct image image;
    struct reader whole = reader_on_span(&l->bytes), section;
    struct reader_part part;
    if (image_open(&image, &whole) != RC_OK) {
        fail("%s: the image is damaged", path);
        return false;
    }
    if (image_section_reader(&image, IMAGE_POLICIES, &section, &part) != RC_OK) {
        fail("%s: an image that holds no list", path);
        return false;
    }
    if (image_section_check(&image, IMAGE_POLICIES, NULL) != RC_OK) {
        fail("%s: the list in the image is damaged", path);
        return false;
    }
    l->bytes = span_sub(l->bytes, (size_t)part.from, (size_t)section.size_bytes);
    return open_section(l, path);
}

static bool compile_in_memory(struct loaded *l, FILE *file, const char *path)
{
    struct policy_json policies;
    if (read_policies(file, path, true, NULL, &policies) != RC_OK)
        return false;
    struct list_input input = policies_as_input(&policies);
    enum rc rc = list_write_sorted(&input, &l->file);
    policy_json_close(&policies);
    l->bytes = byte_buffer_span(&l->file);
    if (rc == RC_OK)
        return open_section(l, path);
    fail("%s: the list does not read back as it was written (%s)", path, rc_name(rc));
    return false;
}

static bool load_compiled(struct loaded *l, const char *path)
{
    if (file_read(path, &l->file) != RC_OK)
        return false;
    l->bytes = byte_buffer_span(&l->file);
    if (span_starts(l->bytes, "PLST"))
        return open_section(l, path);
    if (span_starts(l->bytes, "PIMG"))
        return open_image(l, path);
    fail("%s: not a compiled list (postern-list compile makes one), an image or a policy.json", path);
    return false;
}

/* A policy.json begins with a brace, blanks before it or not. */
static bool looks_like_json(FILE *f)
{
    int c;
    while ((c = fgetc(f)) == ' ' || c == '\t' || c == '\r' || c == '\n')
        ;
    rewind(f);
    return c == '{';
}

bool load(struct loaded *l, const char *path)
{
    memset(l, 0, sizeof *l);
    FILE *f = fopen(path, "rb");
    if (f == NULL) {
        fail("%s: %s", path, strerror(errno));
        return false;
    }
    bool good = looks_like_json(f) ? compile_in_memory(l, f, path) : load_compiled(l, path);
    fclose(f);
    if (!good)
        byte_buffer_free(&l->file);
    return good;
}

/* --- entries --- */

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
