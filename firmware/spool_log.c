/* The log: appending records at its head, walking them, marking them dead, and the sync that many commits share. */
#include "firmware/spool_internal.h"

#include <string.h>

#include "hal/base/bytes.h"

#define APPEND_TRIES 4        /* segments that may fail under one append */
#define SPLIT_LEAST_BYTES 512 /* a BODY record is cut at a segment's end if so much of it still fits */

static const uint8_t zeros[1024];
static uint8_t payload_memory[RECIPIENT_PAYLOAD_MAX];

/* --- sync --- */

/* One sync is under way at a time; who comes meanwhile shares the next one. */
enum rc log_sync(void)
{
    uint64_t mine = spool.syncs + 1; /* the first one that begins after now */
    while (spool.syncs_done < mine) {
        if (spool.syncing) {
            task_wait_always(&spool.synced);
            continue;
        }
        spool.syncing = true;
        uint64_t number = ++spool.syncs;
        enum rc rc = flash_sync();
        if (rc == RC_OK) {
            spool.syncs_done = number;
            spool.stamp++;
        }
        spool.syncing = false;
        event_signal(&spool.synced);
        if (rc != RC_OK)
            return rc;
    }
    return RC_OK;
}

/* --- appending --- */

static uint32_t head_room(enum room_class class)
{
    if (spool.head < 0 || !segment_may_append(class))
        return 0;
    return spool.segment_bytes - spool.head_off;
}

static uint32_t seed_of(uint32_t seq)
{
    return spool.salt ^ seq;
}

static uint16_t record_len(const uint8_t *record)
{
    return get_le16(record + 2);
}

/* Bytes of whole records from the start of the buffer that fit in room. */
static size_t whole_records(const uint8_t *records, size_t len, size_t room)
{
    size_t at = 0;
    while (at < len && at + record_bytes(record_len(records + at)) <= room)
        at += record_bytes(record_len(records + at));
    return at;
}

/* A record's payload shortened or restored, with its CRC. */
static void set_payload_len(uint8_t *record, uint16_t len, uint32_t seed)
{
    struct record_header h;
    uint8_t *payload = record + RECORD_HEADER_BYTES;
    enum header_state state = record_header_decode(record, &h, seed);
    (void)state; /* our own bytes */
    h.payload_len = len;
    record_header_encode(record, &h, seed);
    put_le32(payload, payload_crc_final(payload_crc_update(0, payload + RECORD_CRC_BYTES, len - RECORD_CRC_BYTES)));
}

/* Turns what follows the first part of a cut BODY record, and all records behind it, into the new start of the buffer. */
static size_t shift_rest(uint8_t *records, size_t len, size_t cut_at, uint16_t part_len, uint16_t whole_len, uint32_t seed)
{
    struct record_header h;
    uint8_t *old = records + cut_at;
    enum header_state state = record_header_decode(old, &h, seed);
    (void)state;
    uint16_t rest = (uint16_t)(whole_len - part_len);
    size_t behind_at = cut_at + record_bytes(whole_len), behind = len - behind_at;
    h.index += part_len - RECORD_CRC_BYTES;
    h.payload_len = (uint16_t)(rest + RECORD_CRC_BYTES);
    memmove(records + RECORD_HEADER_BYTES + RECORD_CRC_BYTES, old + RECORD_HEADER_BYTES + part_len, rest);
    size_t new_len = record_bytes(h.payload_len);
    memset(records + RECORD_HEADER_BYTES + h.payload_len, 0xff, new_len - RECORD_HEADER_BYTES - h.payload_len);
    memmove(records + new_len, records + behind_at, behind);
    record_header_encode(records, &h, 0);
    set_payload_len(records, h.payload_len, 0);
    return new_len + behind;
}

/* Fills in what is known only now that the place is: seed, stamp, and in a COMMIT the place of the ENVELOPE. */
static void finish_headers(uint8_t *records, size_t len, uint32_t from_seed, struct spool_place at, struct spool_place *first,
                           struct spool_place *last)
{
    for (size_t i = 0; i < len; i += record_bytes(record_len(records + i))) {
        struct record_header h;
        enum header_state state = record_header_decode(records + i, &h, from_seed);
        (void)state;
        const struct spool_place place = { at.seq, at.off + (uint32_t)i };
        h.stamp = spool.stamp;
        spool.segment[spool.head].has_status |= record_tells_more(&h);
        if (h.type == RECORD_ENVELOPE && first != NULL)
            *first = place;
        if (h.type == RECORD_COMMIT && first != NULL) {
            put_le32(records + i + RECORD_HEADER_BYTES + 4, first->seq);
            put_le32(records + i + RECORD_HEADER_BYTES + 8, first->off);
            set_payload_len(records + i, h.payload_len, from_seed);
        }
        if (last != NULL)
            *last = place;
        record_header_encode(records + i, &h, seed_of(at.seq));
    }
}

