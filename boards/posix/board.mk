# posix: a Linux process on a TAP device, built by the host's compiler; flash in a file.
BOARD_CROSS :=
BOARD_CFLAGS := -O2 -g -D_GNU_SOURCE
BOARD_LDFLAGS := -pthread
# Each of the two is empty where the other serves.
BOARD_DRIVERS := switch_x86_64.S switch_ucontext.c
