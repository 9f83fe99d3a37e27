#include "toolchain/tools/postern-image/data_image.h"

#include "firmware/flash_map.h"
#include "firmware/identity.h"
#include "firmware/settings.h"
#include "firmware/settings_log.h"
#include "hal/random.h"
#include "net/tls.h"
#include "toolchain/tools/postern-image/commands.h"
#include "toolchain/tools/postern-image/memory_flash.h"

#define MIB (1024 * 1024ull)

static const struct board_flash {
    const char *board;
    struct flash_geometry geometry;
} boards[] = {
    { "virt", { 64 * MIB, 256 * 1024, 4 } },
    { "posix", { 64 * MIB, 256 * 1024, 4 } },
    { "mps2-an500", { 16 * MIB, 4 * 1024, 4 } },
};

static enum rc prepare_flash(const char *board, struct flash_map *map)
{
    for (size_t i = 0; i < sizeof boards / sizeof boards[0]; i++) {
        if (strcmp(boards[i].board, board) != 0)
            continue;
        memory_flash_init(&boards[i].geometry);
        enum rc rc = flash_map_compute(&boards[i].geometry, map);
        if (rc == RC_OK)
            rc = settings_log_open(map->settings.addr, map->settings.size_bytes);
        return rc == RC_OK ? RC_OK : fail("%s: its flash cannot be divided (%s)", board, rc_name(rc));
    }
    return fail("--board %s: no such board; there are: virt, posix, mps2-an500", board);
}

/* --- settings --- */

struct settings_file {
    const char *path;
    unsigned line;
    struct span *keys; /* of the lines before */
    size_t key_count;
};

static enum rc fail_line(const struct settings_file *f, const char *why)
{
    return fail("%s: line %u: %s", f->path, f->line, why);
}

static enum rc remember_key(struct settings_file *f, struct span key)
{
    for (size_t i = 0; i < f->key_count; i++) {
        if (span_eq(f->keys[i], key))
            return fail_line(f, "this setting was given before");
    }
    f->keys = tool_resize(f->keys, f->key_count + 1, sizeof *f->keys);
    f->keys[f->key_count++] = key;
    return RC_OK;
}

/* What may be staged at once is bounded, a file is not. */
static enum rc stage(struct span key, struct span value, struct strbuf *why)
{
    enum rc rc = settings_stage(key, value, why);
    if (rc != RC_FULL || settings_staged() == 0)
        return rc;
    rc = settings_commit(why);
    return rc == RC_OK ? settings_stage(key, value, why) : rc;
}

static enum rc put_setting(struct settings_file *f, struct span text)
{
    char words[300];
    struct strbuf why = STRBUF(words);
    if (text.len > 0 && text.p[text.len - 1] == '\r')
        text.len--;
    text = span_trim(text);
    if (text.len == 0 || text.p[0] == '#')
        return RC_OK;
    size_t blank = span_find(text, 0, ' ');
    if (text.p[0] == '*')
        return fail_line(f, "the star marks a change that was not committed; take it away or commit first");
    if (blank == SIZE_MAX)
        return fail_line(f, "a line is KEY VALUE");
    struct span key = span_sub(text, 0, blank), value = span_trim(span_from(text, blank));
    if (span_is(value, "******"))
        return fail_line(f, "the stars stand for a secret that is never shown; write the secret itself, or leave the line out");
    enum rc rc = remember_key(f, key);
    if (rc != RC_OK)
        return rc;
    rc = stage(key, value, &why);
    return rc == RC_OK ? RC_OK : fail_line(f, words);
}

static enum rc put_settings(const char *path)
{
    struct byte_buffer text = { NULL, 0, 0 };
    struct settings_file f = { .path = path };
    char words[300];
    struct strbuf why = STRBUF(words);
    enum rc rc = file_read(path, &text);
    struct span rest = byte_buffer_span(&text), line;
    bool more = true;
    while (rc == RC_OK && span_split(&rest, &more, '\n', &line)) {
        f.line++;
        rc = put_setting(&f, line);
    }
    if (rc == RC_OK && settings_commit(&why) != RC_OK)
        rc = fail("%s: %s", path, words);
    free(f.keys);
    byte_buffer_free(&text);
    return rc;
}

/* --- key and certificate --- */

static enum rc put_certificate(const char *cert_path, const char *key_path)
{
    struct byte_buffer cert = { NULL, 0, 0 }, key = { NULL, 0, 0 };
    char words[300];
    struct strbuf why = STRBUF(words);
    enum rc rc = file_read(cert_path, &cert);
    if (rc == RC_OK)
        rc = file_read(key_path, &key);
    if (rc == RC_OK && (random_init() != RC_OK || tls_init() != RC_OK))
        rc = fail("no random numbers on this machine: the key cannot be checked");
    if (rc == RC_OK && identity_import(byte_buffer_span(&cert), byte_buffer_span(&key), &why) != RC_OK)
        rc = fail("%s with %s: %s", cert_path, key_path, words);
    byte_buffer_free(&cert);
    byte_buffer_free(&key);
    return rc;
}

/* --- the list image --- */

/* The first block goes last, as when a box writes its own slot. */
static enum rc program_slot(const struct flash_area *slot, struct byte_buffer *image)
{
    const struct flash_geometry *g = flash_geometry();
    if (image->len > slot->size_bytes)
        return fail("the list image has %zu bytes, its slot %llu", image->len, (unsigned long long)slot->size_bytes);
    byte_buffer_fill(image, 0xff, (g->program_unit_bytes - image->len % g->program_unit_bytes) % g->program_unit_bytes);
    size_t first = image->len < g->erase_block_bytes ? image->len : g->erase_block_bytes;
    enum rc rc = RC_OK;
    if (image->len > first)
        rc = flash_program(slot->addr + first, image->p + first, (uint32_t)(image->len - first));
    if (rc == RC_OK)
        rc = flash_program(slot->addr, image->p, (uint32_t)first);
    return rc == RC_OK ? RC_OK : fail("the list slot cannot be programmed (%s)", rc_name(rc));
}

static enum rc put_list_image(const struct data_image_options *o, const struct flash_area *slot)
{
    struct byte_buffer image = { NULL, 0, 0 };
    enum rc rc = o->image.list != NULL || o->image.roots != NULL ? list_image_make(&o->image, &image) : RC_OK;
    if (rc == RC_OK && image.len > 0)
        rc = program_slot(slot, &image);
    byte_buffer_free(&image);
    return rc;
}

enum rc data_image_make(const struct data_image_options *o)
{
    struct flash_map map;
    enum rc rc = prepare_flash(o->board, &map);
    if (rc == RC_OK && random_init() != RC_OK) /* for the salt of a user's password */
        rc = fail("this machine gives no random numbers");
    if (rc == RC_OK) {
        settings_load();
        rc = o->settings != NULL ? put_settings(o->settings) : RC_OK;
    }
    if (rc == RC_OK && o->cert != NULL)
        rc = put_certificate(o->cert, o->key);
    if (rc == RC_OK)
        rc = put_list_image(o, &map.list[0]);
    if (rc == RC_OK)
        rc = file_write(o->out, span_bytes(memory_flash_bytes(), (size_t)flash_geometry()->size_bytes));
    return rc;
}
