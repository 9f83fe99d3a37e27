#include "toolchain/tools/common/external_sort.h"

#include <errno.h>
#include <unistd.h>

#include "hal/base/bytes.h"
#include "hal/base/strbuf.h"

#define HEAD_BYTES 4 /* of a record: key length, zero, value length (2) */
#define RECORD_MAX (HEAD_BYTES + SORT_KEY_MAX + SORT_VALUE_MAX)

struct run {
    FILE *file;
    uint8_t record[RECORD_MAX]; /* the next one, unless ended */
    bool ended;
};

struct external_sort {
    uint8_t *memory;
    size_t used, size;
    uint8_t **order; /* the records in memory */
    size_t count, order_cap;
    struct run run[EXTERNAL_SORT_RUNS];
    unsigned runs;
    struct run *given; /* whose record the caller holds */
};

static enum rc complain(void)
{
    fprintf(stderr, "error: temporary file: %s\n", strerror(errno));
    return RC_IO;
}

FILE *temporary_file(void)
{
    const char *folder = getenv("TMPDIR");
    char path[4096];
    struct strbuf b = STRBUF(path);
    strbuf_printf(&b, "%s/postern-XXXXXX", folder != NULL && folder[0] != '\0' ? folder : "/var/tmp");
    int fd = b.overflow ? -1 : mkstemp(path);
    if (fd < 0 || unlink(path) != 0) {
        fprintf(stderr, "error: %s: %s\n", path, strerror(errno));
        return NULL;
    }
    FILE *f = fdopen(fd, "w+b");
    return f;
}

static struct span record_key(const uint8_t *r)
{
    return span_bytes(r + HEAD_BYTES, r[0]);
}

static size_t record_bytes(const uint8_t *r)
{
    return HEAD_BYTES + r[0] + get_le16(r + 2);
}

/* Records lie in memory in the order in which they came: an address breaks a tie. */
static int by_key(const void *a, const void *b)
{
    const uint8_t *x = *(uint8_t *const *)a, *y = *(uint8_t *const *)b;
    int order = span_cmp(record_key(x), record_key(y));
    return order != 0 ? order : x < y ? -1 : x > y;
}

struct external_sort *external_sort_new(size_t memory_bytes)
{
    struct external_sort *s = tool_alloc(1, sizeof *s);
    s->size = memory_bytes;
    s->memory = tool_alloc(memory_bytes, 1);
    return s;
}

void external_sort_free(struct external_sort *s)
{
    if (s == NULL)
        return;
    for (unsigned i = 0; i < s->runs; i++)
        fclose(s->run[i].file);
    free(s->memory);
    free(s->order);
    free(s);
}

/* --- reading runs --- */

static enum rc run_next(struct run *r)
{
    size_t got = fread(r->record, 1, HEAD_BYTES, r->file);
    r->ended = got == 0 && feof(r->file);
    if (r->ended)
        return RC_OK;
    size_t rest = got == HEAD_BYTES ? record_bytes(r->record) - HEAD_BYTES : 0;
    if (got != HEAD_BYTES || fread(r->record + HEAD_BYTES, 1, rest, r->file) != rest)
        return complain();
    return RC_OK;
}

static enum rc run_start(struct run *r)
{
    if (fseek(r->file, 0, SEEK_SET) != 0)
        return complain();
    clearerr(r->file);
    return run_next(r);
}

static enum rc start_runs(struct external_sort *s)
{
    enum rc rc = RC_OK;
    for (unsigned i = 0; rc == RC_OK && i < s->runs; i++)
        rc = run_start(&s->run[i]);
    s->given = NULL;
    return rc;
}

/* The run with the least record; the earlier one of two that are equal. NULL: all have ended. */
static struct run *least(struct external_sort *s)
{
    struct run *best = NULL;
    for (unsigned i = 0; i < s->runs; i++) {
        struct run *r = &s->run[i];
        if (!r->ended && (best == NULL || span_cmp(record_key(r->record), record_key(best->record)) < 0))
            best = r;
    }
    return best;
}

/* --- writing runs --- */

static enum rc write_record(FILE *f, const uint8_t *r)
{
    return fwrite(r, record_bytes(r), 1, f) == 1 ? RC_OK : complain();
}

/* All runs become one, so that a new one has room. */
static enum rc merge_runs(struct external_sort *s)
{
    struct run *r;
    FILE *all = temporary_file();
    enum rc rc = all == NULL ? RC_IO : start_runs(s);
    while (rc == RC_OK && (r = least(s)) != NULL) {
        rc = write_record(all, r->record);
        if (rc == RC_OK)
            rc = run_next(r);
    }
    if (rc == RC_OK && fflush(all) != 0)
        rc = complain();
    if (rc != RC_OK) {
        if (all != NULL)
            fclose(all);
        return rc;
    }
    for (unsigned i = 0; i < s->runs; i++)
        fclose(s->run[i].file);
    s->run[0].file = all;
    s->runs = 1;
    return RC_OK;
}

static enum rc write_run(struct external_sort *s)
{
    if (s->count == 0)
        return RC_OK;
    enum rc rc = s->runs == EXTERNAL_SORT_RUNS ? merge_runs(s) : RC_OK;
    FILE *f = rc == RC_OK ? temporary_file() : NULL;
    if (f == NULL)
        return RC_IO;
    s->run[s->runs++].file = f;
    qsort(s->order, s->count, sizeof *s->order, by_key);
    for (size_t i = 0; rc == RC_OK && i < s->count; i++)
        rc = write_record(f, s->order[i]);
    if (rc == RC_OK && fflush(f) != 0)
        rc = complain();
    s->used = s->count = 0;
    return rc;
}

/* --- what the caller sees --- */

enum rc external_sort_add(struct external_sort *s, struct span key, struct span value)
{
    size_t bytes = HEAD_BYTES + key.len + value.len;
    if (key.len > SORT_KEY_MAX || value.len > SORT_VALUE_MAX || bytes > s->size)
        return RC_TOO_LONG;
    if (s->used + bytes > s->size || s->count * sizeof *s->order >= s->size) {
        enum rc rc = write_run(s);
        if (rc != RC_OK)
            return rc;
    }
    if (s->count == s->order_cap) {
        s->order_cap = s->order_cap * 2 + 256;
        s->order = tool_resize(s->order, s->order_cap, sizeof *s->order);
    }
    uint8_t *r = s->memory + s->used;
    r[0] = (uint8_t)key.len;
    r[1] = 0;
    put_le16(r + 2, (uint16_t)value.len);
    memcpy(r + HEAD_BYTES, key.p, key.len);
    if (value.len > 0)
        memcpy(r + HEAD_BYTES + key.len, value.p, value.len);
    s->order[s->count++] = r;
    s->used += bytes;
    return RC_OK;
}

enum rc external_sort_rewind(struct external_sort *s)
{
    enum rc rc = write_run(s);
    if (s->memory != NULL) { /* it is not needed any more */
        free(s->memory);
        free(s->order);
        s->memory = NULL;
        s->order = NULL;
        s->size = s->order_cap = 0;
    }
    return rc == RC_OK ? start_runs(s) : rc;
}

enum rc external_sort_next(struct external_sort *s, struct sort_record *out)
{
    enum rc rc = s->given != NULL ? run_next(s->given) : RC_OK;
    if (rc != RC_OK)
        return rc;
    s->given = least(s);
    if (s->given == NULL)
        return RC_NOT_FOUND;
    const uint8_t *r = s->given->record;
    out->key = record_key(r);
    out->value = span_from(span_bytes(r, record_bytes(r)), (size_t)HEAD_BYTES + r[0]);
    return RC_OK;
}
