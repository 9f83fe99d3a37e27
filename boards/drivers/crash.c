/* Prints the crash dump with its own few lines of formatting: libc's want more stack and trust than there may be. */
#include "boards/drivers/crash.h"

#include <stdbool.h>
#include <string.h>

#include "hal/console.h"
#include "hal/task.h"
#include "board/board_config.h"

#define STACK_WORDS_SHOWN 64u
#define WORDS_A_LINE 8u
#define OVERFLOW_BYTES_MAX 4096u
#define NAME_BYTES_MAX 200u /* a name may point anywhere by now */

extern const uint8_t main_stack_bottom[], main_stack_top[]; /* from the linker script */

static bool crashing;

static void put(const char *s)
{
    console_write(s, strnlen(s, NAME_BYTES_MAX));
}

static void put_hex(uint32_t v)
{
    char text[8];
    for (unsigned i = 0; i < 8; i++)
        text[i] = "0123456789abcdef"[v >> (28 - 4 * i) & 0xf];
    console_write(text, sizeof text);
}

static void put_decimal(uint32_t v)
{
    char text[10];
    size_t at = sizeof text;
    do {
        text[--at] = (char)('0' + v % 10);
        v /= 10;
    } while (v != 0);
    console_write(text + at, sizeof text - at);
}

static void put_named(const char *name, uint32_t v)
{
    put(" ");
    put(name);
    put("=");
    put_hex(v);
}

static void put_task(void)
{
    const struct task *t = task_current();
    put("\r\ntask: ");
    if (t == NULL) {
        put("main loop");
        return;
    }
    put(t->name);
    put(", stack ");
    put_decimal((uint32_t)task_stack_used(t));
    put(" of ");
    put_decimal((uint32_t)t->stack_bytes);
    put(" bytes used");
}

static void put_registers(const struct crash_registers *regs)
{
    static const char *const name[16] = { "r0", "r1", "r2",  "r3",  "r4",  "r5", "r6", "r7",
                                          "r8", "r9", "r10", "r11", "r12", "sp", "lr", "pc" };
    for (unsigned i = 0; i < 16; i++) {
        if (i % WORDS_A_LINE == 0)
            put("\r\nregisters:");
        put_named(name[i], regs->r[i]);
    }
    put_named("psr", regs->psr);
}

/* The end of the stack that addr lies in: a task's, the main one, or whatever RAM there is. */
static uint32_t stack_end(uint32_t addr)
{
    const struct task *t = task_current();
    uint32_t task_bottom = t != NULL ? (uint32_t)(uintptr_t)t->stack : 0;
    if (t != NULL && addr >= task_bottom && addr - task_bottom < t->stack_bytes)
        return task_bottom + (uint32_t)t->stack_bytes;
    if (addr >= (uint32_t)(uintptr_t)main_stack_bottom && addr < (uint32_t)(uintptr_t)main_stack_top)
        return (uint32_t)(uintptr_t)main_stack_top;
    return RAM_BASE + RAM_BYTES;
}

static void put_stack(uint32_t sp)
{
    uint32_t addr = sp & ~3u;
    if (addr < RAM_BASE && RAM_BASE - addr < OVERFLOW_BYTES_MAX)
        addr = RAM_BASE; /* the main stack has grown out of RAM */
    uint32_t end = stack_end(addr);
    for (unsigned i = 0; i < STACK_WORDS_SHOWN && addr >= RAM_BASE && addr < end; i++, addr += 4) {
        if (i % WORDS_A_LINE == 0) {
            put("\r\nstack: ");
            put_hex(addr);
            put(":");
        }
        put(" ");
        put_hex(*(const uint32_t *)(uintptr_t)addr);
    }
}

void crash_report(const char *why, const struct crash_registers *regs, const struct crash_detail *detail, size_t count,
                  enum reset_reason reason)
{
    if (crashing)
        reset_now(reason);
    crashing = true;
    put("\r\npanic: ");
    put(why);
    put_registers(regs);
    if (count > 0)
        put("\r\nfault:");
    for (size_t i = 0; i < count; i++)
        put_named(detail[i].name, detail[i].value);
    put_task();
    put_stack(regs->r[13]);
    put("\r\n");
    reset_now(reason);
}

void crash_panic(const char *why, const struct crash_registers *regs)
{
    crash_report(why, regs, NULL, 0, RESET_CRASH);
}
