/* Reads a JSON text (RFC 8259) of any size from a file, in pieces: the caller walks through the outer objects member by member and takes
 * each small value as a cJSON tree. Memory is bounded by one value (JSON_VALUE_MAX). The text must be UTF-8 without NUL characters, written
 * or escaped, as such a name would end early for readers of C strings: "bank.example\u0000.evil". */
#ifndef TOOLS_JSON_SPLIT_H
#define TOOLS_JSON_SPLIT_H

#include <cJSON.h>

#include "hal/base/strbuf.h"
#include "toolchain/tools/common/byte_buffer.h"

#define JSON_VALUE_MAX 131072 /* bytes of one value as text; a policy of 32 patterns takes 2 KB */
#define JSON_NAME_MAX 4096    /* bytes of a member's name as text */
#define JSON_OBJECTS_MAX 4    /* objects entered within each other */

struct json_split {
    FILE *file;
    uint8_t block[65536];
    size_t at, end;
    uint64_t taken_bytes;
    unsigned line, column; /* of the next byte, from 1 */
    unsigned utf8_more;    /* bytes that the character under way still needs */
    uint8_t utf8_low, utf8_high;
    struct byte_buffer text;
    unsigned depth;
    bool first[JSON_OBJECTS_MAX]; /* no member of that object was taken yet */
    char error[200];              /* after RC_INVALID and RC_IO: "line 3, column 7: not JSON at: oops" */
};

void json_split_start(struct json_split *s, FILE *file); /* file stays the caller's */
void json_split_free(struct json_split *s);

/* Enters the object that comes next. RC_NOT_FOUND: something else comes, and nothing was taken; RC_INVALID; RC_IO. */
enum rc json_split_object(struct json_split *s) MUST_CHECK;
/* The name of the next member; its value is to be entered or taken next. line: where the name stands. *name belongs to the caller, by free().
 * RC_NOT_FOUND: the object has ended and is left; RC_INVALID; RC_IO. */
enum rc json_split_member(struct json_split *s, char **name, unsigned *line) MUST_CHECK;
/* The value that comes next, which the caller deletes. RC_TOO_LONG: longer than JSON_VALUE_MAX, and passed over; RC_INVALID; RC_IO. */
enum rc json_split_value(struct json_split *s, cJSON **value) MUST_CHECK;
/* RC_INVALID unless nothing but blanks follows. */
enum rc json_split_finish(struct json_split *s) MUST_CHECK;

#endif
