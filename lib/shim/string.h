/* SPDX-License-Identifier: Apache-2.0 */
/*
 * string.h: for the hypervisor, in place of libc's, which would bring the build machine's headers
 * along. Defined in lib/string.c.
 */
#ifndef SAMEPAGE_SHIM_STRING_H
#define SAMEPAGE_SHIM_STRING_H

#include <stddef.h>

void *memcpy(void *restrict to, const void *restrict from, size_t len);
void *memmove(void *to, const void *from, size_t len);
void *memset(void *to, int value, size_t len);
int memcmp(const void *a, const void *b, size_t len);
void *memchr(const void *where, int what, size_t len);
size_t strlen(const char *text);
size_t strnlen(const char *text, size_t max);
int strcmp(const char *a, const char *b);

#endif
