/* JSON of a server: checked, then walked in every way. */
#include <stdlib.h>

#include "hal/base/utf8.h"
#include "net/json_view.h"
#include "tests/fuzz/demand.h"

static void walk(const struct json_view *v, unsigned depth)
{
    char memory[64];
    struct strbuf text = STRBUF(memory);
    struct json_view item;
    size_t cursor = 0, count = 0;
    uint64_t number;
    if (depth > JSON_DEPTH_MAX || v->text.len == 0)
        abort();
    (void)json_view_u64(v, &number);
    (void)json_view_true(v);
    if (json_view_text(v, &text) != (v->type == JSON_STRING))
        abort();
    if (!text.overflow && !utf8_valid(strbuf_span(&text)))
        abort();
    while (json_view_each(v, &cursor, &item)) {
        walk(&item, depth + 1);
        if (count++ > v->text.len)
            abort();
    }
    if (json_view_member(v, "a", &item) == RC_OK)
        walk(&item, depth + 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct json_view v;
    if (json_view_open(span_bytes(data, size), &v) == RC_OK)
        walk(&v, 1);
    return 0;
}
