#include "toolchain/tools/postern-image/list_image.h"

#include "policy/image_trust.h"
#include "policy/list.h"
#include "toolchain/tools/common/image_writer.h"
#include "toolchain/tools/postern-image/commands.h"
#include "toolchain/tools/postern-image/key_folder.h"

struct parts {
    struct byte_buffer list, roots, anchors;
    struct list_info info; /* zero without a list */
    struct image_source_section sections[3];
    unsigned count;
};

static void add_section(struct parts *p, enum image_section type, const struct byte_buffer *b)
{
    p->sections[p->count++] = (struct image_source_section){ type, byte_buffer_span(b) };
}

static enum rc add_list(struct parts *p, const char *path)
{
    enum rc rc = file_read(path, &p->list);
    if (rc != RC_OK)
        return rc;
    struct span bytes = byte_buffer_span(&p->list);
    struct reader r = reader_on_span(&bytes);
    struct list l;
    if (list_open(&l, &r) != RC_OK)
        return fail("%s: %s", path, span_starts(bytes, "PLST") ? "the list is damaged" : "not a list made by postern-list compile");
    p->info = l.info;
    add_section(p, IMAGE_POLICIES, &p->list);
    return RC_OK;
}

static enum rc add_roots(struct parts *p, const char *path)
{
    struct byte_buffer pem = { NULL, 0, 0 };
    char words[300];
    struct strbuf why = STRBUF(words);
    unsigned count = 0;
    enum rc rc = file_read(path, &pem);
    if (rc == RC_OK && roots_write(byte_buffer_span(&pem), &p->roots, &count, &why) != RC_OK)
        rc = fail("%s: %s", path, words);
    add_section(p, IMAGE_ROOTS, &p->roots);
    byte_buffer_free(&pem);
    return rc;
}

static enum rc add_anchors(struct parts *p, const char *path)
{
    struct byte_buffer text = { NULL, 0, 0 };
    char words[200];
    struct strbuf why = STRBUF(words);
    enum rc rc = path != NULL ? file_read(path, &text) : RC_OK;
    if (rc == RC_OK && path != NULL && text.len == 0)
        rc = fail("%s: there is no DS record in it", path);
    if (rc == RC_OK && anchors_write(byte_buffer_span(&text), &p->anchors, &why) != RC_OK)
        rc = fail("%s: %s", path, words);
    add_section(p, IMAGE_ANCHORS, &p->anchors);
    byte_buffer_free(&text);
    return rc;
}

static enum rc write_signed(const struct list_image_options *o, const struct parts *p, struct byte_buffer *out)
{
    struct image_source s = { .kind = IMAGE_LIST, .board = "any", .sections = p->sections, .count = p->count };
    if (o->board != NULL)
        s.board = o->board;
    s.version = o->version != 0 ? o->version : o->list != NULL ? (uint64_t)p->info.timestamp : 1;
    s.created = o->created != 0 ? o->created : p->info.timestamp;
    s.expires = o->expires != 0 ? o->expires : p->info.expires;
    if (s.version > (uint64_t)s.created + IMAGE_AHEAD_MAX_S)
        return fail("version %llu is a time after that of its creation: boxes would refuse it", (unsigned long long)s.version);
    enum rc rc = image_write(&s, out);
    if (rc != RC_OK)
        return fail("the list image does not read back (%s)", rc_name(rc));
    return o->is_unsigned ? RC_OK : key_folder_sign(o->keys != NULL ? o->keys : key_folder_default(), KEYRING_LIST, out);
}

enum rc list_image_make(const struct list_image_options *o, struct byte_buffer *out)
{
    struct parts p = { .count = 0 };
    enum rc rc = o->list != NULL ? add_list(&p, o->list) : RC_OK;
    if (rc == RC_OK && o->roots != NULL)
        rc = add_roots(&p, o->roots);
    if (rc == RC_OK)
        rc = add_anchors(&p, o->anchors);
    if (rc == RC_OK)
        rc = write_signed(o, &p, out);
    byte_buffer_free(&p.list);
    byte_buffer_free(&p.roots);
    byte_buffer_free(&p.anchors);
    return rc;
}

bool list_image_option(struct list_image_options *o, int option, const char *value)
{
    switch (option) {
    case 'l':
        o->list = value;
        return true;
    case 'r':
        o->roots = value;
        return true;
    case 'a':
        o->anchors = value;
        return true;
    case 'K':
        o->keys = value;
        return true;
    case 'u':
        o->is_unsigned = true;
        return true;
    default:
        return false;
    }
}
