/* stats: counters, the spool's wear, what memory and stacks needed. */
#include "firmware/console_commands.h"
#include "firmware/counters.h"
#include "firmware/delivery.h"
#include "firmware/identity.h"
#include "firmware/intake.h"
#include "firmware/json_out.h"
#include "firmware/settings_log.h"
#include "firmware/spool.h"
#include "hal/task.h"
#include "net/link.h"

static void stats_tasks(bool json)
{
    if (json)
        json_array("tasks");
    for (const struct task *t = task_first(); t; t = task_next(t)) {
        if (json) {
            json_object(NULL);
            json_text("name", t->name);
            json_number("stack_bytes", (int64_t)t->stack_bytes);
            json_number("stack_used", (int64_t)task_stack_used(t));
            json_number("cpu_us", (int64_t)t->cpu_us);
            json_close();
        } else {
            say("task %-12s stack %u of %u bytes, %llu ms", t->name, (unsigned)task_stack_used(t), (unsigned)t->stack_bytes,
                (unsigned long long)(t->cpu_us / 1000));
        }
    }
    if (json)
        json_close();
}

static void stats_memory(const char *name, size_t arena_bytes, size_t arena_peak, unsigned refused, const struct slot_use *use,
                         bool json)
{
    if (!json) {
        say("memory %-9s TLS %u of %u bytes at most%s, %u refused", name, (unsigned)arena_peak, (unsigned)arena_bytes,
            use ? " in a session" : "", refused);
        if (use)
            say("       %-9s stack %u of %u bytes at most", "", (unsigned)use->stack_peak, (unsigned)use->stack_bytes);
        return;
    }
    json_object(name);
    json_number("tls_bytes", (int64_t)arena_bytes);
    json_number("tls_peak", (int64_t)arena_peak);
    json_number("tls_refused", refused);
    if (use) {
        json_number("stack_bytes", (int64_t)use->stack_bytes);
        json_number("stack_peak", (int64_t)use->stack_peak);
    }
    json_close();
}

static void stats_pools(bool json)
{
    const struct slot_use *in = intake_use(), *out = delivery_use();
    const struct arena *identity = tls_identity_memory();
    if (json)
        json_object("memory");
    stats_memory("intake", in->arena_bytes, in->arena_peak, in->arena_refused, in, json);
    stats_memory("delivery", out->arena_bytes, out->arena_peak, out->arena_refused, out, json);
    stats_memory("identity", identity->size_bytes, identity->peak_bytes, identity->failures, NULL, json);
    if (json)
        json_close();
}

static void stats_spool(bool json)
{
    struct spool_info s;
    struct settings_log_info k;
    spool_info(&s);
    settings_log_info(&k);
    if (json) {
        json_object("spool");
        json_number("size_bytes", (int64_t)s.size_bytes);
        json_number("free_bytes", (int64_t)s.free_bytes);
        json_number("messages", s.messages);
        json_number("blocks", s.blocks);
        json_number("blocks_free", s.blocks_free);
        json_number("blocks_bad", s.blocks_bad);
        json_number("erase_min", s.erase_min);
        json_number("erase_max", s.erase_max);
        json_number("commits", (int64_t)s.commits);
        json_number("syncs", (int64_t)s.syncs);
        json_close();
        json_number("settings_used_bytes", (int64_t)k.used_bytes);
        return;
    }
    say("spool  %llu of %llu KB free, %u blocks (%u free, %u bad), erased %u to %u times, %llu commits by %llu syncs",
        (unsigned long long)(s.free_bytes / 1024), (unsigned long long)(s.size_bytes / 1024), s.blocks, s.blocks_free, s.blocks_bad,
        (unsigned)s.erase_min, (unsigned)s.erase_max, (unsigned long long)s.commits, (unsigned long long)s.syncs);
    say("settings log  %u keys, %llu of %llu bytes", k.keys, (unsigned long long)k.used_bytes, (unsigned long long)k.size_bytes);
}

void command_stats(const struct command_line *c)
{
    struct link_status link;
    link_status(&link);
    if (c->json) {
        json_begin();
        json_object("counters");
        for (unsigned i = 0; i < COUNTERS; i++)
            json_number(counter_name((enum counter)i), (int64_t)counter_value((enum counter)i));
        json_close();
    } else {
        for (unsigned i = 0; i < COUNTERS; i++)
            say("%10llu  %s", (unsigned long long)counter_value((enum counter)i), counter_help((enum counter)i));
        say("frames  %llu in, %llu out, %llu dropped", (unsigned long long)link.frames_in, (unsigned long long)link.frames_out,
            (unsigned long long)link.drops);
    }
    stats_spool(c->json);
    stats_pools(c->json);
    stats_tasks(c->json);
    if (c->json)
        json_end();
}
