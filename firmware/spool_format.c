#include "firmware/spool_format.h"

#include <string.h>

#include "hal/base/bytes.h"
#include "hal/base/crc32.h"

/* "PSw" and "PSo", and the version of the format. */
#define WEAR_MAGIC 0x00775350u
#define OPENING_MAGIC 0x006f5350u
#define MAGIC_MASK 0x00ffffffu
#define VERSION 1u
#define RECORD_MAGIC 0xa7

static bool filled_with(const uint8_t *in, size_t len, uint8_t byte)
{
    for (size_t i = 0; i < len; i++)
        if (in[i] != byte)
            return false;
    return true;
}

/* What a unit is that does not check. */
static enum header_state unsound_state(const uint8_t in[SPOOL_UNIT])
{
    if (filled_with(in, SPOOL_UNIT, 0xff))
        return HEADER_BLANK;
    return filled_with(in, SPOOL_UNIT, 0) ? HEADER_ZERO : HEADER_GARBAGE;
}

static void seal(uint8_t out[SPOOL_UNIT], uint32_t seed)
{
    put_le32(out + 28, crc32_update(seed, out, 28));
}

static enum header_state check(const uint8_t in[SPOOL_UNIT], uint32_t magic)
{
    if (get_le32(in + 28) != crc32_update(0, in, 28) || (get_le32(in) & MAGIC_MASK) != magic)
        return unsound_state(in);
    return in[3] == VERSION ? HEADER_VALID : HEADER_FOREIGN;
}

void wear_header_encode(uint8_t out[SPOOL_UNIT], const struct wear_header *h)
{
    memset(out, 0, SPOOL_UNIT);
    put_le32(out, WEAR_MAGIC | VERSION << 24);
    put_le32(out + 4, h->erase_count);
    put_le32(out + 8, h->id_floor);
    put_le32(out + 12, h->seq_floor);
    put_le32(out + 16, h->stamp_floor);
    seal(out, 0);
}

enum header_state wear_header_decode(const uint8_t in[SPOOL_UNIT], struct wear_header *h)
{
    *h = (struct wear_header){ get_le32(in + 4), get_le32(in + 8), get_le32(in + 12), get_le32(in + 16) };
    return check(in, WEAR_MAGIC);
}

void opening_header_encode(uint8_t out[SPOOL_UNIT], const struct opening_header *h)
{
    memset(out, 0, SPOOL_UNIT);
    put_le32(out, OPENING_MAGIC | VERSION << 24);
    put_le32(out + 4, h->seq);
    put_le32(out + 8, h->salt);
    put_le32(out + 12, h->id_floor);
    put_le32(out + 16, h->stamp);
    put_le32(out + 20, h->erase_count);
    seal(out, 0);
}

enum header_state opening_header_decode(const uint8_t in[SPOOL_UNIT], struct opening_header *h)
{
    *h = (struct opening_header){ get_le32(in + 4), get_le32(in + 8), get_le32(in + 12), get_le32(in + 16), get_le32(in + 20) };
    return check(in, OPENING_MAGIC);
}

uint32_t record_seed(const struct opening_header *h)
{
    return h->salt ^ h->seq;
}

void record_header_encode(uint8_t out[RECORD_HEADER_BYTES], const struct record_header *h, uint32_t seed)
{
    memset(out, 0, RECORD_HEADER_BYTES);
    out[0] = RECORD_MAGIC;
    out[1] = h->type;
    put_le16(out + 2, h->payload_len);
    put_le32(out + 4, h->id);
    put_le32(out + 8, h->index);
    put_le32(out + 12, h->stamp);
    put_le32(out + 16, h->source);
    put_le32(out + 20, h->serial);
    seal(out, seed);
}

enum header_state record_header_decode(const uint8_t in[RECORD_HEADER_BYTES], struct record_header *h, uint32_t seed)
{
    *h = (struct record_header){
        .type = in[1],
        .payload_len = get_le16(in + 2),
        .id = get_le32(in + 4),
        .index = get_le32(in + 8),
        .stamp = get_le32(in + 12),
        .source = get_le32(in + 16),
        .serial = get_le32(in + 20),
    };
    if (in[0] != RECORD_MAGIC || get_le32(in + 28) != crc32_update(seed, in, 28))
        return unsound_state(in);
    return h->payload_len >= RECORD_CRC_BYTES && h->payload_len <= RECORD_PAYLOAD_MAX ? HEADER_VALID : HEADER_GARBAGE;
}

