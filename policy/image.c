/* Opens a container: everything in the manifest is checked here once, so that what works with sections later can rely on it. */
#include "policy/image.h"

#include <string.h>

#include "hal/base/bytes.h"
#include "hal/base/crc32.h"
#include "hal/crypto/sha256.h"

#define HASH_CHUNK_BYTES 256
#define HASH_PAUSE_BYTES 4096

static enum rc get(const struct reader *r, uint64_t offset, void *out, size_t len)
{
    enum rc rc = reader_get(r, offset, out, len);
    return rc == RC_INVALID ? RC_CORRUPT : rc;
}

static bool is_erased(const uint8_t *p, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (p[i] != 0xff)
            return false;
    }
    return true;
}

/* A board's name: printable, NUL-padded to the end, at least one character. */
static bool take_board(struct image *i, const uint8_t *p)
{
    size_t len = 0;
    while (len < sizeof i->board && p[len] > 0x20 && p[len] < 0x7f)
        len++;
    if (len == 0 || len == sizeof i->board)
        return false;
    for (size_t n = len; n < sizeof i->board; n++) {
        if (p[n] != 0)
            return false;
    }
    memcpy(i->board, p, sizeof i->board);
    return true;
}

static enum rc read_fixed_part(struct image *i)
{
    uint8_t h[IMAGE_MANIFEST_BYTES];
    enum rc rc = get(i->reader, 0, h, sizeof h);
    if (rc != RC_OK)
        return rc;
    if (is_erased(h, sizeof h))
        return RC_NOT_FOUND;
    if (memcmp(h, "PIMG", 4) != 0 || get_le16(h + 4) != IMAGE_FORMAT)
        return RC_CORRUPT;
    uint16_t kind = get_le16(h + 6);
    i->kind = (enum image_kind)kind;
    i->version = get_le64(h + 24);
    i->created = (int64_t)get_le64(h + 32);
    i->expires = (int64_t)get_le64(h + 40);
    i->size_bytes = get_le64(h + 48);
    i->section_count = get_le32(h + 56);
    i->signature_room_bytes = get_le32(h + 60);
    bool ok = kind >= IMAGE_LIST && kind <= IMAGE_DELTA && take_board(i, h + 8) && i->created >= 0 && i->expires >= 0 &&
              i->size_bytes <= i->reader->size_bytes && i->section_count >= 1 && i->section_count <= IMAGE_SECTIONS_MAX &&
              i->signature_room_bytes >= IMAGE_SIGNATURE_HEAD_BYTES && i->signature_room_bytes <= IMAGE_SIGNATURE_ROOM_MAX;
    return ok ? RC_OK : RC_CORRUPT;
}

/* Sections stand in order, do not overlap, end where the image ends, and no type comes twice. */
static enum rc read_section(struct image *i, unsigned n, uint64_t from)
{
    uint8_t b[IMAGE_SECTION_BYTES];
    enum rc rc = get(i->reader, IMAGE_MANIFEST_BYTES + (uint64_t)n * sizeof b, b, sizeof b);
    if (rc != RC_OK)
        return rc;
    struct image_section_info *s = &i->section[n];
    s->type = get_le32(b);
    s->offset = get_le64(b + 8);
    s->size_bytes = get_le64(b + 16);
    memcpy(s->sha256, b + 24, sizeof s->sha256);
    if (s->offset < from || s->offset > i->size_bytes || s->size_bytes > i->size_bytes - s->offset)
        return RC_CORRUPT;
    for (unsigned before = 0; before < n; before++) {
        if (i->section[before].type == s->type)
            return RC_CORRUPT;
    }
    return RC_OK;
}

static uint32_t manifest_bytes(const struct image *i)
{
    return IMAGE_MANIFEST_BYTES + i->section_count * IMAGE_SECTION_BYTES;
}

static enum rc check_crc(const struct image *i, uint32_t expected)
{
    uint8_t b[IMAGE_SECTION_BYTES];
    uint32_t crc = 0;
    for (uint32_t at = 0, take; at < manifest_bytes(i); at += take) {
        take = manifest_bytes(i) - at < sizeof b ? manifest_bytes(i) - at : (uint32_t)sizeof b;
        enum rc rc = get(i->reader, at, b, take);
        if (rc != RC_OK)
            return rc;
        crc = crc32_update(crc, b, take);
    }
    return crc == expected ? RC_OK : RC_CORRUPT;
}

