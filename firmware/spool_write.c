/* Taking a message in: records gather in the session's chunk and are appended when it is full; the COMMIT makes it ours. */
#include "firmware/spool_internal.h"

#include <string.h>

#include "hal/base/crc32.h"
#include "hal/base/log.h"

#define OVERHEAD_BYTES (16u * 1024) /* room a message needs beside its body and its record headers */

struct event spool_changed;

static enum room_class class_of(const struct spool_writer *w)
{
    return w->own ? ROOM_OWN : ROOM_INTAKE;
}

static uint64_t room_bytes(bool own)
{
    unsigned keep = segments_kept_from(own ? ROOM_OWN : ROOM_INTAKE), free_now = segments_free();
    uint64_t bytes = free_now > keep ? (uint64_t)(free_now - keep) * segment_usable() : 0;
    if (spool.head >= 0 && free_now >= keep)
        bytes += spool.segment_bytes - spool.head_off;
    return bytes + spool_gainable_bytes();
}

static bool has_room(bool own, uint64_t body_bytes)
{
    uint64_t need = spool.promised_bytes + body_bytes + body_bytes / 32 + OVERHEAD_BYTES;
    return body_bytes <= UINT32_MAX && need <= room_bytes(own);
}

uint64_t spool_free_for_intake(void)
{
    uint64_t room = room_bytes(false), taken = spool.promised_bytes + OVERHEAD_BYTES;
    return room > taken ? (room - taken) / 33 * 32 : 0;
}

static enum rc fail(struct spool_writer *w, enum rc why)
{
    w->failed = true;
    w->why = why;
    return why;
}

static void promise_kept(struct spool_writer *w, uint64_t bytes)
{
    uint64_t n = bytes < w->promised_bytes ? bytes : w->promised_bytes;
    w->promised_bytes -= n;
    spool.promised_bytes -= n;
}

/* --- the chunk --- */

static size_t chunk_left(const struct spool_writer *w)
{
    return SPOOL_CHUNK_BYTES - w->used;
}

static uint8_t *payload_at(struct spool_writer *w)
{
    return w->chunk + w->used + RECORD_HEADER_BYTES;
}

/* Closes the record whose payload of len bytes has been put behind its place for the header. */
static void seal(struct spool_writer *w, uint8_t type, uint32_t index, size_t len)
{
    const struct record_header h = { .type = type, .payload_len = (uint16_t)len, .id = w->id, .index = index };
    size_t bytes = record_bytes((uint32_t)len);
    memset(payload_at(w) + len, 0xff, bytes - RECORD_HEADER_BYTES - len);
    record_header_encode(w->chunk + w->used, &h, 0);
    w->used += bytes;
}

static void seal_body(struct spool_writer *w)
{
    if (!w->in_body)
        return;
    size_t len = w->used - w->body_at - RECORD_HEADER_BYTES, bytes = len - RECORD_CRC_BYTES;
    uint8_t *payload = w->chunk + w->body_at + RECORD_HEADER_BYTES;
    uint32_t crc = payload_crc_final(payload_crc_update(0, payload + RECORD_CRC_BYTES, bytes));
    memcpy(payload, (uint8_t[]){ (uint8_t)crc, (uint8_t)(crc >> 8), (uint8_t)(crc >> 16), (uint8_t)(crc >> 24) }, 4);
    w->used = w->body_at;
    w->in_body = false;
    seal(w, RECORD_BODY, (uint32_t)(w->body_bytes - bytes), len);
}

static enum rc flush(struct spool_writer *w)
{
    struct spool_place first = { w->first_seq, w->first_off };
    size_t len = w->used;
    w->used = 0;
    enum rc rc = log_append(w->chunk, len, class_of(w), &first, NULL);
    w->first_seq = first.seq;
    w->first_off = first.off;
    return rc == RC_OK ? RC_OK : fail(w, rc);
}

/* Room for a record of up to payload_max bytes in the chunk. */
static enum rc need(struct spool_writer *w, uint32_t payload_max)
{
    return chunk_left(w) < record_bytes(payload_max) ? flush(w) : RC_OK;
}

/* --- the writer --- */

enum rc spool_begin(struct spool_writer *w, uint8_t *chunk, const struct spool_envelope *e, uint64_t expected_bytes)
{
    memset(w, 0, sizeof *w);
    w->chunk = chunk;
    w->own = e->origin == SPOOL_OWN;
    w->origin = (uint8_t)e->origin;
    w->received = e->received;
    if (!has_room(w->own, expected_bytes))
        return fail(w, RC_FULL);
    if (!message_busy_begin(spool.next_id))
        return fail(w, RC_FULL);
    w->id = spool.next_id++;
    w->open = true;
    w->promised_bytes = expected_bytes;
    spool.promised_bytes += expected_bytes;
    seal(w, RECORD_ENVELOPE, 0, envelope_encode(payload_at(w), e));
    return RC_OK;
}