uint32_t payload_crc_update(uint32_t crc, const void *data, size_t len)
{
    return crc32_update(crc, data, len);
}
uint32_t payload_crc_final(uint32_t crc)
{
    return crc == 0 ? UINT32_MAX : crc;
}

/* --- payloads --- */

static size_t finish(uint8_t *out, size_t len)
{
    put_le32(out, payload_crc_final(payload_crc_update(0, out + RECORD_CRC_BYTES, len - RECORD_CRC_BYTES)));
    return len;
}

static size_t add_text(uint8_t *out, size_t at, const char *text, size_t len)
{
    memcpy(out + at, text, len);
    return at + len;
}

/* Takes len bytes off *rest into a NUL-terminated text of cap bytes. */
static bool take_text(struct span *rest, size_t len, char *text, size_t cap)
{
    if (len >= cap || len > rest->len)
        return false;
    memcpy(text, rest->p, len);
    text[len] = '\0';
    *rest = span_from(*rest, len);
    return true;
}

/* Length of a text that should end within max bytes. */
static size_t text_len(const char *text, size_t max)
{
    const char *end = memchr(text, '\0', max);
    return end != NULL ? (size_t)(end - text) : max;
}

static const uint8_t *bytes_of(struct span s)
{
    return (const uint8_t *)s.p;
}

static void put_i64(uint8_t *p, int64_t v)
{
    put_le64(p, (uint64_t)v);
}
static int64_t get_i64(const uint8_t *p)
{
    return (int64_t)get_le64(p);
}

size_t envelope_encode(uint8_t *out, const struct spool_envelope *e)
{
    size_t sender = text_len(e->sender, SPOOL_ADDRESS_MAX), envid = text_len(e->envid, 100), helo = text_len(e->helo, DOMAIN_MAX);
    memset(out, 0, 40);
    put_i64(out + 4, e->received);
    out[12] = (uint8_t)(e->body_8bit | e->utf8 << 1 | e->require_tls << 2 | e->tls_optional << 3);
    out[13] = (uint8_t)e->origin;
    out[14] = e->ret;
    out[15] = (uint8_t)e->peer.addr.family;
    memcpy(out + 16, e->peer.addr.b, 16);
    put_le16(out + 32, e->peer.port);
    put_le16(out + 34, (uint16_t)sender);
    out[36] = (uint8_t)envid;
    out[37] = (uint8_t)helo;
    size_t len = add_text(out, 40, e->sender, sender);
    len = add_text(out, len, e->envid, envid);
    return finish(out, add_text(out, len, e->helo, helo));
}

bool envelope_decode(struct span payload, struct spool_envelope *e)
{
    const uint8_t *in = bytes_of(payload);
    if (payload.len < 40 || in[13] > SPOOL_OWN)
        return false;
    memset(e, 0, sizeof *e);
    e->received = get_i64(in + 4);
    e->body_8bit = in[12] & 1;
    e->utf8 = in[12] >> 1 & 1;
    e->require_tls = in[12] >> 2 & 1;
    e->tls_optional = in[12] >> 3 & 1;
    e->origin = (enum spool_origin)in[13];
    e->ret = in[14];
    e->peer.addr.family = in[15] == IP_V4 || in[15] == IP_V6 ? (enum ip_family)in[15] : IP_NONE;
    memcpy(e->peer.addr.b, in + 16, 16);
    e->peer.port = get_le16(in + 32);
    struct span rest = span_from(payload, 40);
    return take_text(&rest, get_le16(in + 34), e->sender, sizeof e->sender) &&
           take_text(&rest, in[36], e->envid, sizeof e->envid) && take_text(&rest, in[37], e->helo, sizeof e->helo);
}

