#include "toolchain/tools/common/byte_buffer.h"

#include <errno.h>
#include <unistd.h>

#include "hal/base/bytes.h"

void *tool_resize(void *p, size_t count, size_t size)
{
    void *grown = reallocarray(p, count ? count : 1, size ? size : 1);
    if (grown == NULL) {
        fprintf(stderr, "out of memory\n");
        exit(1);
    }
    return grown;
}

void *tool_alloc(size_t count, size_t size)
{
    void *p = tool_resize(NULL, count, size);
    memset(p, 0, count * size);
    return p;
}

char *tool_copy(struct span text)
{
    char *copy = tool_alloc(text.len + 1, 1);
    memcpy(copy, text.p, text.len);
    return copy;
}

static uint8_t *reserve(struct byte_buffer *b, size_t len)
{
    if (b->cap - b->len < len) {
        b->cap = (b->len + len) * 2;
        b->p = tool_resize(b->p, b->cap, 1);
    }
    uint8_t *at = b->p + b->len;
    b->len += len;
    return at;
}

void byte_buffer_add(struct byte_buffer *b, const void *p, size_t len)
{
    if (len > 0)
        memcpy(reserve(b, len), p, len);
}

void byte_buffer_u8(struct byte_buffer *b, uint8_t v)
{
    *reserve(b, 1) = v;
}

void byte_buffer_u32(struct byte_buffer *b, uint32_t v)
{
    put_le32(reserve(b, 4), v);
}

void byte_buffer_u64(struct byte_buffer *b, uint64_t v)
{
    put_le64(reserve(b, 8), v);
}

void byte_buffer_varint(struct byte_buffer *b, uint32_t v)
{
    for (; v >= 0x80; v >>= 7)
        byte_buffer_u8(b, (uint8_t)(v | 0x80));
    byte_buffer_u8(b, (uint8_t)v);
}

void byte_buffer_fill(struct byte_buffer *b, uint8_t byte, size_t count)
{
    if (count > 0)
        memset(reserve(b, count), byte, count);
}

struct span byte_buffer_span(const struct byte_buffer *b)
{
    return span_bytes(b->p, b->len);
}

void byte_buffer_free(struct byte_buffer *b)
{
    free(b->p);
    *b = (struct byte_buffer){ NULL, 0, 0 };
}

static enum rc complain(const char *path)
{
    fprintf(stderr, "%s: %s\n", path, strerror(errno));
    return RC_IO;
}

enum rc file_read(const char *path, struct byte_buffer *out)
{
    FILE *f = fopen(path, "rb");
    if (f == NULL)
        return complain(path);
    uint8_t chunk[16384];
    size_t got;
    while ((got = fread(chunk, 1, sizeof chunk, f)) > 0)
        byte_buffer_add(out, chunk, got);
    enum rc rc = ferror(f) ? complain(path) : RC_OK;
    fclose(f);
    return rc;
}

static bool write_all(FILE *f, struct span bytes)
{
    bool ok = fwrite(bytes.p, 1, bytes.len, f) == bytes.len;
    ok = fflush(f) == 0 && ok;
    ok = fsync(fileno(f)) == 0 && ok;
    return fclose(f) == 0 && ok;
}

enum rc file_write(const char *path, struct span bytes)
{
    size_t room = strlen(path) + 32;
    char *part = tool_alloc(room, 1);
    snprintf(part, room, "%s.%ld.part", path, (long)getpid());
    FILE *f = fopen(part, "wb");
    enum rc rc = RC_OK;
    if (f == NULL || !write_all(f, bytes) || rename(part, path) != 0) {
        rc = complain(path);
        if (f != NULL)
            unlink(part);
    }
    free(part);
    return rc;
}
