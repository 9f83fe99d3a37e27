#include "net/der_writer.h"

#include <string.h>

struct der_writer der_writer_on(void *memory, size_t bytes)
{
    return (struct der_writer){ memory, (uint8_t *)memory + bytes, false };
}

void der_put(struct der_writer *w, struct span bytes)
{
    w->overflow = w->overflow || bytes.len > (size_t)(w->at - w->start);
    if (w->overflow || !bytes.len)
        return;
    w->at -= bytes.len;
    memcpy(w->at, bytes.p, bytes.len);
}

void der_wrap(struct der_writer *w, uint8_t tag, const uint8_t *end)
{
    size_t len = (size_t)(end - w->at);
    const uint8_t header[] = { tag, 0x82, (uint8_t)(len >> 8), (uint8_t)len };
    const uint8_t shorter[] = { tag, 0x81, (uint8_t)len }, shortest[] = { tag, (uint8_t)len };
    der_put(w, len < 0x80    ? span_bytes(shortest, sizeof shortest)
               : len < 0x100 ? span_bytes(shorter, sizeof shorter)
                             : span_bytes(header, sizeof header));
}

void der_element(struct der_writer *w, uint8_t tag, struct span contents)
{
    const uint8_t *end = w->at;
    der_put(w, contents);
    der_wrap(w, tag, end);
}

void der_unsigned(struct der_writer *w, struct span bytes)
{
    const uint8_t *end = w->at;
    while (bytes.len > 1 && bytes.p[0] == 0)
        bytes = span_from(bytes, 1);
    der_put(w, bytes);
    if (bytes.len && (uint8_t)bytes.p[0] >= 0x80)
        der_put(w, SPAN("\0"));
    der_wrap(w, 0x02, end);
}
