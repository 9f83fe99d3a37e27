/* Reading a queued message. What does not check sets the message aside, and the others go on. */
#include "firmware/spool_internal.h"

#include <string.h>

/* The message is gone (settled by somebody else), or it is damaged. */
static enum rc missing(uint32_t id, enum rc rc)
{
    if (rc != RC_NOT_FOUND && rc != RC_CORRUPT)
        return rc;
    if (window_find(id) == NULL)
        return RC_NOT_FOUND;
    return spool_set_aside(id) == RC_IO ? RC_IO : RC_CORRUPT;
}

/* Where things were found, of as many messages as are sent at a time and a few: the next recipient lies behind the one before, and neither a
 * thousand of them nor the body are looked for from the start. */
struct found {
    uint32_t index;
    struct spool_place at;
};
static struct hints {
    uint32_t id;
    struct found last, back; /* recipients; back: the last one that was not behind the one before */
    struct spool_place body;
} hints[PLAN_DELIVERY_SESSIONS + 2];

static struct hints *hints_of(uint32_t id)
{
    struct hints *h = &hints[id % (sizeof hints / sizeof hints[0])];
    if (h->id != id)
        *h = (struct hints){ .id = id };
    return h;
}

static enum rc find_recipient(uint32_t id, uint32_t index, struct spool_place first, struct log_record *r)
{
    struct hints *h = hints_of(id);
    bool goes_back = index < h->last.index;
    const struct found *from = goes_back ? &h->back : &h->last;
    enum rc rc = message_find(id, RECORD_RECIPIENT, index, from->at.seq != 0 && from->index <= index ? from->at : first, r);
    h = hints_of(id);
    if (rc == RC_OK)
        h->last = (struct found){ index, r->place };
    if (rc == RC_OK && goes_back)
        h->back = h->last;
    return rc;
}

static enum rc find_payload(uint32_t id, uint8_t type, uint32_t index, struct span *payload)
{
    const struct window_entry *w = entry_known(id);
    struct log_record r;
    if (w == NULL)
        return RC_NOT_FOUND;
    enum rc rc = type == RECORD_RECIPIENT ? find_recipient(id, index, w->first, &r) : message_find(id, type, index, w->first, &r);
    return rc == RC_OK ? log_payload(&r, payload) : rc == RC_NOT_FOUND ? RC_CORRUPT : rc;
}

enum rc spool_read_envelope(uint32_t id, struct spool_envelope *out)
{
    struct span payload;
    enum rc rc = find_payload(id, RECORD_ENVELOPE, 0, &payload);
    if (rc == RC_OK && !envelope_decode(payload, out))
        rc = RC_CORRUPT;
    return rc == RC_OK ? RC_OK : missing(id, rc);
}

static void take_outcome(struct spool_recipient *out, const struct status_payload *s)
{
    out->state = (enum spool_state)s->state;
    out->code = s->code;
    memcpy(out->enhanced, s->enhanced, sizeof out->enhanced);
    out->at = s->at;
    memcpy(out->text, s->text.p, s->text.len);
    out->text[s->text.len] = '\0';
}

enum rc spool_read_address(uint32_t id, unsigned index, struct spool_recipient *out)
{
    const struct window_entry *w = entry_known(id);
    struct span payload;
    if (w == NULL || index >= w->e.recipients)
        return RC_NOT_FOUND;
    enum rc rc = find_payload(id, RECORD_RECIPIENT, index, &payload);
    if (rc == RC_OK && !recipient_decode(payload, out))
        rc = RC_CORRUPT;
    if (rc != RC_OK)
        return missing(id, rc);
    out->state = message_settled(id, index) ? SPOOL_DELIVERED : SPOOL_WAITING;
    return RC_OK;
}

enum rc spool_read_recipient(uint32_t id, unsigned index, struct spool_recipient *out)
{
    struct log_record r;
    struct span payload;
    struct status_payload s;
    enum rc rc = spool_read_address(id, index, out);
    if (rc == RC_OK && message_outcome(id, index, &r, &payload) == RC_OK && status_decode(payload, &s))
        take_outcome(out, &s);
    return rc;
}

enum rc spool_body_open(struct spool_reader *r, uint32_t id)
{
    const struct window_entry *w = window_find(id);
    memset(r, 0, sizeof *r);
    if (w == NULL)
        return RC_NOT_FOUND;
    struct spool_place from = hints_of(id)->body;
    if (from.seq == 0)
        from = w->first;
    *r = (struct spool_reader){
        .id = id, .seq = from.seq, .off = from.off, .body_left = w->e.size_bytes, .body_bytes = w->e.size_bytes
    };
    return RC_OK;
}

/* Finds the BODY record that begins at r->index. */
static enum rc locate(struct spool_reader *r)
{
    struct log_record record;
    const struct spool_place hint = { r->seq, r->off };
    enum rc rc = message_find(r->id, RECORD_BODY, r->index, hint, &record);
    if (rc != RC_OK)
        return rc;
    if (r->index == 0)
        hints_of(r->id)->body = record.place;
    r->seq = record.place.seq;
    r->off = record.place.off;
    r->record_addr = record.addr + RECORD_HEADER_BYTES + RECORD_CRC_BYTES;
    r->record_bytes = record.h.payload_len - RECORD_CRC_BYTES;
    return r->record_bytes > 0 && r->record_bytes <= r->body_bytes - r->index ? RC_OK : RC_CORRUPT;
}

/* While the caller was busy with the last bytes, the record may have been moved or zeroed. */
static bool stays(const struct spool_reader *r)
{
    struct log_record record;
    return r->record_bytes > 0 && log_record_at((struct spool_place){ r->seq, r->off }, &record) == RC_OK && record.h.id == r->id &&
           record.h.type == RECORD_BODY && record.h.index == r->index && !record.dead;
}

enum rc spool_body_read(struct spool_reader *r, void *buf, size_t cap, size_t *got)
{
    *got = 0;
    if (r->body_left == 0 || cap == 0)
        return RC_OK;
    uint32_t at = r->body_bytes - (uint32_t)r->body_left;
    enum rc rc = stays(r) || at == r->index + r->record_bytes ? RC_OK : locate(r);
    while (rc == RC_OK && at >= r->index + r->record_bytes) { /* the next one; a copy may have been cut smaller */
        r->index += r->record_bytes;
        rc = locate(r);
    }
    if (rc != RC_OK)
        return missing(r->id, rc);
    uint32_t left = r->index + r->record_bytes - at;
    size_t n = cap < left ? cap : left;
    rc = flash_read(r->record_addr + (at - r->index), buf, n);
    if (rc != RC_OK)
        return rc;
    r->body_left -= n;
    *got = n;
    return RC_OK;
}
