/* Forced into every file of ours by the compiler command line: functions whose misuse loses bytes silently. */
#ifndef HAL_BASE_POISON_H
#define HAL_BASE_POISON_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#undef alloca /* a macro in the GNU dialect, which a poison would warn of */
#pragma GCC poison strcpy strcat sprintf vsprintf strtok atoi atol sscanf strncpy strncat gets alloca

#endif
