/* What the settings log's files share: its state in RAM. Only firmware/settings_log*.c includes this. */
#ifndef FIRMWARE_SETTINGS_LOG_STORE_H
#define FIRMWARE_SETTINGS_LOG_STORE_H

#include "firmware/settings_log.h"
#include "firmware/settings_log_record.h"

#define BATCH_RECORDS_MAX 256

struct index_entry {
    uint32_t hash;
    uint32_t at; /* offset in the active half */
};

struct settings_store {
    uint64_t base, half_bytes;
    enum rc closed; /* not RC_OK: nothing is written. RC_IO: what is not found may be there */
    unsigned active;
    struct half_header header;
    uint32_t batch, end;
    bool dirty_tail, recovered;
    uint32_t compactions;
    unsigned damaged;
    unsigned keys;
    struct index_entry index[SETTINGS_LOG_KEYS_MAX];
    unsigned pending;
    uint32_t pending_at[BATCH_RECORDS_MAX]; /* records of the open batch, offsets */
    bool batch_failed;
    bool busy;
    struct event freed;
};
extern struct settings_store store;

static inline uint64_t half_addr(unsigned half)
{
    return store.base + half * store.half_bytes;
}

static inline uint64_t addr_of(uint32_t at)
{
    return half_addr(store.active) + at;
}

enum rc store_read_at(uint32_t at, struct record *r) MUST_CHECK; /* as record_read_header; never beyond the half */
/* Makes the record at `at` the newest of its key. */
enum rc store_index_record(uint32_t at, const struct record *r) MUST_CHECK;
void store_commit_pending(void); /* the same for all records of the open batch */
/* The next record that can be read behind `at`, or the end. */
uint32_t store_next_record(uint32_t at);
/* Where the record that r replaces begins and ends, also when little is left of it. False: there is none, or it is still in force. */
bool store_replaced_range(const struct record *r, uint32_t *from, uint32_t *to);
/* Zeros what r replaces: an old secret is gone at once, and no bit rot brings an old value back. Yields. */
void store_zero_replaced(const struct record *r);
void store_scan(void);                              /* reads the active half anew: index, end, what is damaged */
enum rc store_erase_half(unsigned half) MUST_CHECK; /* what is not blank of it. Yields */

#endif
