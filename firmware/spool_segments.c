/* Segments: from erased to open to full to retired to erased. Chooses the least worn, keeps erase counts, and sets aside what
 * the device has worn out. See SPOOL.md for what each interrupted state becomes. */
#include "firmware/spool_internal.h"

#include <string.h>

#include "hal/base/log.h"
#include "hal/random.h"

struct spool spool;

#define OPEN_FAILURES_MAX 4 /* segments that may wear out under one search for room */

static const uint8_t zeros[SEGMENT_OPENING_BYTES];

uint64_t segment_addr(unsigned i)
{
    return spool.addr + (uint64_t)i * spool.segment_bytes;
}

uint32_t segment_usable(void)
{
    return spool.segment_bytes - SEGMENT_HEADER_BYTES;
}

int segment_find(uint32_t seq)
{
    for (unsigned i = 0; i < spool.segments; i++)
        if (spool.segment[i].state == SEGMENT_USED && spool.segment[i].seq == seq)
            return (int)i;
    return -1;
}

int segment_at_or_after(uint32_t seq)
{
    int best = -1;
    for (unsigned i = 0; i < spool.segments; i++) {
        const struct segment *s = &spool.segment[i];
        if (s->state == SEGMENT_USED && s->seq >= seq && (best < 0 || s->seq < spool.segment[best].seq))
            best = (int)i;
    }
    return best;
}

unsigned segments_free(void)
{
    unsigned n = 0;
    for (unsigned i = 0; i < spool.segments; i++)
        n += spool.segment[i].state == SEGMENT_FREE;
    return n;
}

/* --- at boot --- */

static enum header_state opening_read(const uint8_t header[SEGMENT_HEADER_BYTES], struct opening_header *h)
{
    enum header_state first = opening_header_decode(header + SEGMENT_OPENING_AT, h);
    if (first == HEADER_VALID || first == HEADER_FOREIGN)
        return first;
    enum header_state copy = opening_header_decode(header + SEGMENT_OPENING_AT + SPOOL_UNIT, h);
    return copy == HEADER_BLANK ? first : copy;
}

static void floors(uint32_t id, uint32_t seq, uint32_t stamp)
{
    if (id > spool.next_id)
        spool.next_id = id;
    if (seq > spool.next_seq)
        spool.next_seq = seq;
    if (stamp > spool.stamp)
        spool.stamp = stamp;
}

enum rc segment_classify(unsigned i)
{
    struct segment *s = &spool.segment[i];
    uint8_t header[SEGMENT_HEADER_BYTES];
    *s = (struct segment){ .state = SEGMENT_BAD };
    if (flash_read(segment_addr(i), header, sizeof header) != RC_OK)
        return RC_OK; /* unreadable is as good as bad; the others go on */
    struct wear_header w;
    struct opening_header o;
    enum header_state wear = wear_header_decode(header, &w), opening = opening_read(header, &o);
    if (wear == HEADER_FOREIGN || opening == HEADER_FOREIGN)
        return RC_UNSUPPORTED;
    s->wear_lost = wear != HEADER_VALID;
    if (wear == HEADER_VALID) {
        floors(w.id_floor, w.seq_floor, w.stamp_floor);
        s->wear = w.erase_count;
    }
    if (opening == HEADER_VALID) {
        floors(o.id_floor, o.seq + 1, o.stamp);
        *s = (struct segment){
            .state = SEGMENT_USED, .seq = o.seq, .wear = o.erase_count, .worn = wear == HEADER_ZERO, .end = spool.segment_bytes
        };
        spool.salt = o.salt;
    } else if (wear != HEADER_ZERO) {
        s->state = opening == HEADER_BLANK && wear != HEADER_GARBAGE ? SEGMENT_FREE : SEGMENT_DIRTY;
    } else {
        s->looked = opening != HEADER_ZERO; /* rotten: a person may still make something of it */
    }
    if (s->wear > spool.wear_guess)
        spool.wear_guess = s->wear;
    return RC_OK;
}

/* --- erasing --- */

static enum rc label(unsigned i)
{
    uint8_t header[SPOOL_UNIT];
    wear_header_encode(header, &(struct wear_header){ spool.segment[i].wear, spool.next_id, spool.next_seq, spool.stamp });
    return flash_program(segment_addr(i), header, sizeof header);
}

