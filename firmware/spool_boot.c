/* Boot: finds what the log holds and ends what a cut has interrupted. SPOOL.md has the table of states.
 *
 * First pass, headers only: ends of segments, live bytes, counters, and which messages have no COMMIT or a SETTLED. Their
 * records are zeroed (a pass that runs only if there are any). Second pass: the window. */
#include "firmware/spool_internal.h"

#include <string.h>

#include "hal/base/log.h"
#include "hal/random.h"

enum suspect_mark {
    NO_COMMIT = 1,  /* records without a COMMIT */
    BAD_COMMIT = 2, /* its COMMIT doesn't check */
    HAS_STATUS = 4, /* something was durably said about it, so there was a COMMIT */
    SETTLED = 8,
    DISCARD = 16, /* decided: zero it */
    KEEP = 32,    /* decided: show it as damaged */
};

struct suspect {
    uint32_t id;
    uint32_t stamp; /* of a bad COMMIT */
    struct spool_place first;
    uint32_t marks;
};

#define GAPS_MAX 8

/* Bytes that are no record, before one that is. */
struct gap {
    uint64_t addr;
    uint32_t len;
    uint32_t next_stamp; /* of the next record in the log */
    bool closed;
};

static struct {
    struct suspect *suspects; /* in the window's memory */
    size_t count, max;
    struct gap gaps[GAPS_MAX];
    unsigned gap_count;
    bool redundant; /* copies beside their originals */
    bool bad_settled;
    bool bad_status;     /* torn while it was written or zeroed */
    bool lost_records;   /* bit rot has taken a header */
    bool unread;         /* in the segment that is looked through */
    unsigned unreadable; /* segments that the device does not give, or not all of */
} boot;

static struct suspect *suspect_find(uint32_t id)
{
    for (size_t i = 0; i < boot.count; i++)
        if (boot.suspects[i].id == id)
            return &boot.suspects[i];
    return NULL;
}

static void suspect_mark(const struct log_record *r, uint32_t mark)
{
    struct suspect *s = suspect_find(r->h.id);
    if (s == NULL && boot.count == boot.max)
        return; /* its space stays taken until a later boot */
    if (s == NULL) {
        s = &boot.suspects[boot.count++];
        *s = (struct suspect){ .id = r->h.id, .first = r->place };
    }
    s->marks |= mark;
    if (mark == BAD_COMMIT)
        s->stamp = r->h.stamp;
}

static void suspect_cleared(uint32_t id)
{
    struct suspect *s = suspect_find(id);
    if (s != NULL && (s->marks & SETTLED) == 0)
        *s = boot.suspects[--boot.count];
}

/* --- the first pass --- */

static bool is_redundant(const struct log_record *r)
{
    return r->h.source != 0 && segment_find(r->h.source) >= 0;
}

static bool commit_checks(const struct log_record *r)
{
    struct span payload;
    struct commit_payload c;
    enum rc rc = log_payload(r, &payload);
    boot.unread = boot.unread || rc == RC_IO;
    return rc == RC_OK && commit_decode(payload, &c);
}

static bool is_zeroed(const struct log_record *r)
{
    uint8_t piece[64];
    uint32_t len = record_bytes(r->h.payload_len) - RECORD_HEADER_BYTES;
    for (uint32_t at = 0; at < len; at += sizeof piece) {
        uint32_t n = len - at < sizeof piece ? len - at : sizeof piece;
        if (flash_read(r->addr + RECORD_HEADER_BYTES + at, piece, n) != RC_OK)
            return true;
        for (uint32_t i = 0; i < n; i++)
            if (piece[i] != 0)
                return false;
    }
    return true;
}

/* A status record of which nothing can be read, or of which something could although it counts for nothing. */
static bool is_torn_status(const struct log_record *r)
{
    struct span payload;
    if (!record_is_status(r->h.type) || r->h.type == RECORD_SETTLED)
        return false;
    return r->dead ? !is_zeroed(r) : log_payload(r, &payload) == RC_CORRUPT;
}

static void note_status(const struct log_record *r)
{
    struct span payload;
    struct status_payload s;
    if (r->h.type != RECORD_SETTLED) {
        if (suspect_find(r->h.id) != NULL)
            suspect_mark(r, HAS_STATUS);
        return;
    }
    if (log_payload(r, &payload) == RC_OK && status_decode(payload, &s))
        suspect_mark(r, SETTLED);
    else
        boot.bad_settled = true;
}

