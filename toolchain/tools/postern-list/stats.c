/* stats: how many domains, and the bits that each takes, by part. What a name and its policy's number take is measured in the coder, in
 * fractions of a bit, by reading every block. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "toolchain/tools/common/list_encoder.h"
#include "toolchain/tools/postern-list/commands.h"
#include "toolchain/tools/postern-list/list_file.h"

struct parts { /* in bits, but for the counts */
    double names, numbers, own_policies, name_text;
    size_t own;
};

/* Bits that a coder has read so far: those of the bytes it has taken, less what its interval still holds. */
static double bits_read(const struct list_coder *c)
{
    return 8.0 * (c->next - (uint32_t)(c->have - c->at) + c->overrun) - c->ahead - log2(c->range);
}

static enum rc measure_names(const struct list *l, const struct list_place *place, struct parts *p)
{
    uint8_t memory[LIST_KEY_BYTES];
    struct list_walk w;
    enum rc rc = RC_OK;
    list_walk_start(&w, l, place, memory);
    double start = bits_read(&w.coder);
    for (uint32_t i = 0; rc == RC_OK && i < place->names; i++) {
        rc = list_walk_name(&w);
        p->name_text += 8.0 * (double)w.len;
    }
    p->names += bits_read(&w.coder) - start - l->names.bits;
    return rc;
}

static enum rc measure_policies(const struct list *l, const struct list_place *place, struct parts *p)
{
    struct list_choice c;
    struct list_entry e;
    enum rc rc = RC_OK;
    list_choice_start(&c, l, place);
    double start = bits_read(&c.coder);
    for (uint32_t i = 0; rc == RC_OK && i < place->names; i++)
        rc = list_choice_next(&c, l);
    double middle = bits_read(&c.coder);
    uint32_t own = c.own + (c.number == 0);
    for (uint32_t i = 0; rc == RC_OK && i < own; i++)
        rc = list_policy_read(&c.coder, l, &e);
    p->numbers += middle - start;
    p->own_policies += bits_read(&c.coder) - middle;
    p->own += own;
    return rc;
}

/* What the bits of their codes take that stand in the line: a number for each block but the first, whose bits are in the table. */
static void measure_prefixes(const uint32_t *gaps, size_t count, struct parts *p)
{
    struct bit_buffer bits = { .used = 0 };
    unsigned low_bits = golomb_best(gaps, count, LIST_BITS_MAX);
    for (size_t i = 0; i < count; i++)
        bit_buffer_golomb(&bits, gaps[i], low_bits);
    p->names += 32 + 8.0 * (double)bits.bytes.len - (8 - bits.used) % 8;
    byte_buffer_free(&bits.bytes);
}

static enum rc measure(const struct list *l, struct parts *p)
{
    uint32_t gaps[LIST_LINE_BLOCKS], before = 0;
    enum rc rc = RC_OK;
    memset(p, 0, sizeof *p);
    for (uint32_t block = 0; rc == RC_OK && block < l->names.count; block++) {
        struct list_place place;
        uint32_t at = block % LIST_LINE_BLOCKS;
        rc = list_find_place(l, &l->names, block, &place);
        if (rc != RC_OK)
            break;
        gaps[at] = place.prefix - before;
        before = place.prefix;
        if (place.last) {
            measure_prefixes(gaps + 1, at, p);
            block |= LIST_LINE_BLOCKS - 1;
        }
        rc = measure_names(l, &place, p);
        if (rc == RC_OK)
            rc = measure_policies(l, &place, p);
    }
    return rc;
}

static void print_bits(const char *label, double bits, const struct list *l)
{
    printf("  %-15s%.2f\n", label, bits / l->info.domains);
}

static void print_parts(const struct loaded *f, const struct parts *p)
{
    const struct list *l = &f->list;
    double directories = 8.0 * (double)(list_directory_bytes(&l->names) + list_directory_bytes(&l->policies));
    double names_data = 8.0 * l->names.data_bytes, policies_data = 8.0 * l->policies.data_bytes;
    double all = 8.0 * (double)f->bytes.len;
    printf("bits a domain    %.2f (its name as text: %.1f)\n", all / l->info.domains, p->name_text / l->info.domains);
    print_bits("names", p->names, l);
    print_bits("ids", p->numbers, l);
    print_bits("policies", p->own_policies + policies_data, l);
    print_bits("index", directories + names_data - p->names - p->numbers - p->own_policies, l);
    print_bits("model", 8.0 * LIST_OWN_BYTES, l);
    print_bits("header", all - names_data - policies_data - directories - 8.0 * LIST_OWN_BYTES, l);
    printf("policies         %zu stand beside their name, %.1f bits each; %u in a table, %.1f bits each; %u known hosts\n", p->own,
           p->own > 0 ? p->own_policies / (double)p->own : 0, l->shared, l->shared > 0 ? policies_data / l->shared : 0, l->known);
    printf("frozen model     %d, %zu bytes, in the firmware: not in the sums above\n", LIST_MODEL, sizeof list_weights);
}

int command_stats(int argc, char **argv)
{
    struct loaded f;
    struct parts p;
    if (argc != 2)
        return bad_usage();
    if (!load(&f, argv[1]))
        return 1;
    const struct list_info *i = &f.list.info;
    enum rc rc = measure(&f.list, &p);
    if (rc == RC_OK) {
        print_time("published        ", i->timestamp);
        print_time("expires          ", i->expires);
        printf("author           %s\n", i->author);
        printf("domains          %u (enforce %u, testing %u)\n", i->domains, i->enforce, i->testing);
        printf("policies         %u distinct\n", i->policies);
        printf("bytes            %zu\n", f.bytes.len);
        if (i->domains > 0)
            print_parts(&f, &p);
    }
    byte_buffer_free(&f.file);
    return rc == RC_OK ? 0 : fail("%s: the list is damaged (%s)", argv[1], rc_name(rc));
}
