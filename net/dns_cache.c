#include "net/dns_cache.h"

#include <string.h>

#include "board/dns_sizes.h"
#include "hal/clock.h"

/* Behind it lie the name asked for, the final owner's name, the records and their data. */
struct entry {
    uint32_t size_bytes;
    uint32_t used; /* counts up with every use: the least is the one unused longest */
    uint64_t expires_ms;
    uint16_t type;
    uint16_t data_len;
    uint8_t name_len, owner_len;
    uint8_t outcome, security, truncated, count;
};

#define ALIGNMENT 8u

static _Alignas(ALIGNMENT) uint8_t memory[DNS_CACHE_BYTES];
static size_t used_bytes;
static uint32_t use_counter;

static struct entry *entry_at(size_t at)
{
    return (struct entry *)(void *)(memory + at);
}

static char *name_of(struct entry *e)
{
    return (char *)(e + 1);
}

static char *owner_of(struct entry *e)
{
    return name_of(e) + e->name_len;
}

static char *records_of(struct entry *e)
{
    return owner_of(e) + e->owner_len;
}

static char *data_of(struct entry *e)
{
    return records_of(e) + e->count * sizeof(struct dns_record);
}

static void remove_entry(struct entry *e)
{
    uint8_t *start = (uint8_t *)e;
    size_t size = e->size_bytes;
    memmove(start, start + size, (size_t)(memory + used_bytes - (start + size)));
    used_bytes -= size;
}

static void remove_expired(void)
{
    uint64_t now_ms = clock_ms();
    for (size_t at = 0; at < used_bytes;) {
        struct entry *e = entry_at(at);
        if (e->expires_ms <= now_ms)
            remove_entry(e);
        else
            at += e->size_bytes;
    }
}

static void remove_least_used(void)
{
    struct entry *least = entry_at(0);
    for (size_t at = 0; at < used_bytes; at += entry_at(at)->size_bytes)
        if (entry_at(at)->used < least->used)
            least = entry_at(at);
    remove_entry(least);
}

static struct entry *find(struct span name, enum dns_type type)
{
    for (size_t at = 0; at < used_bytes; at += entry_at(at)->size_bytes) {
        struct entry *e = entry_at(at);
        if (e->type == type && span_eq((struct span){ name_of(e), e->name_len }, name))
            return e;
    }
    return NULL;
}

bool dns_cache_get(struct span name, enum dns_type type, struct dns_answer *out)
{
    struct entry *e = find(name, type);
    uint64_t now_ms = clock_ms();
    if (e == NULL || e->expires_ms <= now_ms)
        return false;
    e->used = ++use_counter;
    out->outcome = (enum dns_outcome)e->outcome;
    out->security = (enum dns_security)e->security;
    out->ttl_s = (uint32_t)((e->expires_ms - now_ms) / 1000);
    out->truncated = e->truncated;
    out->count = e->count;
    out->data_len = e->data_len;
    memcpy(out->name, owner_of(e), e->owner_len);
    out->name[e->owner_len] = '\0';
    memcpy(out->record, records_of(e), e->count * sizeof(struct dns_record));
    memcpy(out->data, data_of(e), e->data_len);
    return true;
}

static size_t packed_size(size_t name_len, size_t owner_len, const struct dns_answer *a)
{
    size_t size = sizeof(struct entry) + name_len + owner_len + a->count * sizeof(struct dns_record) + a->data_len;
    return (size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

void dns_cache_put(struct span name, enum dns_type type, const struct dns_answer *a)
{
    size_t owner_len = strlen(a->name);
    size_t size = packed_size(name.len, owner_len, a);
    struct entry *old = find(name, type);
    if (old != NULL)
        remove_entry(old);
    if (a->ttl_s == 0 || name.len > DOMAIN_MAX)
        return;
    remove_expired();
    while (sizeof memory - used_bytes < size)
        remove_least_used();
    struct entry *e = entry_at(used_bytes);
    *e = (struct entry){ .size_bytes = (uint32_t)size,
                         .used = ++use_counter,
                         .expires_ms = clock_ms() + (uint64_t)a->ttl_s * 1000,
                         .type = (uint16_t)type,
                         .data_len = (uint16_t)a->data_len,
                         .name_len = (uint8_t)name.len,
                         .owner_len = (uint8_t)owner_len,
                         .outcome = (uint8_t)a->outcome,
                         .security = (uint8_t)a->security,
                         .truncated = a->truncated,
                         .count = (uint8_t)a->count };
    used_bytes += size;
    if (name.len > 0)
        memcpy(name_of(e), name.p, name.len);
    memcpy(owner_of(e), a->name, owner_len);
    memcpy(records_of(e), a->record, a->count * sizeof(struct dns_record));
    memcpy(data_of(e), a->data, a->data_len);
}

void dns_cache_clear(void)
{
    used_bytes = 0;
}

void dns_cache_usage(unsigned *entries, size_t *bytes)
{
    remove_expired();
    *entries = 0;
    *bytes = used_bytes;
    for (size_t at = 0; at < used_bytes; at += entry_at(at)->size_bytes)
        (*entries)++;
}
