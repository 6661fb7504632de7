/* SPDX-License-Identifier: Apache-2.0 */
/*
 * own_string.h: gives lib/string.c's functions names of their own, so that a test can call them
 * beside libc's. Included before everything else when lib/string.c is compiled for the host.
 */
#ifndef SAMEPAGE_TESTS_SIM_OWN_STRING_H
#define SAMEPAGE_TESTS_SIM_OWN_STRING_H

#include <stddef.h>
#include <string.h>

#define memcpy	own_memcpy
#define memmove own_memmove
#define memset	own_memset
#define memcmp	own_memcmp
#define memchr	own_memchr
#define strlen	own_strlen
#define strnlen own_strnlen
#define strcmp	own_strcmp

void *memcpy(void *restrict to, const void *restrict from, size_t len);
void *memmove(void *to, const void *from, size_t len);
void *memset(void *to, int value, size_t len);
int memcmp(const void *a, const void *b, size_t len);
void *memchr(const void *where, int what, size_t len);
size_t strlen(const char *text);
size_t strnlen(const char *text, size_t max);
int strcmp(const char *a, const char *b);

#endif
