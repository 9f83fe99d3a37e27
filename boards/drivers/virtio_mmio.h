/* Virtio 1.1 devices on the memory-mapped transport (section 4.2) with split queues (2.6), as a driver sees them. Legacy
 * devices are refused. Queue memory belongs to the caller and must last for ever. */
#ifndef BOARDS_DRIVERS_VIRTIO_MMIO_H
#define BOARDS_DRIVERS_VIRTIO_MMIO_H

#include <stdbool.h>
#include <stdint.h>

#include "hal/base/rc.h"

#define VIRTIO_ID_NET 1
#define VIRTIO_ID_RNG 4
#define VIRTIO_F_VERSION_1 (1ull << 32)

#define VIRTQ_SIZE 32 /* descriptors of a queue: a power of two */
#define VIRTQ_WRITE 2 /* descriptor flag: the device writes */

struct virtq_desc {
    uint64_t addr;
    uint32_t len;
    uint16_t flags, next;
};
struct virtq_used_entry {
    uint32_t id, len;
};

struct virtq {
    struct virtq_desc desc[VIRTQ_SIZE] __attribute__((aligned(16)));
    struct {
        uint16_t flags, idx, ring[VIRTQ_SIZE];
    } avail __attribute__((aligned(4)));
    struct {
        uint16_t flags;
        volatile uint16_t idx;
        struct virtq_used_entry ring[VIRTQ_SIZE];
    } used __attribute__((aligned(4)));
    uint16_t used_seen;
    uint16_t index;
    uintptr_t base;
};

struct virtio_device {
    uintptr_t base;
    unsigned irq;
};

/* Finds the first device of a kind. RC_NOT_FOUND; RC_UNSUPPORTED: it is there, but legacy. */
enum rc virtio_find(uint32_t device_id, struct virtio_device *dev) MUST_CHECK;
/* Resets the device and agrees on those of the wanted features that it has. RC_IO: it refuses. */
enum rc virtio_negotiate(const struct virtio_device *dev, uint64_t wanted, uint64_t *agreed) MUST_CHECK;
/* Gives the device queue number index. quiet: no interrupts when it uses a buffer. RC_UNSUPPORTED: queue absent or short. */
enum rc virtio_queue_init(const struct virtio_device *dev, struct virtq *q, uint16_t index, bool quiet) MUST_CHECK;
void virtio_start(const struct virtio_device *dev);
/* Drops the device's interrupt line. */
void virtio_ack(const struct virtio_device *dev);
uint8_t virtio_config8(const struct virtio_device *dev, unsigned offset);

/* Hands descriptor id to the device; virtq_notify tells it. */
void virtq_offer(struct virtq *q, uint16_t id);
void virtq_notify(struct virtq *q);
/* The next descriptor that the device is done with. False: none. A nonsense id from the device is skipped. */
bool virtq_take(struct virtq *q, uint16_t *id, uint32_t *len);

#endif
