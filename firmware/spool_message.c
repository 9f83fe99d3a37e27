/* One message in the log: finding its records, checking that all of it is there, and zeroing it. Records of a message lie in
 * order behind its ENVELOPE unless some of them have been copied by compaction: then anywhere. */
#include "firmware/spool_internal.h"

#include "hal/base/log.h"

bool message_is_busy(uint32_t id)
{
    for (unsigned i = 0; i < SPOOL_WRITERS_MAX; i++)
        if (spool.busy_id[i] == id)
            return true;
    return false;
}

bool message_busy_begin(uint32_t id)
{
    for (unsigned i = 0; i < SPOOL_WRITERS_MAX; i++)
        if (spool.busy_id[i] == 0) {
            spool.busy_id[i] = id;
            return true;
        }
    return false;
}

void message_busy_end(uint32_t id)
{
    for (unsigned i = 0; i < SPOOL_WRITERS_MAX; i++)
        if (spool.busy_id[i] == id)
            spool.busy_id[i] = 0;
}

/* --- zeroing --- */

enum rc message_kill(uint32_t id, struct spool_place from, bool to_commit)
{
    struct log_cursor c = log_from(from.seq, from.off);
    struct log_record r;
    enum rc result = RC_OK;
    unsigned steps = 0;
    while (log_next(&c, &r) == RC_OK) {
        log_pause(&steps);
        if (r.h.id != id || r.dead || r.h.type == RECORD_SETTLED)
            continue;
        enum rc rc = log_kill(&r);
        if (rc != RC_OK)
            result = rc;
        if (to_commit && r.h.type == RECORD_COMMIT)
            break;
    }
    return result;
}

enum rc message_status_at(uint32_t id, struct spool_place at, struct log_record *r, struct status_payload *s)
{
    struct span payload;
    if (log_record_at(at, r) != RC_OK || r->h.id != id || r->dead || !record_is_status(r->h.type) ||
        log_payload(r, &payload) != RC_OK || !status_decode(payload, s))
        return RC_CORRUPT;
    bool back = s->prev.seq < at.seq || (s->prev.seq == at.seq && s->prev.off < at.off);
    return back ? RC_OK : RC_CORRUPT; /* back means back: no loop */
}

bool message_replaces(const struct log_record *newer, const struct log_record *older)
{
    bool same = newer->h.type == RECORD_OUTCOME && newer->h.index == older->h.index;
    return older->h.serial < newer->h.serial && (older->h.type != RECORD_OUTCOME || same) && older->h.type != RECORD_SETTLED;
}

enum rc message_kill_chain(uint32_t id, struct spool_place newest)
{
    struct log_record r;
    struct status_payload s;
    enum rc rc = RC_OK;
    for (struct spool_place at = newest; rc == RC_OK && at.seq != 0; at = s.prev) {
        rc = message_status_at(id, at, &r, &s);
        if (rc == RC_OK)
            rc = log_kill(&r);
    }
    return rc;
}

static bool wanted(const struct log_record *r, uint32_t id, uint8_t type, uint32_t index)
{
    return r->h.id == id && !r->dead && r->h.type == type && r->h.index == index;
}

static enum rc find_between(struct log_cursor c, const struct spool_place *until, uint32_t id, uint8_t type, uint32_t index,
                            struct log_record *r)
{
    unsigned steps = 0;
    enum rc rc = RC_NOT_FOUND;
    while (log_next(&c, r) == RC_OK) {
        if (until != NULL && (r->place.seq > until->seq || (r->place.seq == until->seq && r->place.off >= until->off)))
            return rc;
        if (wanted(r, id, type, index) && (rc = log_check_payload(r, NULL)) == RC_OK)
            return RC_OK; /* else it may be what a failed program has left, and the record was written again */
        log_pause(&steps);
    }
    return rc;
}

enum rc message_find(uint32_t id, uint8_t type, uint32_t index, struct spool_place hint, struct log_record *r)
{
    enum rc behind = find_between(log_from(hint.seq, hint.off), NULL, id, type, index, r);
    if (behind == RC_OK)
        return RC_OK;
    enum rc before = find_between(log_from(0, 0), &hint, id, type, index, r);
    return before == RC_NOT_FOUND ? behind : before;
}

/* --- outcomes --- */

/* Without the chain: all of the log. */
static enum rc outcome_by_walk(uint32_t id, uint32_t index, struct log_record *newest)
{
    struct log_cursor c = log_from(0, 0);
    struct log_record r;
    struct span payload;
    unsigned steps = 0;
    bool found = false;
    while (log_next(&c, &r) == RC_OK) {
        if (wanted(&r, id, RECORD_OUTCOME, index) && (!found || r.h.serial >= newest->h.serial) &&
            log_payload(&r, &payload) == RC_OK) {
            *newest = r;
            found = true;
        }
        log_pause(&steps);
    }
    return found ? RC_OK : RC_NOT_FOUND;
}

