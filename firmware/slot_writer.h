/* Writes an image into an area of flash as its bytes come: erases ahead, programs whole chunks, and holds the image's first bytes back until
 * all else is durable, so that a slot begins with ones until it is whole. Knows nothing of what an image is. */
#ifndef FIRMWARE_SLOT_WRITER_H
#define FIRMWARE_SLOT_WRITER_H

#include "firmware/flash_map.h"
#include "hal/base/span.h"
#include "policy/image.h"

#define SLOT_UNIT_BYTES 32 /* a multiple of every board's program unit */
#define SLOT_CHUNK_BYTES 512
/* Room for any manifest with its signatures, and for a whole keyring image, which needs no slot. */
#define SLOT_HEAD_MAX 1792
_Static_assert(SLOT_HEAD_MAX % SLOT_UNIT_BYTES == 0 &&
                   SLOT_HEAD_MAX >= IMAGE_MANIFEST_BYTES + IMAGE_SECTIONS_MAX * IMAGE_SECTION_BYTES + IMAGE_SIGNATURE_ROOM_MAX,
               "a manifest must fit");

struct slot_writer {
    struct flash_area area;
    uint64_t erased_bytes; /* from the area's start, in whole blocks */
    uint64_t at;           /* bytes of the image taken; what lies between programmed and at is in chunk */
    uint32_t head_len, chunk_len;
    uint8_t head[SLOT_HEAD_MAX], chunk[SLOT_CHUNK_BYTES];
};

/* Touches no flash. */
void slot_writer_init(struct slot_writer *w, const struct flash_area *area);
/* Erases what is needed for size_bytes and is not erased yet; the first block at once durably. RC_TOO_LONG: over the area. RC_IO,
 * RC_INVALID: the flash's word. Yields. */
enum rc slot_writer_erase(struct slot_writer *w, uint64_t size_bytes) MUST_CHECK;
/* The image's first head_len bytes lie in w->head and are not programmed now; at is then behind them. A multiple of SLOT_UNIT_BYTES up to
 * SLOT_HEAD_MAX, or all of the image; at least IMAGE_MANIFEST_BYTES. */
void slot_writer_hold_head(struct slot_writer *w, uint32_t head_len);
/* The next bytes after the head. Yields. As slot_writer_erase. */
enum rc slot_writer_put(struct slot_writer *w, struct span bytes) MUST_CHECK;
/* All but the head is programmed, not yet durable. Yields. */
enum rc slot_writer_flush(struct slot_writer *w) MUST_CHECK;
/* Programs the head; all is durable then. Yields. */
enum rc slot_writer_finish(struct slot_writer *w) MUST_CHECK;

#endif
