/* NOR flash in a file. A helper thread does what may block; the main loop only queues and collects.
 *
 * Erases and programs run in the order they were started. A sync is held back while more commits may join it: until the main
 * loop has nothing to run (board_idle), or for POSIX_SYNC_WAIT_MS. Then one fdatasync serves all that wait. A sync may thus run
 * after operations that were started later; it covers more then, never less.
 *
 * The thread owns an operation from submit to collect; fields of the operations are written by the main loop alone, but
 * for result, which is handed over under the lock. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "boards/posix/board_config.h"
#include "boards/posix/posix.h"
#include "hal/flash.h"

#define CHUNK_BYTES 4096u

struct queue {
    struct flash_op *first, **last;
};

static int fd = -1;
static const uint8_t *mapped =
    MAP_FAILED; /* for reading: a walk over the queue reads a hundred thousand headers, and the system call is the cost */
static struct flash_geometry geometry = { 0, POSIX_FLASH_BLOCK_BYTES, POSIX_FLASH_UNIT_BYTES };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t work = PTHREAD_COND_INITIALIZER;
static struct queue submitted, syncing, completed; /* under lock; syncing: those that go with the next fdatasync */
static uint64_t submitted_count, run_count;        /* under lock */
static bool sync_wanted;                           /* under lock: an fdatasync is due when sync_after operations have run */
static uint64_t sync_after;

static struct queue held; /* main loop only: syncs that wait for company */
static uint64_t held_since_ms;
static unsigned under_way; /* main loop only: started and not collected */

static void queue_init(struct queue *q)
{
    q->first = NULL;
    q->last = &q->first;
}

static void queue_add(struct queue *q, struct flash_op *op)
{
    op->next = NULL;
    *q->last = op;
    q->last = &op->next;
}

static void queue_append(struct queue *to, struct queue *from)
{
    if (from->first == NULL)
        return;
    *to->last = from->first;
    to->last = from->last;
    queue_init(from);
}

/* --- the file --- */

static bool read_all(uint64_t at, void *out, size_t len)
{
    for (size_t have = 0; have < len;) {
        ssize_t n = pread(fd, (char *)out + have, len - have, (off_t)(at + have));
        if (n == 0 || (n < 0 && errno != EINTR))
            return false;
        have += n > 0 ? (size_t)n : 0;
    }
    return true;
}

static bool write_all(uint64_t at, const void *data, size_t len)
{
    for (size_t done = 0; done < len;) {
        ssize_t n = pwrite(fd, (const char *)data + done, len - done, (off_t)(at + done));
        if (n < 0 && errno != EINTR)
            return false;
        done += n > 0 ? (size_t)n : 0;
    }
    return true;
}

static bool fill_ones(uint64_t at, uint64_t len)
{
    static uint8_t ones[64 * 1024];
    memset(ones, 0xff, sizeof ones);
    for (uint64_t done = 0; done < len; done += sizeof ones)
        if (!write_all(at + done, ones, sizeof ones))
            return false;
    return true;
}

static bool all_are(const uint8_t *p, size_t len, uint8_t value)
{
    for (size_t i = 0; i < len; i++)
        if (p[i] != value)
            return false;
    return true;
}

/* Each unit is programmed once between erases, but may become zeros at any time. */
static enum rc check_units(uint64_t at, const uint8_t *data, size_t len)
{
    uint8_t old[CHUNK_BYTES];
    if (!read_all(at, old, len))
        return RC_IO;
    for (size_t i = 0; i < len; i += POSIX_FLASH_UNIT_BYTES)
        if (!all_are(old + i, POSIX_FLASH_UNIT_BYTES, 0xff) && !all_are(data + i, POSIX_FLASH_UNIT_BYTES, 0))
            return RC_INVALID;
    return RC_OK;
}

static enum rc do_program(const struct flash_op *op)
{
    const uint8_t *data = op->data;
    for (uint32_t done = 0; done < op->len; done += CHUNK_BYTES) {
        uint32_t n = op->len - done < CHUNK_BYTES ? op->len - done : CHUNK_BYTES;
        enum rc rc = check_units(op->addr + done, data + done, n);
        if (rc != RC_OK)
            return rc;
    }
    return write_all(op->addr, data, op->len) ? RC_OK : RC_IO;
}

static bool in_bounds(const struct flash_op *op)
{
    if (op->kind == FLASH_ERASE)
        return op->addr % POSIX_FLASH_BLOCK_BYTES == 0 && op->addr < geometry.size_bytes;
    return op->addr % POSIX_FLASH_UNIT_BYTES == 0 && op->len % POSIX_FLASH_UNIT_BYTES == 0 && op->len > 0 &&
           op->addr <= geometry.size_bytes && op->len <= geometry.size_bytes - op->addr;
}

/* --- the helper thread --- */

static void complete(struct queue *ops, enum rc result)
{
    for (struct flash_op *op = ops->first; op != NULL; op = op->next)
        op->result = result;
    pthread_mutex_lock(&lock);
    queue_append(&completed, ops);
    pthread_mutex_unlock(&lock);
    uint64_t one = 1;
    if (write(posix_flash_event_fd, &one, sizeof one) < 0)
        return; /* full counter: it is readable anyway */
}

static void run_one(struct flash_op *op)
{
    enum rc result = RC_INVALID;
    if (in_bounds(op) && op->kind == FLASH_PROGRAM)
        result = do_program(op);
    else if (in_bounds(op))
        result = fill_ones(op->addr, POSIX_FLASH_BLOCK_BYTES) ? RC_OK : RC_IO;
    struct queue single;
    queue_init(&single);
    queue_add(&single, op);
    complete(&single, result);
}

