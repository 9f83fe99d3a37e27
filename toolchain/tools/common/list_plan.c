#include "toolchain/tools/common/list_plan.h"

#include <string.h>

#include "policy/list_block.h"
#include "toolchain/tools/common/list_writer.h"

void list_plan_free(struct list_plan *p)
{
    byte_buffer_free(&p->blocks);
    byte_buffer_free(&p->lines);
    memset(p, 0, sizeof *p);
}

/* One of `parts` pieces, as even as can be, of all. */
static size_t piece(size_t all, size_t parts, size_t i)
{
    return all * (i + 1) / parts - all * i / parts;
}

void list_plan_evenly(struct list_plan *p, size_t domains, unsigned usual)
{
    size_t count = 0;
    for (; p->domains < domains; count++) {
        size_t left = domains - p->domains, names = left < usual ? left : usual;
        byte_buffer_u8(&p->blocks, (uint8_t)names);
        p->domains += names;
    }
    for (size_t left = count; left > 0; left -= left < LIST_LINE_BLOCKS ? left : LIST_LINE_BLOCKS)
        byte_buffer_u8(&p->lines, (uint8_t)(left < LIST_LINE_BLOCKS ? left : LIST_LINE_BLOCKS));
}

/* --- as before --- */

static void end_line(struct list_follower *f, struct list_plan *p)
{
    size_t count = f->line.len, lines = (count + LIST_LINE_BLOCKS - 1) / LIST_LINE_BLOCKS;
    byte_buffer_add(&p->blocks, f->line.p, count);
    for (size_t i = 0; i < lines; i++)
        byte_buffer_u8(&p->lines, (uint8_t)piece(count, lines, i));
    f->line.len = 0;
}

static void end_block(struct list_follower *f, struct list_plan *p)
{
    size_t usual = f->before->names.usual, most = usual + usual / 2;
    size_t parts = f->held > most ? (f->held + usual - 1) / usual : f->held > 0;
    for (size_t i = 0; i < parts; i++)
        byte_buffer_u8(&f->line, (uint8_t)piece(f->held, parts, i));
    p->domains += f->held;
    f->held = 0;
    if (f->last)
        end_line(f, p);
}

/* To the next block: goes past its names, to the first one of that after it. */
static enum rc next_block(struct list_follower *f)
{
    struct list_place place;
    struct list_entry e;
    enum rc rc = list_find_place(f->before, &f->before->names, f->block, &place);
    if (rc != RC_OK)
        return rc;
    f->last = place.last;
    f->block = (place.last ? f->block | (LIST_LINE_BLOCKS - 1) : f->block) + 1;
    for (unsigned i = 0; rc == RC_OK && i < place.names; i++)
        rc = list_next(&f->it, &e);
    f->more = rc == RC_OK;
    return rc == RC_NOT_FOUND ? RC_OK : rc;
}

enum rc list_follower_start(struct list_follower *f, const struct list *before)
{
    struct list_entry e;
    memset(f, 0, sizeof *f);
    f->before = before;
    list_iterate(&f->it, before);
    enum rc rc = list_next(&f->it, &e);
    return rc == RC_OK ? next_block(f) : rc == RC_NOT_FOUND ? RC_OK : rc;
}

enum rc list_follower_add(struct list_follower *f, struct list_plan *p, const char *name)
{
    enum rc rc = RC_OK;
    while (rc == RC_OK && f->more && list_name_cmp(f->it.name, name) <= 0) {
        end_block(f, p);
        rc = next_block(f);
    }
    f->held++;
    return rc;
}

void list_follower_end(struct list_follower *f, struct list_plan *p)
{
    f->last = true;
    end_block(f, p);
    byte_buffer_free(&f->line);
}