static void note_record(const struct log_record *r)
{
    if (r->h.id >= spool.next_id)
        spool.next_id = r->h.id + 1;
    if (r->h.stamp > spool.stamp)
        spool.stamp = r->h.stamp;
    for (unsigned i = 0; i < boot.gap_count; i++)
        if (!boot.gaps[i].closed) {
            boot.gaps[i].closed = true;
            boot.gaps[i].next_stamp = r->h.stamp;
        }
    boot.bad_status = boot.bad_status || is_torn_status(r);
    if (r->dead)
        return;
    struct segment *s = &spool.segment[segment_find(r->place.seq)];
    s->live_bytes += record_bytes(r->h.payload_len);
    s->has_status |= record_tells_more(&r->h);
    if (is_redundant(r)) {
        boot.redundant = true;
    } else if (r->h.type == RECORD_COMMIT) {
        if (commit_checks(r))
            suspect_cleared(r->h.id);
        else
            suspect_mark(r, BAD_COMMIT);
    } else if (r->h.type < RECORD_COMMIT && r->h.source == 0) {
        suspect_mark(r, NO_COMMIT);
    } else if (record_is_status(r->h.type)) {
        note_status(r);
    }
}

static void note_gap(uint64_t addr, uint32_t len)
{
    if (len == 0)
        return;
    if (boot.gap_count == GAPS_MAX) {
        boot.lost_records = true; /* more than a cut can do */
        return;
    }
    boot.gaps[boot.gap_count++] = (struct gap){ .addr = addr, .len = len };
}

/* What stands where a record could begin. */
static enum header_state look(unsigned i, uint32_t off, struct log_record *r)
{
    uint8_t unit[SPOOL_UNIT + RECORD_CRC_BYTES];
    struct record_header h;
    if (log_record_at((struct spool_place){ spool.segment[i].seq, off }, r) == RC_OK)
        return HEADER_VALID;
    bool has_payload = off + sizeof unit <= spool.segment_bytes;
    if (flash_read(segment_addr(i) + off, unit, has_payload ? sizeof unit : SPOOL_UNIT) != RC_OK) {
        boot.unread = true;
        return HEADER_GARBAGE;
    }
    enum header_state state = record_header_decode(unit, &h, 0);
    return state == HEADER_VALID ? HEADER_GARBAGE : state;
}

/* Blank space ends a segment's log, but not behind bytes that don't check: those may be a rotten record's own. */
static void scan_segment(unsigned i)
{
    struct segment *s = &spool.segment[i];
    uint32_t last = SEGMENT_HEADER_BYTES, gap_from = 0, gap_to = 0;
    boot.unread = false;
    for (uint32_t off = last; off + RECORD_HEADER_BYTES <= spool.segment_bytes;) {
        struct log_record r;
        enum header_state state = look(i, off, &r);
        if (state == HEADER_BLANK && gap_from == 0)
            break;
        if (state == HEADER_GARBAGE && s->worn)
            break; /* a failed program: what may follow was written again elsewhere */
        if (state != HEADER_VALID) {
            if (state == HEADER_GARBAGE) {
                gap_from = gap_from == 0 ? off : gap_from;
                gap_to = off + SPOOL_UNIT;
            }
            off += SPOOL_UNIT;
            continue;
        }
        note_gap(segment_addr(i) + gap_from, gap_to - gap_from);
        gap_from = gap_to = 0;
        note_record(&r);
        off += record_bytes(r.h.payload_len);
        last = off;
    }
    note_gap(segment_addr(i) + gap_from, gap_to - gap_from);
    boot.unreadable += boot.unread;
    s->has_status |= boot.unread;
    s->end = last;
}

static void first_pass(void)
{
    for (int i = segment_at_or_after(0); i >= 0; i = segment_at_or_after(spool.segment[i].seq + 1)) {
        scan_segment((unsigned)i);
        unsigned now = SPOOL_PAUSE_RECORDS - 1;
        log_pause(&now);
    }
}

/* --- deciding --- */

/* A record with a stamp two below the newest was durable before that one was written: see SPOOL.md, stamps. */
static uint32_t tail_stamp(void)
{
    return spool.stamp > 0 ? spool.stamp - 1 : 0;
}

/* Torn bytes of the last moments are zeroed, so that whatever doesn't check at a later boot is bit rot. */
static void close_gaps(void)
{
    static const uint8_t zeros[256];
    for (unsigned i = 0; i < boot.gap_count; i++) {
        enum rc rc = RC_OK;
        const struct gap *g = &boot.gaps[i];
        if (boot.unreadable > 0 || (g->closed && g->next_stamp < tail_stamp())) {
            boot.lost_records = true;
            log_event_at(LOG_ALERT, LOG_SPOOL, "unreadable", "at=0x%llx bytes=%u", (unsigned long long)g->addr, (unsigned)g->len);
            continue;
        }
        for (uint32_t at = 0; rc == RC_OK && at < g->len; at += sizeof zeros)
            rc = flash_program(g->addr + at, zeros, g->len - at < sizeof zeros ? g->len - at : sizeof zeros);
        if (rc != RC_OK)
            log_event_at(LOG_WARN, LOG_SPOOL, "kill-failed", "at=0x%llx", (unsigned long long)g->addr);
    }
}

