/* postern-image keyring: names the keys of each role, as the first keyring or to follow another. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "hal/base/datetime.h"
#include "toolchain/tools/common/image_writer.h"
#include "toolchain/tools/common/signing_key.h"
#include "toolchain/tools/postern-image/commands.h"

struct wish {
    struct keyring_source source;
    int64_t expires;
    const char *after, *out;
};

static enum rc add_key(struct wish *w, enum keyring_role role, const char *path)
{
    struct signing_key key;
    if (w->source.count == KEYRING_KEYS_MAX)
        return fail("%s: a keyring has at most %d keys", path, KEYRING_KEYS_MAX);
    enum rc rc = signing_key_read(path, &key);
    if (rc != RC_OK)
        return rc;
    for (unsigned n = 0; n < w->source.count; n++) {
        if (memcmp(w->source.key[n].public_xy, key.public_xy, sizeof key.public_xy) == 0)
            rc = fail("%s: a key comes once, and has one role", path);
    }
    w->source.key[w->source.count].role = role;
    memcpy(w->source.key[w->source.count++].public_xy, key.public_xy, sizeof key.public_xy);
    signing_key_wipe(&key);
    return rc;
}

static enum rc set_threshold(struct wish *w, const char *text)
{
    struct span all = span_of(text),
                number = span_from(all, span_find(all, 0, '=') == SIZE_MAX ? all.len : span_find(all, 0, '=') + 1);
    uint32_t value = 0;
    for (unsigned role = 0; role < KEYRING_ROLES; role++) {
        const char *name = keyring_role_name((enum keyring_role)role);
        if (!span_starts(all, name) || number.len + strlen(name) + 1 != all.len || !span_to_u32(number, &value) || value < 1)
            continue;
        w->source.threshold[role] = value;
        return RC_OK;
    }
    return fail("--threshold %s: write root=N, list=N or firmware=N", text);
}

/* More than half of the root keys; one of the others. */
static enum rc fill_thresholds(struct wish *w)
{
    for (unsigned role = 0; role < KEYRING_ROLES; role++) {
        unsigned count = 0, *threshold = &w->source.threshold[role];
        for (unsigned n = 0; n < w->source.count; n++)
            count += w->source.key[n].role == (enum keyring_role)role;
        if (*threshold == 0 && count > 0)
            *threshold = role == KEYRING_ROOT ? count / 2 + 1 : 1;
        if (*threshold > count)
            return fail("%u %s keys have to sign, but there are %u", *threshold, keyring_role_name((enum keyring_role)role), count);
    }
    return w->source.threshold[KEYRING_ROOT] > 0 ? RC_OK : fail("a keyring names root keys: --root");
}

static enum rc follow(struct wish *w)
{
    struct byte_buffer old = { NULL, 0, 0 };
    enum rc rc = file_read(w->after, &old);
    struct span bytes = byte_buffer_span(&old);
    struct reader r = reader_on_span(&bytes);
    struct image i;
    if (rc == RC_OK && (image_open(&i, &r) != RC_OK || i.kind != IMAGE_KEYRING))
        rc = fail("%s: not a keyring image", w->after);
    if (rc == RC_OK)
        w->source.version = i.version + 1;
    byte_buffer_free(&old);
    return rc;
}

static enum rc write_image(const struct wish *w)
{
    struct byte_buffer keys = { NULL, 0, 0 }, image = { NULL, 0, 0 };
    enum rc rc = keyring_write(&w->source, &keys) == RC_OK ? RC_OK : fail("these keys make no keyring");
    struct image_source_section section = { IMAGE_KEYS, byte_buffer_span(&keys) };
    struct image_source s = {
        .kind = IMAGE_KEYRING, .board = "any", .version = w->source.version, .sections = &section, .count = 1
    };
    s.created = (int64_t)time(NULL);
    s.expires = w->expires;
    if (rc == RC_OK && image_write(&s, &image) != RC_OK)
        rc = fail("the keyring does not read back");
    if (rc == RC_OK)
        rc = file_write(w->out, byte_buffer_span(&image));
    byte_buffer_free(&keys);
    byte_buffer_free(&image);
    return rc;
}

static enum rc take_option(struct wish *w, int option, const char *value)
{
    switch (option) {
    case 'r':
        return add_key(w, KEYRING_ROOT, value);
    case 'l':
        return add_key(w, KEYRING_LIST, value);
    case 'f':
        return add_key(w, KEYRING_FIRMWARE, value);
    case 't':
        return set_threshold(w, value);
    case 'v':
        return span_to_u64(span_of(value), &w->source.version) && w->source.version > 0
                   ? RC_OK
                   : fail("--version %s: write a number", value);
    case 'e':
        return rfc3339_parse(span_of(value), &w->expires) == RC_OK ? RC_OK
                                                                   : fail("--expires %s: write 2026-12-31T00:00:00Z", value);
    default:
        *(option == 'a' ? &w->after : &w->out) = value;
        return RC_OK;
    }
}

int command_keyring(int argc, char **argv)
{
    static const struct option options[] = {
        { "root", required_argument, NULL, 'r' },
        { "list", required_argument, NULL, 'l' },
        { "firmware", required_argument, NULL, 'f' },
        { "threshold", required_argument, NULL, 't' },
        { "version", required_argument, NULL, 'v' },
        { "expires", required_argument, NULL, 'e' },
        { "after", required_argument, NULL, 'a' },
        { "out", required_argument, NULL, 'o' },
        { NULL, 0, NULL, 0 },
    };
    struct wish w = { .source = { .version = 0 } };
    int option;
    while ((option = getopt_long(argc, argv, "o:", options, NULL)) != -1) {
        if (option == '?')
            return 2;
        if (take_option(&w, option, optarg) != RC_OK)
            return 1;
    }
    if (optind != argc || w.out == NULL || w.source.count == 0 || (w.after != NULL && w.source.version != 0))
        return bad_usage();
    enum rc rc = w.after != NULL ? follow(&w) : RC_OK;
    if (w.source.version == 0)
        w.source.version = 1;
    if (rc == RC_OK)
        rc = fill_thresholds(&w);
    if (rc == RC_OK)
        rc = write_image(&w);
    return rc == RC_OK ? 0 : 1;
}
