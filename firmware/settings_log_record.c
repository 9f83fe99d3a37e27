/* Records are programmed in pieces from a small buffer, so that a value of 8 KiB needs no RAM of its own. */
#include "firmware/settings_log_record.h"

#include "hal/base/bytes.h"
#include "hal/base/crc32.h"

#define PIECE_BYTES 256        /* a multiple of RECORD_ALIGN */
#define HALF_MAGIC 0x474c5350u /* "PSLG" */
#define HALF_VERSION 2
#define HALF_HEADER_USED 20

uint32_t record_bytes(size_t key_len, size_t value_len)
{
    return (uint32_t)((RECORD_HEADER_BYTES + key_len + value_len + RECORD_ALIGN - 1) / RECORD_ALIGN * RECORD_ALIGN);
}

static void encode_header(uint8_t h[RECORD_HEADER_BYTES], uint32_t salt, const struct record *r)
{
    h[0] = RECORD_MAGIC;
    h[1] = (uint8_t)r->type;
    h[2] = r->key_len;
    h[3] = r->replaced_units;
    put_le16(h + 4, r->value_len);
    put_le16(h + 6, r->replaces);
    put_le32(h + 8, r->batch);
    put_le32(h + 12, r->payload_crc);
    put_le32(h + 16, crc32_update(salt, h, 16));
}

static bool filled_with(const uint8_t *bytes, size_t len, uint8_t value)
{
    for (size_t i = 0; i < len; i++)
        if (bytes[i] != value)
            return false;
    return true;
}

bool flash_is_blank(uint64_t addr, uint64_t bytes)
{
    uint8_t piece[PIECE_BYTES];
    while (bytes) {
        size_t n = bytes < sizeof piece ? (size_t)bytes : sizeof piece;
        if (flash_read(addr, piece, n) != RC_OK)
            return false;
        if (!filled_with(piece, n, 0xff))
            return false;
        addr += n;
        bytes -= n;
    }
    return true;
}

enum rc record_read_header(uint64_t addr, uint32_t salt, struct record *out)
{
    uint8_t h[RECORD_ALIGN];
    enum rc rc = flash_read(addr, h, sizeof h);
    if (rc != RC_OK)
        return rc;
    if (get_le32(h + 16) != crc32_update(salt, h, 16) || h[0] != RECORD_MAGIC || h[1] < RECORD_PUT || h[1] > RECORD_SETTLED)
        return filled_with(h, sizeof h, 0xff) ? RC_NOT_FOUND : filled_with(h, sizeof h, 0) ? RC_EXPIRED : RC_CORRUPT;
    *out = (struct record){ .type = (enum record_type)h[1],
                            .key_len = h[2],
                            .value_len = get_le16(h + 4),
                            .replaces = get_le16(h + 6),
                            .replaced_units = h[3],
                            .batch = get_le32(h + 8),
                            .payload_crc = get_le32(h + 12) };
    return RC_OK;
}

enum rc record_check_payload(uint64_t addr, const struct record *r)
{
    uint8_t piece[PIECE_BYTES];
    uint32_t crc = 0, left = (uint32_t)r->key_len + r->value_len;
    addr += RECORD_HEADER_BYTES;
    while (left) {
        uint32_t n = left < sizeof piece ? left : (uint32_t)sizeof piece;
        enum rc rc = flash_read(addr, piece, n);
        if (rc != RC_OK)
            return rc;
        crc = crc32_update(crc, piece, n);
        addr += n;
        left -= n;
    }
    return crc == r->payload_crc ? RC_OK : RC_CORRUPT;
}

enum rc record_read_key(uint64_t addr, const struct record *r, char *key)
{
    return flash_read(addr + RECORD_HEADER_BYTES, key, r->key_len);
}

enum rc record_read_value(uint64_t addr, const struct record *r, void *out)
{
    return flash_read(addr + RECORD_HEADER_BYTES + r->key_len, out, r->value_len);
}

bool record_has_key(uint64_t addr, const struct record *r, struct span key)
{
    char stored[UINT8_MAX];
    return r->key_len == key.len && record_read_key(addr, r, stored) == RC_OK && span_eq(span_bytes(stored, r->key_len), key);
}

/* Gathers bytes into whole pieces and programs them. */
struct programmer {
    uint64_t addr;
    size_t used;
    uint8_t piece[PIECE_BYTES] __attribute__((aligned(8)));
};

static enum rc program_piece(struct programmer *p)
{
    size_t whole = (p->used + RECORD_ALIGN - 1) / RECORD_ALIGN * RECORD_ALIGN;
    memset(p->piece + p->used, 0xff, whole - p->used);
    enum rc rc = whole ? flash_program(p->addr, p->piece, (uint32_t)whole) : RC_OK;
    p->addr += whole;
    p->used = 0;
    return rc;
}

