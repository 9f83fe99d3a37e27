/* PEM text (RFC 7468): finding the blocks of a file, their bytes, and writing a block. Pure. */
#ifndef HAL_BASE_PEM_H
#define HAL_BASE_PEM_H

#include "hal/base/rc.h"
#include "hal/base/strbuf.h"

/* The next block with the given label ("CERTIFICATE") of *rest, decoded into out; *rest moves behind it. Text around blocks and
 * blocks with other labels are passed over. RC_NOT_FOUND: no more; RC_INVALID: a block that does not end or does not decode;
 * RC_TOO_LONG. */
enum rc pem_next(struct span *rest, const char *label, uint8_t *out, size_t cap, size_t *len) MUST_CHECK;

/* The next block of any label: body is its base64 lines, a view; *rest moves behind it. RC_NOT_FOUND: no more; RC_INVALID: a
 * block that does not end, or ends under another label. */
enum rc pem_block(struct span *rest, struct span *label, struct span *body) MUST_CHECK;
/* From the first to the last block whose label ends in label_end ("PRIVATE KEY" means "EC PRIVATE KEY", too): a view of text,
 * boundary lines included; empty when there is none before text ends or breaks. */
struct span pem_section(struct span text, const char *label_end);
/* The bytes of a body; out may be the body's own memory. RC_INVALID: not base64, or empty (the headers of a key encrypted by RFC 1421 are not base64);
 * RC_TOO_LONG: more than cap. A body never decodes to more than PEM_DECODED_MAX(body.len) bytes. */
enum rc pem_decode(struct span body, uint8_t *out, size_t cap, size_t *len) MUST_CHECK;
#define PEM_DECODED_MAX(body_len) ((body_len) / 4 * 3)

/* One block with lines of 64 characters. out->overflow says whether it fitted. */
void pem_write(struct strbuf *out, const char *label, struct span bytes);

#endif
