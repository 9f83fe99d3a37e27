/* list-model: trains the frozen weights of the list's format (policy/list_weights.c) on host names, one a line. Done once for a model, not
 * in a build; policy/LIST_EXPERIMENTS.md says with which names. Logistic regression by stochastic gradient descent (AdaGrad) over the very
 * decisions that the format makes; the same names give the same weights. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "policy/list_shared.h"
#include "toolchain/tools/common/byte_buffer.h"

#define PASSES 8
#define NAMES_A_BLOCK 16
#define UNITS 16.0 /* steps of a weight in one nat */
#define KEY_MAX 254
#define PATTERN_ROUNDS 3

struct list_coder {
    float weight[LIST_WEIGHTS], squares[LIST_WEIGHTS];
    float rate;
    double bits;
};

static inline int list_decide(struct list_coder *c, const uint16_t *at, unsigned count, int bit)
{
    double sum = 0;
    for (unsigned i = 0; i < count; i++)
        sum += c->weight[at[i]];
    double one = 1 / (1 + exp(-sum));
    float slope = (float)(one - bit);
    c->bits -= log2(bit ? one : 1 - one);
    for (unsigned i = 0; i < count; i++) {
        c->squares[at[i]] += slope * slope;
        c->weight[at[i]] -= c->rate * slope / sqrtf(c->squares[at[i]] + 1e-2f);
    }
    return bit;
}

/* list_code_symbol's way down the tree. */
static void walk_symbol(struct list_coder *c, const struct list_context *x, int above, int symbol)
{
    struct list_rows rows = list_rows_of(x);
    for (int node = 0; node >= 0;) {
        const struct list_node *n = &list_tree[node];
        unsigned i = (unsigned)node;
        bool rest = n->middle - 1 <= above;
        if (!rest) {
            uint16_t at[] = { (uint16_t)(rows.order_1 + i), (uint16_t)(W_ORDER_2 + (rows.order_2 ^ i)),
                              (uint16_t)(W_ORDER_3 + (rows.order_3 ^ i)), (uint16_t)(rows.place + i) };
            rest = list_decide(c, at, 4, symbol >= n->middle);
        }
        node = rest ? n->rest : n->below;
    }
}

/* --- keys --- */

struct keys {
    uint8_t (*key)[KEY_MAX]; /* each ends in SYMBOL_END */
    size_t count;
};

static int by_key(const void *a, const void *b)
{
    return strcmp(a, b);
}

/* "mx.example.com" into the symbols of "com,example,mx"; false when it has others. */
static bool make_key(const char *name, uint8_t *key)
{
    static const char alphabet[] = LIST_ALPHABET;
    size_t end = strlen(name), at = 0;
    if (end == 0 || end >= KEY_MAX)
        return false;
    for (;;) {
        size_t start = end;
        while (start > 0 && name[start - 1] != '.')
            start--;
        for (size_t i = start; i < end; i++) {
            const char *symbol = memchr(alphabet + SYMBOL_DOT + 1, name[i], SYMBOLS - 2);
            if (symbol == NULL)
                return false;
            key[at++] = (uint8_t)(symbol - alphabet);
        }
        key[at] = SYMBOL_END;
        if (start == 0)
            return true;
        key[at++] = SYMBOL_DOT;
        end = start - 1;
    }
}

static bool read_keys(const char *path, struct keys *out)
{
    char line[KEY_MAX + 2];
    FILE *f = fopen(path, "r");
    if (f == NULL)
        return false;
    while (fgets(line, sizeof line, f) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        if ((out->count & (out->count + 1)) == 0)
            out->key = tool_resize(out->key, out->count * 2 + 2, sizeof *out->key);
        out->count += make_key(line, out->key[out->count]);
    }
    fclose(f);
    return out->count > 0;
}

/* --- training --- */

static void walk_rest(struct list_coder *c, const uint8_t *key, size_t from, int above, struct list_context x)
{
    for (size_t i = from;; i++) {
        walk_symbol(c, &x, i == from ? above : -1, key[i]);
        if (key[i] == SYMBOL_END)
            return;
        list_context_add(&x, key[i]);
    }
}

/* Every `step`-th name, so that the model knows lists of several sizes. */
static void walk_list(struct list_coder *c, const struct keys *names, size_t step, size_t from)
{
    const uint8_t *before = NULL;
    struct list_shared s = { 0, 0 };
    for (size_t i = from, n = 0; i < names->count; i += step, n++) {
        const uint8_t *key = names->key[i];
        size_t shared = 0;
        int above = -1;
        if (n % NAMES_A_BLOCK == 0) {
            s = (struct list_shared){ 0, 0 };
        } else {
            while (before[shared] == key[shared] && key[shared] != SYMBOL_END)
                shared++;
            list_walk_shared(c, before, strlen((const char *)before), &s, shared);
            list_shared_add(&s, shared);
            above = before[shared];
        }
        walk_rest(c, key, shared, above, list_context_at(key, shared));
        before = key;
    }
}

/* The labels that stand before a domain in the patterns of policies. */
static void walk_patterns(struct list_coder *c, const struct keys *patterns)
{
    struct list_context x = { SYMBOL_DOT, KIND_PATTERN, 0 };
    for (unsigned round = 0; round < PATTERN_ROUNDS; round++) {
        for (size_t i = 0; i < patterns->count; i++)
            walk_rest(c, patterns->key[i], 0, -1, x);
    }
}

static void train(struct list_coder *c, const struct keys *names, const struct keys *patterns)
{
    static const size_t steps[] = { 1, 4, 16, 64 };
    c->rate = 0.15f;
    for (unsigned pass = 0; pass < PASSES; pass++) {
        c->bits = 0;
        for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
            walk_list(c, names, steps[i], pass % steps[i]);
            if (i == 0)
                fprintf(stderr, "pass %u: %.3f bits a name\n", pass, c->bits / (double)names->count);
        }
        walk_patterns(c, patterns);
        c->rate *= 0.75f;
    }
}

static void print_weights(const struct list_coder *c)
{
    printf("/* The frozen weights of model 2, in sixteenths of a nat. Made by toolchain/tools/list-model; "
           "policy/LIST_EXPERIMENTS.md. */\n"
           "#include \"policy/list_code.h\"\n\n/* clang-format off */\nconst int8_t list_weights[LIST_WEIGHTS] = {");
    for (size_t i = 0; i < LIST_WEIGHTS; i++) {
        double w = round(c->weight[i] * UNITS);
        printf("%s%d,", i % 32 == 0 ? "\n    " : "", (int)(w > 127 ? 127 : w < -127 ? -127 : w));
    }
    printf("\n};\n");
}

int main(int argc, char **argv)
{
    static struct list_coder c;
    struct keys names = { NULL, 0 }, patterns = { NULL, 0 };
    if (argc != 3 || !read_keys(argv[1], &names) || !read_keys(argv[2], &patterns)) {
        fprintf(stderr, "usage: list-model NAMES PATTERNS >policy/list_weights.c\n");
        return 2;
    }
    qsort(names.key, names.count, sizeof *names.key, by_key);
    train(&c, &names, &patterns);
    print_weights(&c);
    free(names.key);
    free(patterns.key);
    return fflush(stdout) == 0 ? 0 : 1;
}
