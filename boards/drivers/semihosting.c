/* The calls of semihosting, as BKPT 0xAB with the operation and a block of arguments. */
#include "boards/drivers/semihosting.h"

#include <string.h>

#define SYS_OPEN 0x01u
#define SYS_WRITE 0x05u
#define SYS_READ 0x06u
#define SYS_SEEK 0x0au
#define SYS_FLEN 0x0cu
#define SYS_TIME 0x11u

static int32_t call(uint32_t operation, const void *arguments)
{
    register uint32_t r0 __asm__("r0") = operation;
    register const void *r1 __asm__("r1") = arguments;
    __asm__ volatile("bkpt 0xab" : "+r"(r0) : "r"(r1) : "memory");
    return (int32_t)r0;
}

enum rc semihosting_open(struct semihosting_file *f, const char *name, enum semihosting_mode mode)
{
    const uintptr_t arguments[3] = { (uintptr_t)name, (uintptr_t)mode, strlen(name) };
    f->handle = call(SYS_OPEN, arguments);
    return f->handle >= 0 ? RC_OK : RC_NOT_FOUND;
}

enum rc semihosting_length(const struct semihosting_file *f, uint32_t *bytes)
{
    const uintptr_t arguments[1] = { (uintptr_t)f->handle };
    int32_t length = call(SYS_FLEN, arguments);
    *bytes = (uint32_t)length;
    return length >= 0 ? RC_OK : RC_IO;
}

enum rc semihosting_seek(const struct semihosting_file *f, uint32_t offset)
{
    const uintptr_t arguments[2] = { (uintptr_t)f->handle, offset };
    return call(SYS_SEEK, arguments) == 0 ? RC_OK : RC_IO;
}

/* Both answer how many bytes were not moved. */
enum rc semihosting_read(const struct semihosting_file *f, void *out, size_t len)
{
    const uintptr_t arguments[3] = { (uintptr_t)f->handle, (uintptr_t)out, len };
    return call(SYS_READ, arguments) == 0 ? RC_OK : RC_IO;
}

enum rc semihosting_write(const struct semihosting_file *f, const void *data, size_t len)
{
    const uintptr_t arguments[3] = { (uintptr_t)f->handle, (uintptr_t)data, len };
    return call(SYS_WRITE, arguments) == 0 ? RC_OK : RC_IO;
}

uint32_t semihosting_time(void)
{
    return (uint32_t)call(SYS_TIME, NULL);
}
