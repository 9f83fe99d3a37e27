/* The log over its records: index, batches, compaction. Recovery: settings_log_open.c.
 * Invariants: the active half has a valid header; `end` is where the next record goes, and all behind it is erased unless `dirty_tail`; the
 * index names the newest committed record of each key. Writers hold `busy`; readers never wait.
 * Every batch is ended before a record of the next one is written: what an unended one has left is compacted away first. So records
 * without an END, and bytes that are no record, with a later END behind them are never a cut's work: something has rotted. */
#include "firmware/settings_log.h"

#include "firmware/settings_log_store.h"
#include "hal/base/bytes.h"
#include "hal/base/crc32.h"
#include "hal/base/log.h"
#include "hal/random.h"

#define DELETE_RESERVE_BYTES 256 /* a put leaves room for its ENDs, a delete and that one's, so that a full log can be emptied */

struct settings_store store;

enum rc store_read_at(uint32_t at, struct record *r)
{
    enum rc rc = record_read_header(addr_of(at), store.header.salt, r);
    return rc == RC_OK && record_bytes(r->key_len, r->value_len) > store.half_bytes - at ? RC_CORRUPT : rc;
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
        if (store.index[i].hash == hash && store_read_at(store.index[i].at, &r) == RC_OK &&
            record_has_key(addr_of(store.index[i].at), &r, key))
            return &store.index[i];
    return NULL;
}

enum rc store_index_record(uint32_t at, const struct record *r)
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

/* --- what is replaced --- */

/* True if the index leads to something in [from, to). */
static bool is_live(uint32_t from, uint32_t to)
{
    for (unsigned i = 0; i < store.keys; i++)
        if (store.index[i].at >= from && store.index[i].at < to)
            return true;
    return false;
}

uint32_t store_next_record(uint32_t at)
{
    struct record r;
    do
        at += RECORD_ALIGN;
    while (at < store.end && store_read_at(at, &r) != RC_OK);
    return at;
}

/* Fills in what r replaces: the record at `at`, 0 none, which will be at `to`. */
static void set_replaced(struct record *r, uint32_t at, uint32_t to)
{
    struct record old;
    r->replaces = (uint16_t)(to / RECORD_ALIGN);
    r->replaced_units = 0;
    if (at == 0 || store_read_at(at, &old) != RC_OK)
        return;
    uint32_t units = record_bytes(old.key_len, old.value_len) / RECORD_ALIGN;
    r->replaced_units = (uint8_t)(units < REPLACED_LONG ? units : REPLACED_LONG);
}

bool store_replaced_range(const struct record *r, uint32_t *from, uint32_t *to)
{
    *from = (uint32_t)r->replaces * RECORD_ALIGN;
    if (*from < HALF_HEADER_BYTES || *from >= store.end)
        return false;
    *to = r->replaced_units == REPLACED_LONG ? store_next_record(*from) : *from + (uint32_t)r->replaced_units * RECORD_ALIGN;
    return *to <= store.end && !is_live(*from, *to);
}

void store_zero_replaced(const struct record *r)
{
    uint32_t from, to;
    if (store_replaced_range(r, &from, &to) && record_zero(addr_of(from), to - from) != RC_OK)
        log_event_at(LOG_WARN, LOG_SETTINGS, "zero-failed", "at=%u", (unsigned)from);
}

void store_commit_pending(void)
{
    struct record r;
    for (unsigned i = 0; i < store.pending; i++)
        if (store_read_at(store.pending_at[i], &r) != RC_OK || store_index_record(store.pending_at[i], &r) != RC_OK)
            log_event_at(LOG_ALERT, LOG_SETTINGS, "record-lost", "at=%u", (unsigned)store.pending_at[i]);
}

/* --- reading --- */

/* Of a key that was not found: RC_IO if what may be its record cannot be read now, RC_NOT_FOUND if there is none. Who hears that there is none
 * may make a new value. */
static enum rc missing(struct span key)
{
    if (store.closed == RC_IO)
        return RC_IO;
    uint32_t hash = hash_of(key);
    char stored[UINT8_MAX];
    struct record r;
    for (unsigned i = 0; i < store.keys; i++) {
        if (store.index[i].hash != hash)
            continue;
        enum rc rc = store_read_at(store.index[i].at, &r);
        if (rc == RC_IO || (rc == RC_OK && record_read_key(addr_of(store.index[i].at), &r, stored) == RC_IO))
            return RC_IO;
    }
    return RC_NOT_FOUND;
}

