/* Reads stored bytes by offset: how pure code looks into flash, a file or memory without knowing which. */
#ifndef HAL_BASE_READER_H
#define HAL_BASE_READER_H

#include "hal/base/rc.h"
#include "hal/base/span.h"

struct reader {
    /* Exactly len bytes from offset. RC_INVALID outside 0..size_bytes, RC_IO. Does not yield. */
    enum rc (*read)(void *ctx, uint64_t offset, void *out, size_t len);
    void *ctx;
    uint64_t size_bytes;
};

/* Bounds-checked read; *r unchanged. */
enum rc reader_get(const struct reader *r, uint64_t offset, void *out, size_t len) MUST_CHECK;
/* A part of another reader, which must outlive it. RC_INVALID when the part does not lie within. */
struct reader_part {
    const struct reader *whole;
    uint64_t from;
};
enum rc reader_part_init(struct reader *out, struct reader_part *part, const struct reader *whole, uint64_t from,
                         uint64_t size_bytes) MUST_CHECK;
/* A reader on memory; *bytes must outlive it. */
struct reader reader_on_span(const struct span *bytes);

#endif