void log_wipe(uint64_t addr, uint32_t len)
{
    enum rc rc = RC_OK;
    for (uint32_t at = 0; at < len; at += sizeof zeros)
        rc = flash_program(addr + at, zeros, len - at < sizeof zeros ? len - at : sizeof zeros);
    (void)rc; /* the next piece may still go */
}

/* Programs len bytes of whole records at the head. RC_IO: the segment is given up; the headers are sealed for *seed. */
static enum rc program_at_head(uint8_t *records, size_t len, uint32_t *seed, struct spool_place *first, struct spool_place *last)
{
    unsigned i = (unsigned)spool.head;
    struct segment *s = &spool.segment[i];
    const struct spool_place at = { s->seq, spool.head_off };
    finish_headers(records, len, *seed, at, first, last);
    *seed = seed_of(s->seq);
    spool.head_off += (uint32_t)len;
    s->live_bytes += (uint32_t)len;
    enum rc rc = flash_program(segment_addr(i) + at.off, records, (uint32_t)len);
    if (rc == RC_OK && !s->worn) {
        if (at.off + (uint32_t)len > s->end)
            s->end = at.off + (uint32_t)len;
        return RC_OK;
    }
    s->live_bytes -= (uint32_t)len;
    segment_worn(i);
    log_wipe(segment_addr(i) + at.off, (uint32_t)len); /* so that no half of it is taken for a record */
    return RC_IO;
}

struct piece {
    size_t len;    /* of whole records that go now */
    size_t cut_at; /* start of the record that is cut, if whole_len */
    uint16_t part_len, whole_len;
};

static struct piece plan_piece(const uint8_t *records, size_t len, size_t room)
{
    struct piece p = { whole_records(records, len, room), 0, 0, 0 };
    size_t left = room - p.len;
    if (p.len < len && records[p.len + 1] == RECORD_BODY && left >= SPLIT_LEAST_BYTES) {
        p.cut_at = p.len;
        p.whole_len = record_len(records + p.cut_at);
        p.part_len = (uint16_t)(left - RECORD_HEADER_BYTES);
        p.len = room;
    }
    return p;
}

/* Writes as much as fits in the head; the rest moves to the front of the buffer. */
static enum rc append_some(uint8_t *records, size_t *len, uint32_t room, struct spool_place *first, struct spool_place *last)
{
    struct piece p = plan_piece(records, *len, room);
    uint32_t seed = 0;
    if (p.whole_len > 0)
        set_payload_len(records + p.cut_at, p.part_len, seed);
    enum rc rc = program_at_head(records, p.len, &seed, first, last);
    if (rc != RC_OK) {
        for (size_t i = 0; i < p.len; i += record_bytes(record_len(records + i))) {
            struct record_header h;
            enum header_state state = record_header_decode(records + i, &h, seed);
            (void)state;
            record_header_encode(records + i, &h, 0);
        }
        if (p.whole_len > 0)
            set_payload_len(records + p.cut_at, p.whole_len, 0);
        return rc;
    }
    if (p.whole_len > 0) {
        *len = shift_rest(records, *len, p.cut_at, p.part_len, p.whole_len, seed);
    } else {
        *len -= p.len;
        memmove(records, records + p.len, *len);
    }
    return RC_OK;
}

enum rc log_append(uint8_t *records, size_t len, enum room_class class, struct spool_place *first, struct spool_place *last)
{
    unsigned failures = 0;
    while (len > 0) {
        uint32_t room = head_room(class);
        if (room > 0 && plan_piece(records, len, room).len > 0) {
            enum rc rc = append_some(records, &len, room, first, last);
            if (rc != RC_OK && ++failures >= APPEND_TRIES)
                return rc;
            continue;
        }
        enum rc rc = segment_open_head(class);
        if (rc != RC_OK)
            return rc;
    }
    return RC_OK;
}

/* --- walking --- */

struct log_cursor log_from(uint32_t seq, uint32_t off)
{
    return (struct log_cursor){ .at = { seq, off } };
}

/* Reads the header at a place within the segment's end. */
static enum header_state read_record(unsigned i, uint32_t off, struct log_record *r)
{
    uint8_t bytes[RECORD_HEADER_BYTES + RECORD_CRC_BYTES];
    const struct segment *s = &spool.segment[i];
    if (off + RECORD_HEADER_BYTES + SPOOL_UNIT > s->end || flash_read(segment_addr(i) + off, bytes, sizeof bytes) != RC_OK)
        return HEADER_GARBAGE;
    enum header_state state = record_header_decode(bytes, &r->h, seed_of(s->seq));
    if (state == HEADER_VALID && off + record_bytes(r->h.payload_len) > s->end)
        return HEADER_GARBAGE;
    r->place = (struct spool_place){ s->seq, off };
    r->addr = segment_addr(i) + off;
    r->dead = get_le32(bytes + RECORD_HEADER_BYTES) == 0;
    return state;
}