/* Along the chain from the newest status record back. RC_CORRUPT: the chain is broken (compaction, bit rot). */
static enum rc outcome_by_chain(uint32_t id, uint32_t index, struct spool_place at, struct log_record *r)
{
    struct status_payload s;
    for (; at.seq != 0; at = s.prev) {
        enum rc rc = message_status_at(id, at, r, &s);
        if (rc != RC_OK)
            return rc;
        if (r->h.type == RECORD_OUTCOME && r->h.index == index)
            return RC_OK;
    }
    return RC_NOT_FOUND;
}

enum rc message_outcome(uint32_t id, uint32_t index, struct log_record *r, struct span *payload)
{
    const struct window_entry *w = entry_known(id);
    if (w == NULL)
        return RC_NOT_FOUND;
    enum rc rc = outcome_by_chain(id, index, w->status, r);
    if (rc == RC_CORRUPT)
        rc = outcome_by_walk(id, index, r);
    return rc == RC_OK ? log_payload(r, payload) : rc;
}

/* --- who is settled --- */

static bool settled_bit(const struct settled_notes *n, uint32_t index)
{
    return (n->bits[index / 32] & 1u << index % 32) != 0;
}

/* True if this is news. */
static bool note_settled(struct settled_notes *n, const struct log_record *r, const struct status_payload *s)
{
    uint32_t index = r->h.index;
    if (r->h.type != RECORD_OUTCOME || index >= SPOOL_RECIPIENTS_MAX || s->state == SPOOL_WAITING || settled_bit(n, index))
        return false;
    n->bits[index / 32] |= 1u << index % 32;
    return true;
}

/* Along the chain as far as there are any, else all of the log. */
static void take_settled_notes(struct settled_notes *n, const struct window_entry *w)
{
    const uint32_t id = w->e.id;
    unsigned missing = w->e.recipients - w->e.waiting, steps = 0;
    struct log_record r;
    struct span payload;
    struct status_payload s;
    for (struct spool_place at = w->status; missing > 0 && message_status_at(id, at, &r, &s) == RC_OK; at = s.prev)
        missing -= note_settled(n, &r, &s);
    for (struct log_cursor c = log_from(0, 0); missing > 0 && n->id == id && log_next(&c, &r) == RC_OK; log_pause(&steps))
        if (wanted(&r, id, RECORD_OUTCOME, r.h.index) && log_payload(&r, &payload) == RC_OK && status_decode(payload, &s))
            missing -= note_settled(n, &r, &s);
}

static struct settled_notes *settled_notes_of(uint32_t id)
{
    for (unsigned i = 0; i < PLAN_DELIVERY_SESSIONS; i++)
        if (spool.settled_notes[i].id == id)
            return &spool.settled_notes[i];
    return NULL;
}

/* Each worker's mail has a place; that of a mail on which nobody works is free for others. */
static struct settled_notes *settled_notes_for(uint32_t id)
{
    struct settled_notes *n = spool.settled_notes;
    for (unsigned i = 0; i < PLAN_DELIVERY_SESSIONS; i++) {
        const struct window_entry *w = window_find(spool.settled_notes[i].id);
        if (w == NULL || !w->e.busy)
            n = &spool.settled_notes[i];
    }
    *n = (struct settled_notes){ .id = id };
    return n;
}

bool message_settled(uint32_t id, uint32_t index)
{
    for (;;) {
        const struct window_entry *w = window_find(id);
        struct settled_notes *n = settled_notes_of(id);
        if (w == NULL || index >= SPOOL_RECIPIENTS_MAX || (n == NULL && w->e.waiting == w->e.recipients))
            return false;
        if (n != NULL && n->known)
            return settled_bit(n, index);
        if (n == NULL)
            n = settled_notes_for(id);
        take_settled_notes(n, w);
        if (n->id == id)
            n->known = true;
    }
}

void message_settled_now(uint32_t id, uint32_t index)
{
    struct settled_notes *n = settled_notes_of(id);
    if (n != NULL)
        n->bits[index / 32] |= 1u << index % 32;
}

/* --- verifying --- */

static enum rc verify_envelope(uint32_t id, const struct commit_payload *c)
{
    struct log_record r;
    enum rc rc = message_find(id, RECORD_ENVELOPE, 0, c->first, &r);
    for (uint32_t i = 0; rc == RC_OK && i < c->recipients; i++)
        rc = message_find(id, RECORD_RECIPIENT, i, r.place, &r);
    return rc;
}

enum rc message_verify(uint32_t id, const struct commit_payload *c)
{
    enum rc rc = verify_envelope(id, c);
    struct spool_place at = c->first;
    uint32_t crc = 0;
    for (uint32_t got = 0; rc == RC_OK && got < c->body_bytes;) {
        struct log_record r;
        rc = message_find(id, RECORD_BODY, got, at, &r);
        if (rc == RC_OK)
            rc = log_check_payload(&r, &crc);
        if (rc == RC_OK) {
            got += r.h.payload_len - RECORD_CRC_BYTES;
            at = r.place;
        }
        if (got > c->body_bytes || (rc == RC_OK && r.h.payload_len == RECORD_CRC_BYTES))
            rc = RC_CORRUPT;
    }
    return rc == RC_OK && crc != c->body_crc ? RC_CORRUPT : rc;
}
