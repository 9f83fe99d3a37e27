/* What holds of a spool whose tasks are at rest, whatever happened before: for the ends of unit and power-cut tests. */
#ifndef TESTS_SPOOL_SOUND_H
#define TESTS_SPOOL_SOUND_H

#include "firmware/spool_internal.h"
#include "tests/support/flash_sim.h"

static inline bool spool_is_filled(uint64_t addr, uint32_t len, uint8_t byte)
{
    for (uint32_t i = 0; i < len; i++)
        if (flash_sim_bytes()[addr + i] != byte)
            return false;
    return true;
}

/* Of a record: NULL, or what is wrong with it. */
static inline const char *record_unsound(const struct log_record *r)
{
    if (r->h.type == RECORD_SETTLED)
        return r->dead ? NULL : "a SETTLED record is left";
    if (r->h.source != 0 && segment_find(r->h.source) >= 0 && !r->dead)
        return "a copy is left beside its segment";
    if (r->dead && record_is_status(r->h.type) &&
        !spool_is_filled(r->addr + RECORD_HEADER_BYTES, record_bytes(r->h.payload_len) - RECORD_HEADER_BYTES, 0))
        return "a dead status record can still be read";
    return NULL;
}

/* booted: the spool has just come up from what a cut left, so that nothing of that may be left. NULL: all is well. */
static inline const char *spool_unsound(bool booted)
{
    const char *wrong = NULL;
    for (unsigned i = 0; i < spool.segments && wrong == NULL; i++) {
        const struct segment *s = &spool.segment[i];
        if (s->state != SEGMENT_USED)
            continue;
        struct log_cursor c = log_from(s->seq, 0);
        struct log_record r;
        uint32_t live = 0;
        while (wrong == NULL && log_next(&c, &r) == RC_OK && r.place.seq == s->seq) {
            live += r.dead ? 0 : record_bytes(r.h.payload_len);
            wrong = booted ? record_unsound(&r) : NULL;
        }
        if (wrong == NULL && live != s->live_bytes)
            wrong = "a segment's live bytes are not what lives in it";
        for (uint32_t off = s->end; booted && !s->worn && off < spool.segment_bytes; off += SPOOL_UNIT)
            if (!spool_is_filled(segment_addr(i) + off, SPOOL_UNIT, 0) && !spool_is_filled(segment_addr(i) + off, SPOOL_UNIT, 0xff))
                wrong = "behind a segment's end lies something";
    }
    return wrong;
}

#endif
