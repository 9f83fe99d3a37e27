/* The stack of a lookup, on the cores that have little of it: every name of a list, and some that are not in it, looked up by a task of
 * its own whose stack is painted. */
#include <string.h>

#include "hal/task.h"
#include "policy/list.h"
#include "tests/board/selftest.h"

#define LOOKUP_STACK_MAX (1024 * sizeof(void *) / 4) /* what policy/list.h promises, for 32 bits */

__asm__(".pushsection .rodata\n.balign 4\nselftest_list_bytes:\n.incbin \"tests/vectors/list/small.list\"\n"
        "selftest_list_end:\n.popsection\n.global selftest_list_bytes, selftest_list_end");
extern const char selftest_list_bytes[], selftest_list_end[];

struct lookups {
    unsigned found;
    bool look;
};

static struct task task;
static uint8_t stack[4096] __attribute__((aligned(16)));
static struct list list;
static struct list_entry entry;
static struct span bytes;
static struct reader reader;

static void look_up(void *arg)
{
    static const char *const names[] = { "example.com",           "example.org", "sub.example.com", "example-a.com",
                                         "xn--bcher-kva.example", "a.a",         "example.net",     "mx.example.com" };
    struct lookups *l = arg;
    for (size_t i = 0; l->look && i < sizeof names / sizeof names[0]; i++)
        l->found += list_find(&list, span_of(names[i]), &entry) == RC_OK;
}

/* Bytes of stack. */
static size_t run(struct lookups *l)
{
    memset(&task, 0, sizeof task);
    task_start(&task, "list", stack, sizeof stack, look_up, l);
    while (!task_done(&task) && task_sleep_ms(1) == RC_OK)
        ;
    return task_stack_used(&task);
}

void selftest_list(void)
{
    struct lookups none = { 0, false }, all = { 0, true };
    bytes = span_bytes(selftest_list_bytes, (size_t)(selftest_list_end - selftest_list_bytes));
    reader = reader_on_span(&bytes);
    if (!check("list-open", list_open(&list, &reader) == RC_OK, "the list is damaged"))
        return;
    look_up(&(struct lookups){ 0, true }); /* where a call is bound when it is made for the first time, that takes stack, too */
    size_t before = run(&none), used = run(&all) - before;
    check("list-find", all.found == 5, "not the five names that are in it");
    say("a lookup's stack: %u bytes", (unsigned)used);
    check("list-stack", used > 128 && used <= LOOKUP_STACK_MAX, "over what list.h promises");
}
