/* postern-image delta and text: what is made of list images to bring them to a box. */
#include "toolchain/tools/postern-image/commands.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "firmware/slot_writer.h"
#include "hal/base/bytes.h"
#include "policy/delta.h"
#include "policy/image.h"
#include "policy/image_text.h"
#include "toolchain/tools/common/delta_writer.h"
#include "toolchain/tools/postern-image/key_folder.h"

/* --- delta --- */

struct delta_options {
    const char *old, *new, *out, *keys;
    bool is_unsigned;
};

static enum rc make_delta(const struct delta_options *o, struct byte_buffer *old, struct byte_buffer *new, struct byte_buffer *made)
{
    enum rc rc = file_read(o->old, old);
    if (rc == RC_OK)
        rc = file_read(o->new, new);
    if (rc != RC_OK)
        return rc;
    rc = delta_image_write(byte_buffer_span(old), byte_buffer_span(new), made);
    if (rc == RC_INVALID)
        return fail("%s and %s are not both list images", o->old, o->new);
    if (rc != RC_OK)
        return fail("the delta does not read back (%s)", rc_name(rc));
    if (!o->is_unsigned)
        rc = key_folder_sign(o->keys ? o->keys : key_folder_default(), KEYRING_LIST, made);
    return rc == RC_OK ? file_write(o->out, byte_buffer_span(made)) : rc;
}

int command_delta(int argc, char **argv)
{
    static const struct option options[] = { { "out", required_argument, NULL, 'o' },
                                             { "keys", required_argument, NULL, 'K' },
                                             { "unsigned", no_argument, NULL, 'u' },
                                             { NULL, 0, NULL, 0 } };
    struct delta_options o = { .keys = NULL };
    int option;
    while ((option = getopt_long(argc, argv, "o:", options, NULL)) != -1) {
        if (option == '?')
            return 2;
        if (option == 'o')
            o.out = optarg;
        else if (option == 'K')
            o.keys = optarg;
        else
            o.is_unsigned = true;
    }
    if (!o.out || argc - optind != 2)
        return bad_usage();
    o.old = argv[optind];
    o.new = argv[optind + 1];
    struct byte_buffer old = { NULL, 0, 0 }, new = { NULL, 0, 0 }, made = { NULL, 0, 0 };
    enum rc rc = make_delta(&o, &old, &new, &made);
    if (rc == RC_OK)
        printf("%zu bytes, the whole image %zu\n", made.len, new.len);
    byte_buffer_free(&old);
    byte_buffer_free(&new);
    byte_buffer_free(&made);
    return rc == RC_OK ? 0 : 1;
}

/* --- text --- */

/* Comment lines between the lines of data give a box time for what it must do before it can read on, where nothing holds the sender back. */
#define BAUD_BYTES_S 11520  /* 115200 baud */
#define JUDGE_PAUSE_MS 1200 /* a manifest's signatures, at 25 MHz */
#define COPY_BYTES_MS 100   /* what a delta copies, in flash */
#define PAUSE_LINE "################################################################################"

static void pause_ms(uint64_t ms)
{
    for (uint64_t bytes = ms * BAUD_BYTES_S / 1000; bytes > sizeof PAUSE_LINE; bytes -= sizeof PAUSE_LINE)
        puts(PAUSE_LINE);
}

/* Follows what the box does with a delta: how much comes out for each line. */
struct follow {
    uint64_t patch_from, made;
    bool is_delta;
    struct delta delta;
    uint8_t manifest[IMAGE_MANIFEST_BYTES]; /* of what comes out */
};

static enum rc zeros(void *ctx, uint64_t offset, void *out, size_t len)
{
    (void)ctx, (void)offset;
    memset(out, 0, len);
    return RC_OK;
}

static enum rc follow_header(void *ctx, const struct delta_header *h)
{
    (void)ctx, (void)h;
    return RC_OK;
}

static enum rc follow_put(void *ctx, struct span bytes)
{
    struct follow *f = ctx;
    if (f->made < sizeof f->manifest) {
        struct span part = span_sub(bytes, 0, sizeof f->manifest - (size_t)f->made);
        memcpy(f->manifest + f->made, part.p, part.len);
    }
    f->made += bytes.len;
    return RC_OK;
}

