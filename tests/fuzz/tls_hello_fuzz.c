/* A client's first bytes. What was said of a beginning must hold for the whole. First byte: where the beginning ends, in 256ths. */
#include <stdlib.h>
#include <string.h>

#include "net/tls_hello.h"
#include "tests/fuzz/demand.h"

static enum rc look(const uint8_t *data, size_t size, struct tls_hello *h)
{
    uint8_t *copy = malloc(size + !size);
    memcpy(copy, data, size);
    enum rc rc = tls_hello_look(span_bytes(copy, size), h);
    free(copy);
    for (const char *c = h->sni; *c; c++)
        if (!strchr("abcdefghijklmnopqrstuvwxyz0123456789-._", *c))
            abort();
    return rc;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct tls_hello whole, part;
    if (size == 0)
        return 0;
    enum rc rc = look(data + 1, size - 1, &whole);
    enum rc before = look(data + 1, (size - 1) * data[0] / 256, &part);
    if (before != RC_NOT_FOUND && (before != rc || memcmp(&whole, &part, sizeof part) != 0))
        abort();
    if (rc == RC_PROTOCOL && (whole.sni[0] || whole.acme_tls))
        abort();
    return 0;
}
