/* Records come back in order however many runs they took, as often as wanted, and those with one key as they came. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "toolchain/tools/common/external_sort.h"

#define MEMORY 5000 /* a run takes about 200 records */

static uint32_t next_random(uint32_t *state)
{
    *state = *state * 1664525 + 1013904223;
    return *state >> 8;
}

static void add(struct external_sort *s, uint32_t key, uint32_t serial)
{
    char text[16];
    int len = snprintf(text, sizeof text, "%05u", key);
    assert_int_equal(external_sort_add(s, span_bytes(text, (size_t)len), span_bytes(&serial, sizeof serial)), RC_OK);
}

static size_t read_in_order(struct external_sort *s)
{
    struct sort_record r;
    char before[16] = "", key[16];
    uint32_t serial_before = 0, serial;
    size_t count = 0;
    enum rc rc = external_sort_rewind(s);
    while (rc == RC_OK && (rc = external_sort_next(s, &r)) == RC_OK) {
        assert_int_equal(r.key.len, 5);
        assert_int_equal(r.value.len, sizeof serial);
        memcpy(key, r.key.p, 5);
        key[5] = '\0';
        memcpy(&serial, r.value.p, sizeof serial);
        int order = strcmp(before, key);
        assert_true(order < 0 || (order == 0 && serial_before < serial));
        memcpy(before, key, sizeof key);
        serial_before = serial;
        count++;
    }
    assert_int_equal(rc, RC_NOT_FOUND);
    return count;
}

static void sorted_over_any_number_of_runs(void **state)
{
    (void)state;
    static const uint32_t counts[] = { 0, 1, 100, 300, 3000, 20000 }; /* none, one, more than EXTERNAL_SORT_RUNS runs, many times */
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        struct external_sort *s = external_sort_new(MEMORY);
        uint32_t random = 1;
        for (uint32_t n = 0; n < counts[i]; n++)
            add(s, next_random(&random) % 5000, n);
        assert_int_equal(read_in_order(s), counts[i]);
        assert_int_equal(read_in_order(s), counts[i]);
        external_sort_free(s);
    }
}

static void a_new_start_in_the_middle(void **state)
{
    (void)state;
    struct external_sort *s = external_sort_new(MEMORY);
    struct sort_record r;
    for (uint32_t n = 0; n < 1000; n++)
        add(s, 1000 - n, n);
    assert_int_equal(external_sort_rewind(s), RC_OK);
    for (unsigned n = 0; n < 500; n++)
        assert_int_equal(external_sort_next(s, &r), RC_OK);
    assert_int_equal(read_in_order(s), 1000);
    external_sort_free(s);
}

static void bounds(void **state)
{
    (void)state;
    static const char big[SORT_VALUE_MAX + 1];
    struct external_sort *s = external_sort_new(MEMORY);
    struct sort_record r;
    assert_int_equal(external_sort_add(s, SPAN("a"), span_bytes(big, SORT_VALUE_MAX + 1)), RC_TOO_LONG);
    assert_int_equal(external_sort_add(s, span_bytes(big, SORT_KEY_MAX + 1), SPAN("")), RC_TOO_LONG);
    assert_int_equal(external_sort_add(s, span_bytes(big, SORT_KEY_MAX), span_bytes(big, SORT_VALUE_MAX)), RC_OK);
    assert_int_equal(external_sort_add(s, SPAN(""), SPAN("")), RC_OK);
    assert_int_equal(external_sort_rewind(s), RC_OK);
    assert_int_equal(external_sort_next(s, &r), RC_OK);
    assert_int_equal(r.key.len + r.value.len, 0);
    assert_int_equal(external_sort_next(s, &r), RC_OK);
    assert_int_equal(r.key.len, SORT_KEY_MAX);
    assert_int_equal(r.value.len, SORT_VALUE_MAX);
    assert_int_equal(external_sort_next(s, &r), RC_NOT_FOUND);
    assert_int_equal(external_sort_next(s, &r), RC_NOT_FOUND);
    external_sort_free(s);
    external_sort_free(NULL);
}

static void a_folder_that_is_not_there(void **state)
{
    (void)state;
    char *before = getenv("TMPDIR") != NULL ? tool_copy(span_of(getenv("TMPDIR"))) : NULL;
    struct external_sort *s = external_sort_new(MEMORY);
    add(s, 1, 1);
    setenv("TMPDIR", "/nowhere/at/all", 1);
    assert_int_equal(external_sort_rewind(s), RC_IO);
    if (before != NULL)
        setenv("TMPDIR", before, 1);
    else
        unsetenv("TMPDIR");
    free(before);
    external_sort_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sorted_over_any_number_of_runs),
        cmocka_unit_test(a_new_start_in_the_middle),
        cmocka_unit_test(bounds),
        cmocka_unit_test(a_folder_that_is_not_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