/* Where a box judges: it holds a head back up to a whole unit of its flash. */
static uint64_t head_end(const uint8_t manifest[IMAGE_MANIFEST_BYTES])
{
    uint64_t head = IMAGE_MANIFEST_BYTES + (uint64_t)get_le32(manifest + 56) * IMAGE_SECTION_BYTES + get_le32(manifest + 60);
    return (head + SLOT_UNIT_BYTES - 1) / SLOT_UNIT_BYTES * SLOT_UNIT_BYTES;
}

static bool crosses(uint64_t border, uint64_t before, uint64_t after)
{
    return before < border && after >= border;
}

static void print_lines(struct span image, const struct image *i, uint32_t from)
{
    static const struct reader nothing = { zeros, NULL, UINT64_MAX };
    struct follow f = { .is_delta = i->kind == IMAGE_DELTA, .patch_from = i->section[0].offset };
    const struct delta_sink sink = { follow_header, follow_put, &f };
    uint32_t number = 0;
    delta_init(&f.delta, &nothing, &sink);
    for (size_t at = 0; at < image.len; at += IMAGE_TEXT_BYTES) {
        char memory[IMAGE_TEXT_LINE_MAX + 1];
        struct strbuf line = STRBUF(memory);
        struct span now = span_sub(image, at, IMAGE_TEXT_BYTES);
        uint64_t end = at + now.len, made = f.made;
        image_text_data(&line, ++number, now);
        if (f.is_delta && end > f.patch_from &&
            delta_push(&f.delta, span_from(now, at < f.patch_from ? (size_t)(f.patch_from - at) : 0)) != RC_OK)
            f.is_delta = false; /* the box will say what is wrong with it */
        if (number < from)
            continue;
        puts(memory);
        bool judges_target = f.made >= sizeof f.manifest && crosses(head_end(f.manifest), made, f.made);
        if (judges_target || crosses(head_end((const uint8_t *)image.p), at, end))
            pause_ms(JUDGE_PAUSE_MS);
        if (f.made - made > IMAGE_TEXT_BYTES)
            pause_ms((f.made - made) / COPY_BYTES_MS);
    }
    char memory[40];
    struct strbuf end = STRBUF(memory);
    image_text_end(&end, number);
    puts(memory);
}

/* What comes to lie in the box's slot. */
static uint64_t slot_bytes(struct span image, const struct image *i)
{
    uint64_t at = i->section[0].offset + DELTA_HEADER_BYTES;
    bool is_delta = i->kind == IMAGE_DELTA && at <= image.len;
    return is_delta ? get_le64((const uint8_t *)image.p + at - 8) : image.len;
}

static int print_text(const char *path, uint32_t from)
{
    struct byte_buffer bytes = { NULL, 0, 0 };
    struct image image;
    enum rc rc = file_read(path, &bytes);
    struct span all = byte_buffer_span(&bytes);
    struct reader r = reader_on_span(&all);
    if (rc == RC_OK && (image_open(&image, &r) != RC_OK || image.size_bytes != all.len)) {
        rc = fail("%s: not an image, or not a whole one", path);
    }
    if (rc == RC_OK) {
        char memory[60];
        struct strbuf begin = STRBUF(memory);
        image_text_begin(&begin, all.len);
        printf("# At the box's console say 'list receive %llu', and send this after its 'ready'.\n%s\n",
               (unsigned long long)slot_bytes(all, &image), memory);
        print_lines(all, &image, from);
    }
    byte_buffer_free(&bytes);
    return rc == RC_OK ? 0 : 1;
}

int command_text(int argc, char **argv)
{
    static const struct option options[] = { { "from", required_argument, NULL, 'f' }, { NULL, 0, NULL, 0 } };
    uint32_t from = 1;
    int option;
    bool good = true;
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (option == '?')
            return 2;
        good = span_to_u32(span_of(optarg), &from) && from > 0;
    }
    if (!good || argc - optind != 1)
        return bad_usage();
    return print_text(argv[optind], from);
}
