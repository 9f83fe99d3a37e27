#include "tests/support/flash_sim.h"

#include <assert.h>
#include <inttypes.h>

/* One picture of the flash. spent marks program units that were programmed since their block's erase. */
struct picture {
    uint8_t *bytes;
    uint8_t *spent;
};

struct journal_entry {
    enum flash_op_kind kind;
    uint64_t addr;
    uint32_t len;
    uint8_t *data;
    struct journal_entry *next;
};

static struct {
    struct flash_geometry geometry;
    struct picture now, safe;
    struct journal_entry *journal, **journal_end;
    struct flash_op *head, **tail;
    unsigned polls_needed, polls_done;
    bool cut;
    bool cut_set, cut_torn;
    uint64_t cut_after, cut_seed;
    void (*on_cut)(void);
    uint64_t fail_nth[3];
    uint32_t fail_over;
    bool failures_last;
    uint64_t failed_block;
    bool *worn_out;
    uint64_t bad_addr, bad_len;
    uint64_t operations, count[3], reads;
    uint32_t *wear;
    unsigned violations;
    char violation[120];
} sim;

/* xorshift64*: the same damage for the same seed on every machine. */
static uint64_t chance(uint64_t *seed)
{
    uint64_t x = *seed == 0 ? 0x9e3779b97f4a7c15u : *seed;
    x ^= x >> 12;
    x ^= x << 25;
    x ^= x >> 27;
    *seed = x;
    return x * 0x2545f4914f6cdd1du;
}

static size_t unit(void)
{
    return sim.geometry.program_unit_bytes;
}

static void *must_alloc(size_t n, int fill)
{
    void *p = malloc(n);
    assert(p != NULL);
    memset(p, fill, n);
    return p;
}

static void picture_make(struct picture *p)
{
    size_t size = (size_t)sim.geometry.size_bytes;
    p->bytes = must_alloc(size, 0xff);
    p->spent = must_alloc(size / unit(), 0);
}

static void picture_copy(struct picture *to, const struct picture *from)
{
    size_t size = (size_t)sim.geometry.size_bytes;
    memcpy(to->bytes, from->bytes, size);
    memcpy(to->spent, from->spent, size / unit());
}

static void journal_clear(void)
{
    while (sim.journal != NULL) {
        struct journal_entry *e = sim.journal;
        sim.journal = e->next;
        free(e->data);
        free(e);
    }
    sim.journal_end = &sim.journal;
}

void flash_sim_free(void)
{
    journal_clear();
    free(sim.now.bytes);
    free(sim.now.spent);
    free(sim.safe.bytes);
    free(sim.safe.spent);
    free(sim.wear);
    free(sim.worn_out);
    memset(&sim, 0, sizeof sim);
    sim.journal_end = &sim.journal;
    sim.tail = &sim.head;
}

void flash_sim_init_uncut(uint64_t size_bytes, uint32_t erase_block_bytes, uint32_t program_unit_bytes)
{
    flash_sim_free();
    assert(size_bytes > 0 && size_bytes % erase_block_bytes == 0 && erase_block_bytes % program_unit_bytes == 0);
    sim.geometry = (struct flash_geometry){ size_bytes, erase_block_bytes, program_unit_bytes };
    picture_make(&sim.now);
    sim.wear = must_alloc((size_t)(size_bytes / erase_block_bytes) * sizeof *sim.wear, 0);
    sim.worn_out = must_alloc((size_t)(size_bytes / erase_block_bytes) * sizeof *sim.worn_out, 0);
    sim.failed_block = UINT64_MAX;
}

void flash_sim_init(uint64_t size_bytes, uint32_t erase_block_bytes, uint32_t program_unit_bytes)
{
    flash_sim_init_uncut(size_bytes, erase_block_bytes, program_unit_bytes);
    picture_make(&sim.safe);
}

const struct flash_geometry *flash_geometry(void)
{
    return &sim.geometry;
}

/* The rules. */

