#include "toolchain/tools/common/list_known.h"

#include <stdlib.h>
#include <string.h>

#include "policy/list_code.h"
#include "toolchain/tools/common/byte_buffer.h"

#define LABELS_LEAST 2
#define NESTED_MAX 64 /* hosts that begin with one another */

void known_hosts_add(struct known_hosts *k, struct span text)
{
    if (k->count == k->cap) {
        k->cap = k->cap * 2 + 64;
        k->texts = tool_resize(k->texts, k->cap, sizeof *k->texts);
    }
    k->texts[k->count++] = text;
}

static int by_text(const void *a, const void *b)
{
    return span_cmp(*(const struct span *)a, *(const struct span *)b);
}

static bool begins_with(struct span text, struct span with)
{
    return text.len >= with.len && memcmp(text.p, with.p, with.len) == 0;
}

/* Whether text[0..len) is what a host may be: before or behind a dot, or all of it. */
static bool may_end(struct span text, size_t len)
{
    return len == text.len || text.p[len] == SYMBOL_DOT || text.p[len - 1] == SYMBOL_DOT;
}

/* All that the texts begin with, sorted. How many. */
static size_t list_beginnings(const struct known_hosts *k, struct span **out)
{
    size_t count = 0, cap = 0;
    *out = NULL;
    for (size_t i = 0; i < k->count; i++) {
        size_t labels = 1;
        for (size_t len = 1; len <= k->texts[i].len; len++) {
            if (count == cap) {
                cap = cap * 2 + 1024;
                *out = tool_resize(*out, cap, sizeof **out);
            }
            if (may_end(k->texts[i], len) && labels >= LABELS_LEAST)
                (*out)[count++] = span_sub(k->texts[i], 0, len);
            labels += k->texts[i].p[len - 1] == SYMBOL_DOT;
        }
    }
    if (count > 1)
        qsort(*out, count, sizeof **out, by_text);
    return count;
}

/* Whether a host pays that is used so often, beside one that says its first `known` symbols; roughly, in halves of a bit. A symbol takes 4.5
 * bits, a number 11, a host 8 a symbol and 12 more. */
static bool pays(size_t uses, size_t len, size_t known)
{
    return uses * (9 * (len - known) - (known == 0 ? 22 : 0)) > 16 * len + 24;
}

static void take(struct known_hosts *k, struct span text)
{
    if (k->known == LIST_KNOWN_MAX)
        return;
    if ((k->known & (k->known + 1)) == 0)
        k->chosen = tool_resize(k->chosen, k->known * 2 + 2, sizeof *k->chosen);
    k->chosen[k->known++] = (struct known_host){ .text = text };
}

/* Those that pay, shorter ones before the longer ones that begin with them. */
static void take_those_that_pay(struct known_hosts *k, const struct span *all, size_t count)
{
    struct span within[NESTED_MAX];
    size_t depth = 0;
    for (size_t i = 0, n; i < count; i += n) {
        for (n = 1; i + n < count && span_cmp(all[i], all[i + n]) == 0;)
            n++;
        while (depth > 0 && !begins_with(all[i], within[depth - 1]))
            depth--;
        if (depth == NESTED_MAX || !pays(n, all[i].len, depth > 0 ? within[depth - 1].len : 0))
            continue;
        within[depth++] = all[i];
        take(k, all[i]);
    }
}

static struct known_host *find(const struct known_hosts *k, struct span text)
{
    for (size_t len = text.len; len > 0; len--) {
        struct span beginning = span_sub(text, 0, len);
        struct known_host *h = k->known > 0 && may_end(text, len)
                                   ? bsearch(&beginning, k->chosen, k->known, sizeof *k->chosen, by_text)
                                   : NULL;
        if (h != NULL)
            return h;
    }
    return NULL;
}

/* Leaves out what others, longer ones, are used in place of. */
static void prune(struct known_hosts *k)
{
    size_t kept = 0;
    for (size_t i = 0; i < k->count; i++) {
        struct known_host *h = find(k, k->texts[i]);
        if (h != NULL)
            h->uses++;
    }
    for (size_t i = 0; i < k->known; i++) {
        if (pays(k->chosen[i].uses, k->chosen[i].text.len, 0))
            k->chosen[kept++] = (struct known_host){ .text = k->chosen[i].text };
    }
    k->known = kept;
    for (size_t i = 0; i < k->count; i++) {
        struct known_host *h = find(k, k->texts[i]);
        if (h != NULL)
            h->uses++;
    }
}

static int by_uses(const void *a, const void *b)
{
    const struct known_host *x = *(struct known_host *const *)a, *y = *(struct known_host *const *)b;
    return x->uses != y->uses ? (x->uses < y->uses) - (x->uses > y->uses) : span_cmp(x->text, y->text);
}

static void number(struct known_hosts *k)
{
    k->by_number = tool_alloc(k->known, sizeof *k->by_number);
    for (size_t i = 0; i < k->known; i++)
        k->by_number[i] = &k->chosen[i];
    if (k->known > 1)
        qsort(k->by_number, k->known, sizeof *k->by_number, by_uses);
    for (size_t i = 0; i < k->known; i++)
        k->by_number[i]->number = (uint32_t)i;
}

void known_hosts_choose(struct known_hosts *k)
{
    struct span *all;
    size_t count = list_beginnings(k, &all);
    take_those_that_pay(k, all, count);
    free(all);
    prune(k);
    number(k);
}

char *known_hosts_room(struct known_hosts *k, size_t count)
{
    k->memory = tool_alloc(count, DOMAIN_MAX);
    return k->memory;
}

void known_hosts_keep(struct known_hosts *k, const struct span *texts, size_t count)
{
    k->known = count;
    k->chosen = tool_alloc(count, sizeof *k->chosen);
    k->by_number = tool_alloc(count, sizeof *k->by_number);
    for (size_t i = 0; i < count; i++)
        k->chosen[i] = (struct known_host){ .text = texts[i], .number = (uint32_t)i };
    if (count > 1)
        qsort(k->chosen, count, sizeof *k->chosen, by_text);
    for (size_t i = 0; i < count; i++)
        k->by_number[k->chosen[i].number] = &k->chosen[i];
}

const struct known_host *known_hosts_find(const struct known_hosts *k, struct span text)
{
    return find(k, text);
}

void known_hosts_free(struct known_hosts *k)
{
    free(k->texts);
    free(k->chosen);
    free(k->by_number);
    free(k->memory);
    memset(k, 0, sizeof *k);
}
