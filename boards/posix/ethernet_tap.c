/* Ethernet on a TAP device. The descriptor is inherited over a reset, so that an interface that lives only as long as its
 * user keeps its addresses. */
#include "hal/ethernet.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "boards/posix/posix.h"

#define PIECES_MAX 16

static uint8_t mac[6];
static int control = -1; /* any socket: asks for the interface's flags */

/* A locally administered address that stays the same for the same flash file: FNV-1a of its path and the interface. */
static void make_mac(void)
{
    uint64_t hash = 0xcbf29ce484222325u;
    for (const char *p = posix_options.flash_path; *p != '\0'; p++)
        hash = (hash ^ (uint8_t)*p) * 0x100000001b3u;
    for (const char *p = posix_options.tap; *p != '\0'; p++)
        hash = (hash ^ (uint8_t)*p) * 0x100000001b3u;
    for (unsigned i = 0; i < sizeof mac; i++)
        mac[i] = (uint8_t)(hash >> (8 * i));
    mac[0] = (uint8_t)((mac[0] & 0xfc) | 0x02);
}

static enum rc complain(const char *what)
{
    fprintf(stderr, "postern: TAP device %s: %s: %s\n", posix_options.tap, what, strerror(errno));
    return RC_IO;
}

static enum rc open_tap(void)
{
    struct ifreq request = { .ifr_flags = IFF_TAP | IFF_NO_PI };
    if (strlen(posix_options.tap) >= sizeof request.ifr_name) {
        errno = ENAMETOOLONG;
        return complain("name");
    }
    memcpy(request.ifr_name, posix_options.tap, strlen(posix_options.tap));
    int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK);
    if (fd < 0)
        return complain("/dev/net/tun");
    if (ioctl(fd, TUNSETIFF, &request) != 0) {
        enum rc rc = complain("attach");
        close(fd);
        return rc;
    }
    posix_tap_fd = fd;
    return RC_OK;
}

/* What had come for the box before the reset. */
static void drain(void)
{
    uint8_t frame[ETHERNET_FRAME_MAX];
    while (read(posix_tap_fd, frame, sizeof frame) >= 0)
        continue;
}

enum rc ethernet_init(void)
{
    if (posix_options.tap == NULL)
        return RC_NOT_FOUND;
    make_mac();
    control = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (posix_carried.tap_fd < 0)
        return open_tap();
    posix_tap_fd = posix_carried.tap_fd;
    drain();
    return RC_OK;
}

void ethernet_mac(uint8_t out[6])
{
    memcpy(out, mac, sizeof mac);
}

bool ethernet_link_up(void)
{
    struct ifreq request = { .ifr_flags = 0 };
    if (posix_tap_fd < 0)
        return false;
    memcpy(request.ifr_name, posix_options.tap, strlen(posix_options.tap));
    return ioctl(control, SIOCGIFFLAGS, &request) == 0 && (request.ifr_flags & IFF_UP) != 0;
}

enum rc ethernet_send(const struct span *pieces, size_t count)
{
    struct iovec out[PIECES_MAX];
    size_t total = 0;
    for (size_t i = 0; i < count && i < PIECES_MAX; i++) {
        out[i] = (struct iovec){ (void *)(uintptr_t)pieces[i].p, pieces[i].len };
        total += pieces[i].len;
    }
    if (count > PIECES_MAX || total > ETHERNET_FRAME_MAX)
        return RC_INVALID;
    return writev(posix_tap_fd, out, (int)count) < 0 && errno == EAGAIN ? RC_BUSY : RC_OK;
}

size_t ethernet_receive(void *out, size_t cap)
{
    uint8_t excess[4];
    struct iovec in[2] = { { out, out != NULL ? cap : 0 }, { excess, sizeof excess } };
    for (;;) {
        ssize_t n = readv(posix_tap_fd, in, 2);
        if (n <= 0)
            return 0;
        if ((size_t)n <= cap)
            return (size_t)n;
    }
}