static bool violation(const struct flash_op *op, const char *what, uint64_t at)
{
    sim.violations++;
    snprintf(sim.violation, sizeof sim.violation, "%s 0x%" PRIx64 "+%u: %s 0x%" PRIx64,
             op->kind == FLASH_ERASE ? "erase" : "program", op->addr, op->kind == FLASH_ERASE ? 0 : (unsigned)op->len, what, at);
    return false;
}

static bool all_zero(const uint8_t *p, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (p[i] != 0)
            return false;
    return true;
}

static bool program_allowed(const struct flash_op *op)
{
    const uint8_t *data = op->data;
    if (op->addr % unit() != 0 || op->len % unit() != 0 || op->len == 0)
        return violation(op, "not whole program units", op->addr);
    if (op->addr > sim.geometry.size_bytes || op->len > sim.geometry.size_bytes - op->addr)
        return violation(op, "beyond the end", sim.geometry.size_bytes);
    for (size_t i = 0; i < op->len; i += unit()) {
        if (sim.now.spent[(op->addr + i) / unit()] && !all_zero(data + i, unit()))
            return violation(op, "programmed before: unit", op->addr + i);
        for (size_t k = i; k < i + unit(); k++)
            if (data[k] & ~sim.now.bytes[op->addr + k])
                return violation(op, "zeros into ones at", op->addr + k);
    }
    return true;
}

static bool allowed(const struct flash_op *op)
{
    if (op->kind == FLASH_SYNC)
        return true;
    if (op->kind == FLASH_PROGRAM)
        return program_allowed(op);
    if (op->addr % sim.geometry.erase_block_bytes != 0)
        return violation(op, "not at the start of a block", op->addr);
    if (op->addr >= sim.geometry.size_bytes)
        return violation(op, "beyond the end", sim.geometry.size_bytes);
    return true;
}

/* What operations do to a picture. */

static void apply_units(struct picture *p, uint64_t addr, const uint8_t *data, size_t len)
{
    memcpy(p->bytes + addr, data, len);
    memset(p->spent + addr / unit(), 1, len / unit());
}

static void apply_erase(struct picture *p, uint64_t addr, size_t len)
{
    memset(p->bytes + addr, 0xff, len);
    memset(p->spent + addr / unit(), 0, len / unit());
}

static void apply(struct picture *p, const struct journal_entry *e)
{
    if (e->kind == FLASH_ERASE)
        apply_erase(p, e->addr, e->len);
    else
        apply_units(p, e->addr, e->data, e->len);
}

/* A unit in which some bits have changed and some not yet. It cannot be programmed again. */
static void tear_unit(struct picture *p, uint64_t addr, const uint8_t *data, uint64_t *seed)
{
    for (size_t i = 0; i < unit(); i++) {
        uint8_t mask = (uint8_t)chance(seed);
        p->bytes[addr + i] = (uint8_t)((p->bytes[addr + i] & mask) | (data[i] & ~mask));
    }
    p->spent[addr / unit()] = 1;
}

static void tear_program(struct picture *p, const struct journal_entry *e, uint64_t *seed)
{
    uint64_t units = e->len / unit(), way = chance(seed) % 3;
    uint64_t done = chance(seed) % units;
    for (uint64_t i = 0; i < units; i++) {
        const uint8_t *data = e->data + i * unit();
        bool whole = way == 2 ? chance(seed) % 2 == 0 : i < done; /* 2: as pages of a file, in any order */
        if (whole)
            apply_units(p, e->addr + i * unit(), data, unit());
        else if (way == 1 && i == done)
            tear_unit(p, e->addr + i * unit(), data, seed);
    }
}

static void tear_erase(struct picture *p, const struct journal_entry *e, uint64_t *seed)
{
    uint64_t units = e->len / unit(), way = chance(seed) % 3;
    uint64_t done = chance(seed) % units;
    for (uint64_t i = 0; i < units; i++) {
        uint64_t at = e->addr + i * unit();
        if (way == 0 ? i < done : way == 1 && chance(seed) % 2 == 0)
            apply_erase(p, at, unit());
        else if (way == 2)
            for (size_t k = 0; k < unit(); k++)
                p->bytes[at + k] |= (uint8_t)(chance(seed) & chance(seed));
    }
}

