/* hal/ethernet.h on a virtio network device (virtio 1.1, section 5.1): one receive and one transmit queue, each descriptor
 * bound for ever to the buffer of its number, no offloads. */
#include <string.h>

#include "boards/drivers/irq.h"
#include "boards/drivers/virtio_mmio.h"
#include "hal/ethernet.h"

#define F_MAC (1ull << 5)
#define F_STATUS (1ull << 16)
#define CONFIG_MAC 0
#define CONFIG_STATUS 6
#define STATUS_LINK_UP 1
#define QUEUE_RX 0
#define QUEUE_TX 1
#define TX_FRAMES 16u   /* in flight: what a slow host may hold of ours */
#define HEADER_BYTES 12 /* struct virtio_net_hdr with num_buffers */
#define BUFFER_BYTES 1536
_Static_assert(BUFFER_BYTES >= HEADER_BYTES + ETHERNET_FRAME_MAX, "a frame must fit a buffer");

static struct virtio_device dev;
static uint64_t features;
static struct virtq rx, tx;
static uint8_t rx_buffer[VIRTQ_SIZE][BUFFER_BYTES] __attribute__((aligned(4)));
static uint8_t tx_buffer[TX_FRAMES][BUFFER_BYTES] __attribute__((aligned(4)));
static uint16_t tx_free[TX_FRAMES];
static unsigned tx_free_count;

static void quiet(void)
{
    virtio_ack(&dev);
}

static void fill_queues(void)
{
    for (uint16_t i = 0; i < VIRTQ_SIZE; i++) {
        rx.desc[i] = (struct virtq_desc){ .addr = (uintptr_t)rx_buffer[i], .len = BUFFER_BYTES, .flags = VIRTQ_WRITE };
        virtq_offer(&rx, i);
    }
    for (uint16_t i = 0; i < TX_FRAMES; i++) {
        tx.desc[i] = (struct virtq_desc){ .addr = (uintptr_t)tx_buffer[i] };
        tx_free[i] = i;
    }
    tx_free_count = TX_FRAMES;
}

enum rc ethernet_init(void)
{
    enum rc rc = virtio_find(VIRTIO_ID_NET, &dev);
    if (rc == RC_OK)
        rc = virtio_negotiate(&dev, VIRTIO_F_VERSION_1 | F_MAC | F_STATUS, &features);
    if (rc == RC_OK && (features & (VIRTIO_F_VERSION_1 | F_MAC)) != (VIRTIO_F_VERSION_1 | F_MAC))
        rc = RC_UNSUPPORTED;
    if (rc == RC_OK)
        rc = virtio_queue_init(&dev, &rx, QUEUE_RX, false);
    if (rc == RC_OK)
        rc = virtio_queue_init(&dev, &tx, QUEUE_TX, true);
    if (rc == RC_OK)
        rc = irq_enable(dev.irq, quiet);
    if (rc != RC_OK)
        return rc == RC_NOT_FOUND ? RC_NOT_FOUND : RC_IO;
    fill_queues();
    virtio_start(&dev);
    virtq_notify(&rx);
    return RC_OK;
}

void ethernet_mac(uint8_t mac[6])
{
    for (unsigned i = 0; i < 6; i++)
        mac[i] = virtio_config8(&dev, CONFIG_MAC + i);
}

bool ethernet_link_up(void)
{
    return !(features & F_STATUS) || (virtio_config8(&dev, CONFIG_STATUS) & STATUS_LINK_UP);
}

enum rc ethernet_send(const struct span *pieces, size_t count)
{
    uint16_t id;
    uint32_t unused;
    while (tx_free_count < TX_FRAMES && virtq_take(&tx, &id, &unused))
        tx_free[tx_free_count++] = id % TX_FRAMES;
    if (tx_free_count == 0)
        return RC_BUSY;
    id = tx_free[tx_free_count - 1];
    size_t len = HEADER_BYTES;
    memset(tx_buffer[id], 0, HEADER_BYTES);
    for (size_t i = 0; i < count; i++) {
        if (pieces[i].len > HEADER_BYTES + ETHERNET_FRAME_MAX - len)
            return RC_INVALID;
        memcpy(tx_buffer[id] + len, pieces[i].p, pieces[i].len);
        len += pieces[i].len;
    }
    tx.desc[id].len = (uint32_t)len;
    tx_free_count--;
    virtq_offer(&tx, id);
    virtq_notify(&tx);
    return RC_OK;
}

size_t ethernet_receive(void *out, size_t cap)
{
    uint16_t id;
    uint32_t len;
    size_t got = 0;
    while (got == 0 && virtq_take(&rx, &id, &len)) {
        if (len > HEADER_BYTES && len <= BUFFER_BYTES && len - HEADER_BYTES <= cap) {
            got = len - HEADER_BYTES;
            if (out != NULL)
                memcpy(out, rx_buffer[id] + HEADER_BYTES, got);
        }
        virtq_offer(&rx, id);
        virtq_notify(&rx);
    }
    return got;
}
