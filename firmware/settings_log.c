/* The log over its records: index, batches, compaction, recovery.
 * Invariants: the active half has a valid header; `end` is where the next record goes, and all behind it is erased unless `dirty_tail`; the
 * index names the newest committed record of each key. Writers hold `busy`; readers never wait. */
#include "firmware/settings_log.h"

#include "firmware/settings_log_record.h"
#include "hal/base/bytes.h"
#include "hal/base/crc32.h"
#include "hal/base/log.h"

#define BATCH_RECORDS_MAX 256
#define DELETE_RESERVE_BYTES 256 /* a put leaves room for a delete and two ENDs, so that a full log can be emptied */

struct index_entry {
    uint32_t hash;
    uint32_t at; /* offset in the active half */
};

static struct {
    uint64_t base, half_bytes;
    unsigned active;
    uint32_t sequence, batch, end;
    bool dirty_tail, recovered;
    uint32_t compactions;
    unsigned keys;
    struct index_entry index[SETTINGS_LOG_KEYS_MAX];
    unsigned pending;
    uint32_t pending_at[BATCH_RECORDS_MAX]; /* records of the open batch, offsets */
    bool batch_failed;
    bool busy;
    struct event freed;
} store;

static uint64_t half_addr(unsigned half)
{
    return store.base + half * store.half_bytes;
}

static uint64_t addr_of(uint32_t at)
{
    return half_addr(store.active) + at;
}

/* --- index --- */

static uint32_t hash_of(struct span key)
{
    return crc32_update(0, key.p, key.len);
}

static struct index_entry *find(struct span key)
{
    uint32_t hash = hash_of(key);
    struct record r;
    for (unsigned i = 0; i < store.keys; i++)
        if (store.index[i].hash == hash && record_read_header(addr_of(store.index[i].at), &r) == RC_OK &&
            record_has_key(addr_of(store.index[i].at), &r, key))
            return &store.index[i];
    return NULL;
}

/* Makes the record at `at` the newest of its key. */
static enum rc index_record(uint32_t at, const struct record *r)
{
    char memory[UINT8_MAX];
    enum rc rc = record_read_key(addr_of(at), r, memory);
    if (rc != RC_OK)
        return rc;
    struct span key = span_bytes(memory, r->key_len);
    struct index_entry *old = find(key);
    if (r->type == RECORD_DELETE) {
        if (old)
            *old = store.index[--store.keys];
        return RC_OK;
    }
    if (!old && store.keys == SETTINGS_LOG_KEYS_MAX)
        return RC_FULL;
    if (!old)
        old = &store.index[store.keys++];
    *old = (struct index_entry){ hash_of(key), at };
    return RC_OK;
}

/* --- opening --- */

static void commit_pending(void)
{
    struct record r;
    for (unsigned i = 0; i < store.pending; i++)
        if (record_read_header(addr_of(store.pending_at[i]), &r) != RC_OK || index_record(store.pending_at[i], &r) != RC_OK)
            log_event_at(LOG_ALERT, LOG_SETTINGS, "record-lost", "at=%u", (unsigned)store.pending_at[i]);
    store.pending = 0;
}

static bool ends_batch(uint32_t at, const struct record *r)
{
    uint8_t raw[4];
    return r->value_len == sizeof raw && record_read_value(addr_of(at), r, raw) == RC_OK && get_le32(raw) == store.pending;
}

/* What one valid record of the scan means. */
static void replay(uint32_t at, const struct record *r, uint32_t *open_batch)
{
    if (record_check_payload(addr_of(at), r) != RC_OK) {
        store.recovered = true; /* torn, or worn: the batch that it belongs to will miss a record */
        return;
    }
    if (r->type != RECORD_SETTLED && r->batch != *open_batch) {
        store.pending = 0; /* the batch before was never ended */
        *open_batch = r->batch;
    }
    if (r->batch >= store.batch)
        store.batch = r->batch + 1;
    if (r->type == RECORD_SETTLED) {
        if (index_record(at, r) != RC_OK)
            store.recovered = true;
    } else if (r->type == RECORD_END) {
        if (ends_batch(at, r))
            commit_pending();
        store.pending = 0;
    } else if (store.pending < BATCH_RECORDS_MAX) {
        store.pending_at[store.pending++] = at;
    }
}

