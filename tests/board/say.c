#include "tests/board/say.h"

#include "hal/base/strbuf.h"
#include "hal/console.h"

void say(const char *format, ...)
{
    char text[160];
    struct strbuf b = STRBUF(text);
    va_list ap;
    va_start(ap, format);
    strbuf_vprintf(&b, format, ap);
    va_end(ap);
    console_write(b.p, b.len);
    console_write("\r\n", 2);
}
