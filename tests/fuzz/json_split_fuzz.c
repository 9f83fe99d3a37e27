/* Any bytes as a JSON text that is taken in pieces: the outer objects member by member, what lies deeper as a tree. A text that is taken whole must
 * be one that cJSON takes whole, too, so that no two readers see different lists. */
#include <stdlib.h>
#include <string.h>

#include "hal/base/utf8.h"
#include "tests/fuzz/demand.h"
#include "toolchain/tools/common/json_split.h"

static enum rc walk(struct json_split *s, unsigned depth)
{
    char *name;
    unsigned line, line_before = 1;
    cJSON *value;
    enum rc rc = depth < 3 ? json_split_object(s) : RC_NOT_FOUND;
    if (rc == RC_NOT_FOUND) {
        rc = json_split_value(s, &value);
        demand((value != NULL) == (rc == RC_OK));
        cJSON_Delete(value);
        return rc == RC_TOO_LONG ? RC_OK : rc;
    }
    while (rc == RC_OK && (rc = json_split_member(s, &name, &line)) == RC_OK) {
        demand(line >= line_before && utf8_valid(span_of(name)));
        line_before = line;
        free(name);
        rc = walk(s, depth + 1);
    }
    return rc == RC_NOT_FOUND ? RC_OK : rc;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct json_split s;
    if (size == 0)
        return 0;
    FILE *f = fmemopen((void *)(uintptr_t)data, size, "rb");
    demand(f != NULL);
    json_split_start(&s, f);
    enum rc rc = walk(&s, 0);
    if (rc == RC_OK)
        rc = json_split_finish(&s);
    demand(rc == RC_OK || (rc == RC_INVALID && s.error[0] != '\0'));
    if (rc == RC_OK && s.text.cap <= JSON_VALUE_MAX) {
        char *text = tool_copy(span_bytes(data, size));
        cJSON *whole = cJSON_ParseWithLengthOpts(text, size + 1, NULL, true);
        demand(whole != NULL);
        cJSON_Delete(whole);
        free(text);
    }
    json_split_free(&s);
    fclose(f);
    return 0;
}