void segment_worn(unsigned i)
{
    struct segment *s = &spool.segment[i];
    bool known = s->worn || s->state == SEGMENT_BAD;
    s->worn = true;
    if (spool.head == (int)i)
        spool.head = -1;
    if (s->state != SEGMENT_USED)
        s->state = SEGMENT_BAD;
    if (known)
        return;
    event_signal(&spool.work); /* to empty it */
    log_event_at(LOG_ALERT, LOG_SPOOL, "segment-worn", "segment=%u erases=%u", i, (unsigned)s->wear);
    if (flash_program(segment_addr(i), zeros, SPOOL_UNIT) != RC_OK)
        return; /* found again at the next boot */
}

int segment_reclaimable(void)
{
    uint32_t newest = 0;
    for (unsigned i = 0; i < spool.segments; i++)
        if (spool.segment[i].state == SEGMENT_USED && spool.segment[i].seq > newest)
            newest = spool.segment[i].seq;
    for (unsigned i = 0; i < spool.segments; i++) {
        const struct segment *s = &spool.segment[i];
        /* The newest one keeps the counters (ids, stamps) until there is a newer. */
        if (s->state == SEGMENT_DIRTY || (s->state == SEGMENT_USED && s->live_bytes == 0 && s->seq != newest && !s->worn))
            return (int)i;
    }
    return -1;
}

/* After this and a sync a torn erase can't bring back what lay in the segment: both copies of its opening are gone. */
static enum rc retire(unsigned i)
{
    return flash_program(segment_addr(i) + SEGMENT_OPENING_AT, zeros, SEGMENT_OPENING_BYTES);
}

bool segment_retire(unsigned i)
{
    uint8_t header[SEGMENT_HEADER_BYTES];
    struct opening_header h;
    if (retire(i) == RC_OK)
        return true;
    segment_worn(i);
    return flash_read(segment_addr(i), header, sizeof header) == RC_OK && opening_read(header, &h) != HEADER_VALID;
}

static enum rc erase(unsigned i)
{
    enum rc rc = RC_OK;
    for (uint32_t at = 0; rc == RC_OK && at < spool.segment_bytes; at += spool.erase_block_bytes)
        rc = flash_erase(segment_addr(i) + at);
    return rc;
}

/* One step of reclaiming and the sync that it needs: a step that fails is the segment's fault, a sync that fails is not. */
static enum rc durable_step(unsigned i, enum rc (*step)(unsigned i))
{
    enum rc rc = step(i);
    if (rc != RC_OK) {
        segment_worn(i);
        return rc;
    }
    rc = log_sync();
    if (rc != RC_OK)
        spool.segment[i].state = SEGMENT_DIRTY;
    return rc;
}

enum rc segment_reclaim(unsigned i)
{
    struct segment *s = &spool.segment[i];
    s->state = s->worn ? SEGMENT_BAD : SEGMENT_BUSY;
    s->live_bytes = 0;
    if (s->worn) { /* that is the end of it, and of what lies there as soon as the copies count */
        s->looked = false;
        s->wear_lost = log_sync() == RC_OK;
        event_signal(&spool.work);
        return RC_OK;
    }
    enum rc rc = durable_step(i, retire);
    if (rc == RC_OK)
        rc = durable_step(i, erase); /* a label says that the whole segment is erased */
    if (rc != RC_OK)
        return rc;
    s->wear = (s->wear_lost ? spool.wear_guess : s->wear) + 1;
    s->wear_lost = false;
    s->looked = true;
    rc = label(i);
    s->state = SEGMENT_FREE;
    if (rc != RC_OK)
        segment_worn(i);
    spool.reclaimed += rc == RC_OK;
    return rc;
}

/* --- opening --- */

/* Free segments that stay for others: one for the compaction that gets out of any corner, and the reserve. */
unsigned segments_kept_from(enum room_class class)
{
    switch (class) {
    case ROOM_INTAKE:
        return spool.reserve_segments + 1;
    case ROOM_OWN:
        return spool.reserve_segments / 2 + 1;
    case ROOM_SYSTEM:
        return 1;
    case ROOM_CLEANER:
        break;
    }
    return 0;
}

bool segment_may_append(enum room_class class)
{
    return segments_free() >= segments_kept_from(class);
}

static bool may_open(enum room_class class)
{
    return segments_free() > segments_kept_from(class);
}

/* The least worn free segment; among equals a random one. */
static int choose(void)
{
    int best = -1;
    uint32_t ties = 0;
    for (unsigned i = 0; i < spool.segments; i++) {
        const struct segment *s = &spool.segment[i];
        if (s->state != SEGMENT_FREE || (best >= 0 && s->wear > spool.segment[best].wear))
            continue;
        if (best < 0 || s->wear < spool.segment[best].wear)
            ties = 0;
        if (random_below(++ties) == 0)
            best = (int)i;
    }
    return best;
}