static void cut_power(uint64_t seed)
{
    uint64_t dice = seed;
    assert(sim.safe.bytes != NULL);
    for (struct journal_entry *e = sim.journal; e != NULL; e = e->next)
        if (seed == 1 || (seed != 0 && chance(&dice) % 2 == 0))
            apply(&sim.safe, e);
    sim.cut = true;
    sim.cut_set = false;
    sim.head = NULL;
    sim.tail = &sim.head;
}

void flash_sim_cut_now(uint64_t seed)
{
    cut_power(seed);
}

void flash_sim_cut_after(uint64_t n, bool torn, uint64_t seed, void (*on_cut)(void))
{
    sim.cut_set = true;
    sim.cut_after = sim.operations + n;
    sim.cut_torn = torn;
    sim.cut_seed = seed;
    sim.on_cut = on_cut;
}

void flash_sim_power_on(void)
{
    assert(sim.cut);
    sim.cut = false;
    journal_clear();
    picture_copy(&sim.now, &sim.safe);
    sim.operations = 0;
    memset(sim.count, 0, sizeof sim.count);
    memset(sim.fail_nth, 0, sizeof sim.fail_nth);
}

bool flash_sim_is_cut(void)
{
    return sim.cut;
}

/* Running operations. */

static uint32_t entry_len(const struct flash_op *op)
{
    return op->kind == FLASH_ERASE ? sim.geometry.erase_block_bytes : op->len;
}

static void journal_add(const struct flash_op *op)
{
    if (sim.safe.bytes == NULL) {
        apply(&sim.now, &(struct journal_entry){ op->kind, op->addr, entry_len(op), (uint8_t *)(uintptr_t)op->data, NULL });
        return;
    }
    struct journal_entry *e = must_alloc(sizeof *e, 0);
    e->kind = op->kind;
    e->addr = op->addr;
    e->len = entry_len(op);
    if (op->kind == FLASH_PROGRAM) {
        e->data = must_alloc(op->len, 0);
        memcpy(e->data, op->data, op->len);
    }
    *sim.journal_end = e;
    sim.journal_end = &e->next;
    apply(&sim.now, e);
}

static void power_fails_before(const struct flash_op *op)
{
    uint64_t dice = sim.cut_seed + 0x51ed2701;
    cut_power(sim.cut_seed);
    if (sim.cut_torn && op->kind != FLASH_SYNC && allowed(op)) {
        const struct journal_entry e = { op->kind, op->addr, entry_len(op), (uint8_t *)(uintptr_t)op->data, NULL };
        if (op->kind == FLASH_PROGRAM)
            tear_program(&sim.safe, &e, &dice);
        else
            tear_erase(&sim.safe, &e, &dice);
    }
    assert(sim.on_cut != NULL);
    sim.on_cut();
}

static void finish(enum rc result)
{
    struct flash_op *op = sim.head;
    sim.head = op->next;
    if (sim.head == NULL)
        sim.tail = &sim.head;
    op->result = result;
    op->finished = true;
    event_signal(&op->done);
}

/* Half done: the front of it, as a worn-out block leaves it. */
static enum rc fail_halfway(const struct flash_op *op)
{
    struct flash_op half = *op;
    half.len = (uint32_t)(op->len / unit() / 2 * unit());
    if (op->kind == FLASH_PROGRAM && half.len > 0)
        journal_add(&half);
    return RC_IO;
}

static bool is_worn_out(const struct flash_op *op)
{
    for (uint64_t at = op->addr; op->kind != FLASH_SYNC && at < op->addr + entry_len(op); at += unit())
        if (sim.worn_out[at / sim.geometry.erase_block_bytes])
            return true;
    return false;
}

