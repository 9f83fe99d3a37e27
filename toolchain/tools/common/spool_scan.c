#include "toolchain/tools/common/spool_scan.h"

#include <stdlib.h>
#include <string.h>

#include "firmware/flash_map.h"
#include "hal/base/bytes.h"
#include "toolchain/tools/common/byte_buffer.h"

static bool segment_opening(const uint8_t *segment, struct opening_header *h)
{
    return opening_header_decode(segment + SEGMENT_OPENING_AT, h) == HEADER_VALID ||
           opening_header_decode(segment + SEGMENT_OPENING_AT + SPOOL_UNIT, h) == HEADER_VALID;
}

/* --- where the spool lies --- */

struct layout {
    struct span area;
    uint32_t segment_bytes;
    unsigned segments; /* in use */
};

static unsigned count_segments(struct span area, uint32_t segment_bytes)
{
    unsigned count = 0;
    struct opening_header h;
    for (size_t at = 0; area.len - at >= segment_bytes; at += segment_bytes)
        count += segment_opening((const uint8_t *)area.p + at, &h);
    return count;
}

/* A board has room for so many segments at most (PLAN_SPOOL_SEGMENTS), and takes the smallest ones with which that is enough. Segments
 * twice as large as they are hide every other opening; half as large ones find the same number, so that ties go to the larger. */
static void try_area(struct span area, uint32_t block_bytes, struct layout *best)
{
    for (unsigned most = 1024; most >= 128; most /= 2) {
        uint64_t bytes = segment_bytes_for(area.len, block_bytes, most);
        unsigned count = bytes <= UINT32_MAX / 2 ? count_segments(area, (uint32_t)bytes) : 0;
        if (count > best->segments || (count > 0 && count == best->segments && bytes > best->segment_bytes))
            *best = (struct layout){ area, (uint32_t)bytes, count };
    }
}

static struct layout find_layout(struct span flash)
{
    static const uint32_t block_bytes[] = { 256 * 1024, 4 * 1024 };
    struct layout best = { .segments = 0 };
    for (size_t i = 0; i < sizeof block_bytes / sizeof block_bytes[0]; i++) {
        struct flash_geometry g = { flash.len, block_bytes[i], 4 };
        struct flash_map map;
        if (flash_map_compute(&g, &map) == RC_OK)
            try_area(span_sub(flash, (size_t)map.spool.addr, (size_t)map.spool.size_bytes), block_bytes[i], &best);
    }
    return best;
}

/* --- records --- */

static bool payload_checks(struct span payload)
{
    const uint8_t *p = (const uint8_t *)payload.p;
    uint32_t crc = payload_crc_update(0, p + RECORD_CRC_BYTES, payload.len - RECORD_CRC_BYTES);
    return get_le32(p) == payload_crc_final(crc);
}

static void keep(struct spool_scan *s, const struct record_header *h, struct span payload)
{
    if (get_le32((const uint8_t *)payload.p) == 0)
        return; /* dead */
    if (s->count == s->cap) {
        s->cap = s->cap == 0 ? 1024 : 2 * s->cap;
        s->records = tool_resize(s->records, s->cap, sizeof *s->records);
    }
    s->records[s->count++] = (struct scan_record){ *h, payload, payload_checks(payload) };
}

static void scan_segment(struct spool_scan *s, struct span segment, uint32_t seed)
{
    static const uint8_t nothing[SPOOL_UNIT];
    uint64_t passed = 0;
    for (size_t at = SEGMENT_HEADER_BYTES; at + RECORD_HEADER_BYTES <= segment.len;) {
        const uint8_t *unit = (const uint8_t *)segment.p + at;
        struct record_header h;
        if (record_header_decode(unit, &h, seed) != HEADER_VALID || record_bytes(h.payload_len) > segment.len - at) {
            passed += memcmp(unit, nothing, sizeof nothing) == 0 ? 0 : SPOOL_UNIT;
            at += SPOOL_UNIT;
            continue;
        }
        s->lost_bytes += passed;
        passed = 0;
        keep(s, &h, span_sub(segment, at + RECORD_HEADER_BYTES, h.payload_len));
        at += record_bytes(h.payload_len);
    }
}

static int compare_u32(uint32_t a, uint32_t b)
{
    return (a > b) - (a < b);
}

static int compare_records(const void *left, const void *right)
{
    const struct scan_record *a = left, *b = right;
    int c = compare_u32(a->h.id, b->h.id);
    c = c != 0 ? c : compare_u32(a->h.type, b->h.type);
    c = c != 0 ? c : compare_u32(a->h.index, b->h.index);
    c = c != 0 ? c : compare_u32(a->h.serial, b->h.serial);
    c = c != 0 ? c : b->sound - a->sound;
    return c != 0 ? c : compare_u32(b->h.payload_len, a->h.payload_len); /* a copy may be cut in two, and the second half lost */
}

enum rc spool_scan(struct spool_scan *s, struct span flash)
{
    struct layout l = find_layout(flash);
    *s = (struct spool_scan){ .segments = l.segments, .segment_bytes = l.segment_bytes };
    if (l.segments == 0)
        return RC_NOT_FOUND;
    for (size_t at = 0; l.area.len - at >= l.segment_bytes; at += l.segment_bytes) {
        struct span segment = span_sub(l.area, at, l.segment_bytes);
        struct opening_header h;
        if (segment_opening((const uint8_t *)segment.p, &h))
            scan_segment(s, segment, record_seed(&h));
    }
    if (s->count > 0)
        qsort(s->records, s->count, sizeof *s->records, compare_records);
    return RC_OK;
}

void spool_scan_free(struct spool_scan *s)
{
    free(s->records);
    *s = (struct spool_scan){ .count = 0 };
}
