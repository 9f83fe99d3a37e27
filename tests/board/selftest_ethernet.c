#include <string.h>

#include "hal/base/bytes.h"
#include "hal/ethernet.h"
#include "hal/task.h"
#include "tests/board/selftest.h"

#define HEADER_BYTES 14
#define ARP_BYTES 28
#define IP_BYTES 20
#define ICMP_BYTES 8
#define PING_DATA_MAX (ETHERNET_FRAME_MAX - HEADER_BYTES - IP_BYTES - ICMP_BYTES)
#define TYPE_IP 0x0800
#define TYPE_ARP 0x0806
#define ANSWER_MS 1000
#define ARP_TRIES 5 /* the host's end may come up a little after ours */
#define PINGS 200u

static const uint8_t our_ip[4] = { 10, 0, 2, 15 };
static const uint8_t host_ip[4] = { 10, 0, 2, 2 };
static bool usable;
static uint8_t our_mac[6], host_mac[6];
static uint8_t frame[ETHERNET_FRAME_MAX], answer[ETHERNET_FRAME_MAX];

static void put_header(const uint8_t to[6], uint16_t type)
{
    memcpy(frame, to, 6);
    memcpy(frame + 6, our_mac, 6);
    put_be16(frame + 12, type);
}

static void put_arp(uint16_t operation, const uint8_t to[6])
{
    uint8_t *arp = frame + HEADER_BYTES;
    put_header(to, TYPE_ARP);
    put_be16(arp, 1);
    put_be16(arp + 2, TYPE_IP);
    arp[4] = 6;
    arp[5] = 4;
    put_be16(arp + 6, operation);
    memcpy(arp + 8, our_mac, 6);
    memcpy(arp + 14, our_ip, 4);
    memset(arp + 18, 0, 6);
    memcpy(arp + 24, host_ip, 4);
}

static enum rc send_arp(uint16_t operation, const uint8_t to[6])
{
    put_arp(operation, to);
    struct span pieces[2] = { span_bytes(frame, HEADER_BYTES), span_bytes(frame + HEADER_BYTES, ARP_BYTES) };
    return ethernet_send(pieces, 2);
}

/* The host asks back for our address before it answers a ping. */
static bool answer_arp_request(size_t len)
{
    if (len < HEADER_BYTES + ARP_BYTES || get_be16(answer + 12) != TYPE_ARP || get_be16(answer + HEADER_BYTES + 6) != 1)
        return false;
    if (memcmp(answer + HEADER_BYTES + 24, our_ip, 4) != 0)
        return true;
    uint8_t asker[6];
    memcpy(asker, answer + 6, 6);
    return send_arp(2, asker) == RC_OK;
}

static uint16_t checksum(const uint8_t *p, size_t len)
{
    uint32_t sum = 0;
    for (size_t i = 0; i + 1 < len; i += 2)
        sum += get_be16(p + i);
    if (len % 2 != 0)
        sum += (uint32_t)p[len - 1] << 8;
    while (sum >> 16 != 0)
        sum = (sum & 0xffff) + (sum >> 16);
    return (uint16_t)~sum;
}

static size_t put_ping(uint16_t sequence, size_t data_len)
{
    uint8_t *ip = frame + HEADER_BYTES, *icmp = ip + IP_BYTES;
    put_header(host_mac, TYPE_IP);
    memset(ip, 0, IP_BYTES + ICMP_BYTES);
    ip[0] = 0x45;
    put_be16(ip + 2, (uint16_t)(IP_BYTES + ICMP_BYTES + data_len));
    put_be16(ip + 4, sequence);
    ip[8] = 64;
    ip[9] = 1;
    memcpy(ip + 12, our_ip, 4);
    memcpy(ip + 16, host_ip, 4);
    put_be16(ip + 10, checksum(ip, IP_BYTES));
    icmp[0] = 8;
    put_be16(icmp + 4, 0x5047);
    put_be16(icmp + 6, sequence);
    for (size_t i = 0; i < data_len; i++)
        icmp[ICMP_BYTES + i] = (uint8_t)(i * 7 + sequence);
    put_be16(icmp + 2, checksum(icmp, ICMP_BYTES + data_len));
    return HEADER_BYTES + IP_BYTES + ICMP_BYTES + data_len;
}