static enum rc execute(struct flash_op *op)
{
    if (!allowed(op))
        return RC_INVALID;
    sim.operations++;
    sim.count[op->kind]++;
    if (is_worn_out(op))
        return RC_IO;
    if (sim.fail_over > 0 && op->kind == FLASH_PROGRAM && entry_len(op) > sim.fail_over)
        return fail_halfway(op);
    if (sim.fail_nth[op->kind] > 0 && --sim.fail_nth[op->kind] == 0) {
        sim.failed_block = op->addr / sim.geometry.erase_block_bytes;
        sim.worn_out[sim.failed_block] = sim.failures_last && op->kind != FLASH_SYNC;
        return fail_halfway(op);
    }
    if (op->kind == FLASH_SYNC) {
        for (struct journal_entry *e = sim.journal; e != NULL; e = e->next)
            apply(&sim.safe, e);
        journal_clear();
        return RC_OK;
    }
    if (op->kind == FLASH_ERASE)
        sim.wear[op->addr / sim.geometry.erase_block_bytes]++;
    journal_add(op);
    return RC_OK;
}

void flash_start(struct flash_op *op)
{
    op->done = (struct event){ 0 };
    op->finished = false;
    op->result = RC_OK;
    op->next = NULL;
    *sim.tail = op;
    sim.tail = &op->next;
}

void flash_poll(void)
{
    if (sim.cut || sim.head == NULL || ++sim.polls_done < sim.polls_needed)
        return;
    sim.polls_done = 0;
    struct flash_op *op = sim.head;
    if (sim.cut_set && sim.operations >= sim.cut_after) {
        power_fails_before(op);
        return;
    }
    enum flash_op_kind kind = op->kind;
    enum rc result = execute(op);
    finish(result);
    while (kind == FLASH_SYNC && sim.head != NULL && sim.head->kind == FLASH_SYNC)
        finish(result);
}

bool flash_busy(void)
{
    return sim.head != NULL && !sim.cut;
}

enum rc flash_read(uint64_t addr, void *out, size_t len)
{
    sim.reads++;
    if (addr > sim.geometry.size_bytes || len > sim.geometry.size_bytes - addr)
        return RC_INVALID;
    if (addr < sim.bad_addr + sim.bad_len && sim.bad_addr < addr + len)
        return RC_IO;
    if (len > 0)
        memcpy(out, sim.now.bytes + addr, len);
    return RC_OK;
}

void flash_sim_fail(enum flash_op_kind kind, uint64_t n)
{
    sim.fail_nth[kind] = n;
}

void flash_sim_fail_programs_over(uint32_t len)
{
    sim.fail_over = len;
}

void flash_sim_wear_out(uint64_t block)
{
    sim.worn_out[block] = true;
}

void flash_sim_failures_last(bool lasting)
{
    sim.failures_last = lasting;
}

uint64_t flash_sim_failed_block(void)
{
    return sim.failed_block;
}

void flash_sim_fail_reads(uint64_t addr, uint64_t len)
{
    sim.bad_addr = addr;
    sim.bad_len = len;
}

void flash_sim_slow(unsigned polls)
{
    sim.polls_needed = polls;
}

const uint8_t *flash_sim_bytes(void)
{
    return sim.now.bytes;
}

void flash_sim_poke(uint64_t addr, const void *data, size_t len)
{
    assert(addr <= sim.geometry.size_bytes && len <= sim.geometry.size_bytes - addr);
    memcpy(sim.now.bytes + addr, data, len);
    if (sim.safe.bytes != NULL)
        memcpy(sim.safe.bytes + addr, data, len);
    for (uint64_t at = addr / unit() * unit(); at < addr + len; at += unit()) {
        bool blank = true;
        for (size_t k = 0; k < unit(); k++)
            blank = blank && sim.now.bytes[at + k] == 0xff;
        sim.now.spent[at / unit()] = !blank;
        if (sim.safe.bytes != NULL)
            sim.safe.spent[at / unit()] = !blank;
    }
}

uint64_t flash_sim_operations(void)
{
    return sim.operations;
}
uint64_t flash_sim_count(enum flash_op_kind kind)
{
    return sim.count[kind];
}
uint64_t flash_sim_reads(void)
{
    return sim.reads;
}
uint32_t flash_sim_wear(uint64_t block)
{
    return sim.wear[block];
}
unsigned flash_sim_violations(void)
{
    return sim.violations;
}
const char *flash_sim_violation(void)
{
    return sim.violation;
}