/* A free segment is trusted only after a look: an erase may have been torn, or lost while its label was kept. */
static bool filled_from(unsigned i, uint32_t off, uint8_t byte)
{
    uint8_t piece[256];
    while (off < spool.segment_bytes) {
        uint32_t n = sizeof piece - off % sizeof piece;
        if (flash_read(segment_addr(i) + off, piece, n) != RC_OK)
            return false;
        for (uint32_t k = 0; k < n; k++)
            if (piece[k] != byte)
                return false;
        off += n;
    }
    return true;
}

static enum rc write_opening(unsigned i, uint32_t seq)
{
    uint8_t both[SEGMENT_OPENING_BYTES];
    const struct opening_header h = { seq, spool.salt, spool.next_id, spool.stamp, spool.segment[i].wear };
    opening_header_encode(both, &h);
    memcpy(both + SPOOL_UNIT, both, SPOOL_UNIT);
    return flash_program(segment_addr(i) + SEGMENT_OPENING_AT, both, sizeof both);
}

/* Labels a free segment that has no label: it was never used, or lost it. RC_BUSY: it is not blank, or worn. Yields. */
static enum rc label_blank(unsigned i)
{
    struct segment *s = &spool.segment[i];
    if (!filled_from(i, s->wear_lost ? 0 : SEGMENT_OPENING_AT, 0xff)) {
        s->state = SEGMENT_DIRTY;
        return RC_BUSY;
    }
    s->looked = true;
    if (!s->wear_lost)
        return RC_OK;
    s->state = SEGMENT_BUSY;
    s->wear = spool.wear_guess; /* not 0: a lost count must not make it the favourite */
    s->wear_lost = false;
    enum rc rc = label(i);
    s->state = SEGMENT_FREE;
    if (rc != RC_OK)
        segment_worn(i);
    return rc == RC_OK ? RC_OK : RC_BUSY;
}

/* What the copies have made worthless in a segment that is given up; a cut may have come before. */
static void wipe_bad(unsigned i)
{
    spool.segment[i].looked = true;
    if (!filled_from(i, 0, 0))
        log_wipe(segment_addr(i), spool.segment_bytes);
}

bool segment_look_next(void)
{
    for (unsigned i = 0; i < spool.segments; i++) {
        struct segment *s = &spool.segment[i];
        if (s->state == SEGMENT_FREE && (s->wear_lost || !s->looked))
            return label_blank(i) == RC_OK || s->state == SEGMENT_DIRTY;
        if (s->state == SEGMENT_BAD && s->wear_lost && !s->looked) {
            wipe_bad(i);
            return true;
        }
    }
    return false;
}

static enum rc prepare(unsigned i)
{
    struct segment *s = &spool.segment[i];
    enum rc rc = label_blank(i);
    if (rc != RC_OK)
        return rc;
    s->state = SEGMENT_BUSY;
    uint32_t seq = spool.next_seq++;
    if (write_opening(i, seq) != RC_OK) {
        segment_worn(i);
        return RC_BUSY;
    }
    *s = (struct segment){ .seq = seq, .wear = s->wear, .end = SEGMENT_HEADER_BYTES, .state = SEGMENT_USED };
    spool.head = (int)i;
    spool.head_off = SEGMENT_HEADER_BYTES;
    return RC_OK;
}

/* RC_OK when there is another head than before, RC_BUSY when it wants another try. Nobody else is opening one. */
static enum rc open_alone(void)
{
    int i = choose();
    if (i < 0)
        return RC_BUSY;
    spool.opening = true;
    enum rc rc = prepare((unsigned)i);
    spool.opening = false;
    event_signal(&spool.opened);
    return rc;
}

enum rc segment_open_head(enum room_class class)
{
    uint32_t old_seq = spool.head >= 0 ? spool.segment[spool.head].seq : 0;
    unsigned failures = 0;
    for (unsigned tries = 0; tries < 2 * spool.segments; tries++) {
        while (spool.opening) /* before a look at what is free: what others open is for all */
            task_wait_always(&spool.opened);
        if (spool.head >= 0 && spool.segment[spool.head].seq != old_seq)
            return RC_OK;
        enum rc rc = may_open(class) ? open_alone() : class == ROOM_CLEANER ? RC_FULL : spool_make_room(class);
        if (rc == RC_IO && ++failures < OPEN_FAILURES_MAX)
            continue; /* one segment less */
        if (rc != RC_OK && rc != RC_BUSY)
            return rc;
        if (spool.head >= 0 && spool.segment[spool.head].seq != old_seq)
            return RC_OK;
    }
    return RC_FULL;
}
