/* boards/posix/flash_file.c: NOR rules on a file, and one sync for all that wait. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <sys/file.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "boards/posix/board_config.h"
#include "boards/posix/posix.h"
#include "hal/board.h"
#include "hal/flash.h"

#define BLOCK POSIX_FLASH_BLOCK_BYTES

/* Takes the place of the C library's, to count. */
static atomic_uint syncs;
int fdatasync(int fd)
{
    atomic_fetch_add(&syncs, 1);
    return (int)syscall(SYS_fdatasync, fd);
}

static char folder[] = "/tmp/flash-file-XXXXXX";
static char path[64];

static void make_file(off_t size)
{
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
    assert_true(fd >= 0);
    static uint8_t ones[BLOCK];
    memset(ones, 0xff, sizeof ones);
    for (off_t at = 0; at < size; at += BLOCK)
        assert_int_equal(pwrite(fd, ones, size - at < (off_t)BLOCK ? (size_t)(size - at) : BLOCK, at),
                         size - at < (off_t)BLOCK ? size - at : (off_t)BLOCK);
    close(fd);
}

static void poll_and_idle(void)
{
    flash_poll();
    if (flash_busy())
        board_idle(deadline_in_ms(100));
}

static void odd_size_is_refused(void **state)
{
    (void)state;
    make_file(BLOCK + 4);
    assert_int_equal(posix_flash_open(path), RC_IO);
    make_file(0);
    assert_int_equal(posix_flash_open(path), RC_IO);
}

static void size_comes_from_the_file(void **state)
{
    (void)state;
    make_file(4 * BLOCK);
    assert_int_equal(posix_flash_open(path), RC_OK);
    assert_int_equal(flash_geometry()->size_bytes, 4 * BLOCK);
    assert_int_equal(flash_geometry()->erase_block_bytes, BLOCK);
    assert_int_equal(flash_geometry()->program_unit_bytes, 4);
}

static void one_box_a_file(void **state)
{
    (void)state;
    int other = open(path, O_RDWR);
    assert_int_equal(flock(other, LOCK_EX | LOCK_NB), -1);
    close(other);
}

static void rules_of_nor(void **state)
{
    (void)state;
    static uint8_t big[3 * 4096 + 8];
    memset(big, 'b', sizeof big);
    char got[8];
    assert_int_equal(flash_program(4, "abcdefgh", 8), RC_OK);
    assert_int_equal(flash_read(4, got, 8), RC_OK);
    assert_memory_equal(got, "abcdefgh", 8);
    assert_int_equal(flash_program(8, "efgh", 4), RC_INVALID);
    assert_int_equal(flash_program(8, "\0\0\0\0", 4), RC_OK);
    assert_int_equal(flash_program(2, "ab", 2), RC_INVALID);
    assert_int_equal(flash_program(4 * BLOCK - 4, "abcdefgh", 8), RC_INVALID);
    assert_int_equal(flash_erase(4), RC_INVALID);
    assert_int_equal(flash_erase(4 * BLOCK), RC_INVALID);
    assert_int_equal(flash_read(4 * BLOCK - 4, got, 8), RC_INVALID);
    assert_int_equal(flash_erase(0), RC_OK);
    assert_int_equal(flash_read(4, got, 8), RC_OK);
    assert_memory_equal(got, "\xff\xff\xff\xff\xff\xff\xff\xff", 8);
    assert_int_equal(flash_program(BLOCK - 4096, big, sizeof big), RC_OK); /* over a block's end */
    big[sizeof big - 1] = 'c';
    assert_int_equal(flash_program(BLOCK - 4096, big, sizeof big), RC_INVALID); /* nothing of it is written */
    assert_int_equal(flash_read(BLOCK - 4096 + sizeof big - 4, got, 4), RC_OK);
    assert_memory_equal(got, "bbbb", 4);
}

static void contents_reach_the_file(void **state)
{
    (void)state;
    char got[4];
    assert_int_equal(flash_program(3 * BLOCK, "kept", 4), RC_OK);
    assert_int_equal(flash_sync(), RC_OK);
    int fd = open(path, O_RDONLY);
    assert_int_equal(pread(fd, got, 4, 3 * BLOCK), 4);
    assert_memory_equal(got, "kept", 4);
    close(fd);
}

static void await(const struct flash_op *op)
{
    uint64_t start_ms = clock_ms();
    while (!op->finished) {
        flash_poll(); /* a busy loop: never idle */
        assert_true(clock_ms() - start_ms < 5000);
    }
}

static void one_sync_serves_all_that_wait(void **state)
{
    (void)state;
    struct flash_op ops[3] = { { .kind = FLASH_SYNC }, { .kind = FLASH_SYNC }, { .kind = FLASH_SYNC } };
    struct flash_op program = { .kind = FLASH_PROGRAM, .addr = 2 * BLOCK, .data = "over", .len = 4 };
    atomic_store(&syncs, 0);
    flash_start(&ops[0]);
    flash_start(&program); /* overtakes the sync that is held back */
    flash_start(&ops[1]);
    flash_start(&ops[2]);
    for (unsigned i = 0; i < 3; i++)
        await(&ops[i]);
    assert_true(program.finished);
    assert_int_equal(atomic_load(&syncs), 1);
    assert_int_equal(ops[0].result, RC_OK);
    assert_false(flash_busy());
}

static void idle_loop_hurries_the_sync(void **state)
{
    (void)state;
    struct flash_op op = { .kind = FLASH_SYNC };
    atomic_store(&syncs, 0);
    flash_start(&op);
    board_idle(deadline_in_ms(1000)); /* ends when the sync is done */
    flash_poll();
    assert_true(op.finished);
    assert_int_equal(atomic_load(&syncs), 1);
}

static int make_folder(void **state)
{
    (void)state;
    if (mkdtemp(folder) == NULL)
        return -1;
    snprintf(path, sizeof path, "%s/flash", folder);
    task_set_poll(poll_and_idle);
    return 0;
}

static int remove_folder(void **state)
{
    (void)state;
    unlink(path);
    return rmdir(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(odd_size_is_refused),
        cmocka_unit_test(size_comes_from_the_file),
        cmocka_unit_test(one_box_a_file),
        cmocka_unit_test(rules_of_nor),
        cmocka_unit_test(contents_reach_the_file),
        cmocka_unit_test(one_sync_serves_all_that_wait),
        cmocka_unit_test(idle_loop_hurries_the_sync),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
