/* A request's head. What was said of a beginning must hold for the whole, and what is told of it is safe to go out in a Location. First
 * byte: where the beginning ends, in 256ths. */
#include <stdlib.h>
#include <string.h>

#include "net/http_message.h"
#include "net/http_request_head.h"
#include "tests/fuzz/demand.h"

static void check(struct span s, const char *first, const char *end)
{
    if (s.len == 0 || ((s.p < first || s.p + s.len > end) && !span_is(s, "/")))
        abort();
    for (size_t i = 0; i < s.len; i++)
        if (s.p[i] <= ' ' || s.p[i] > '~')
            abort();
}

static enum rc look(const uint8_t *data, size_t size, uint16_t *status, size_t *bytes)
{
    struct http_request_head h;
    char *copy = malloc(size + !size);
    memcpy(copy, data, size);
    enum rc rc = http_request_head_look(span_bytes(copy, size), &h);
    *status = h.status;
    *bytes = h.bytes;
    if (rc == RC_OK) {
        check(h.method, copy, copy + size);
        check(h.target, copy, copy + size);
        check(h.host, copy, copy + size);
        if (h.target.p[0] != '/' || h.bytes > size || memcmp(copy + h.bytes - 4, "\r\n\r\n", 4) != 0)
            abort();
    }
    if ((rc == RC_PROTOCOL) != (h.status >= 400 && h.why))
        abort();
    free(copy);
    return rc;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint16_t status, status_before;
    size_t bytes, bytes_before;
    if (size == 0)
        return 0;
    enum rc rc = look(data + 1, size - 1, &status, &bytes);
    enum rc before = look(data + 1, (size - 1) * data[0] / 256, &status_before, &bytes_before);
    if (before != RC_NOT_FOUND && (before != rc || status != status_before || bytes != bytes_before))
        abort();
    return 0;
}
