/* hal/ethernet.h on SMSC's LAN9118 (data sheet 1.5): frames move word by word through its FIFOs; its interrupt only ends the
 * sleep. Store and forward, full duplex, no offloads. */
#include <string.h>

#include "boards/drivers/irq.h"
#include "boards/drivers/mmio.h"
#include "hal/clock.h"
#include "hal/ethernet.h"
#include "board/board_config.h"

#define RX_DATA_FIFO (ETHERNET_BASE + 0x00)
#define TX_DATA_FIFO (ETHERNET_BASE + 0x20)
#define RX_STATUS_FIFO (ETHERNET_BASE + 0x40)
#define TX_STATUS_FIFO (ETHERNET_BASE + 0x48)
#define ID_REV (ETHERNET_BASE + 0x50)
#define IRQ_CFG (ETHERNET_BASE + 0x54)
#define INT_STS (ETHERNET_BASE + 0x58)
#define INT_EN (ETHERNET_BASE + 0x5c)
#define BYTE_TEST (ETHERNET_BASE + 0x64)
#define FIFO_INT (ETHERNET_BASE + 0x68)
#define RX_CFG (ETHERNET_BASE + 0x6c)
#define TX_CFG (ETHERNET_BASE + 0x70)
#define HW_CFG (ETHERNET_BASE + 0x74)
#define RX_FIFO_INF (ETHERNET_BASE + 0x7c)
#define TX_FIFO_INF (ETHERNET_BASE + 0x80)
#define MAC_CSR_CMD (ETHERNET_BASE + 0xa4)
#define MAC_CSR_DATA (ETHERNET_BASE + 0xa8)
#define E2P_CMD (ETHERNET_BASE + 0xb0)

#define BYTE_TEST_VALUE 0x87654321u
#define CHIP_ID 0x0118u
#define IRQ_CFG_ON_HIGH_PUSH_PULL (1u << 8 | 1u << 4 | 1u << 0)
#define INT_RX_STATUS_LEVEL (1u << 3)
#define TX_CFG_ON (1u << 1)
#define HW_CFG_RESET (1u << 0)
#define HW_CFG_STORE_FORWARD_5K (1u << 20 | 5u << 16) /* 5 KiB of the FIFO for transmission */
#define E2P_BUSY (1u << 31)
#define TX_FIRST_LAST (1u << 13 | 1u << 12)
#define TX_COMMANDS_BYTES 8u
#define RX_STATUS_ERROR (1u << 15)
#define FCS_BYTES 4u

#define MAC_BUSY (1u << 31)
#define MAC_READ (1u << 30)
#define MAC_CR 1u
#define MAC_ADDRH 2u
#define MAC_ADDRL 3u
#define MAC_MII_ACC 6u
#define MAC_MII_DATA 7u
/* Full duplex, all multicast (neighbours and routers of IPv6 speak by it), transmitter, receiver. */
#define MAC_CR_RUN (1u << 20 | 1u << 19 | 1u << 3 | 1u << 2)
#define MII_BUSY 1u
#define MII_PHY_1 (1u << 11)
#define MII_WRITE 2u
#define PHY_CONTROL 0u
#define PHY_STATUS 1u
#define PHY_CONTROL_AUTONEGOTIATE (1u << 12 | 1u << 9)
#define PHY_STATUS_LINK (1u << 2)

#define STALL_MS 100

static bool wait_clear(uintptr_t reg, uint32_t bit)
{
    for (struct deadline d = deadline_in_ms(STALL_MS); mmio_read32(reg) & bit;)
        if (deadline_passed(d))
            return false;
    return true;
}

static uint32_t mac_read(uint32_t reg)
{
    mmio_write32(MAC_CSR_CMD, MAC_BUSY | MAC_READ | reg);
    return wait_clear(MAC_CSR_CMD, MAC_BUSY) ? mmio_read32(MAC_CSR_DATA) : 0;
}

static void mac_write(uint32_t reg, uint32_t value)
{
    mmio_write32(MAC_CSR_DATA, value);
    mmio_write32(MAC_CSR_CMD, MAC_BUSY | reg);
    (void)wait_clear(MAC_CSR_CMD, MAC_BUSY);
}

static bool mii_idle(void)
{
    for (struct deadline d = deadline_in_ms(STALL_MS); mac_read(MAC_MII_ACC) & MII_BUSY;)
        if (deadline_passed(d))
            return false;
    return true;
}

static uint32_t phy_read(uint32_t reg)
{
    mac_write(MAC_MII_ACC, MII_PHY_1 | reg << 6 | MII_BUSY);
    return mii_idle() ? mac_read(MAC_MII_DATA) : 0;
}

