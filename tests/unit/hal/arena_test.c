#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "hal/base/arena.h"
#include "hal/base/sanitize.h"

#define BYTES 8192
static _Alignas(16) unsigned char memory[BYTES];
static struct arena arena;

static int fresh(void **state)
{
    (void)state;
    arena_init(&arena, memory, BYTES);
    return 0;
}

static void blocks_are_zeroed_aligned_and_apart(void **state)
{
    (void)state;
    unsigned char *p[10];
    for (unsigned i = 0; i < 10; i++) {
        p[i] = arena_calloc(&arena, 1, 10 * i + 1);
        assert_non_null(p[i]);
        assert_true((uintptr_t)p[i] % 16 == 0 && arena_owns(&arena, p[i]));
        for (unsigned k = 0; k < 10 * i + 1; k++)
            assert_int_equal(p[i][k], 0);
        memset(p[i], (int)i + 1, 10 * i + 1);
    }
    for (unsigned i = 0; i < 10; i++)
        for (unsigned k = 0; k < 10 * i + 1; k++)
            assert_int_equal(p[i][k], i + 1);
    const void *below = (const void *)((uintptr_t)memory - 1);
    assert_false(arena_owns(&arena, memory + BYTES) || arena_owns(&arena, below) || arena_owns(&arena, NULL));
}

static void freed_blocks_merge_in_every_order(void **state)
{
    (void)state;
    static const unsigned char order[6][3] = { { 0, 1, 2 }, { 0, 2, 1 }, { 1, 0, 2 }, { 1, 2, 0 }, { 2, 0, 1 }, { 2, 1, 0 } };
    for (unsigned i = 0; i < 6; i++) {
        void *p[3] = { arena_calloc(&arena, 1, 100), arena_calloc(&arena, 1, 1000), arena_calloc(&arena, 1, 50) };
        for (unsigned k = 0; k < 3; k++)
            arena_free(&arena, p[order[i][k]]);
        assert_int_equal(arena.used_bytes, 0);
        void *whole = arena_calloc(&arena, 1, BYTES - 16);
        assert_non_null(whole);
        arena_free(&arena, whole);
    }
    assert_int_equal(arena.failures, 0);
    assert_int_equal(arena.peak_bytes, BYTES);
    arena_note_held(&arena);
    assert_int_equal(arena.held_bytes, 0);
    void *p = arena_calloc(&arena, 1, 100);
    arena_note_held(&arena);
    arena_free(&arena, p);
    arena_note_held(&arena);
    assert_int_equal(arena.held_bytes, 128);
}

static void the_lowest_fitting_hole_is_taken(void **state)
{
    (void)state;
    void *a = arena_calloc(&arena, 1, 100), *b = arena_calloc(&arena, 1, 100), *c = arena_calloc(&arena, 1, 500);
    void *d = arena_calloc(&arena, 1, 100);
    arena_free(&arena, c);
    arena_free(&arena, a);
    assert_ptr_equal(arena_calloc(&arena, 1, 80), a);
    assert_ptr_equal(arena_calloc(&arena, 1, 300), c);
    arena_free(&arena, a);
    arena_free(&arena, c);
    assert_ptr_equal(arena_calloc(&arena, 1, 80), a);
    arena_free(&arena, b);
    arena_free(&arena, d);
}

static void running_out_and_overflow_are_refused(void **state)
{
    (void)state;
    assert_null(arena_calloc(&arena, 1, BYTES));
    assert_null(arena_calloc(&arena, 1, BYTES - 15));
    assert_null(arena_calloc(&arena, SIZE_MAX / 2, 3));
    assert_null(arena_calloc(&arena, 1, SIZE_MAX));
    assert_int_equal(arena.failures, 4);
    unsigned count = 0;
    while (arena_calloc(&arena, 0, 5) != NULL)
        count++;
    assert_int_equal(count, BYTES / 32);
    assert_int_equal(arena.used_bytes, BYTES);
    arena_free(&arena, NULL);
}

/* A heap's life by a fixed pseudo-random script: contents stay, and at the end all is one block again. */
static void a_long_life_leaves_no_trace(void **state)
{
    (void)state;
    enum { SLOTS = 40 };
    unsigned char *p[SLOTS] = { NULL };
    size_t len[SLOTS] = { 0 };
    uint32_t seed = 1;
    for (unsigned step = 0; step < 50000; step++) {
        seed = seed * 1664525u + 1013904223u;
        unsigned i = (seed >> 8) % SLOTS;
        if (p[i] != NULL) {
            for (size_t k = 0; k < len[i]; k++)
                assert_int_equal(p[i][k], (unsigned char)i);
            arena_free(&arena, p[i]);
            p[i] = NULL;
        } else {
            len[i] = (seed >> 16) % 600;
            p[i] = arena_calloc(&arena, 1, len[i]);
            if (p[i] != NULL)
                memset(p[i], (int)i, len[i]);
        }
    }
    assert_true(arena.failures > 0);
    for (unsigned i = 0; i < SLOTS; i++)
        arena_free(&arena, p[i]);
    assert_int_equal(arena.used_bytes, 0);
    assert_non_null(arena_calloc(&arena, 1, BYTES - 16));
}

/* Runs act in a child process and tells whether a signal or the sanitizer ended it. */
static bool dies(void (*act)(unsigned char *p))
{
    unsigned char *p = arena_calloc(&arena, 1, 20);
    pid_t child = fork();
    if (child == 0) {
        close(2);
        signal(SIGILL, SIG_DFL);
        act(p);
        _exit(0);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    arena_free(&arena, p);
    return !WIFEXITED(status) || WEXITSTATUS(status) != 0;
}

static void free_twice(unsigned char *p)
{
    arena_free(&arena, p);
    arena_free(&arena, p);
}

static void free_inside(unsigned char *p)
{
    arena_free(&arena, p + 16);
}

static void free_foreign(unsigned char *p)
{
    static _Alignas(16) unsigned char foreign[64];
    (void)p;
    arena_free(&arena, foreign + 32);
}

static void free_properly(unsigned char *p)
{
    arena_free(&arena, p);
}

static void wrong_pointers_stop_the_box(void **state)
{
    (void)state;
    assert_true(dies(free_twice));
    assert_true(dies(free_inside));
    assert_true(dies(free_foreign));
    assert_false(dies(free_properly));
}

#if defined(ADDRESS_SANITIZER)
static void the_sanitizer_sees_into_the_arena(void **state)
{
    (void)state;
    unsigned char *p = arena_calloc(&arena, 1, 20);
    assert_false(__asan_address_is_poisoned(p) || __asan_address_is_poisoned(p + 19));
    assert_true(__asan_address_is_poisoned(p + 20) && __asan_address_is_poisoned(p - 1));
    arena_free(&arena, p);
    assert_true(__asan_address_is_poisoned(p));
    arena_release(&arena);
    assert_false(__asan_address_is_poisoned(p) || __asan_address_is_poisoned(memory + BYTES - 1));
}
#endif

#define TEST(f) cmocka_unit_test_setup(f, fresh)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(blocks_are_zeroed_aligned_and_apart),
        TEST(freed_blocks_merge_in_every_order),
        TEST(the_lowest_fitting_hole_is_taken),
        TEST(running_out_and_overflow_are_refused),
        TEST(a_long_life_leaves_no_trace),
        TEST(wrong_pointers_stop_the_box),
#if defined(ADDRESS_SANITIZER)
        TEST(the_sanitizer_sees_into_the_arena),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
