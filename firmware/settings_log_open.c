/* Opening the settings log: which half is active, what its records say, and what a cut or bit rot has left. SETTINGS_LOG.md has the tables
 * of states. */
#include "firmware/settings_log_store.h"
#include "hal/base/log.h"
#include "hal/random.h"

#define SUSPECTS_MAX 8

/* A walk over the half. */
struct scan {
    uint32_t open_batch;
    uint32_t last_from, last_to; /* records of the newest ended batch */
    bool in_gap, unreadable;     /* unreadable: the device does not give all of the half */
    unsigned suspects, sure;     /* what does not check; how many of them lie before an END */
    uint32_t suspect_at[SUSPECTS_MAX];
};

static void suspect(struct scan *s, uint32_t at)
{
    if (s->suspects < SUSPECTS_MAX)
        s->suspect_at[s->suspects] = at;
    s->suspects++;
}

static void end_batch(struct scan *s, uint32_t to)
{
    if (store.pending > 0) {
        s->last_from = store.pending_at[0];
        s->last_to = to;
    }
    store_commit_pending();
    store.pending = 0;
    s->sure = s->suspects;
}

/* What one record whose header checks means. */
static void replay(struct scan *s, uint32_t at, const struct record *r)
{
    if (r->type != RECORD_SETTLED && r->batch != s->open_batch) {
        if (store.pending > 0)
            end_batch(s, at); /* its END has rotted */
        s->open_batch = r->batch;
    }
    if (r->batch >= store.batch)
        store.batch = r->batch + 1;
    enum rc rc = record_check_payload(addr_of(at), r);
    s->unreadable = s->unreadable || rc == RC_IO;
    if (rc != RC_OK)
        suspect(s, at);
    else if (r->type == RECORD_END)
        end_batch(s, at);
    else if (r->type == RECORD_SETTLED ? store_index_record(at, r) != RC_OK : store.pending == BATCH_RECORDS_MAX)
        suspect(s, at);
    else if (r->type != RECORD_SETTLED)
        store.pending_at[store.pending++] = at;
}

/* A cut may have torn the zeros over what the newest batch has replaced: that is no damage, and is done again. */
static void finish_zeros(struct scan *s)
{
    struct record r;
    for (uint32_t at = s->last_from, from, to; at < s->last_to; at = store_next_record(at)) {
        if (store_read_at(at, &r) != RC_OK || !store_replaced_range(&r, &from, &to))
            continue;
        for (unsigned i = 0; i < s->sure && i < SUSPECTS_MAX; i++)
            if (s->suspect_at[i] >= from && s->suspect_at[i] < to) {
                s->suspect_at[i] = 0;
                store.damaged--;
            }
        store_zero_replaced(&r);
    }
}

void store_scan(void)
{
    struct scan s = { .open_batch = UINT32_MAX };
    struct record r;
    uint32_t last = HALF_HEADER_BYTES;
    enum rc rc = RC_OK;
    store.keys = store.pending = 0;
    store.batch = 1;
    for (uint32_t at = last; at + RECORD_ALIGN <= store.half_bytes && (rc = store_read_at(at, &r)) != RC_NOT_FOUND;) {
        if (rc == RC_OK) {
            replay(&s, at, &r);
            at = last = at + record_bytes(r.key_len, r.value_len);
            s.in_gap = false;
            continue;
        }
        s.unreadable = s.unreadable || rc == RC_IO;
        if (rc != RC_EXPIRED && !s.in_gap)
            suspect(&s, at);
        s.in_gap = s.in_gap || rc != RC_EXPIRED;
        at += RECORD_ALIGN;
        last = rc == RC_EXPIRED && !s.in_gap ? at : last;
    }
    store.end = last;
    store.damaged = s.sure;
    if (s.unreadable) { /* what is compacted now would be lost: nothing is touched until all can be read. The rest serves */
        store.pending = store.damaged = 0;
        store.closed = RC_IO;
        return;
    }
    finish_zeros(&s);
    store.dirty_tail = store.pending > 0 || store.damaged > 0 || !flash_is_blank(addr_of(store.end), store.half_bytes - store.end);
    store.pending = 0;
    store.recovered = store.recovered || store.dirty_tail;
}

static enum rc format(void)
{
    enum rc rc = store_erase_half(0);
    if (rc == RC_OK)
        rc = store_erase_half(1);
    if (rc == RC_OK)
        rc = flash_sync();
    store.header = (struct half_header){ 1, random_u32() };
    if (rc == RC_OK)
        rc = half_header_write(half_addr(0), &store.header);
    if (rc == RC_OK)
        rc = flash_sync();
    store.active = 0;
    store.end = HALF_HEADER_BYTES;
    store.batch = 1;
    return rc;
}

/* No half can be read: a first format that was cut leaves no record behind; records without any header mean loss. */
static enum rc start_anew(void)
{
    uint64_t bytes = store.half_bytes - HALF_HEADER_BYTES;
    bool lost = !flash_is_blank(half_addr(0) + HALF_HEADER_BYTES, bytes) ||
                !flash_is_blank(half_addr(1) + HALF_HEADER_BYTES, bytes);
    enum rc rc = format();
    return rc != RC_OK ? rc : lost ? RC_CORRUPT : RC_OK;
}

static enum rc open_half(const struct half_header header[2], enum rc a, enum rc b)
{
    store.active = a == RC_OK && (b != RC_OK || (int32_t)(header[0].sequence - header[1].sequence) > 0) ? 0 : 1;
    store.header = header[store.active];
    store_scan();
    if (store.closed != RC_OK)
        return store.closed;
    if (store.damaged > 0)
        log_event_at(LOG_ALERT, LOG_SETTINGS, "damaged", "records=%u keys=%u", store.damaged, store.keys);
    else if (store.recovered)
        log_event_at(LOG_WARN, LOG_SETTINGS, "recovered", "keys=%u end=%u dirty=%d", store.keys, (unsigned)store.end,
                     store.dirty_tail);
    /* A cut after a compaction may have left the old half: deleted secrets must not linger there. */
    return flash_is_blank(half_addr(!store.active), store.half_bytes) ? RC_OK : store_erase_half(!store.active);
}

enum rc settings_log_open(uint64_t addr, uint64_t size_bytes)
{
    struct half_header header[2];
    memset(&store, 0, sizeof store);
    store.base = addr;
    store.half_bytes = size_bytes / 2;
    if (store.half_bytes > (uint64_t)UINT16_MAX * RECORD_ALIGN)
        return store.closed = RC_INVALID;
    enum rc a = half_header_read(half_addr(0), &header[0]), b = half_header_read(half_addr(1), &header[1]);
    if (a == RC_OK || b == RC_OK)
        return open_half(header, a, b);
    if (a == RC_UNSUPPORTED || b == RC_UNSUPPORTED)
        return store.closed = RC_UNSUPPORTED;
    if (a == RC_IO || b == RC_IO) /* the other one is blank whenever it is not in use */
        return store.closed = RC_IO;
    return start_anew();
}
