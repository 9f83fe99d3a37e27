/* Order is what makes it safe: first block erased; synced; the rest erased and programmed, and the head but for its first bytes; synced;
 * these bytes; synced. */
#include "firmware/slot_writer.h"

#include <string.h>

#define FIRST_BYTES IMAGE_MANIFEST_BYTES /* ones there mean that the slot is empty */

void slot_writer_init(struct slot_writer *w, const struct flash_area *area)
{
    memset(w, 0, sizeof *w);
    w->area = *area;
}

enum rc slot_writer_erase(struct slot_writer *w, uint64_t size_bytes)
{
    if (size_bytes > w->area.size_bytes)
        return RC_TOO_LONG;
    enum rc rc = RC_OK;
    while (rc == RC_OK && w->erased_bytes < size_bytes) {
        rc = flash_erase(w->area.addr + w->erased_bytes);
        if (rc == RC_OK && w->erased_bytes == 0)
            rc = flash_sync(); /* from here on, nothing that stood here before can look whole */
        if (rc == RC_OK)
            w->erased_bytes += flash_geometry()->erase_block_bytes;
    }
    return rc;
}

void slot_writer_hold_head(struct slot_writer *w, uint32_t head_len)
{
    w->head_len = head_len;
    w->at = head_len;
}

/* The chunk, filled up to a whole unit with ones, to where it belongs. */
static enum rc program_chunk(struct slot_writer *w)
{
    if (w->chunk_len == 0)
        return RC_OK;
    uint32_t len = (w->chunk_len + SLOT_UNIT_BYTES - 1) / SLOT_UNIT_BYTES * SLOT_UNIT_BYTES;
    uint64_t from = w->at - w->chunk_len;
    memset(w->chunk + w->chunk_len, 0xff, len - w->chunk_len);
    enum rc rc = slot_writer_erase(w, from + len);
    if (rc == RC_OK)
        rc = flash_program(w->area.addr + from, w->chunk, len);
    w->chunk_len = 0;
    return rc;
}

enum rc slot_writer_put(struct slot_writer *w, struct span bytes)
{
    enum rc rc = RC_OK;
    while (rc == RC_OK && bytes.len > 0) {
        size_t n = SLOT_CHUNK_BYTES - w->chunk_len;
        if (n > bytes.len)
            n = bytes.len;
        memcpy(w->chunk + w->chunk_len, bytes.p, n);
        w->chunk_len += (uint32_t)n;
        w->at += n;
        bytes = span_from(bytes, n);
        if (w->chunk_len == SLOT_CHUNK_BYTES)
            rc = program_chunk(w);
    }
    return rc;
}

enum rc slot_writer_flush(struct slot_writer *w)
{
    return program_chunk(w);
}

/* The manifest's first bytes last of all, which its CRC guards: a slot that begins has all the rest, signatures too. */
enum rc slot_writer_finish(struct slot_writer *w)
{
    uint32_t len = (w->head_len + SLOT_UNIT_BYTES - 1) / SLOT_UNIT_BYTES * SLOT_UNIT_BYTES;
    memset(w->head + w->head_len, 0xff, len - w->head_len);
    enum rc rc = slot_writer_erase(w, len);
    if (rc == RC_OK && len > FIRST_BYTES)
        rc = flash_program(w->area.addr + FIRST_BYTES, w->head + FIRST_BYTES, len - FIRST_BYTES);
    if (rc == RC_OK)
        rc = flash_sync();
    if (rc == RC_OK)
        rc = flash_program(w->area.addr, w->head, FIRST_BYTES);
    return rc == RC_OK ? flash_sync() : rc;
}
