/* hal/base/reader.c: no range outside the bytes, parts of parts, no wrap-around. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "hal/base/reader.h"

static void reads_within_and_never_outside(void **state)
{
    (void)state;
    struct span bytes = SPAN("0123456789");
    struct reader r = reader_on_span(&bytes);
    char out[16];
    assert_int_equal(reader_get(&r, 0, out, 10), RC_OK);
    assert_memory_equal(out, "0123456789", 10);
    assert_int_equal(reader_get(&r, 9, out, 1), RC_OK);
    assert_int_equal(out[0], '9');
    assert_int_equal(reader_get(&r, 10, out, 0), RC_OK);
    assert_int_equal(reader_get(&r, 10, out, 1), RC_INVALID);
    assert_int_equal(reader_get(&r, 11, out, 0), RC_INVALID);
    assert_int_equal(reader_get(&r, 5, out, 6), RC_INVALID);
    assert_int_equal(reader_get(&r, UINT64_MAX, out, 2), RC_INVALID);
    assert_int_equal(reader_get(&r, 1, out, SIZE_MAX), RC_INVALID);
    assert_int_equal(r.read(r.ctx, 5, out, 6), RC_INVALID);
}

static void parts_of_parts(void **state)
{
    (void)state;
    struct span bytes = SPAN("0123456789");
    struct reader r = reader_on_span(&bytes), middle, inner;
    struct reader_part middle_part, inner_part;
    char out[16];
    assert_int_equal(reader_part_init(&middle, &middle_part, &r, 2, 6), RC_OK);
    assert_int_equal(reader_part_init(&inner, &inner_part, &middle, 1, 3), RC_OK);
    assert_int_equal(reader_get(&inner, 0, out, 3), RC_OK);
    assert_memory_equal(out, "345", 3);
    assert_int_equal(reader_get(&inner, 0, out, 4), RC_INVALID);
    assert_int_equal(reader_get(&middle, 5, out, 1), RC_OK);
    assert_int_equal(out[0], '7');
    assert_int_equal(reader_get(&middle, 6, out, 1), RC_INVALID);
    assert_int_equal(reader_part_init(&inner, &inner_part, &middle, 1, 6), RC_INVALID);
    assert_int_equal(reader_part_init(&inner, &inner_part, &middle, 7, 0), RC_INVALID);
    assert_int_equal(reader_part_init(&inner, &inner_part, &middle, UINT64_MAX, 2), RC_INVALID);
    assert_int_equal(reader_part_init(&inner, &inner_part, &middle, 6, 0), RC_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_within_and_never_outside),
        cmocka_unit_test(parts_of_parts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
