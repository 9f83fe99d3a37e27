#include "toolchain/tools/common/image_writer.h"

#include "hal/base/bytes.h"
#include "hal/base/crc32.h"
#include "hal/crypto/ecdsa.h"
#include "hal/crypto/sha256.h"

#define SECTION_ALIGN 16

static uint64_t align_up(uint64_t n)
{
    return (n + SECTION_ALIGN - 1) / SECTION_ALIGN * SECTION_ALIGN;
}

static uint32_t room_bytes(const struct image_source *s)
{
    unsigned signatures = s->signatures > 0 ? s->signatures : IMAGE_SIGNATURES_MAX;
    return IMAGE_SIGNATURE_HEAD_BYTES + signatures * IMAGE_SIGNATURE_BYTES;
}

static uint64_t sections_start(const struct image_source *s)
{
    return align_up(IMAGE_MANIFEST_BYTES + (uint64_t)s->count * IMAGE_SECTION_BYTES + room_bytes(s));
}

static uint64_t whole_size(const struct image_source *s)
{
    uint64_t at = sections_start(s);
    for (unsigned i = 0; i < s->count; i++)
        at = align_up(at) + s->sections[i].bytes.len;
    return at;
}

static void write_manifest(const struct image_source *s, struct byte_buffer *out)
{
    byte_buffer_add(out, "PIMG", 4);
    byte_buffer_u32(out, IMAGE_FORMAT | (uint32_t)s->kind << 16);
    byte_buffer_add(out, s->board, strlen(s->board));
    byte_buffer_fill(out, 0, 16 - strlen(s->board));
    byte_buffer_u64(out, s->version);
    byte_buffer_u64(out, (uint64_t)s->created);
    byte_buffer_u64(out, (uint64_t)s->expires);
    byte_buffer_u64(out, whole_size(s));
    byte_buffer_u32(out, s->count);
    byte_buffer_u32(out, room_bytes(s));
    uint64_t at = sections_start(s);
    for (unsigned i = 0; i < s->count; i++) {
        uint8_t hash[SHA256_BYTES];
        at = align_up(at);
        sha256_of(s->sections[i].bytes, hash);
        byte_buffer_u32(out, (uint32_t)s->sections[i].type);
        byte_buffer_u32(out, 0);
        byte_buffer_u64(out, at);
        byte_buffer_u64(out, s->sections[i].bytes.len);
        byte_buffer_add(out, hash, sizeof hash);
        at += s->sections[i].bytes.len;
    }
}

static void write_signature_room(const struct image_source *s, struct byte_buffer *out, uint32_t manifest_crc)
{
    byte_buffer_add(out, "PSIG", 4);
    byte_buffer_u32(out, manifest_crc);
    byte_buffer_u32(out, 0);
    byte_buffer_u32(out, 0);
    byte_buffer_fill(out, 0, room_bytes(s) - IMAGE_SIGNATURE_HEAD_BYTES);
}

enum rc image_write(const struct image_source *s, struct byte_buffer *out)
{
    size_t start = out->len;
    if (s->count < 1 || s->count > IMAGE_SECTIONS_MAX || strlen(s->board) < 1 || strlen(s->board) > 15)
        return RC_INVALID;
    write_manifest(s, out);
    write_signature_room(s, out, crc32_update(0, out->p + start, out->len - start));
    for (unsigned i = 0; i < s->count; i++) {
        byte_buffer_fill(out, 0, (size_t)(align_up(out->len - start) - (out->len - start)));
        byte_buffer_add(out, s->sections[i].bytes.p, s->sections[i].bytes.len);
    }
    /* The reader knows all rules; what it refuses was out of range. */
    struct span written = span_bytes(out->p + start, out->len - start);
    struct reader r = reader_on_span(&written);
    struct image check;
    return image_open(&check, &r) == RC_OK ? RC_OK : RC_INVALID;
}

/* --- Signing --- */

static enum rc find_place(const struct image *i, const uint8_t key_id[32], uint64_t *at)
{
    for (unsigned n = 0; n < i->signature_count; n++) {
        struct image_signature s;
        if (image_signature(i, n, &s) != RC_OK)
            return RC_INVALID;
        if (memcmp(s.key_id, key_id, sizeof s.key_id) == 0)
            return RC_BUSY;
    }
    uint64_t in_room = IMAGE_SIGNATURE_HEAD_BYTES + (uint64_t)i->signature_count * IMAGE_SIGNATURE_BYTES;
    *at = IMAGE_MANIFEST_BYTES + (uint64_t)i->section_count * IMAGE_SECTION_BYTES + in_room;
    bool fits = i->signature_count < IMAGE_SIGNATURES_MAX && in_room + IMAGE_SIGNATURE_BYTES <= i->signature_room_bytes;
    return fits ? RC_OK : RC_FULL;
}

enum rc image_sign(uint8_t *bytes, size_t len, const uint8_t private_key[32])
{
    struct span whole = span_bytes(bytes, len);
    struct reader r = reader_on_span(&whole);
    struct image i;
    uint8_t public_xy[P256_PUBLIC_BYTES], key_id[32], hash[32];
    uint64_t at;
    if (image_open(&i, &r) != RC_OK || !ecdsa_p256_public(private_key, public_xy) || image_manifest_hash(&i, hash) != RC_OK)
        return RC_INVALID;
    keyring_key_id(public_xy, key_id);
    enum rc rc = find_place(&i, key_id, &at);
    if (rc != RC_OK)
        return rc;
    uint8_t *line = bytes + at, *head = bytes + IMAGE_MANIFEST_BYTES + i.section_count * IMAGE_SECTION_BYTES;
    if (!ecdsa_p256_sign(private_key, hash, line + 40))
        return RC_INVALID;
    put_le32(line, IMAGE_ECDSA_P256_SHA256);
    put_le32(line + 4, 0);
    memcpy(line + 8, key_id, sizeof key_id);
    put_le32(head + 8, i.signature_count + 1);
    return RC_OK;
}

/* --- Keyrings --- */

enum rc keyring_write(const struct keyring_source *s, struct byte_buffer *out)
{
    struct keyring check;
    size_t start = out->len;
    if (s->count > KEYRING_KEYS_MAX)
        return RC_INVALID;
    byte_buffer_add(out, "PKEY", 4);
    byte_buffer_u32(out, KEYRING_FORMAT | s->count << 16);
    byte_buffer_u64(out, s->version);
    for (unsigned role = 0; role < KEYRING_ROLES; role++) {
        uint32_t keys = 0;
        for (unsigned n = 0; n < s->count; n++)
            keys |= (uint32_t)(s->key[n].role == (enum keyring_role)role) << n;
        byte_buffer_u32(out, (s->threshold[role] & 0xff) | keys << 16);
    }
    byte_buffer_u32(out, 0);
    for (unsigned n = 0; n < s->count; n++)
        byte_buffer_add(out, s->key[n].public_xy, KEYRING_KEY_BYTES);
    return keyring_open(&check, span_bytes(out->p + start, out->len - start)) == RC_OK ? RC_OK : RC_INVALID;
}