/* The cursor's segment, or the next one there is. */
static int enter(struct log_cursor *c)
{
    const struct segment *s = &spool.segment[c->segment];
    if (c->entered_seq == c->at.seq && s->state == SEGMENT_USED && s->seq == c->at.seq)
        return (int)c->segment;
    int i = segment_at_or_after(c->at.seq);
    if (i < 0)
        return i;
    s = &spool.segment[i];
    if (s->seq != c->at.seq || c->at.off < SEGMENT_HEADER_BYTES)
        c->at = (struct spool_place){ s->seq, SEGMENT_HEADER_BYTES };
    c->entered_seq = s->seq;
    c->segment = (unsigned)i;
    return i;
}

enum rc log_next(struct log_cursor *c, struct log_record *r)
{
    for (;;) {
        int i = enter(c);
        if (i < 0)
            return RC_NOT_FOUND;
        if (c->at.off + RECORD_HEADER_BYTES + SPOOL_UNIT > spool.segment[i].end) {
            c->at = (struct spool_place){ c->at.seq + 1, 0 };
            continue;
        }
        if (read_record((unsigned)i, c->at.off, r) == HEADER_VALID) {
            c->at.off += record_bytes(r->h.payload_len);
            return RC_OK;
        }
        c->at.off += SPOOL_UNIT;
    }
}

enum rc log_record_at(struct spool_place place, struct log_record *r)
{
    int i = place.seq == 0 ? -1 : segment_find(place.seq);
    if (i < 0 || place.off % SPOOL_UNIT != 0 || place.off < SEGMENT_HEADER_BYTES)
        return RC_NOT_FOUND;
    return read_record((unsigned)i, place.off, r) == HEADER_VALID ? RC_OK : RC_NOT_FOUND;
}

void log_pause(unsigned *count)
{
    if (++*count % SPOOL_PAUSE_RECORDS == 0 && task_yield() != RC_OK)
        return; /* a cancelled task ends its walk without pauses */
}

/* --- payloads --- */

enum rc log_payload(const struct log_record *r, struct span *payload)
{
    uint16_t len = r->h.payload_len;
    if (len > sizeof payload_memory)
        return RC_CORRUPT;
    enum rc rc = flash_read(r->addr + RECORD_HEADER_BYTES, payload_memory, len);
    if (rc != RC_OK)
        return rc;
    *payload = span_bytes(payload_memory, len);
    uint32_t crc = payload_crc_update(0, payload_memory + RECORD_CRC_BYTES, len - RECORD_CRC_BYTES);
    return get_le32(payload_memory) == payload_crc_final(crc) ? RC_OK : RC_CORRUPT;
}

enum rc log_check_payload(const struct log_record *r, uint32_t *body_crc)
{
    uint8_t piece[256];
    uint32_t crc = 0, want = 0, next = body_crc != NULL ? *body_crc : 0;
    for (uint32_t at = 0; at < r->h.payload_len;) {
        uint32_t n = r->h.payload_len - at < sizeof piece ? r->h.payload_len - at : sizeof piece;
        enum rc rc = flash_read(r->addr + RECORD_HEADER_BYTES + at, piece, n);
        if (rc != RC_OK)
            return rc;
        uint32_t skip = at == 0 ? RECORD_CRC_BYTES : 0;
        if (at == 0)
            want = get_le32(piece);
        crc = payload_crc_update(crc, piece + skip, n - skip);
        next = payload_crc_update(next, piece + skip, n - skip);
        at += n;
    }
    if (want != payload_crc_final(crc))
        return RC_CORRUPT;
    if (body_crc != NULL)
        *body_crc = next;
    return RC_OK;
}

enum rc log_kill(struct log_record *r)
{
    uint32_t len = record_bytes(r->h.payload_len) - RECORD_HEADER_BYTES;
    int i = segment_find(r->place.seq);
    enum rc rc = RC_OK;
    for (uint32_t at = 0; rc == RC_OK && at < len; at += sizeof zeros)
        rc = flash_program(r->addr + RECORD_HEADER_BYTES + at, zeros, len - at < sizeof zeros ? len - at : sizeof zeros);
    if (rc != RC_OK) {
        if (i >= 0)
            segment_worn((unsigned)i);
        return rc;
    }
    if (!r->dead && i >= 0)
        spool.segment[i].live_bytes -= len + RECORD_HEADER_BYTES;
    r->dead = true;
    return RC_OK;
}
