/* Bytes 0..11 signature, 12 version and command, 13 family and transport, 14..15 length of the rest, big-endian; then source and
 * destination address, source and destination port. */
#include "net/proxy_protocol.h"

#include <string.h>

#include "hal/base/bytes.h"

#define FIXED_BYTES 16
#define SIGNATURE "\r\n\r\n\0\r\nQUIT\n"
#define SIGNATURE_BYTES 12
#define VERSION_LOCAL 0x20
#define VERSION_PROXY 0x21
#define FAMILY_TCP4 0x11
#define FAMILY_TCP6 0x21
#define IPV4_BYTES 12
#define IPV6_BYTES 36
#define MAPPED "\0\0\0\0\0\0\0\0\0\0\xff\xff"
#define MAPPED_BYTES 12

static void take_address(struct ip_endpoint *out, const uint8_t *address, size_t len, const uint8_t *port)
{
    memset(out, 0, sizeof *out);
    bool mapped = len == 16 && memcmp(address, MAPPED, MAPPED_BYTES) == 0;
    out->addr.family = len == 4 || mapped ? IP_V4 : IP_V6;
    memcpy(out->addr.b, mapped ? address + MAPPED_BYTES : address, mapped ? 4 : len);
    out->port = get_be16(port);
}

static enum rc drop(struct stream *s, size_t len, struct deadline d)
{
    uint8_t dropped[64];
    enum rc rc = RC_OK;
    for (size_t n; rc == RC_OK && len > 0; len -= n) {
        n = len < sizeof dropped ? len : sizeof dropped;
        rc = stream_read_only(s, dropped, n, d);
    }
    return rc;
}

static enum rc read_addresses(struct stream *s, size_t len, size_t rest, struct deadline d)
{
    uint8_t raw[IPV6_BYTES];
    size_t size = 2 * len + 4;
    if (rest < size)
        return RC_PROTOCOL;
    enum rc rc = stream_read_only(s, raw, size, d);
    if (rc == RC_OK)
        rc = drop(s, rest - size, d);
    if (rc != RC_OK)
        return rc;
    take_address(&s->peer, raw, len, raw + 2 * len);
    take_address(&s->local, raw + len, len, raw + 2 * len + 2);
    return RC_OK;
}

enum rc proxy_header_read(struct stream *s, struct deadline d)
{
    uint8_t head[FIXED_BYTES];
    enum rc rc = stream_read_only(s, head, sizeof head, d);
    if (rc != RC_OK)
        return rc;
    size_t rest = get_be16(head + 14);
    if (memcmp(head, SIGNATURE, SIGNATURE_BYTES) != 0 || (head[12] != VERSION_PROXY && head[12] != VERSION_LOCAL))
        return RC_PROTOCOL;
    if (rest > PROXY_REST_MAX)
        return RC_TOO_LONG;
    if (head[12] == VERSION_PROXY && head[13] == FAMILY_TCP4)
        return read_addresses(s, 4, rest, d);
    if (head[12] == VERSION_PROXY && head[13] == FAMILY_TCP6)
        return read_addresses(s, 16, rest, d);
    return drop(s, rest, d);
}

static void put_address(uint8_t *out, const struct ip_addr_any *a, size_t len)
{
    bool map = len == 16 && a->family == IP_V4;
    if (map)
        memcpy(out, MAPPED, MAPPED_BYTES);
    memcpy(map ? out + MAPPED_BYTES : out, a->b, map ? 4 : len);
}

enum rc proxy_header_write(struct stream *s, const struct ip_endpoint *client, struct deadline d)
{
    uint8_t header[FIXED_BYTES + IPV6_BYTES] = SIGNATURE;
    size_t len = client->addr.family == IP_V4 && s->peer.addr.family == IP_V4 ? 4 : 16;
    size_t rest = client->addr.family == IP_NONE ? 0 : 2 * len + 4;
    uint8_t *at = header + FIXED_BYTES;
    header[12] = rest ? VERSION_PROXY : VERSION_LOCAL;
    header[13] = rest ? len == 4 ? FAMILY_TCP4 : FAMILY_TCP6 : 0;
    put_be16(header + 14, (uint16_t)rest);
    put_address(at, &client->addr, len);
    put_address(at + len, &s->peer.addr, len);
    put_be16(at + 2 * len, client->port);
    put_be16(at + 2 * len + 2, s->peer.port);
    return stream_write(s, span_bytes(header, FIXED_BYTES + rest), d);
}
