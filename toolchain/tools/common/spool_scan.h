/* What can be read of a spool on a dead box's flash (firmware/SPOOL.md): all records of all segments, without a boot and without changing a byte.
 * More tolerant than a boot: what does not check is kept and marked, as a person may still make something of it. */
#ifndef TOOLS_SPOOL_SCAN_H
#define TOOLS_SPOOL_SCAN_H

#include "firmware/spool_format.h"

struct scan_record {
    struct record_header h;
    struct span payload; /* a view into the flash, its CRC included */
    bool sound;          /* its CRC is right */
};

struct spool_scan {
    struct scan_record *records; /* by message, type, index, serial; of the same the sound ones first, then the longest */
    size_t count, cap;
    unsigned segments;   /* in use */
    uint64_t lost_bytes; /* in them, that are no record although one followed */
    uint32_t segment_bytes;
};

/* flash: the whole device; it outlives *s. Finds the spool by its segments, whatever the board. RC_NOT_FOUND: there is none. */
enum rc spool_scan(struct spool_scan *s, struct span flash) MUST_CHECK;
void spool_scan_free(struct spool_scan *s);

#endif
