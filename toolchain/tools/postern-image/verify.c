/* postern-image verify: shows an image and says what a box would say. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "hal/base/datetime.h"
#include "policy/image_trust.h"
#include "toolchain/tools/postern-image/commands.h"
#include "toolchain/tools/postern-image/key_folder.h"

struct question {
    const char *path, *keyring;
    struct image_demand demand;
};

static void show_time(const char *what, int64_t when)
{
    char memory[40];
    struct strbuf text = STRBUF(memory);
    rfc3339_format(&text, when);
    printf("%-10s %s\n", what, when == 0 ? "-" : memory);
}

static void show_id(const char *what, const uint8_t id[32], const char *note)
{
    char memory[65];
    struct strbuf text = STRBUF(memory);
    strbuf_add_hex(&text, span_bytes(id, 32));
    printf("%-10s %s%s\n", what, memory, note);
}

static const char *role_of(const struct keyring *k, const uint8_t id[32])
{
    for (unsigned n = 0; n < k->key_count; n++) {
        uint8_t its_id[32];
        keyring_key_id(keyring_key(k, n), its_id);
        for (unsigned role = 0; role < KEYRING_ROLES; role++) {
            if (memcmp(its_id, id, sizeof its_id) == 0 && (k->role[role].keys >> n & 1))
                return role == KEYRING_ROOT ? " (root)" : role == KEYRING_LIST ? " (list)" : " (firmware)";
        }
    }
    return " (not in the keyring)";
}

static void show(const struct image *i, const struct keyring *k)
{
    static const char *const kinds[] = { "?", "list", "firmware", "keyring", "delta" };
    printf("%-10s %s for %s, version %llu, %llu bytes\n", "image", kinds[i->kind <= IMAGE_DELTA ? i->kind : 0], i->board,
           (unsigned long long)i->version, (unsigned long long)i->size_bytes);
    show_time("created", i->created);
    show_time("expires", i->expires);
    for (unsigned n = 0; n < i->section_count; n++)
        printf("%-10s type %u, %llu bytes\n", "section", (unsigned)i->section[n].type,
               (unsigned long long)i->section[n].size_bytes);
    for (unsigned n = 0; n < i->signature_count; n++) {
        struct image_signature s;
        if (image_signature(i, n, &s) == RC_OK)
            show_id("signature", s.key_id, role_of(k, s.key_id));
    }
}

static void show_keyring(const struct keyring *k)
{
    for (unsigned role = 0; role < KEYRING_ROLES; role++) {
        printf("%-10s %u of %u\n", keyring_role_name((enum keyring_role)role), k->role[role].threshold,
               keyring_count(k->role[role].keys));
        for (unsigned n = 0; n < k->key_count; n++) {
            uint8_t id[32];
            keyring_key_id(keyring_key(k, n), id);
            if (k->role[role].keys >> n & 1)
                show_id("  key", id, "");
        }
    }
}

/* The keyring that is trusted for this question: its keys section, whoever signed it. */
static enum rc open_keyring(const char *path, struct byte_buffer *bytes, struct keyring *out)
{
    struct image i;
    struct reader part;
    struct reader_part place;
    enum rc rc = file_read(path, bytes);
    if (rc != RC_OK)
        return rc;
    struct span whole = byte_buffer_span(bytes);
    struct reader r = reader_on_span(&whole);
    if (image_open(&i, &r) != RC_OK || image_trust_sections(&i, NULL) != IMAGE_ACCEPTED ||
        image_section_reader(&i, IMAGE_KEYS, &part, &place) != RC_OK ||
        keyring_open(out, span_sub(whole, (size_t)place.from, (size_t)part.size_bytes)) != RC_OK)
        return fail("%s: not a keyring image", path);
    return RC_OK;
}

static enum image_refusal judge(const struct image *i, const struct keyring *k, struct image_demand *d)
{
    static uint8_t memory[KEYRING_BYTES_MAX];
    struct keyring next;
    d->kind = i->kind;
    if (d->board == NULL)
        d->board = i->board;
    if (i->kind == IMAGE_KEYRING) {
        enum image_refusal r = image_trust_keyring(i, k, d, NULL, memory, &next);
        if (r == IMAGE_ACCEPTED)
            show_keyring(&next);
        return r;
    }
    enum image_refusal r = image_trust_manifest(i, k, d, NULL, NULL);
    return r == IMAGE_ACCEPTED ? image_trust_sections(i, NULL) : r;
}

static int answer(struct question *q)
{
    struct byte_buffer bytes = { NULL, 0, 0 }, keys = { NULL, 0, 0 };
    struct keyring k;
    struct image i;
    enum rc rc = open_keyring(q->keyring, &keys, &k);
    if (rc == RC_OK)
        rc = file_read(q->path, &bytes);
    enum image_refusal r = IMAGE_DAMAGED;
    struct span whole = byte_buffer_span(&bytes);
    struct reader reader = reader_on_span(&whole);
    if (rc == RC_OK && image_open(&i, &reader) == RC_OK && i.size_bytes == whole.len) {
        show(&i, &k);
        r = judge(&i, &k, &q->demand);
    }
    if (rc == RC_OK)
        printf("%s: %s: %s\n", r == IMAGE_ACCEPTED ? "accepted" : "refused", image_refusal_name(r), image_refusal_text(r));
    byte_buffer_free(&bytes);
    byte_buffer_free(&keys);
    return rc == RC_OK && r == IMAGE_ACCEPTED ? 0 : 1;
}

static enum rc take_option(struct question *q, int option, const char *value)
{
    switch (option) {
    case 'n':
        if (rfc3339_parse(span_of(value), &q->demand.time_now) != RC_OK)
            return fail("--now %s: write 2026-12-31T00:00:00Z", value);
        q->demand.time_passed = q->demand.time_now;
        return RC_OK;
    case 'u':
        return span_to_u64(span_of(value), &q->demand.version_in_use) ? RC_OK : fail("--in-use %s: write a number", value);
    case 'b':
        q->demand.board = value;
        return RC_OK;
    default:
        q->keyring = value;
        return RC_OK;
    }
}

int command_verify(int argc, char **argv)
{
    static const struct option options[] = {
        { "keyring", required_argument, NULL, 'k' },
        { "board", required_argument, NULL, 'b' },
        { "now", required_argument, NULL, 'n' },
        { "in-use", required_argument, NULL, 'u' },
        { NULL, 0, NULL, 0 },
    };
    static char path[KEY_PATH_MAX];
    struct question q = { .keyring = NULL };
    q.demand.time_now = q.demand.time_passed = (int64_t)time(NULL);
    int option;
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (option == '?')
            return 2;
        if (take_option(&q, option, optarg) != RC_OK)
            return 1;
    }
    if (optind + 1 != argc)
        return bad_usage();
    q.path = argv[optind];
    if (q.keyring == NULL) {
        if (key_folder_path(key_folder_default(), "keyring.img", path) != RC_OK)
            return 1;
        q.keyring = path;
    }
    return answer(&q);
}
