/* SPDX-License-Identifier: Apache-2.0 */
/*
 * string.h: the C string functions the hypervisor has, and a few for command lines.
 *
 * The standard ones are declared by the compiler's own <string.h>; lib/string.c defines memcpy,
 * memmove, memset, memcmp, memchr, strlen, strnlen, strcmp. A host test links libc's.
 */
#ifndef SAMEPAGE_LIB_STRING_H
#define SAMEPAGE_LIB_STRING_H

#include <string.h>
#include <lib/types.h>

/* Copies `from` into `to`, which has room for `size` >= 1 bytes; always terminated. False when it
 * was cut. */
bool string_copy(char *to, size_t size, const char *from);

/* Does the text [text, text + len) equal `word`? */
bool string_is(const char *text, size_t len, const char *word);

/*
 * A number: decimal or 0x hexadecimal, then perhaps K, M or G. ERR_FORMAT when [text, text + len)
 * is anything else, ERR_RANGE when it does not fit; then *out is untouched.
 */
int string_to_u64(const char *text, size_t len, u64 *out) __must_check;

#endif