static void scan(void)
{
    struct record r;
    uint32_t open_batch = UINT32_MAX;
    enum rc rc = RC_NOT_FOUND;
    store.keys = store.pending = 0;
    store.batch = 1;
    store.end = HALF_HEADER_BYTES;
    while (store.end + RECORD_ALIGN <= store.half_bytes && (rc = record_read_header(addr_of(store.end), &r)) == RC_OK) {
        uint32_t bytes = record_bytes(r.key_len, r.value_len);
        if (bytes > store.half_bytes - store.end) {
            rc = RC_CORRUPT;
            break;
        }
        replay(store.end, &r, &open_batch);
        store.end += bytes;
    }
    store.pending = 0;
    store.dirty_tail = !flash_is_blank(addr_of(store.end), store.half_bytes - store.end);
    store.recovered = store.recovered || store.dirty_tail || rc == RC_CORRUPT;
}

static enum rc erase_half(unsigned half)
{
    uint32_t block = flash_geometry()->erase_block_bytes;
    enum rc rc = RC_OK;
    for (uint64_t at = 0; rc == RC_OK && at < store.half_bytes; at += block)
        if (!flash_is_blank(half_addr(half) + at, block))
            rc = flash_erase(half_addr(half) + at);
    return rc;
}

static enum rc format(void)
{
    enum rc rc = erase_half(0);
    if (rc == RC_OK)
        rc = erase_half(1);
    if (rc == RC_OK)
        rc = flash_sync();
    if (rc == RC_OK)
        rc = half_header_write(half_addr(0), 1);
    if (rc == RC_OK)
        rc = flash_sync();
    store.active = 0;
    store.sequence = 1;
    store.end = HALF_HEADER_BYTES;
    store.batch = 1;
    return rc;
}

enum rc settings_log_open(uint64_t addr, uint64_t size_bytes)
{
    uint32_t sequence[2] = { 0, 0 };
    memset(&store, 0, sizeof store);
    store.base = addr;
    store.half_bytes = size_bytes / 2;
    enum rc a = half_header_read(half_addr(0), &sequence[0]), b = half_header_read(half_addr(1), &sequence[1]);
    if (a == RC_IO && b == RC_IO)
        return RC_IO;
    if (a != RC_OK && b != RC_OK) {
        /* A first format that was cut leaves no record behind; records without any header mean loss. */
        bool lost = !flash_is_blank(half_addr(0) + HALF_HEADER_BYTES, store.half_bytes - HALF_HEADER_BYTES) ||
                    !flash_is_blank(half_addr(1) + HALF_HEADER_BYTES, store.half_bytes - HALF_HEADER_BYTES);
        enum rc rc = format();
        return rc != RC_OK ? rc : lost ? RC_CORRUPT : RC_OK;
    }
    store.active = a == RC_OK && (b != RC_OK || (int32_t)(sequence[0] - sequence[1]) > 0) ? 0 : 1;
    store.sequence = sequence[store.active];
    scan();
    /* A cut after a compaction may have left the old half: deleted secrets must not linger there. */
    enum rc rc = flash_is_blank(half_addr(!store.active), store.half_bytes) ? RC_OK : erase_half(!store.active);
    if (store.recovered)
        log_event_at(LOG_WARN, LOG_SETTINGS, "recovered", "keys=%u end=%u dirty=%d", store.keys, (unsigned)store.end,
                     store.dirty_tail);
    return rc;
}

/* --- reading --- */