static enum rc program_bytes(struct programmer *p, struct span bytes)
{
    while (bytes.len) {
        size_t n = sizeof p->piece - p->used < bytes.len ? sizeof p->piece - p->used : bytes.len;
        memcpy(p->piece + p->used, bytes.p, n);
        p->used += n;
        bytes = span_from(bytes, n);
        enum rc rc = p->used == sizeof p->piece ? program_piece(p) : RC_OK;
        if (rc != RC_OK)
            return rc;
    }
    return RC_OK;
}

enum rc record_write(uint64_t addr, uint32_t salt, const struct record *r, struct span key, struct span value)
{
    struct programmer p = { .addr = addr, .used = RECORD_HEADER_BYTES };
    struct record whole = *r;
    whole.key_len = (uint8_t)key.len;
    whole.value_len = (uint16_t)value.len;
    whole.payload_crc = crc32_update(crc32_update(0, key.p, key.len), value.p, value.len);
    encode_header(p.piece, salt, &whole);
    enum rc rc = program_bytes(&p, key);
    if (rc == RC_OK)
        rc = program_bytes(&p, value);
    return rc == RC_OK ? program_piece(&p) : rc;
}

enum rc record_copy(uint64_t to, uint32_t to_salt, uint64_t from, const struct record *r)
{
    struct programmer p = { .addr = to, .used = RECORD_HEADER_BYTES };
    uint8_t piece[64];
    uint32_t left = (uint32_t)r->key_len + r->value_len;
    enum rc rc = RC_OK;
    encode_header(p.piece, to_salt, r);
    from += RECORD_HEADER_BYTES;
    while (left && rc == RC_OK) {
        uint32_t n = left < sizeof piece ? left : (uint32_t)sizeof piece;
        rc = flash_read(from, piece, n);
        if (rc == RC_OK)
            rc = program_bytes(&p, span_bytes(piece, n));
        from += n;
        left -= n;
    }
    return rc == RC_OK ? program_piece(&p) : rc;
}

enum rc record_zero(uint64_t addr, uint32_t bytes)
{
    static const uint8_t zeros[PIECE_BYTES] __attribute__((aligned(8)));
    uint8_t piece[PIECE_BYTES];
    enum rc rc = RC_OK;
    for (uint32_t at = 0; rc == RC_OK && at < bytes; at += sizeof zeros) {
        uint32_t n = bytes - at < sizeof zeros ? bytes - at : (uint32_t)sizeof zeros;
        if (flash_read(addr + at, piece, n) != RC_OK || !filled_with(piece, n, 0))
            rc = flash_program(addr + at, zeros, n);
    }
    return rc;
}

static enum rc copy_read(uint64_t addr, struct half_header *out)
{
    uint8_t h[HALF_HEADER_USED];
    enum rc rc = flash_read(addr, h, sizeof h);
    if (rc != RC_OK)
        return rc;
    if (get_le32(h) != HALF_MAGIC || get_le32(h + 16) != crc32_update(0, h, 16))
        return RC_NOT_FOUND;
    *out = (struct half_header){ get_le32(h + 8), get_le32(h + 12) };
    return get_le32(h + 4) == HALF_VERSION ? RC_OK : RC_UNSUPPORTED;
}

/* Version 1 had a shorter header, and one copy. */
static bool is_version_1(uint64_t addr)
{
    uint8_t h[16];
    return flash_read(addr, h, sizeof h) == RC_OK && get_le32(h) == HALF_MAGIC && get_le32(h + 4) == 1 &&
           get_le32(h + 12) == crc32_update(0, h, 12);
}

enum rc half_header_read(uint64_t addr, struct half_header *out)
{
    enum rc rc = copy_read(addr, out);
    if (rc != RC_OK && rc != RC_UNSUPPORTED)
        rc = copy_read(addr + RECORD_ALIGN, out);
    return rc == RC_NOT_FOUND && is_version_1(addr) ? RC_UNSUPPORTED : rc;
}

enum rc half_header_write(uint64_t addr, const struct half_header *header)
{
    uint8_t h[HALF_HEADER_BYTES] __attribute__((aligned(8)));
    memset(h, 0xff, sizeof h);
    put_le32(h, HALF_MAGIC);
    put_le32(h + 4, HALF_VERSION);
    put_le32(h + 8, header->sequence);
    put_le32(h + 12, header->salt);
    put_le32(h + 16, crc32_update(0, h, 16));
    memcpy(h + RECORD_ALIGN, h, RECORD_ALIGN);
    return flash_program(addr, h, sizeof h);
}