static enum rc read_signature_head(struct image *i)
{
    uint8_t h[IMAGE_SIGNATURE_HEAD_BYTES];
    enum rc rc = get(i->reader, manifest_bytes(i), h, sizeof h);
    if (rc != RC_OK)
        return rc;
    i->signature_count = get_le32(h + 8);
    if (memcmp(h, "PSIG", 4) != 0 || i->signature_count > IMAGE_SIGNATURES_MAX ||
        sizeof h + i->signature_count * IMAGE_SIGNATURE_BYTES > i->signature_room_bytes)
        return RC_CORRUPT;
    return check_crc(i, get_le32(h + 4));
}

static enum rc read_manifest(struct image *i)
{
    enum rc rc = read_fixed_part(i);
    if (rc == RC_OK)
        rc = read_signature_head(i);
    uint64_t from = (uint64_t)manifest_bytes(i) + i->signature_room_bytes;
    for (unsigned n = 0; rc == RC_OK && n < i->section_count; n++) {
        rc = read_section(i, n, from);
        from = i->section[n].offset + i->section[n].size_bytes;
    }
    if (rc == RC_OK && from != i->size_bytes)
        rc = RC_CORRUPT;
    return rc;
}

enum rc image_open(struct image *out, const struct reader *r)
{
    memset(out, 0, sizeof *out);
    out->reader = r;
    enum rc rc = read_manifest(out);
    if (rc != RC_OK)
        memset(out, 0, sizeof *out);
    return rc;
}

static const struct image_section_info *find_section(const struct image *i, enum image_section type)
{
    for (unsigned n = 0; n < i->section_count; n++) {
        if (i->section[n].type == (uint32_t)type)
            return &i->section[n];
    }
    return NULL;
}

enum rc image_section_reader(const struct image *i, enum image_section type, struct reader *out, struct reader_part *part)
{
    const struct image_section_info *s = find_section(i, type);
    if (s == NULL)
        return RC_NOT_FOUND;
    return reader_part_init(out, part, i->reader, s->offset, s->size_bytes);
}

static enum rc hash_range(const struct reader *r, uint64_t offset, uint64_t size_bytes, void (*pause)(void), uint8_t out[32])
{
    struct sha256 hash;
    uint8_t b[HASH_CHUNK_BYTES];
    sha256_init(&hash);
    for (uint64_t at = 0; at < size_bytes;) {
        size_t take = size_bytes - at < sizeof b ? (size_t)(size_bytes - at) : sizeof b;
        enum rc rc = get(r, offset + at, b, take);
        if (rc != RC_OK)
            return rc;
        sha256_update(&hash, span_bytes(b, take));
        at += take;
        if (pause != NULL && at % HASH_PAUSE_BYTES == 0)
            pause();
    }
    sha256_final(&hash, out);
    return RC_OK;
}

enum rc image_section_check(const struct image *i, enum image_section type, void (*pause)(void))
{
    const struct image_section_info *s = find_section(i, type);
    if (s == NULL)
        return RC_NOT_FOUND;
    uint8_t found[32];
    enum rc rc = hash_range(i->reader, s->offset, s->size_bytes, pause, found);
    if (rc != RC_OK)
        return rc;
    return memcmp(found, s->sha256, sizeof found) == 0 ? RC_OK : RC_CORRUPT;
}

enum rc image_manifest_hash(const struct image *i, uint8_t out[32])
{
    return hash_range(i->reader, 0, manifest_bytes(i), NULL, out);
}

enum rc image_signature(const struct image *i, unsigned n, struct image_signature *out)
{
    if (n >= i->signature_count)
        return RC_NOT_FOUND;
    uint8_t b[IMAGE_SIGNATURE_BYTES];
    uint64_t at = (uint64_t)manifest_bytes(i) + IMAGE_SIGNATURE_HEAD_BYTES + (uint64_t)n * sizeof b;
    enum rc rc = get(i->reader, at, b, sizeof b);
    if (rc != RC_OK)
        return rc;
    out->algorithm = get_le32(b);
    memcpy(out->key_id, b + 8, sizeof out->key_id);
    memcpy(out->signature, b + 40, sizeof out->signature);
    return RC_OK;
}
