/* Small durable records by key: settings, keys and certificates, clock floor, counters. A log in two flash halves with CRC and sequence
 * numbers and compaction; FORMAT: firmware/SETTINGS_LOG.md. After a power cut each key has its old or its new value, never neither; a
 * batch is all or nothing. A flipped bit costs the one record that it is in. What is replaced or deleted is programmed to zeros at once.
 *
 * Keys: 1..SETTINGS_LOG_KEY_MAX printable characters without blanks; values: any bytes, 0..SETTINGS_LOG_VALUE_MAX (a certificate chain in
 * PEM, a keyring: in one piece each). The index in RAM holds up to SETTINGS_LOG_KEYS_MAX keys (hash and place); values are read from
 * flash. All keys and values together, 20 bytes more for each and rounded up to 32, fit in a half (64 KiB on the smallest board) less
 * 320 bytes; a batch needs room for its new values beside the old ones. */
#ifndef FIRMWARE_SETTINGS_LOG_H
#define FIRMWARE_SETTINGS_LOG_H

#include "hal/base/span.h"
#include "hal/flash.h"

#define SETTINGS_LOG_KEY_MAX 95
#define SETTINGS_LOG_VALUE_MAX 8192
#define SETTINGS_LOG_KEYS_MAX 512

/* At boot: finds the newest whole half, ends interrupted compactions. An erased area becomes an empty log. RC_CORRUPT: both halves
 * unreadable, the log is empty and usable, alert the operator. RC_UNSUPPORTED: of another version, RC_INVALID: too large: nothing is
 * touched, there are no keys, and writing gives the same code. RC_IO: the same, but what could be read is there. May yield. */
enum rc settings_log_open(uint64_t addr, uint64_t size_bytes) MUST_CHECK;

/* RC_OK with *len; RC_NOT_FOUND; RC_TOO_LONG (cap too small; *len says what is needed); RC_CORRUPT, RC_IO: it
 * cannot be read, or not all could be at boot and it may be there. */
enum rc settings_log_get(struct span key, void *out, size_t cap, size_t *len) MUST_CHECK;
/* Durable when it returns RC_OK. RC_FULL, RC_INVALID, RC_IO or what open gave: nothing changed. Yields. */
enum rc settings_log_put(struct span key, struct span value) MUST_CHECK;
enum rc settings_log_delete(struct span key) MUST_CHECK; /* RC_OK also when there is none; RC_IO when that cannot be read */

/* A batch: begin, any number of put/delete_in, then end, which makes all of it durable at once, or abort. One batch at a time (others
 * wait in begin). Values may be given before end and are written as they come. Yields. */
enum rc settings_log_batch_begin(void) MUST_CHECK;
enum rc settings_log_batch_put(struct span key, struct span value) MUST_CHECK;
enum rc settings_log_batch_delete(struct span key) MUST_CHECK;
enum rc settings_log_batch_end(void) MUST_CHECK;
void settings_log_batch_abort(void);

/* Drops every key that does not begin with prefix, and erases what they held: all or nothing. RC_IO. Yields. */
enum rc settings_log_forget_others(struct span prefix) MUST_CHECK;

/* Calls fn for every key with the given prefix, in no order; fn must not change the log. */
void settings_log_each(struct span prefix, void (*fn)(void *ctx, struct span key, size_t value_len), void *ctx);

struct settings_log_info {
    unsigned keys;
    uint64_t used_bytes, size_bytes;
    uint32_t compactions;
    bool recovered;
    unsigned damaged; /* records that bit rot has taken since the last boot, each with its key's value; alert the operator */
};
void settings_log_info(struct settings_log_info *out);

#endif