size_t recipient_encode(uint8_t *out, const struct spool_recipient *r)
{
    size_t address = text_len(r->address, SPOOL_ADDRESS_MAX), domain = text_len(r->domain, DOMAIN_MAX),
           orcpt = text_len(r->orcpt, 320);
    memset(out, 0, 12);
    out[4] = r->notify;
    out[5] = (uint8_t)domain;
    put_le16(out + 6, (uint16_t)address);
    put_le16(out + 8, (uint16_t)orcpt);
    size_t len = add_text(out, 12, r->address, address);
    len = add_text(out, len, r->domain, domain);
    return finish(out, add_text(out, len, r->orcpt, orcpt));
}

bool recipient_decode(struct span payload, struct spool_recipient *r)
{
    const uint8_t *in = bytes_of(payload);
    if (payload.len < 12)
        return false;
    memset(r, 0, sizeof *r);
    r->notify = in[4];
    struct span rest = span_from(payload, 12);
    return take_text(&rest, get_le16(in + 6), r->address, sizeof r->address) &&
           take_text(&rest, in[5], r->domain, sizeof r->domain) && take_text(&rest, get_le16(in + 8), r->orcpt, sizeof r->orcpt);
}

size_t commit_encode(uint8_t *out, const struct commit_payload *c)
{
    memset(out, 0, COMMIT_PAYLOAD_BYTES);
    put_le32(out + 4, c->first.seq);
    put_le32(out + 8, c->first.off);
    put_le16(out + 12, c->recipients);
    out[14] = c->origin;
    out[15] = c->held;
    put_i64(out + 16, c->received);
    put_le32(out + 24, c->body_bytes);
    put_le32(out + 28, c->body_crc);
    return finish(out, COMMIT_PAYLOAD_BYTES);
}

bool commit_decode(struct span payload, struct commit_payload *c)
{
    const uint8_t *in = bytes_of(payload);
    if (payload.len < COMMIT_PAYLOAD_BYTES || in[14] > SPOOL_OWN || get_le16(in + 12) > SPOOL_RECIPIENTS_MAX)
        return false;
    *c = (struct commit_payload){
        .first = { get_le32(in + 4), get_le32(in + 8) },
        .recipients = get_le16(in + 12),
        .origin = in[14],
        .held = in[15] & 1,
        .received = get_i64(in + 16),
        .body_bytes = get_le32(in + 24),
        .body_crc = get_le32(in + 28),
    };
    return true;
}

size_t status_encode(uint8_t *out, const struct status_payload *s)
{
    size_t text = s->text.len < SPOOL_TEXT_MAX ? s->text.len : SPOOL_TEXT_MAX - 1;
    memset(out, 0, STATUS_PAYLOAD_BYTES);
    put_le32(out + 4, s->prev.seq);
    put_le32(out + 8, s->prev.off);
    put_le16(out + 12, s->waiting);
    put_le16(out + 14, s->attempts);
    put_i64(out + 16, s->next_try);
    out[24] = (uint8_t)(s->held | s->damaged << 1);
    out[25] = s->state;
    put_le16(out + 26, s->code);
    memcpy(out + 28, s->enhanced, 3);
    put_i64(out + 32, s->at);
    return finish(out, text > 0 ? add_text(out, STATUS_PAYLOAD_BYTES, s->text.p, text) : STATUS_PAYLOAD_BYTES);
}

bool status_decode(struct span payload, struct status_payload *s)
{
    const uint8_t *in = bytes_of(payload);
    if (payload.len < STATUS_PAYLOAD_BYTES || in[25] > SPOOL_DROPPED)
        return false;
    *s = (struct status_payload){
        .prev = { get_le32(in + 4), get_le32(in + 8) },
        .waiting = get_le16(in + 12),
        .attempts = get_le16(in + 14),
        .next_try = get_i64(in + 16),
        .held = in[24] & 1,
        .damaged = in[24] >> 1 & 1,
        .state = in[25],
        .code = get_le16(in + 26),
        .enhanced = { in[28], in[29], in[30] },
        .at = get_i64(in + 32),
        .text = span_sub(span_from(payload, STATUS_PAYLOAD_BYTES), 0, SPOOL_TEXT_MAX - 1),
    };
    return true;
}
