#ifndef FIRMWARE_VERSION_H
#define FIRMWARE_VERSION_H

/* The version that status, the greeting of the console and images show. */
#define FIRMWARE_VERSION "0.1.0"

#endif
