/* A firmware for mps2-an500 that measures what the list and its signature cost a Cortex-M7. QEMU's loader has put a package into the board's
 * second memory: the list, names to look up, a signature. Under a fixed -icount virtual time is a count of instructions, and
 * tests/bench/cortex.py turns the microseconds that are printed here into these. The list is read by copying out of memory: what a flash
 * driver adds is not in it. */
#include <inttypes.h>
#include <string.h>

#include "hal/base/bytes.h"
#include "hal/board.h"
#include "hal/crypto/ecdsa.h"
#include "hal/task.h"
#include "policy/list.h"
#include "tests/board/say.h"

#define PACKAGE ((const uint8_t *)0x60000000)
enum { AT_LIST_BYTES = 0, AT_NAMES_BYTES = 4, AT_KEY = 8, AT_HASH = 72, AT_SIGNATURE = 104, AT_LIST = 256 };

#define TASK_STACK_BYTES 8192

static uint8_t stack[TASK_STACK_BYTES] __attribute__((aligned(16)));
static struct list list;
static struct reader reader;
static struct span list_bytes;
static struct list_entry entry;
static struct span wanted;
static enum rc answer;
static bool good;

static void nothing(void *arg)
{
    (void)arg;
}

static void find(void *arg)
{
    (void)arg;
    answer = list_find(&list, wanted, &entry);
}

static void verify(void *arg)
{
    (void)arg;
    good = ecdsa_p256_verify(PACKAGE + AT_KEY, PACKAGE + AT_HASH, PACKAGE + AT_SIGNATURE);
}

/* The most stack that fn takes above that of a task which does nothing. */
static size_t stack_of(task_fn fn)
{
    struct task t;
    size_t used[2];
    for (unsigned i = 0; i < 2; i++) {
        memset(&t, 0, sizeof t);
        task_start(&t, "cost", stack, sizeof stack, i == 0 ? nothing : fn, NULL);
        while (!task_done(&t))
            (void)tasks_run();
        used[i] = task_stack_used(&t);
    }
    return used[1] - used[0];
}

static uint32_t time_of(void (*fn)(void *arg))
{
    uint64_t start_us = clock_us();
    fn(NULL);
    return (uint32_t)(clock_us() - start_us);
}

static void look_up_all(struct span names)
{
    size_t most = 0;
    for (size_t at = 0, end; (end = span_find(names, at, '\n')) != SIZE_MAX; at = end + 1) {
        wanted = span_sub(names, at, end - at);
        uint32_t us = time_of(find);
        say("%s %" PRIu32, answer == RC_OK ? "found" : answer == RC_NOT_FOUND ? "absent" : "error", us);
        size_t used = stack_of(find);
        most = used > most ? used : most;
    }
    say("find-stack %u", (unsigned)most);
}

void firmware_main(void)
{
    enum rc rc = board_init();
    list_bytes = span_bytes(PACKAGE + AT_LIST, get_le32(PACKAGE + AT_LIST_BYTES));
    reader = reader_on_span(&list_bytes);
    if (rc == RC_OK)
        rc = list_open(&list, &reader);
    say("\r\nCOST %s: %s", board_name(), rc_name(rc));
    if (rc == RC_OK) {
        say("nothing %" PRIu32, time_of(nothing));
        look_up_all(span_bytes(PACKAGE + AT_LIST + list_bytes.len, get_le32(PACKAGE + AT_NAMES_BYTES)));
        uint32_t us = time_of(verify);
        say("%s %" PRIu32, good ? "verified" : "refused", us);
        say("verify-stack %u", (unsigned)stack_of(verify));
    }
    say("DONE");
    for (;;)
        board_idle(deadline_never());
}
