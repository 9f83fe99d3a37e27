/* JSON written to the console as it is made, one line, without memory for the whole. */
#ifndef FIRMWARE_JSON_OUT_H
#define FIRMWARE_JSON_OUT_H

#include "hal/base/span.h"

void json_begin(void);             /* { */
void json_end(void);               /* } and the line's end when it closes the outermost */
void json_object(const char *key); /* "key":{ ; key NULL inside an array */
void json_array(const char *key);  /* "key":[ */
void json_close(void);             /* ends the innermost object or array */
void json_string(const char *key, struct span value);
void json_text(const char *key, const char *value); /* NULL gives null; a packed one has at most 95 characters */
void json_number(const char *key, int64_t value);
void json_bool(const char *key, bool value);
void json_time(const char *key, int64_t unix_s); /* RFC 3339, null for 0 */

#endif
