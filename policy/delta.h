/* A patch that makes one image from another (section IMAGE_PATCH; policy/IMAGE.md gives the bytes): applied as it streams in, with the base
 * read where it lies, and what comes out streamed to a sink. Nothing here decides whether the result is to be trusted: its own manifest and
 * signatures do. Pure: no heap, no clock; hostile patches give RC_CORRUPT, and never more bytes than their header says. */
#ifndef POLICY_DELTA_H
#define POLICY_DELTA_H

#include "hal/base/reader.h"

/* Sizes of the format (IMAGE.md), shared with what writes it. */
#define DELTA_FORMAT 2
#define DELTA_HEADER_BYTES 80
#define DELTA_COPY_BYTES 256 /* at once, in RAM; a multiple of DELTA_SUM_STEP */
#define DELTA_SUM_STEP 8     /* bytes from one number that is added to until the next */
#define DELTA_KIND_BITS 2    /* of an operation's first number */
enum delta_kind { DELTA_BYTES, DELTA_COPY, DELTA_COPY_AND_ADD, DELTA_ZEROS };

struct delta_header {
    uint8_t base[32], target[32]; /* SHA-256 of each manifest: image_manifest_hash */
    uint64_t target_bytes;
};

/* Where it goes. Any answer but RC_OK ends the patch and is given back by delta_push. Both may yield. */
struct delta_sink {
    enum rc (*header)(void *ctx, const struct delta_header *h); /* once, before any byte */
    enum rc (*put)(void *ctx, struct span bytes);               /* the target's bytes in order */
    void *ctx;
};

struct delta {
    const struct reader *base; /* must outlive the delta */
    struct delta_sink sink;
    struct delta_header header;
    enum rc ended; /* RC_OK while all is well */
    enum { DELTA_IN_HEADER, DELTA_IN_LENGTH, DELTA_IN_BYTES, DELTA_IN_PLACE, DELTA_IN_SUM } state;
    uint64_t made;      /* bytes given to the sink */
    uint64_t copied_to; /* where the last copy ended in the base; of one under way, where it goes on */
    uint32_t number, left;
    uint32_t sum; /* that is added now */
    uint8_t kind, bits, pending_len;
    uint8_t pending[DELTA_HEADER_BYTES], copy[DELTA_COPY_BYTES];
};

void delta_init(struct delta *d, const struct reader *base, const struct delta_sink *sink);
/* The next bytes of the patch. RC_CORRUPT: it breaks a rule, or goes on behind its end; what the sink or the base's reader says. After an
 * error, always the same. Yields if the sink does. */
enum rc delta_push(struct delta *d, struct span bytes) MUST_CHECK;
/* All of the target has been given. */
bool delta_complete(const struct delta *d);

#endif
