/* Power-cut tests run each phase in a process of its own, so that nothing survives a cut but what is in shared memory. */
#ifndef TESTS_POWERCUT_PROCESS_H
#define TESTS_POWERCUT_PROCESS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

/* Zeroed memory that the processes of a test share. */
static inline void *shared_memory(size_t bytes)
{
    void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(p != MAP_FAILED);
    return p;
}

/* Runs fn in a process of its own; false if it exits with anything but 0 or dies, which is said in why unless something is there already. A hang
 * is a failure. */
static inline bool in_child(void (*fn)(void), char *why, size_t why_bytes)
{
    fflush(NULL);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        alarm(60);
        fn();
        _exit(0);
    }
    int status;
    assert_true(waitpid(pid, &status, 0) == pid);
    if (!WIFEXITED(status) && why[0] == '\0')
        snprintf(why, why_bytes, "killed by signal %d", WTERMSIG(status));
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

#endif
