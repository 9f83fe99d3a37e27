/* What a balancer sends first. First byte: how many bytes a read gives. */
#include <stdlib.h>

#include "net/memory_stream.h"
#include "net/proxy_protocol.h"
#include "tests/fuzz/demand.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct stream s;
    struct memory_stream m;
    if (size == 0)
        return 0;
    memory_stream_init(&s, &m, span_bytes(data + 1, size - 1), NULL);
    m.chunk = data[0];
    enum rc rc = proxy_header_read(&s, (struct deadline){ UINT64_MAX });
    if (rc == RC_OK && m.pos != 16u + (unsigned)(data[15] << 8 | data[16]))
        abort(); /* exactly the header is taken */
    if (stream_peek(&s).len > 0)
        abort();
    return 0;
}