static enum rc writable(const struct spool_writer *w)
{
    if (!w->open)
        return w->failed ? w->why : RC_INVALID;
    return w->failed ? w->why : RC_OK;
}

enum rc spool_add_recipient(struct spool_writer *w, const struct spool_recipient *r)
{
    enum rc rc = writable(w);
    if (rc == RC_OK && (w->body_bytes > 0 || w->in_body))
        return RC_INVALID;
    if (rc == RC_OK && w->recipients >= SPOOL_RECIPIENTS_MAX)
        return RC_FULL;
    if (rc == RC_OK)
        rc = need(w, RECIPIENT_PAYLOAD_MAX);
    if (rc != RC_OK)
        return rc;
    seal(w, RECORD_RECIPIENT, w->recipients++, recipient_encode(payload_at(w), r));
    return RC_OK;
}

/* Puts as much as fits into the chunk's BODY record, starting one if need be. */
static size_t gather(struct spool_writer *w, struct span bytes)
{
    if (!w->in_body) {
        w->in_body = true;
        w->body_at = w->used;
        w->used += RECORD_HEADER_BYTES + RECORD_CRC_BYTES;
    }
    size_t n = bytes.len < chunk_left(w) ? bytes.len : chunk_left(w);
    memcpy(w->chunk + w->used, bytes.p, n);
    w->crc = crc32_update(w->crc, bytes.p, n);
    w->used += n;
    w->body_bytes += n;
    return n;
}

enum rc spool_write(struct spool_writer *w, struct span bytes)
{
    enum rc rc = writable(w);
    if (rc == RC_OK && w->body_bytes + bytes.len > UINT32_MAX)
        return fail(w, RC_FULL);
    while (rc == RC_OK && bytes.len > 0) {
        if (!w->in_body)
            rc = need(w, SPOOL_UNIT);
        if (rc != RC_OK)
            return rc;
        size_t n = gather(w, bytes);
        promise_kept(w, n);
        bytes = span_from(bytes, n);
        if (chunk_left(w) == 0) {
            seal_body(w);
            rc = flush(w);
        }
    }
    return rc;
}

static enum rc commit_durably(struct spool_writer *w)
{
    const struct commit_payload c = {
        .first = { w->first_seq, w->first_off },
        .recipients = (uint16_t)w->recipients,
        .origin = w->origin,
        .held = w->held,
        .received = w->received,
        .body_bytes = (uint32_t)w->body_bytes,
        .body_crc = w->crc,
    };
    seal_body(w);
    enum rc rc = need(w, COMMIT_PAYLOAD_BYTES);
    if (rc != RC_OK)
        return rc;
    seal(w, RECORD_COMMIT, 0, commit_encode(payload_at(w), &c));
    rc = flush(w);
    return rc == RC_OK ? log_sync() : rc;
}

static void close_writer(struct spool_writer *w)
{
    promise_kept(w, w->promised_bytes);
    message_busy_end(w->id);
    w->open = false;
}

enum rc spool_commit(struct spool_writer *w, uint32_t *id)
{
    enum rc rc = writable(w);
    if (rc == RC_OK && w->recipients == 0)
        rc = RC_INVALID;
    if (rc == RC_OK)
        rc = commit_durably(w);
    if (rc != RC_OK) {
        spool_abort(w);
        return fail(w, rc);
    }
    const struct window_entry entry = {
        .e = { .id = w->id,
               .size_bytes = (uint32_t)w->body_bytes,
               .received = w->received,
               .recipients = (uint16_t)w->recipients,
               .waiting = (uint16_t)w->recipients,
               .origin = w->origin,
               .held = w->held },
        .first = { w->first_seq, w->first_off },
    };
    spool.messages++;
    spool.commits++;
    window_add(&entry);
    close_writer(w);
    *id = w->id;
    event_signal(&spool_changed);
    return RC_OK;
}

void spool_abort(struct spool_writer *w)
{
    if (!w->open)
        return;
    if (w->first_seq != 0) {
        kill_begin();
        if (message_kill(w->id, (struct spool_place){ w->first_seq, w->first_off }, false) != RC_OK)
            log_event_at(LOG_WARN, LOG_SPOOL, "kill-failed", "id=%u", (unsigned)w->id);
        kill_end();
    }
    close_writer(w);
    event_signal(&spool.work);
}