enum rc settings_log_get(struct span key, void *out, size_t cap, size_t *len)
{
    struct record r;
    const struct index_entry *e = find(key);
    *len = 0;
    if (!e)
        return missing(key);
    enum rc rc = store_read_at(e->at, &r);
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
        if (record_read_header(addr, store.header.salt, &r) != RC_OK || record_read_key(addr, &r, key) != RC_OK)
            continue;
        struct span name = span_bytes(key, r.key_len);
        if (span_eq(span_sub(name, 0, prefix.len), prefix))
            fn(ctx, name, r.value_len);
    }
}

void settings_log_info(struct settings_log_info *out)
{
    *out = (struct settings_log_info){ .keys = store.keys,
                                       .used_bytes = store.end,
                                       .size_bytes = store.half_bytes,
                                       .compactions = store.compactions,
                                       .recovered = store.recovered,
                                       .damaged = store.damaged };
}

/* --- compaction --- */

enum rc store_erase_half(unsigned half)
{
    uint32_t block = flash_geometry()->erase_block_bytes;
    enum rc rc = RC_OK;
    for (uint64_t at = 0; rc == RC_OK && at < store.half_bytes; at += block)
        if (!flash_is_blank(half_addr(half) + at, block))
            rc = flash_erase(half_addr(half) + at);
    return rc;
}

static uint32_t moved[SETTINGS_LOG_KEYS_MAX], moved_pending[BATCH_RECORDS_MAX]; /* places in the other half */

/* Copies one record behind *end of the other half. */
static enum rc carry(uint32_t *at, uint32_t *end, const struct record *as, uint32_t salt)
{
    enum rc rc = record_copy(half_addr(!store.active) + *end, salt, addr_of(*at), as);
    *at = *end;
    *end += record_bytes(as->key_len, as->value_len);
    return rc;
}

static enum rc carry_settled(unsigned i, uint32_t *end, uint32_t salt)
{
    struct record r;
    enum rc rc = store_read_at(store.index[i].at, &r);
    if (rc != RC_OK)
        return rc == RC_IO ? RC_IO : RC_CORRUPT;
    r.type = RECORD_SETTLED;
    set_replaced(&r, 0, 0);
    moved[i] = store.index[i].at;
    return carry(&moved[i], end, &r, salt);
}

static enum rc carry_pending(unsigned i, uint32_t *end, uint32_t salt)
{
    char memory[UINT8_MAX];
    struct record r;
    enum rc rc = store_read_at(store.pending_at[i], &r);
    if (rc == RC_OK)
        rc = record_read_key(addr_of(store.pending_at[i]), &r, memory);
    if (rc != RC_OK)
        return rc == RC_IO ? RC_IO : RC_CORRUPT;
    const struct index_entry *e = find(span_bytes(memory, r.key_len));
    set_replaced(&r, e == NULL ? 0 : e->at, e == NULL ? 0 : moved[e - store.index]);
    moved_pending[i] = store.pending_at[i];
    return carry(&moved_pending[i], end, &r, salt);
}

/* Moves what is alive, and the open batch, to the other half. Everything is durable there before its header makes it the active one. */
static enum rc compact(void)
{
    const struct half_header header = { store.header.sequence + 1, random_u32() };
    uint32_t end = HALF_HEADER_BYTES;
    enum rc rc = store_erase_half(!store.active);
    if (rc == RC_OK)
        rc = flash_sync();
    for (unsigned i = 0; rc == RC_OK && i < store.keys; i++)
        rc = carry_settled(i, &end, header.salt);
    for (unsigned i = 0; rc == RC_OK && i < store.pending; i++)
        rc = carry_pending(i, &end, header.salt);
    if (rc == RC_OK)
        rc = flash_sync();
    if (rc == RC_OK)
        rc = half_header_write(half_addr(!store.active), &header);
    if (rc == RC_OK)
        rc = flash_sync();
    if (rc != RC_OK)
        return rc;
    for (unsigned i = 0; i < store.keys; i++)
        store.index[i].at = moved[i];
    memcpy(store.pending_at, moved_pending, store.pending * sizeof moved_pending[0]);
    store.active = !store.active;
    store.header = header;
    store.end = end;
    store.dirty_tail = false;
    store.compactions++;
    log_event(LOG_SETTINGS, "compacted", "keys=%u bytes=%u", store.keys, (unsigned)end);
    return store_erase_half(!store.active);
}

/* --- writing --- */

