/* An image as lines of text, for a serial line without network, flow control or a protocol: pasted, or sent by `cat`. Each line has its number
 * and a checksum, so that a lost or damaged one is named and can be sent again. policy/IMAGE.md gives the format. Pure. */
#ifndef POLICY_IMAGE_TEXT_H
#define POLICY_IMAGE_TEXT_H

#include "hal/base/rc.h"
#include "hal/base/strbuf.h"

#define IMAGE_TEXT_BYTES 72 /* of the image in one line; the last one may hold less */
#define IMAGE_TEXT_LINE_MAX (10 + 1 + (IMAGE_TEXT_BYTES + 2) / 3 * 4 + 1 + 8) /* characters */

enum image_text_kind {
    IMAGE_TEXT_NOTHING, /* an empty line or a comment */
    IMAGE_TEXT_BEGIN,   /* size_bytes */
    IMAGE_TEXT_DATA,    /* number, data, len */
    IMAGE_TEXT_END,     /* number: how many lines of data there are */
};

struct image_text_line {
    enum image_text_kind kind;
    uint32_t number; /* of the line, from 1 */
    uint64_t size_bytes;
    uint8_t data[IMAGE_TEXT_BYTES];
    size_t len;
};

/* One line without its end; blanks around it do not matter. RC_INVALID: none of these lines; RC_CORRUPT: the checksum differs. */
enum rc image_text_parse(struct span line, struct image_text_line *out) MUST_CHECK;

/* How they are written; without line ends. data: 1..IMAGE_TEXT_BYTES bytes. */
void image_text_begin(struct strbuf *out, uint64_t size_bytes);
void image_text_data(struct strbuf *out, uint32_t number, struct span data);
void image_text_end(struct strbuf *out, uint32_t lines);

#endif