static void phy_write(uint32_t reg, uint32_t value)
{
    mac_write(MAC_MII_DATA, value);
    mac_write(MAC_MII_ACC, MII_PHY_1 | reg << 6 | MII_WRITE | MII_BUSY);
    (void)mii_idle();
}

static void quiet(void)
{
    mmio_write32(INT_STS, INT_RX_STATUS_LEVEL);
}

static enum rc reset_chip(void)
{
    if (mmio_read32(BYTE_TEST) != BYTE_TEST_VALUE || mmio_read32(ID_REV) >> 16 != CHIP_ID)
        return RC_NOT_FOUND;
    mmio_write32(HW_CFG, HW_CFG_RESET);
    return wait_clear(HW_CFG, HW_CFG_RESET) && wait_clear(E2P_CMD, E2P_BUSY) ? RC_OK : RC_IO;
}

enum rc ethernet_init(void)
{
    enum rc rc = reset_chip();
    if (rc != RC_OK)
        return rc;
    mmio_write32(HW_CFG, HW_CFG_STORE_FORWARD_5K);
    mmio_write32(RX_CFG, 0);
    mmio_write32(FIFO_INT, 0); /* interrupt above 0 received frames */
    mmio_write32(INT_STS, 0xffffffff);
    mmio_write32(IRQ_CFG, IRQ_CFG_ON_HIGH_PUSH_PULL);
    mmio_write32(INT_EN, INT_RX_STATUS_LEVEL);
    phy_write(PHY_CONTROL, PHY_CONTROL_AUTONEGOTIATE);
    mmio_write32(TX_CFG, TX_CFG_ON);
    mac_write(MAC_CR, MAC_CR_RUN);
    return irq_enable(IRQ_ETHERNET, quiet) == RC_OK ? RC_OK : RC_IO;
}

void ethernet_mac(uint8_t mac[6])
{
    uint32_t low = mac_read(MAC_ADDRL), high = mac_read(MAC_ADDRH);
    for (unsigned i = 0; i < 4; i++)
        mac[i] = (uint8_t)(low >> 8 * i);
    mac[4] = (uint8_t)high;
    mac[5] = (uint8_t)(high >> 8);
}

bool ethernet_link_up(void)
{
    return phy_read(PHY_STATUS) & PHY_STATUS_LINK;
}

/* The FIFO takes words; pieces have any length. */
static void write_pieces(const struct span *pieces, size_t count)
{
    uint32_t word = 0;
    unsigned filled = 0;
    for (size_t i = 0; i < count; i++)
        for (size_t at = 0; at < pieces[i].len; at++) {
            word |= (uint32_t)(uint8_t)pieces[i].p[at] << 8 * filled;
            if (++filled < 4)
                continue;
            mmio_write32(TX_DATA_FIFO, word);
            word = 0;
            filled = 0;
        }
    if (filled > 0)
        mmio_write32(TX_DATA_FIFO, word);
}

enum rc ethernet_send(const struct span *pieces, size_t count)
{
    size_t len = 0;
    for (size_t i = 0; i < count; i++) {
        if (pieces[i].len > ETHERNET_FRAME_MAX - len)
            return RC_INVALID;
        len += pieces[i].len;
    }
    uint32_t fifo = mmio_read32(TX_FIFO_INF);
    for (uint32_t done = fifo >> 16 & 0xff; done > 0; done--)
        (void)mmio_read32(TX_STATUS_FIFO);
    if ((fifo & 0xffff) < len + 3 + TX_COMMANDS_BYTES)
        return RC_BUSY;
    mmio_write32(TX_DATA_FIFO, TX_FIRST_LAST | (uint32_t)len);
    mmio_write32(TX_DATA_FIFO, (uint32_t)len);
    write_pieces(pieces, count);
    return RC_OK;
}

/* Takes a frame of bytes out of the FIFO; what lies beyond len, its FCS too, is dropped. */
static void read_frame(uint8_t *out, size_t len, size_t bytes)
{
    for (size_t at = 0; at < bytes; at += 4) {
        uint32_t word = mmio_read32(RX_DATA_FIFO);
        if (at + 4 <= len)
            memcpy(out + at, &word, 4);
        else if (at < len)
            memcpy(out + at, &word, len - at);
    }
}

size_t ethernet_receive(void *out, size_t cap)
{
    while (mmio_read32(RX_FIFO_INF) >> 16 & 0xff) {
        uint32_t status = mmio_read32(RX_STATUS_FIFO);
        size_t bytes = status >> 16 & 0x3fff;
        size_t len = bytes > FCS_BYTES ? bytes - FCS_BYTES : 0;
        bool good = !(status & RX_STATUS_ERROR) && len > 0 && len <= cap;
        read_frame(out, good && out != NULL ? len : 0, bytes);
        if (good)
            return len;
    }
    return 0;
}
