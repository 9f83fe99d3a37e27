/* DER written from its end to its beginning, as lengths stand before what they measure: an element's contents first, then its header. Pure. */
#ifndef NET_DER_WRITER_H
#define NET_DER_WRITER_H

#include "hal/base/span.h"

struct der_writer {
    uint8_t *start, *at; /* what is written lies from at to the memory's end */
    bool overflow;       /* sticky; nothing more is written then */
};

struct der_writer der_writer_on(void *memory, size_t bytes);
void der_put(struct der_writer *w, struct span bytes);
/* The header of an element whose contents end at `end`, a value of w->at before they were written. Up to 65535 bytes. */
void der_wrap(struct der_writer *w, uint8_t tag, const uint8_t *end);
void der_element(struct der_writer *w, uint8_t tag, struct span contents);
/* An INTEGER that is not negative, from its bytes, highest first. */
void der_unsigned(struct der_writer *w, struct span bytes);

#endif
