/* What the C library wants from below. There is no heap, no file and no exit: whoever asks for one is a defect. */
#include <errno.h>
#include <stddef.h>
#include <stdint.h>

#include "hal/board.h"

void *sbrk(ptrdiff_t bytes);
void _exit(int status) __attribute__((noreturn));
void __assert_func(const char *file, int line, const char *function, const char *expression) __attribute__((noreturn));

void *sbrk(ptrdiff_t bytes)
{
    (void)bytes;
    errno = ENOMEM;
    return (void *)(intptr_t)-1;
}

void _exit(int status)
{
    (void)status;
    board_panic("exit called");
}

void __assert_func(const char *file, int line, const char *function, const char *expression)
{
    (void)file, (void)line, (void)function;
    board_panic(expression);
}
