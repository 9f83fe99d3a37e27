/* Bytes that grow, and whole files, for the host tools. Running out of memory ends the tool with a message. */
#ifndef TOOLS_BYTE_BUFFER_H
#define TOOLS_BYTE_BUFFER_H

#include "hal/base/rc.h"
#include "hal/base/span.h"

struct byte_buffer { /* zeroed: empty */
    uint8_t *p;
    size_t len, cap;
};

void *tool_alloc(size_t count, size_t size); /* zeroed; never NULL */
void *tool_resize(void *p, size_t count, size_t size);
char *tool_copy(struct span text); /* as a C string; free() it */

void byte_buffer_add(struct byte_buffer *b, const void *p, size_t len);
void byte_buffer_u8(struct byte_buffer *b, uint8_t v);
void byte_buffer_u32(struct byte_buffer *b, uint32_t v); /* little-endian */
void byte_buffer_u64(struct byte_buffer *b, uint64_t v);
void byte_buffer_varint(struct byte_buffer *b, uint32_t v); /* 7 bits a byte, low ones first */
void byte_buffer_fill(struct byte_buffer *b, uint8_t byte, size_t count);
struct span byte_buffer_span(const struct byte_buffer *b);
void byte_buffer_free(struct byte_buffer *b);

/* Both say on stderr what failed, with the path. A file is written beside its place and moved there, so that none is ever half. */
enum rc file_read(const char *path, struct byte_buffer *out) MUST_CHECK; /* RC_IO */
enum rc file_write(const char *path, struct span bytes) MUST_CHECK;      /* RC_IO */

#endif