/* The frame that wanted() takes, within time; requests for our address are answered meanwhile. */
static bool receive(bool (*wanted)(size_t len, uint16_t sequence), uint16_t sequence)
{
    for (struct deadline d = deadline_in_ms(ANSWER_MS); !deadline_passed(d);) {
        size_t len = ethernet_receive(answer, sizeof answer);
        if (len != 0 && wanted(len, sequence))
            return true;
        if (len != 0 && answer_arp_request(len))
            continue;
        if (len == 0 && task_sleep_ms(1) != RC_OK)
            return false;
    }
    return false;
}

static bool is_arp_answer(size_t len, uint16_t sequence)
{
    (void)sequence;
    const uint8_t *arp = answer + HEADER_BYTES;
    if (len < HEADER_BYTES + ARP_BYTES || get_be16(answer + 12) != TYPE_ARP || get_be16(arp + 6) != 2 ||
        memcmp(arp + 14, host_ip, 4) != 0)
        return false;
    memcpy(host_mac, arp + 8, 6);
    return true;
}

static bool host_found(void)
{
    static const uint8_t broadcast[6] = { 255, 255, 255, 255, 255, 255 };
    for (unsigned i = 0; i < ARP_TRIES; i++)
        if (send_arp(1, broadcast) == RC_OK && receive(is_arp_answer, 0))
            return true;
    return false;
}

static bool is_pong(size_t len, uint16_t sequence)
{
    const uint8_t *ip = answer + HEADER_BYTES, *icmp = ip + IP_BYTES;
    size_t total = len >= HEADER_BYTES + IP_BYTES + ICMP_BYTES ? get_be16(ip + 2) : 0;
    if (total < IP_BYTES + ICMP_BYTES || total > len - HEADER_BYTES || get_be16(answer + 12) != TYPE_IP || ip[9] != 1 ||
        icmp[0] != 0 || get_be16(icmp + 6) != sequence)
        return false;
    size_t icmp_len = total - IP_BYTES;
    return checksum(icmp, icmp_len) == 0 && memcmp(icmp + 4, frame + HEADER_BYTES + IP_BYTES + 4, icmp_len - 4) == 0;
}

static bool ping(uint16_t sequence, size_t data_len)
{
    size_t len = put_ping(sequence, data_len);
    struct span pieces[3] = { span_bytes(frame, 9), span_bytes(frame + 9, 25), span_bytes(frame + 34, len - 34) };
    /* answer_arp_request would overwrite the frame that the answer is compared with: only the first ping may meet one */
    return ethernet_send(pieces, 3) == RC_OK && receive(is_pong, sequence);
}

static unsigned ping_all_sizes(void)
{
    unsigned good = 0;
    for (unsigned i = 0; i < PINGS; i++)
        good += ping((uint16_t)(i + 2), i * PING_DATA_MAX / (PINGS - 1)) ? 1 : 0;
    return good;
}

static void check_limits(void)
{
    struct span pieces[2] = { span_bytes(frame, ETHERNET_FRAME_MAX), span_bytes(frame, 1) };
    check("ethernet-too-long", ethernet_send(pieces, 2) == RC_INVALID, "taken");
    uint8_t small[40];
    put_ping(1000, 100);
    pieces[0].len = HEADER_BYTES + IP_BYTES + ICMP_BYTES + 100;
    bool dropped = ethernet_send(pieces, 1) == RC_OK;
    for (unsigned i = 0; i < 200 && dropped; i++)
        dropped = task_sleep_ms(1) == RC_OK && ethernet_receive(small, sizeof small) == 0;
    check("ethernet-small-buffer", dropped, "an overlong frame was given");
}

void selftest_ethernet_drop(void)
{
    while (usable && ethernet_receive(answer, sizeof answer) != 0) {
    }
}

void selftest_ethernet(void)
{
    enum rc rc = ethernet_init();
    if (!check("ethernet-init", rc == RC_OK, rc_name(rc)))
        return;
    usable = true;
    ethernet_mac(our_mac);
    say("mac: %02x:%02x:%02x:%02x:%02x:%02x", our_mac[0], our_mac[1], our_mac[2], our_mac[3], our_mac[4], our_mac[5]);
    check("ethernet-mac", (our_mac[0] & 1) == 0 && (our_mac[0] | our_mac[1] | our_mac[2] | our_mac[5]) != 0, "no address");
    check("ethernet-link", ethernet_link_up(), "down");
    if (!check("ethernet-arp", host_found(), "no answer"))
        return;
    (void)ping(1, 0);
    check("ethernet-ping", ping_all_sizes() == PINGS, "some pings came back wrong or not at all");
    check_limits();
}
