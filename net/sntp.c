/* One SNTP exchange (RFC 4330). The transmit timestamp that we send is random and says nothing of our clock; an answer must
 * echo it, so only who saw the question can answer. Anything else that comes is passed over until the deadline. */
#include "net/sntp.h"

#include <string.h>

#include "hal/base/bytes.h"
#include "hal/random.h"
#include "net/udp.h"

#define PACKET_BYTES 48
#define CLIENT_V4 0x23 /* no leap warning, version 4, mode 3 */
#define MODE_SERVER 4
#define LEAP_UNKNOWN 3
#define STRATUM_UNSYNCHRONISED 16
#define AT_STRATUM 1
#define AT_ORIGINATE 24
#define AT_TRANSMIT 40
#define TIMESTAMP_BYTES 8

#define NTP_1970 2208988800u /* seconds from 1900 to 1970 */

/* Seconds below 1970's of era 0 can only be era 1's: 2036 to 2106. */
static int64_t unix_from_ntp(uint32_t seconds)
{
    int64_t since_1900 = seconds >= NTP_1970 ? (int64_t)seconds : (int64_t)seconds + ((int64_t)1 << 32);
    return since_1900 - NTP_1970;
}

static enum rc judge(const uint8_t *packet, size_t len, struct sntp_answer *out)
{
    if (len < PACKET_BYTES || (packet[0] & 7) != MODE_SERVER)
        return RC_PROTOCOL;
    out->stratum = packet[AT_STRATUM];
    if (out->stratum == 0 || out->stratum >= STRATUM_UNSYNCHRONISED || packet[0] >> 6 == LEAP_UNKNOWN)
        return RC_REFUSED;
    uint32_t seconds = get_be32(packet + AT_TRANSMIT);
    out->fraction = get_be32(packet + AT_TRANSMIT + 4);
    if (seconds == 0 && out->fraction == 0)
        return RC_PROTOCOL;
    out->unix_s = unix_from_ntp(seconds);
    return RC_OK;
}

static bool answers(const uint8_t *packet, size_t len, const uint8_t *asked)
{
    return len >= AT_ORIGINATE + TIMESTAMP_BYTES && memcmp(packet + AT_ORIGINATE, asked + AT_TRANSMIT, TIMESTAMP_BYTES) == 0;
}

static enum rc exchange(struct udp_socket *u, struct sntp_answer *out, struct deadline d)
{
    uint8_t question[PACKET_BYTES] = { CLIENT_V4 };
    size_t len;
    random_bytes(question + AT_TRANSMIT, TIMESTAMP_BYTES);
    uint64_t asked_us = clock_us();
    enum rc rc = udp_send(u, span_bytes(question, sizeof question));
    if (rc != RC_OK)
        return rc;
    do {
        rc = udp_receive(u, &len, d);
        if (rc != RC_OK)
            return rc;
    } while (!answers(u->buf, len, question));
    uint64_t now_us = clock_us();
    out->at_us = now_us - (now_us - asked_us) / 2;
    return judge(u->buf, len, out);
}

enum rc sntp_query(const struct ip_endpoint *server, struct sntp_answer *out, struct deadline d)
{
    struct udp_socket u;
    uint8_t packet[PACKET_BYTES];
    memset(out, 0, sizeof *out);
    enum rc rc = udp_open(&u, server, packet, sizeof packet);
    if (rc != RC_OK)
        return rc;
    rc = exchange(&u, out, d);
    udp_close(&u);
    if (rc != RC_OK)
        memset(out, 0, sizeof *out);
    return rc;
}
