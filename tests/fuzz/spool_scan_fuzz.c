/* Any bytes as a spool on a dead box's flash. Sums are made right for what the first bytes choose, as rot alone seldom gets past them. */
#include <stdlib.h>
#include <string.h>

#include "hal/base/bytes.h"
#include "hal/base/crc32.h"
#include "tests/fuzz/demand.h"
#include "toolchain/tools/common/spool_scan.h"

#define FLASH_BYTES (16u << 20)
#define SPOOL_AT ((32 + 2 * 256 + 128) * 4096u)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t flash[FLASH_BYTES];
    struct opening_header opening = { .seq = 1, .salt = 7 };
    size_t room = 65536 - SEGMENT_HEADER_BYTES, len = size < room ? size : room;
    uint8_t *segment = flash + SPOOL_AT, *at = segment + SEGMENT_HEADER_BYTES;
    memset(segment, 0xff, 65536);
    opening_header_encode(segment + SEGMENT_OPENING_AT, &opening);
    memcpy(at, data, len);
    for (size_t i = 0; i + 64 <= len; i += 32) {
        if (at[i] != 0xa7)
            continue;
        uint32_t payload = get_le16(at + i + 2);
        put_le32(at + i + 28, crc32_update(record_seed(&opening), at + i, 28));
        if (payload >= RECORD_CRC_BYTES && i + 32 + payload <= len)
            put_le32(at + i + 32, payload_crc_final(payload_crc_update(0, at + i + 36, payload - RECORD_CRC_BYTES)));
    }
    struct spool_scan s;
    if (spool_scan(&s, span_bytes(flash, sizeof flash)) != RC_OK)
        abort(); /* the opening is there */
    for (size_t i = 0; i < s.count; i++) {
        struct spool_envelope e;
        struct spool_recipient r;
        struct status_payload p;
        if (s.records[i].payload.len < RECORD_CRC_BYTES ||
            (uint8_t *)s.records[i].payload.p + s.records[i].payload.len > segment + 65536)
            abort();
        (void)envelope_decode(s.records[i].payload, &e);
        (void)recipient_decode(s.records[i].payload, &r);
        (void)status_decode(s.records[i].payload, &p);
    }
    spool_scan_free(&s);
    return 0;
}