/* Waits for the next piece of work: an operation, or NULL and the syncs that one fdatasync is to serve. */
static struct flash_op *next_work(struct queue *syncs)
{
    struct flash_op *op = NULL;
    queue_init(syncs);
    pthread_mutex_lock(&lock);
    while (submitted.first == NULL && !sync_wanted)
        pthread_cond_wait(&work, &lock);
    if (sync_wanted && run_count >= sync_after) {
        sync_wanted = false;
        queue_append(syncs, &syncing);
    } else {
        op = submitted.first;
        submitted.first = op->next;
        if (op->next == NULL)
            submitted.last = &submitted.first;
        run_count++;
    }
    pthread_mutex_unlock(&lock);
    return op;
}

static void *helper(void *arg)
{
    (void)arg;
    for (;;) {
        struct queue syncs;
        struct flash_op *op = next_work(&syncs);
        if (op != NULL)
            run_one(op);
        else
            complete(&syncs, fdatasync(fd) == 0 ? RC_OK : RC_IO);
    }
    return NULL;
}

/* --- the main loop's side --- */

static void release_syncs(void)
{
    if (held.first == NULL)
        return;
    pthread_mutex_lock(&lock);
    queue_append(&syncing, &held);
    sync_wanted = true;
    sync_after = submitted_count;
    pthread_cond_signal(&work);
    pthread_mutex_unlock(&lock);
}

void flash_start(struct flash_op *op)
{
    op->done = (struct event){ 0 };
    op->finished = false;
    op->result = RC_OK;
    under_way++;
    if (op->kind == FLASH_SYNC) {
        if (held.first == NULL)
            held_since_ms = clock_ms();
        queue_add(&held, op);
        return;
    }
    pthread_mutex_lock(&lock);
    queue_add(&submitted, op);
    submitted_count++;
    pthread_cond_signal(&work);
    pthread_mutex_unlock(&lock);
}

static struct queue collect(void)
{
    struct queue done;
    uint64_t count;
    queue_init(&done);
    if (read(posix_flash_event_fd, &count, sizeof count) < 0)
        return done;
    pthread_mutex_lock(&lock);
    queue_append(&done, &completed);
    pthread_mutex_unlock(&lock);
    return done;
}

void flash_poll(void)
{
    if (held.first != NULL && clock_ms() - held_since_ms >= POSIX_SYNC_WAIT_MS)
        release_syncs();
    if (under_way == 0)
        return;
    struct queue done = collect();
    for (struct flash_op *op = done.first, *next; op != NULL; op = next) {
        next = op->next;
        under_way--;
        op->finished = true;
        event_signal(&op->done);
    }
}

bool flash_busy(void)
{
    return under_way > 0;
}

enum rc flash_read(uint64_t addr, void *out, size_t len)
{
    if (addr > geometry.size_bytes || len > geometry.size_bytes - addr)
        return RC_INVALID;
    if (mapped == MAP_FAILED)
        return read_all(addr, out, len) ? RC_OK : RC_IO;
    memcpy(out, mapped + addr, len);
    return RC_OK;
}

const struct flash_geometry *flash_geometry(void)
{
    return &geometry;
}

/* --- opening --- */

static enum rc complain(const char *path, const char *what, const char *why)
{
    fprintf(stderr, "postern: flash file %s: %s: %s\n", path, what, why);
    if (fd >= 0)
        close(fd);
    fd = -1;
    return RC_IO;
}

/* The new file takes its name when it is whole, so that a start that was cut leaves no short one. */
static enum rc make_file(const char *path)
{
    char part[4096];
    if (snprintf(part, sizeof part, "%s.part", path) >= (int)sizeof part)
        return complain(path, "make", strerror(ENAMETOOLONG));
    fd = open(part, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0)
        return complain(part, "make", strerror(errno));
    if (!fill_ones(0, POSIX_FLASH_NEW_BYTES) || fdatasync(fd) != 0 || rename(part, path) != 0)
        return complain(path, "make", strerror(errno));
    return RC_OK;
}

static enum rc open_file(const char *path)
{
    fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT) {
        enum rc rc = make_file(path);
        if (rc != RC_OK)
            return rc;
    }
    if (fd < 0)
        return complain(path, "open", strerror(errno));
    struct stat info;
    if (flock(fd, LOCK_EX | LOCK_NB) != 0)
        return complain(path, "lock", errno == EWOULDBLOCK ? "another box runs on it" : strerror(errno));
    if (fstat(fd, &info) != 0)
        return complain(path, "stat", strerror(errno));
    if (info.st_size == 0 || info.st_size % POSIX_FLASH_BLOCK_BYTES != 0)
        return complain(path, "size", "not a multiple of 256 KiB");
    geometry.size_bytes = (uint64_t)info.st_size;
    mapped = mmap(NULL, (size_t)info.st_size, PROT_READ, MAP_SHARED, fd, 0);
    return RC_OK;
}

enum rc posix_flash_open(const char *path)
{
    enum rc rc = open_file(path);
    if (rc != RC_OK)
        return rc;
    queue_init(&submitted);
    queue_init(&syncing);
    queue_init(&completed);
    queue_init(&held);
    posix_flash_event_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    pthread_t thread;
    if (posix_flash_event_fd < 0 || pthread_create(&thread, NULL, helper, NULL) != 0)
        return complain(path, "helper thread", strerror(errno));
    pthread_detach(thread);
    posix_idle_hook = release_syncs;
    return RC_OK;
}
