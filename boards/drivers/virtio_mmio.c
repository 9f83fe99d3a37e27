/* Virtio over memory-mapped registers: discovery, set-up, and the two rings of a split queue. */
#include "boards/drivers/virtio_mmio.h"

#include "boards/drivers/mmio.h"
#include "board/board_config.h"

#define REG_MAGIC 0x000
#define REG_VERSION 0x004
#define REG_DEVICE_ID 0x008
#define REG_DEVICE_FEATURES 0x010
#define REG_DEVICE_FEATURES_SEL 0x014
#define REG_DRIVER_FEATURES 0x020
#define REG_DRIVER_FEATURES_SEL 0x024
#define REG_QUEUE_SEL 0x030
#define REG_QUEUE_NUM_MAX 0x034
#define REG_QUEUE_NUM 0x038
#define REG_QUEUE_READY 0x044
#define REG_QUEUE_NOTIFY 0x050
#define REG_INTERRUPT_STATUS 0x060
#define REG_INTERRUPT_ACK 0x064
#define REG_STATUS 0x070
#define REG_QUEUE_DESC 0x080
#define REG_QUEUE_DRIVER 0x090
#define REG_QUEUE_DEVICE 0x0a0
#define REG_CONFIG 0x100

#define MAGIC 0x74726976u
#define VERSION_MODERN 2
#define STATUS_ACKNOWLEDGE 1
#define STATUS_DRIVER 2
#define STATUS_DRIVER_OK 4
#define STATUS_FEATURES_OK 8
#define AVAIL_NO_INTERRUPT 1
#define USED_NO_NOTIFY 1

enum rc virtio_find(uint32_t device_id, struct virtio_device *dev)
{
    for (unsigned slot = 0; slot < VIRTIO_SLOTS; slot++) {
        uintptr_t base = VIRTIO_BASE + slot * VIRTIO_STRIDE;
        if (mmio_read32(base + REG_MAGIC) != MAGIC || mmio_read32(base + REG_DEVICE_ID) != device_id)
            continue;
        dev->base = base;
        dev->irq = IRQ_VIRTIO(slot);
        return mmio_read32(base + REG_VERSION) == VERSION_MODERN ? RC_OK : RC_UNSUPPORTED;
    }
    return RC_NOT_FOUND;
}

static void add_status(const struct virtio_device *dev, uint32_t bits)
{
    mmio_write32(dev->base + REG_STATUS, mmio_read32(dev->base + REG_STATUS) | bits);
}

enum rc virtio_negotiate(const struct virtio_device *dev, uint64_t wanted, uint64_t *agreed)
{
    mmio_write32(dev->base + REG_STATUS, 0);
    add_status(dev, STATUS_ACKNOWLEDGE | STATUS_DRIVER);
    *agreed = 0;
    for (uint32_t half = 0; half < 2; half++) {
        mmio_write32(dev->base + REG_DEVICE_FEATURES_SEL, half);
        uint32_t bits = mmio_read32(dev->base + REG_DEVICE_FEATURES) & (uint32_t)(wanted >> 32 * half);
        mmio_write32(dev->base + REG_DRIVER_FEATURES_SEL, half);
        mmio_write32(dev->base + REG_DRIVER_FEATURES, bits);
        *agreed |= (uint64_t)bits << 32 * half;
    }
    add_status(dev, STATUS_FEATURES_OK);
    return mmio_read32(dev->base + REG_STATUS) & STATUS_FEATURES_OK ? RC_OK : RC_IO;
}

static void write_address(uintptr_t reg, const void *p)
{
    mmio_write32(reg, (uint32_t)(uintptr_t)p);
    mmio_write32(reg + 4, 0);
}

enum rc virtio_queue_init(const struct virtio_device *dev, struct virtq *q, uint16_t index, bool quiet)
{
    mmio_write32(dev->base + REG_QUEUE_SEL, index);
    if (mmio_read32(dev->base + REG_QUEUE_NUM_MAX) < VIRTQ_SIZE)
        return RC_UNSUPPORTED;
    q->base = dev->base;
    q->index = index;
    q->used_seen = 0;
    q->avail.flags = quiet ? AVAIL_NO_INTERRUPT : 0;
    q->avail.idx = 0;
    q->used.idx = 0;
    mmio_write32(dev->base + REG_QUEUE_NUM, VIRTQ_SIZE);
    write_address(dev->base + REG_QUEUE_DESC, q->desc);
    write_address(dev->base + REG_QUEUE_DRIVER, &q->avail);
    write_address(dev->base + REG_QUEUE_DEVICE, &q->used);
    mmio_barrier();
    mmio_write32(dev->base + REG_QUEUE_READY, 1);
    return RC_OK;
}

void virtio_start(const struct virtio_device *dev)
{
    add_status(dev, STATUS_DRIVER_OK);
}

void virtio_ack(const struct virtio_device *dev)
{
    mmio_write32(dev->base + REG_INTERRUPT_ACK, mmio_read32(dev->base + REG_INTERRUPT_STATUS));
}

uint8_t virtio_config8(const struct virtio_device *dev, unsigned offset)
{
    return mmio_read8(dev->base + REG_CONFIG + offset);
}

void virtq_offer(struct virtq *q, uint16_t id)
{
    q->avail.ring[q->avail.idx % VIRTQ_SIZE] = id;
    mmio_barrier();
    q->avail.idx++;
}

void virtq_notify(struct virtq *q)
{
    mmio_barrier();
    if (!(*(volatile uint16_t *)&q->used.flags & USED_NO_NOTIFY))
        mmio_write32(q->base + REG_QUEUE_NOTIFY, q->index);
}

bool virtq_take(struct virtq *q, uint16_t *id, uint32_t *len)
{
    while (q->used_seen != q->used.idx) {
        mmio_barrier();
        struct virtq_used_entry e = q->used.ring[q->used_seen++ % VIRTQ_SIZE];
        if (e.id >= VIRTQ_SIZE)
            continue;
        *id = (uint16_t)e.id;
        *len = e.len;
        return true;
    }
    return false;
}
