#include "toolchain/tools/common/rescued_mail.h"

#include <stdlib.h>

/* --- what the records say --- */

static const struct scan_record *find(const struct scan_record *records, size_t count, uint8_t type)
{
    for (size_t i = 0; i < count; i++) {
        if (records[i].h.type == type)
            return &records[i];
    }
    return NULL;
}

/* Room for a recipient of that number; NULL: no such number can be. */
static struct rescued_recipient *recipient(struct rescued_mail *m, uint32_t index)
{
    if (index >= SPOOL_RECIPIENTS_MAX)
        return NULL;
    if (index >= m->recipient_count) {
        m->recipients = tool_resize(m->recipients, index + 1, sizeof *m->recipients);
        for (; m->recipient_count <= index; m->recipient_count++)
            m->recipients[m->recipient_count] = (struct rescued_recipient){ .known = false };
    }
    return &m->recipients[index];
}

/* Records of one recipient come in the order of their serials: the last one that can be read counts. */
static void read_outcome(struct rescued_mail *m, const struct scan_record *r)
{
    struct rescued_recipient *to = recipient(m, r->h.index);
    struct status_payload s;
    if (to == NULL || !r->sound || !status_decode(r->payload, &s))
        return;
    to->is.state = (enum spool_state)s.state;
    to->is.code = s.code;
    to->is.at = s.at;
    for (unsigned i = 0; i < 3; i++)
        to->is.enhanced[i] = s.enhanced[i];
    struct strbuf text = STRBUF(to->is.text);
    strbuf_add(&text, s.text);
}

static void read_status(struct rescued_mail *m, const struct scan_record *r, uint32_t *newest)
{
    struct status_payload s;
    if (!r->sound || !status_decode(r->payload, &s) || r->h.serial < *newest)
        return;
    *newest = r->h.serial;
    m->status = s;
    m->held = s.held;
}

static void read_recipient(struct rescued_mail *m, const struct scan_record *r)
{
    struct rescued_recipient *to = recipient(m, r->h.index);
    if (to != NULL && !to->known && r->sound)
        to->known = recipient_decode(r->payload, &to->is);
}

static void read_body(struct rescued_mail *m, const struct scan_record *r)
{
    uint64_t at = m->body.len + m->missing_bytes;
    if (r->h.index < at)
        return; /* a copy of what is there */
    m->missing_bytes += r->h.index - at;
    m->body_differs = m->body_differs || !r->sound;
    byte_buffer_add(&m->body, r->payload.p + RECORD_CRC_BYTES, r->payload.len - RECORD_CRC_BYTES);
}

static void read_commit(struct rescued_mail *m, const struct scan_record *r)
{
    struct commit_payload c;
    if (r == NULL || !r->sound || !commit_decode(r->payload, &c)) {
        m->no_commit = true;
        return;
    }
    m->held = c.held;
    if (c.recipients > 0)
        (void)recipient(m, c.recipients - 1u);
    uint64_t got = m->body.len + m->missing_bytes;
    m->missing_bytes += c.body_bytes > got ? c.body_bytes - got : 0;
    if (m->missing_bytes == 0 && payload_crc_update(0, m->body.p, m->body.len) != c.body_crc)
        m->body_differs = true;
}

static void count_recipients(struct rescued_mail *m)
{
    for (unsigned i = 0; i < m->recipient_count; i++) {
        const struct rescued_recipient *to = &m->recipients[i];
        m->lost_recipients += !to->known;
        m->waiting += to->is.state == SPOOL_WAITING;
    }
}

/* Settled is what says so, and what has neither somebody waiting nor a bounce that might not have been made. */
static enum rescue_kind judge(const struct rescued_mail *m, const struct scan_record *records, size_t count)
{
    const struct scan_record *settled = find(records, count, RECORD_SETTLED);
    if (settled != NULL && settled->sound)
        return RESCUE_SETTLED;
    bool has_status = false, bounced = false;
    for (size_t i = 0; i < count; i++)
        has_status = has_status || record_is_status(records[i].h.type);
    if (find(records, count, RECORD_COMMIT) == NULL && !has_status)
        return RESCUE_UNFINISHED;
    for (unsigned i = 0; i < m->recipient_count; i++)
        bounced = bounced || m->recipients[i].is.state == SPOOL_BOUNCED;
    return m->waiting > 0 || bounced || m->recipient_count == 0 ? RESCUE_QUEUED : RESCUE_SETTLED;
}

void rescued_mail_read(struct rescued_mail *m, const struct scan_record *records, size_t count)
{
    *m = (struct rescued_mail){ .id = records[0].h.id };
    uint32_t newest = 0;
    for (size_t i = 0; i < count; i++) {
        if (records[i].h.type == RECORD_RECIPIENT)
            read_recipient(m, &records[i]);
        else if (records[i].h.type == RECORD_BODY)
            read_body(m, &records[i]);
    }
    const struct scan_record *envelope = find(records, count, RECORD_ENVELOPE);
    m->no_envelope = envelope == NULL || !envelope->sound || !envelope_decode(envelope->payload, &m->envelope);
    read_commit(m, find(records, count, RECORD_COMMIT));
    for (size_t i = 0; i < count; i++) {
        if (records[i].h.type == RECORD_OUTCOME)
            read_outcome(m, &records[i]);
        if (record_is_status(records[i].h.type))
            read_status(m, &records[i], &newest);
    }
    count_recipients(m);
    m->kind = judge(m, records, count);
}

bool rescued_mail_whole(const struct rescued_mail *m)
{
    return !m->no_commit && !m->no_envelope && !m->body_differs && m->missing_bytes == 0 && m->lost_recipients == 0;
}

void rescued_mail_free(struct rescued_mail *m)
{
    free(m->recipients);
    byte_buffer_free(&m->body);
}
