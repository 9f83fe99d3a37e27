#include "toolchain/tools/common/order_key.h"

/* The parts of text between separators, last one first, with other separators. */
static void turn(struct span text, char from, char to, char *out)
{
    size_t end = text.len, at = 0;
    for (;;) {
        size_t start = end;
        while (start > 0 && text.p[start - 1] != from)
            start--;
        memcpy(out + at, text.p + start, end - start);
        at += end - start;
        if (start == 0)
            break;
        out[at++] = to;
        end = start - 1;
    }
    out[at] = '\0';
}

void order_key_of_name(const char *name, char *key)
{
    turn(span_of(name), '.', ',', key);
}

void order_key_to_name(struct span key, char *name)
{
    turn(key, ',', '.', name);
}
