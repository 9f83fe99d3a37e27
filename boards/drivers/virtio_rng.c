/* hal/entropy.h on a virtio entropy device (virtio 1.1, section 5.4): one buffer, waited for. */
#include <string.h>

#include "boards/drivers/virtio_mmio.h"
#include "boards/drivers/virtio_rng.h"
#include "hal/clock.h"
#include "hal/entropy.h"

#define BUFFER_BYTES 64
#define STALL_MS 1000 /* a source that gives nothing for so long has failed */

static struct virtio_device dev;
static struct virtq queue;
static uint8_t buffer[BUFFER_BYTES];
static bool usable, asked; /* asked: the device still owns the buffer, perhaps since a call that gave up */

enum rc virtio_rng_init(void)
{
    uint64_t features;
    enum rc rc = virtio_find(VIRTIO_ID_RNG, &dev);
    if (rc == RC_OK)
        rc = virtio_negotiate(&dev, VIRTIO_F_VERSION_1, &features);
    if (rc == RC_OK)
        rc = virtio_queue_init(&dev, &queue, 0, true);
    if (rc != RC_OK)
        return rc;
    queue.desc[0] = (struct virtq_desc){ .addr = (uintptr_t)buffer, .len = BUFFER_BYTES, .flags = VIRTQ_WRITE };
    virtio_start(&dev);
    usable = true;
    return RC_OK;
}

/* Waits for the device to fill some of the buffer: how many bytes, 0 when it stalled. */
static size_t refill(void)
{
    uint16_t id;
    uint32_t len;
    if (!asked) {
        virtq_offer(&queue, 0);
        virtq_notify(&queue);
        asked = true;
    }
    for (struct deadline d = deadline_in_ms(STALL_MS); !virtq_take(&queue, &id, &len);)
        if (deadline_passed(d))
            return 0;
    asked = false;
    return len <= BUFFER_BYTES ? len : 0;
}

enum rc entropy_read(void *out, size_t len)
{
    uint8_t *p = out;
    memset(out, 0, len);
    if (!usable)
        return RC_UNSUPPORTED;
    for (size_t done = 0; done < len;) {
        size_t got = refill();
        if (got == 0) {
            memset(out, 0, len);
            return RC_IO;
        }
        if (got > len - done)
            got = len - done;
        memcpy(p + done, buffer, got);
        memset(buffer, 0, sizeof buffer);
        done += got;
    }
    return RC_OK;
}