/* Nothing acknowledged lies behind blank space, but parts of records that a cut has torn may: they are zeroed, for what they tell. */
static void clear_behind(unsigned i)
{
    static const uint8_t zeros[SPOOL_UNIT];
    const struct segment *s = &spool.segment[i];
    for (uint32_t off = s->end; off < spool.segment_bytes; off += SPOOL_UNIT) {
        uint8_t unit[SPOOL_UNIT];
        struct record_header h;
        if (flash_read(segment_addr(i) + off, unit, sizeof unit) != RC_OK)
            return;
        enum header_state state = record_header_decode(unit, &h, 0);
        if (state == HEADER_BLANK || state == HEADER_ZERO)
            continue;
        if (flash_program(segment_addr(i) + off, zeros, sizeof zeros) != RC_OK)
            log_event_at(LOG_WARN, LOG_SPOOL, "kill-failed", "at=0x%llx", (unsigned long long)(segment_addr(i) + off));
    }
}

static void clear_behind_all(void)
{
    for (unsigned i = 0; i < spool.segments && boot.unreadable == 0; i++)
        if (spool.segment[i].state == SEGMENT_USED && !spool.segment[i].worn)
            clear_behind(i);
}

/* Never loses what may have been acknowledged: with any sign of that, the rest is kept and shown. */
static void decide(void)
{
    for (size_t i = 0; i < boot.count; i++) {
        struct suspect *s = &boot.suspects[i];
        bool rotten = (s->marks & BAD_COMMIT) != 0 && s->stamp < tail_stamp();
        if ((s->marks & SETTLED) == 0 && (rotten || (s->marks & HAS_STATUS) != 0 || boot.lost_records))
            s->marks |= KEEP;
        else
            s->marks |= DISCARD;
    }
}

/* --- zeroing --- */

static void stick(uint32_t id)
{
    log_event_at(LOG_WARN, LOG_SPOOL, "kill-failed", "id=%u", (unsigned)id);
    for (unsigned i = 0; i < spool.stuck; i++)
        if (spool.stuck_id[i] == id)
            return;
    if (spool.stuck < sizeof spool.stuck_id / sizeof spool.stuck_id[0])
        spool.stuck_id[spool.stuck++] = id;
}

static bool is_stuck(uint32_t id)
{
    for (unsigned i = 0; i < spool.stuck; i++)
        if (spool.stuck_id[i] == id)
            return true;
    return false;
}

static bool is_discarded(uint32_t id)
{
    const struct suspect *s = suspect_find(id);
    return s != NULL && (s->marks & DISCARD) != 0;
}

static bool wants_zeroing(const struct log_record *r)
{
    struct span payload;
    if (!r->dead && is_redundant(r))
        return true;
    if (r->h.type == RECORD_SETTLED)
        return !r->dead && boot.bad_settled && log_payload(r, &payload) == RC_CORRUPT;
    if (boot.bad_status && is_torn_status(r))
        return true;
    return is_discarded(r->h.id) && (!r->dead || (suspect_find(r->h.id)->marks & SETTLED) != 0);
}

static void zero_discarded(void)
{
    struct log_cursor c = log_from(0, 0);
    struct log_record r;
    unsigned steps = 0;
    while (log_next(&c, &r) == RC_OK) {
        if (wants_zeroing(&r) && log_kill(&r) != RC_OK && is_discarded(r.h.id))
            stick(r.h.id); /* of any other message only this record is worthless */
        log_pause(&steps);
    }
}

/* The zeros are durable: the SETTLED records have done their work, if all that they are about could be read. */
static void zero_settled(void)
{
    struct log_cursor c = log_from(0, 0);
    struct log_record r;
    while (log_next(&c, &r) == RC_OK)
        if (r.h.type == RECORD_SETTLED && !r.dead && !is_stuck(r.h.id) && log_kill(&r) != RC_OK)
            stick(r.h.id);
}

static enum rc end_interrupted(void)
{
    if (boot.count == 0 && !boot.redundant && !boot.bad_settled && !boot.bad_status && boot.gap_count == 0)
        return RC_OK;
    zero_discarded();
    enum rc rc = flash_sync();
    if (rc == RC_OK && boot.unreadable == 0)
        zero_settled();
    return rc;
}