enum rc settings_log_get(struct span key, void *out, size_t cap, size_t *len)
{
    struct record r;
    const struct index_entry *e = find(key);
    *len = 0;
    if (!e)
        return RC_NOT_FOUND;
    enum rc rc = record_read_header(addr_of(e->at), &r);
    if (rc != RC_OK)
        return rc == RC_IO ? RC_IO : RC_CORRUPT;
    *len = r.value_len;
    if (r.value_len > cap)
        return RC_TOO_LONG;
    rc = record_check_payload(addr_of(e->at), &r);
    return rc == RC_OK ? record_read_value(addr_of(e->at), &r, out) : rc;
}

void settings_log_each(struct span prefix, void (*fn)(void *ctx, struct span key, size_t value_len), void *ctx)
{
    char key[UINT8_MAX];
    struct record r;
    for (unsigned i = 0; i < store.keys; i++) {
        uint64_t addr = addr_of(store.index[i].at);
        if (record_read_header(addr, &r) != RC_OK || record_read_key(addr, &r, key) != RC_OK)
            continue;
        struct span name = span_bytes(key, r.key_len);
        if (span_eq(span_sub(name, 0, prefix.len), prefix))
            fn(ctx, name, r.value_len);
    }
}

void settings_log_info(struct settings_log_info *out)
{
    *out = (struct settings_log_info){ store.keys, store.end, store.half_bytes, store.compactions, store.recovered };
}

/* --- compaction --- */

/* Copies one record behind *end of the other half. */
static enum rc carry(uint32_t *at, uint32_t *end, enum record_type type)
{
    struct record r;
    enum rc rc = record_read_header(addr_of(*at), &r);
    if (rc != RC_OK)
        return rc == RC_IO ? RC_IO : RC_CORRUPT;
    rc = record_copy(half_addr(!store.active) + *end, addr_of(*at), &r, type == RECORD_PUT ? r.type : type);
    *at = *end;
    *end += record_bytes(r.key_len, r.value_len);
    return rc;
}

/* Moves what is alive, and the open batch, to the other half. Everything is durable there before its header makes it the active one. */
static enum rc compact(void)
{
    static uint32_t moved[SETTINGS_LOG_KEYS_MAX], moved_pending[BATCH_RECORDS_MAX];
    uint32_t end = HALF_HEADER_BYTES;
    enum rc rc = erase_half(!store.active);
    if (rc == RC_OK)
        rc = flash_sync();
    for (unsigned i = 0; rc == RC_OK && i < store.keys; i++) {
        moved[i] = store.index[i].at;
        rc = carry(&moved[i], &end, RECORD_SETTLED);
    }
    for (unsigned i = 0; rc == RC_OK && i < store.pending; i++) {
        moved_pending[i] = store.pending_at[i];
        rc = carry(&moved_pending[i], &end, RECORD_PUT);
    }
    if (rc == RC_OK)
        rc = flash_sync();
    if (rc == RC_OK)
        rc = half_header_write(half_addr(!store.active), store.sequence + 1);
    if (rc == RC_OK)
        rc = flash_sync();
    if (rc != RC_OK)
        return rc;
    for (unsigned i = 0; i < store.keys; i++)
        store.index[i].at = moved[i];
    memcpy(store.pending_at, moved_pending, store.pending * sizeof moved_pending[0]);
    store.active = !store.active;
    store.sequence++;
    store.end = end;
    store.dirty_tail = false;
    store.compactions++;
    log_event(LOG_SETTINGS, "compacted", "keys=%u bytes=%u", store.keys, (unsigned)end);
    return erase_half(!store.active);
}

/* --- writing --- */

static enum rc append(enum record_type type, struct span key, struct span value, uint32_t *at)
{
    uint32_t bytes = record_bytes(key.len, value.len), reserve = type == RECORD_PUT ? DELETE_RESERVE_BYTES : 0;
    enum rc rc = RC_OK;
    if (store.dirty_tail || bytes + reserve > store.half_bytes - store.end)
        rc = compact();
    if (rc != RC_OK)
        return rc;
    if (bytes + reserve > store.half_bytes - store.end)
        return RC_FULL;
    *at = store.end;
    rc = record_write(addr_of(store.end), type, store.batch, key, value);
    store.end += bytes;
    store.dirty_tail = rc != RC_OK;
    return rc;
}

