/* Whether this build runs under the address sanitizer, which gcc and clang tell in different ways: for the few
 * that manage memory under its feet. */
#ifndef HAL_BASE_SANITIZE_H
#define HAL_BASE_SANITIZE_H

#if defined(__SANITIZE_ADDRESS__)
#define ADDRESS_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ADDRESS_SANITIZER 1
#endif
#endif

#if defined(ADDRESS_SANITIZER)
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#define UNCHECKED_ACCESS __attribute__((no_sanitize_address, noinline))
#else
#define UNCHECKED_ACCESS
#endif

#endif