/* --- messages that lost their COMMIT --- */

#define KEPT_MAX 16
#define MESSAGE_LEAST_BYTES (2 * (RECORD_HEADER_BYTES + SPOOL_UNIT)) /* an ENVELOPE and a COMMIT */

struct kept {
    uint32_t id;
    struct spool_place first;
};

static size_t kept_entries(struct kept *kept)
{
    size_t n = 0;
    for (size_t i = 0; i < boot.count && n < KEPT_MAX; i++)
        if ((boot.suspects[i].marks & KEEP) != 0)
            kept[n++] = (struct kept){ boot.suspects[i].id, boot.suspects[i].first };
    return n;
}

static void add_kept(const struct kept *kept, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct window_entry w = { .e = { .id = kept[i].id, .damaged = true }, .first = kept[i].first };
        log_event_at(LOG_ALERT, LOG_SPOOL, "set-aside", "id=%u", (unsigned)w.e.id);
        if (window_find(w.e.id) != NULL)
            continue;
        window_make_place(); /* it would never be fetched */
        spool.messages += window_add(&w) != NULL;
    }
}

/* --- opening --- */

static enum rc lay_out(uint64_t addr, uint64_t size_bytes)
{
    uint64_t segment = segment_bytes_for(size_bytes, flash_geometry()->erase_block_bytes, SPOOL_SEGMENTS_MAX);
    if (segment > UINT32_MAX / 2 || size_bytes / segment < 6)
        return RC_INVALID;
    spool.addr = addr;
    spool.erase_block_bytes = flash_geometry()->erase_block_bytes;
    spool.segment_bytes = (uint32_t)segment;
    spool.segments = (unsigned)(size_bytes / segment);
    spool.reserve_segments = (unsigned)((SPOOL_RESERVE_BYTES + segment - 1) / segment);
    if (spool.reserve_segments > spool.segments / 8)
        spool.reserve_segments = spool.segments / 8; /* a small spool is not all reserve */
    if (spool.reserve_segments < SPOOL_RESERVE_BLOCKS)
        spool.reserve_segments = SPOOL_RESERVE_BLOCKS;
    return RC_OK;
}

static void reset(void)
{
    struct event work = spool.work; /* the spool's task may be waiting there */
    memset(&spool, 0, sizeof spool);
    memset(&boot, 0, sizeof boot);
    window_clear();
    spool.work = work;
    spool.head = -1;
    spool.next_id = 1;
    spool.next_seq = 1;
    spool.overflow_due = INT64_MAX;
    size_t bytes;
    boot.suspects = window_scratch(&bytes);
    boot.max = bytes / sizeof *boot.suspects;
}

/* Everything but the layout. */
static enum rc recover(void)
{
    struct kept kept[KEPT_MAX];
    if (spool.salt == 0)
        spool.salt = random_u32() | 1;
    first_pass();
    /* What can't be read today may be the newest, and commit what lies elsewhere: neither its numbers nor its mails are free. */
    spool.next_seq += boot.unreadable;
    spool.next_id += boot.unreadable * (spool.segment_bytes / MESSAGE_LEAST_BYTES);
    boot.lost_records = boot.lost_records || boot.unreadable > 0;
    close_gaps();
    clear_behind_all();
    decide();
    enum rc rc = end_interrupted();
    size_t n = kept_entries(kept);
    window_clear();
    if (rc != RC_OK)
        return rc;
    uint32_t tail = tail_stamp();
    spool.stamp += 2; /* all that has been read is settled, whatever it was */
    window_boot(boot.unreadable > 0 ? UINT32_MAX : tail);
    add_kept(kept, n);
    return log_sync();
}

enum rc spool_open(uint64_t addr, uint64_t size_bytes)
{
    reset();
    enum rc rc = lay_out(addr, size_bytes);
    for (unsigned i = 0; rc == RC_OK && i < spool.segments; i++) {
        rc = segment_classify(i);
        boot.unreadable += spool.segment[i].state == SEGMENT_BAD && !spool.segment[i].wear_lost;
    }
    if (rc == RC_OK)
        rc = recover();
    if (rc != RC_OK) {
        window_clear();
        spool.segments = 0; /* nothing is taken in, and nothing is touched */
        return rc;
    }
    spool_housekeeping_start();
    log_event(LOG_SPOOL, "open", "messages=%u segments=%u free=%u", spool.messages, spool.segments, segments_free());
    return RC_OK;
}
