/* postern-image: makes and signs what is put on a box's flash. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "toolchain/tools/common/command_line.h"
#include "toolchain/tools/postern-image/commands.h"

static const char usage[] =
    "usage: postern-image COMMAND ...\n"
    "  data --board BOARD [--settings F] [--list F] [--roots PEM] [--anchors F] [--key PEM --cert PEM] [SIGNING] -o OUT\n"
    "                     the contents of a box's data flash\n"
    "    --board BOARD    virt, posix or mps2-an500\n"
    "    --settings F     lines KEY VALUE, as the console's show prints them; # begins a comment\n"
    "    --list F         a list made by postern-list compile\n"
    "    --roots PEM      CA certificates that the box trusts\n"
    "    --anchors F      DS records of the DNS root, one a line; else those that IANA publishes\n"
    "    --cert PEM       the box's own certificate, then its intermediates; with --key; else it makes one on first boot\n"
    "  list [--list F] [--roots PEM] [--anchors F] [--board BOARD] [--version N] [--created T] [--expires T] [SIGNING] -o OUT\n"
    "                     a list image, to be fetched by boxes; times like 2026-12-31T00:00:00Z; else those of the list\n"
    "  SIGNING            --keys DIR: signed by the list keys there; --unsigned: not signed\n"
    "  keys [--dir DIR]   the first signing keys and their keyring, where they are missing\n"
    "  keys --new FILE    one more key\n"
    "  keyring [--after OLD] --root F... --list F... --firmware F... [--threshold ROLE=N]... [--version N] [--expires T] -o OUT\n"
    "                     a keyring image, not signed yet; F: private or public keys in PEM\n"
    "  sign IMAGE (--key F... | --keys DIR) [-o OUT]\n"
    "                     adds signatures; --keys takes the keys there that are for this kind of image\n"
    "  verify IMAGE [--keyring K] [--board BOARD] [--now T] [--in-use VERSION]\n"
    "                     what a box that trusts K would say; K: a keyring image, else the one of the keys' folder\n"
    "  delta OLD NEW [SIGNING] -o PATCH\n"
    "                     a patch by which a box that has the list image OLD makes NEW\n"
    "  text IMAGE [--from LINE]\n"
    "                     a list image or a patch as text, for the console's 'list receive'\n"
    "  rescue FLASH [--unfinished] -o DIR\n"
    "                     the queued mail of a dead box from the contents of its data flash: ID.eml, and ID.json with its "
    "envelope\n"
    "The keys' folder is build/keys, or what POSTERN_KEYS names.\n";

int bad_usage(void)
{
    fputs(usage, stderr);
    return 2;
}

enum rc fail(const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    tool_complain(format, ap);
    va_end(ap);
    return RC_INVALID;
}

int main(int argc, char **argv)
{
    static const struct tool_command commands[] = {
        { "data", command_data },       { "list", command_list }, { "keys", command_keys },
        { "keyring", command_keyring }, { "sign", command_sign }, { "verify", command_verify },
        { "delta", command_delta },     { "text", command_text }, { "rescue", command_rescue },
    };
    if (argc >= 2 && (strcmp(argv[1], "help") == 0 || strcmp(argv[1], "--help") == 0)) {
        fputs(usage, stdout);
        return 0;
    }
    int result = tool_run(commands, sizeof commands / sizeof commands[0], argc, argv);
    return result < 0 ? bad_usage() : result;
}
