/* The bytes of the spool on flash (firmware/SPOOL.md): headers of segments and records, and the payloads of records. Pure. */
#ifndef FIRMWARE_SPOOL_FORMAT_H
#define FIRMWARE_SPOOL_FORMAT_H

#include "firmware/spool.h"

#define SPOOL_UNIT 32u /* every record starts at a multiple: any program unit up to 32 works */
#define SPOOL_SEGMENT_MIN_BYTES (32u * 1024)
#define SEGMENT_HEADER_BYTES 96u /* wear header, opening header, its copy */
#define SEGMENT_OPENING_AT 32u
#define SEGMENT_OPENING_BYTES 64u /* both copies */
#define RECORD_HEADER_BYTES 32u
#define RECORD_CRC_BYTES 4u /* a payload begins with its CRC */
#define RECORD_PAYLOAD_MAX (SPOOL_CHUNK_BYTES - RECORD_HEADER_BYTES)

enum record_type {
    RECORD_ENVELOPE = 1,
    RECORD_RECIPIENT = 2, /* index: the recipient's number */
    RECORD_BODY = 3,      /* index: the offset of its bytes in the body */
    RECORD_COMMIT = 4,
    /* status records: each carries the whole queue state of its message */
    RECORD_OUTCOME = 5, /* index: the recipient's number */
    RECORD_DEFER = 6,
    RECORD_HOLD = 7,
    RECORD_SETASIDE = 8,
    RECORD_SETTLED = 9,
};

static inline bool record_is_status(uint8_t type)
{
    return type >= RECORD_OUTCOME && type <= RECORD_SETTLED;
}

enum header_state {
    HEADER_VALID,
    HEADER_BLANK, /* all ones */
    HEADER_ZERO,  /* all zeros: a bad block (wear header), a retired segment (opening header) */
    HEADER_GARBAGE,
    HEADER_FOREIGN, /* whole, but of a version that this firmware does not know */
};

struct wear_header {
    uint32_t erase_count;
    uint32_t id_floor, seq_floor, stamp_floor; /* ids, segments and stamps that follow are at least these */
};

struct opening_header {
    uint32_t seq;  /* 1 and up, in order of the log */
    uint32_t salt; /* seeds the CRCs of record headers, so that no body can hold a forged record */
    uint32_t id_floor, stamp, erase_count;
};

struct record_header {
    uint8_t type;
    uint16_t payload_len; /* with its CRC; RECORD_CRC_BYTES..RECORD_PAYLOAD_MAX */
    uint32_t id, index;
    uint32_t stamp;  /* syncs completed when it was written */
    uint32_t source; /* 0, or the segment this is a copy from */
    uint32_t serial; /* status records: counts up in each message */
};

void wear_header_encode(uint8_t out[SPOOL_UNIT], const struct wear_header *h);
enum header_state wear_header_decode(const uint8_t in[SPOOL_UNIT], struct wear_header *h);
void opening_header_encode(uint8_t out[SPOOL_UNIT], const struct opening_header *h);
enum header_state opening_header_decode(const uint8_t in[SPOOL_UNIT], struct opening_header *h);
/* seed: record_seed of the segment the record lies in. */
uint32_t record_seed(const struct opening_header *h);
void record_header_encode(uint8_t out[RECORD_HEADER_BYTES], const struct record_header *h, uint32_t seed);
enum header_state record_header_decode(const uint8_t in[RECORD_HEADER_BYTES], struct record_header *h, uint32_t seed);

/* The bytes of a segment in a spool of that size, of which no more than `most` may be needed. */
static inline uint64_t segment_bytes_for(uint64_t spool_bytes, uint32_t erase_block_bytes, unsigned most)
{
    uint64_t bytes = erase_block_bytes;
    while (bytes < SPOOL_SEGMENT_MIN_BYTES || spool_bytes / bytes > most)
        bytes *= 2;
    return bytes;
}

/* Bytes of a record with header and padding. */
static inline uint32_t record_bytes(uint32_t payload_len)
{
    return RECORD_HEADER_BYTES + (payload_len + SPOOL_UNIT - 1) / SPOOL_UNIT * SPOOL_UNIT;
}
/* The CRC of what follows a payload's first four bytes; never 0, which marks a dead record. */
uint32_t payload_crc_update(uint32_t crc, const void *data, size_t len);
uint32_t payload_crc_final(uint32_t crc);

/* --- payloads: encoders write from out[0] (the CRC included) and give the length; decoders get a payload whose CRC is right and
 * check every bound: false when it does not decode --- */
#define ENVELOPE_PAYLOAD_MAX (40 + SPOOL_ADDRESS_MAX + 100 + DOMAIN_MAX)
#define RECIPIENT_PAYLOAD_MAX (12 + SPOOL_ADDRESS_MAX + DOMAIN_MAX + 320)
#define COMMIT_PAYLOAD_BYTES 32u
#define STATUS_PAYLOAD_BYTES 40u /* before the text */
#define STATUS_PAYLOAD_MAX (STATUS_PAYLOAD_BYTES + SPOOL_TEXT_MAX)

struct spool_place { /* 0,0: none */
    uint32_t seq, off;
};

struct commit_payload {
    struct spool_place first; /* of the ENVELOPE when it was written */
    uint16_t recipients;
    uint8_t origin;
    bool held; /* from the start; a status record says otherwise later */
    int64_t received;
    uint32_t body_bytes, body_crc;
};

struct status_payload {
    struct spool_place prev; /* the message's status record before this one; of SETTLED: the ENVELOPE */
    uint16_t waiting, attempts;
    int64_t next_try;
    bool held, damaged;
    /* OUTCOME only */
    uint8_t state;
    uint16_t code;
    uint8_t enhanced[3];
    int64_t at;
    struct span text;
};

size_t envelope_encode(uint8_t *out, const struct spool_envelope *e);
bool envelope_decode(struct span payload, struct spool_envelope *e);
size_t recipient_encode(uint8_t *out, const struct spool_recipient *r);
bool recipient_decode(struct span payload, struct spool_recipient *r); /* state WAITING, no outcome */
size_t commit_encode(uint8_t *out, const struct commit_payload *c);
bool commit_decode(struct span payload, struct commit_payload *c);
size_t status_encode(uint8_t *out, const struct status_payload *s);
bool status_decode(struct span payload, struct status_payload *s); /* text: a view into payload */

#endif
