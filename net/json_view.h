/* Values inside JSON text (RFC 8259), found where they lie: no tree and no memory, whoever wants a value asks for it by name. The text is
 * foreign: it is checked whole before anything is looked up. Pure. */
#ifndef NET_JSON_VIEW_H
#define NET_JSON_VIEW_H

#include "hal/base/rc.h"
#include "hal/base/strbuf.h"

#define JSON_DEPTH_MAX 16

enum json_type { JSON_NULL, JSON_BOOL, JSON_NUMBER, JSON_STRING, JSON_ARRAY, JSON_OBJECT };

struct json_view {
    enum json_type type;
    struct span text; /* of the value as it is written, quotes and brackets included */
};

/* Checks all of text and gives its value, a view. RC_INVALID: no JSON, anything behind it, bad UTF-8, or a NUL (also as \u0000);
 * RC_TOO_LONG: deeper than JSON_DEPTH_MAX. */
enum rc json_view_open(struct span text, struct json_view *out) MUST_CHECK;

/* The rest is for values of a text that json_view_open has taken. */

/* The member of that name (written without escapes). RC_NOT_FOUND: none, or no object; RC_INVALID: there are two. */
enum rc json_view_member(const struct json_view *object, const char *name, struct json_view *out) MUST_CHECK;
/* Walks an array: start with *cursor = 0. False at its end, and for what is no array. */
bool json_view_each(const struct json_view *array, size_t *cursor, struct json_view *out);
/* Appends a string's text, escapes worked off, as UTF-8. False: no string. out->overflow says whether it fitted. */
bool json_view_text(const struct json_view *v, struct strbuf *out);
/* Member and string in one: RC_OK with the text in the place of what out held; RC_NOT_FOUND, RC_INVALID: two, or no string;
 * RC_TOO_LONG. On error out is empty. */
enum rc json_view_member_text(const struct json_view *object, const char *name, struct strbuf *out) MUST_CHECK;
/* A whole number that is not negative, without fraction and exponent. */
bool json_view_u64(const struct json_view *v, uint64_t *out);
bool json_view_true(const struct json_view *v);

#endif
