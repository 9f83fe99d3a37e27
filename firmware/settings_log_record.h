/* Records of the settings log: their bytes, without index or policy. SETTINGS_LOG.md gives the layout. */
#ifndef FIRMWARE_SETTINGS_LOG_RECORD_H
#define FIRMWARE_SETTINGS_LOG_RECORD_H

#include "hal/base/span.h"
#include "hal/flash.h"

#define RECORD_ALIGN 32 /* the largest program unit that a board may have */
#define RECORD_HEADER_BYTES 20
#define RECORD_MAGIC 0x5a
#define REPLACED_LONG UINT8_MAX
#define HALF_HEADER_BYTES (2 * RECORD_ALIGN) /* the header and its copy */

enum record_type {
    RECORD_PUT = 1,     /* part of a batch: holds once the batch's END is there */
    RECORD_DELETE = 2,  /* likewise */
    RECORD_END = 3,     /* ends a batch; its value is the number of records, 4 bytes */
    RECORD_SETTLED = 4, /* a PUT copied by compaction: holds by itself */
};

struct record {
    enum record_type type;
    uint8_t key_len;
    uint16_t value_len;
    uint16_t replaces;      /* place of the key's older record in the half, in units of RECORD_ALIGN; 0 none */
    uint8_t replaced_units; /* its length; REPLACED_LONG: up to the next record */
    uint32_t batch;
    uint32_t payload_crc;
};

struct half_header {
    uint32_t sequence;
    uint32_t salt; /* seeds the CRC of each record header of the half: no value can hold what looks like a record */
};

/* Bytes that a record takes on flash, padding included. */
uint32_t record_bytes(size_t key_len, size_t value_len);
/* RC_OK; RC_NOT_FOUND: the unit is erased; RC_EXPIRED: it is zeros; RC_CORRUPT: the header does not check; RC_IO. */
enum rc record_read_header(uint64_t addr, uint32_t salt, struct record *out) MUST_CHECK;
/* Whether key and value give the header's CRC. RC_CORRUPT, RC_IO. */
enum rc record_check_payload(uint64_t addr, const struct record *r) MUST_CHECK;
enum rc record_read_key(uint64_t addr, const struct record *r, char *key) MUST_CHECK; /* key: r->key_len bytes */
enum rc record_read_value(uint64_t addr, const struct record *r, void *out) MUST_CHECK;
bool record_has_key(uint64_t addr, const struct record *r, struct span key);
/* Programs a whole record: *r with its lengths and CRC set from key and value. Yields. */
enum rc record_write(uint64_t addr, uint32_t salt, const struct record *r, struct span key, struct span value) MUST_CHECK;
/* Copies a record's payload from flash to flash behind the header r. Yields. */
enum rc record_copy(uint64_t to, uint32_t to_salt, uint64_t from, const struct record *r) MUST_CHECK;
/* Programs zeros over whole units that are not zeros yet. Yields. */
enum rc record_zero(uint64_t addr, uint32_t bytes) MUST_CHECK;

/* The header of a half, from either copy. RC_NOT_FOUND: erased or not whole; RC_UNSUPPORTED: of another version; RC_IO. */
enum rc half_header_read(uint64_t addr, struct half_header *out) MUST_CHECK;
enum rc half_header_write(uint64_t addr, const struct half_header *h) MUST_CHECK; /* Yields. */
/* True if every byte is 0xff. */
bool flash_is_blank(uint64_t addr, uint64_t bytes);

#endif
