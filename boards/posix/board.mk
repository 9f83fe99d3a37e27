# posix: a Linux process on a TAP device, built by the host's compiler; flash in a file.
BOARD_CROSS :=
BOARD_CFLAGS := -O2 -g
BOARD_LDFLAGS := -pthread
BOARD_DRIVERS :=