/* The open batch's record of the key, which gives way to a newer one: it is taken off the list. 0: there is none. */
static uint32_t take_pending(struct span key, struct record *old)
{
    for (unsigned i = 0; i < store.pending; i++) {
        uint32_t at = store.pending_at[i];
        if (store_read_at(at, old) != RC_OK || !record_has_key(addr_of(at), old, key))
            continue;
        memmove(&store.pending_at[i], &store.pending_at[i + 1], (--store.pending - i) * sizeof store.pending_at[0]);
        return at;
    }
    return 0;
}

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
    struct record r = { .type = type, .batch = store.batch }, twin;
    const struct index_entry *old = type == RECORD_END ? NULL : find(key);
    if (type != RECORD_END && old == NULL && missing(key) == RC_IO)
        return RC_IO; /* were it given a second record, the first would be found again when it can be read */
    uint32_t twin_at = type == RECORD_END ? 0 : take_pending(key, &twin);
    set_replaced(&r, old == NULL ? 0 : old->at, old == NULL ? 0 : old->at);
    *at = store.end;
    rc = record_write(addr_of(store.end), store.header.salt, &r, key, value);
    store.end += bytes;
    if (rc == RC_OK && twin_at != 0)
        rc = record_zero(addr_of(twin_at),
                         record_bytes(twin.key_len, twin.value_len)); /* durable before the END, as all of the batch */
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
    if (store.closed != RC_OK)
        return store.closed;
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
    if (!store.busy)
        return;
    store.dirty_tail = store.dirty_tail || store.pending > 0;
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
        if (record_read_header(addr, store.header.salt, &r) != RC_OK || record_read_key(addr, &r, memory) != RC_OK)
            return false;
        fresh += r.type == RECORD_PUT && !find(span_bytes(memory, r.key_len));
    }
    return store.keys + fresh <= SETTINGS_LOG_KEYS_MAX;
}

/* Twice, so that one flipped bit cannot undo a batch. The second is for the worst case alone: without it the batch holds too. */
static enum rc append_end(void)
{
    uint8_t count[4];
    uint32_t at;
    put_le32(count, store.pending);
    enum rc rc = append(RECORD_END, SPAN(""), span_bytes(count, sizeof count), &at);
    if (rc == RC_OK && RECORD_ALIGN <= store.half_bytes - store.end &&
        append(RECORD_END, SPAN(""), span_bytes(count, sizeof count), &at) != RC_OK)
        log_event_at(LOG_WARN, LOG_SETTINGS, "end-not-doubled", "at=%u", (unsigned)at);
    return rc;
}

static void zero_old(void)
{
    struct record r;
    for (unsigned i = 0; i < store.pending; i++)
        if (store_read_at(store.pending_at[i], &r) == RC_OK && r.replaces != 0)
            store_zero_replaced(&r);
}

enum rc settings_log_batch_end(void)
{
    enum rc rc = store.batch_failed ? RC_INVALID : !keys_fit() ? RC_FULL : RC_OK;
    if (rc == RC_OK && store.pending) {
        rc = flash_sync(); /* the END must never be there without its records */
        if (rc == RC_OK)
            rc = append_end();
        if (rc == RC_OK)
            rc = flash_sync();
    }
    if (rc == RC_OK) {
        store_commit_pending();
        zero_old();
    }
    store.dirty_tail = store.dirty_tail || (rc != RC_OK && store.pending > 0);
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
        return missing(key) == RC_IO ? RC_IO : RC_OK;
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

/* The index forgets, and compaction carries over what it still knows; a cut before its header leaves all as it was. */
enum rc settings_log_forget_others(struct span prefix)
{
    char memory[UINT8_MAX];
    struct record r;
    enum rc rc = settings_log_batch_begin();
    if (rc != RC_OK)
        return rc;
    for (unsigned i = store.keys; i-- > 0;) {
        uint64_t addr = addr_of(store.index[i].at);
        rc = record_read_header(addr, store.header.salt, &r);
        if (rc == RC_OK)
            rc = record_read_key(addr, &r, memory);
        if (rc == RC_IO) /* it may be one that stays: compaction finds that it cannot be carried, and ends this */
            continue;
        if (rc != RC_OK || !span_eq(span_sub(span_bytes(memory, r.key_len), 0, prefix.len), prefix))
            store.index[i] = store.index[--store.keys];
    }
    uint32_t sequence = store.header.sequence;
    rc = compact();
    if (rc == RC_OK)
        rc = flash_sync();
    if (store.header.sequence == sequence)
        store_scan(); /* what was there before still is */
    let_go();
    return rc;
}