static bool key_is_fit(struct span key)
{
    if (!key.len || key.len > SETTINGS_LOG_KEY_MAX)
        return false;
    for (size_t i = 0; i < key.len; i++)
        if (key.p[i] <= ' ' || key.p[i] > '~')
            return false;
    return true;
}

enum rc settings_log_batch_begin(void)
{
    while (store.busy) {
        enum rc rc = task_wait(&store.freed, deadline_never());
        if (rc != RC_OK)
            return rc;
    }
    store.busy = true;
    store.pending = 0;
    store.batch_failed = false;
    return RC_OK;
}

static enum rc batch_add(enum record_type type, struct span key, struct span value)
{
    uint32_t at = 0;
    enum rc rc = RC_OK;
    if (!key_is_fit(key) || value.len > SETTINGS_LOG_VALUE_MAX)
        rc = RC_INVALID;
    else if (store.pending == BATCH_RECORDS_MAX)
        rc = RC_FULL;
    if (rc == RC_OK)
        rc = append(type, key, value, &at);
    if (rc == RC_OK)
        store.pending_at[store.pending++] = at;
    store.batch_failed = store.batch_failed || rc != RC_OK;
    return rc;
}

enum rc settings_log_batch_put(struct span key, struct span value)
{
    return batch_add(RECORD_PUT, key, value);
}

enum rc settings_log_batch_delete(struct span key)
{
    return batch_add(RECORD_DELETE, key, SPAN(""));
}

static void let_go(void)
{
    store.batch++; /* records of an unended batch never join a later one */
    store.pending = 0;
    store.busy = false;
    event_signal(&store.freed);
}

void settings_log_batch_abort(void)
{
    if (store.busy)
        let_go();
}

/* True if the index can take every new key of the batch. */
static bool keys_fit(void)
{
    char memory[UINT8_MAX];
    struct record r;
    unsigned fresh = 0;
    for (unsigned i = 0; i < store.pending; i++) {
        uint64_t addr = addr_of(store.pending_at[i]);
        if (record_read_header(addr, &r) != RC_OK || record_read_key(addr, &r, memory) != RC_OK)
            return false;
        fresh += r.type == RECORD_PUT && !find(span_bytes(memory, r.key_len));
    }
    return store.keys + fresh <= SETTINGS_LOG_KEYS_MAX;
}

enum rc settings_log_batch_end(void)
{
    uint8_t count[4];
    uint32_t at;
    enum rc rc = store.batch_failed ? RC_INVALID : !keys_fit() ? RC_FULL : RC_OK;
    put_le32(count, store.pending);
    if (rc == RC_OK && store.pending) {
        rc = flash_sync(); /* the END must never be there without its records */
        if (rc == RC_OK)
            rc = append(RECORD_END, SPAN(""), span_bytes(count, sizeof count), &at);
        if (rc == RC_OK)
            rc = flash_sync();
    }
    if (rc == RC_OK)
        commit_pending();
    let_go();
    return rc;
}

enum rc settings_log_put(struct span key, struct span value)
{
    enum rc rc = settings_log_batch_begin();
    if (rc != RC_OK)
        return rc;
    rc = settings_log_batch_put(key, value);
    if (rc != RC_OK) {
        settings_log_batch_abort();
        return rc;
    }
    return settings_log_batch_end();
}

enum rc settings_log_delete(struct span key)
{
    if (!find(key))
        return RC_OK;
    enum rc rc = settings_log_batch_begin();
    if (rc != RC_OK)
        return rc;
    rc = settings_log_batch_delete(key);
    if (rc != RC_OK) {
        settings_log_batch_abort();
        return rc;
    }
    return settings_log_batch_end();
}
