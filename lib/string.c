/* SPDX-License-Identifier: Apache-2.0 */
/*
 * string.c: the C string functions a freestanding program has to bring along.
 *
 * Why: compilers emit calls to memcpy, memmove, memset and memcmp on their own, and the packages'
 * headers use them. Built with -fno-builtin and without loop idiom recognition, or the loops below
 * would become calls to themselves. Blocks are moved by words: the hypervisor counts instructions.
 * Whole pages go through arch_page_zero() and arch_page_copy() instead.
 */
#include <lib/string.h>

/* A word anywhere in memory, whatever its type and alignment. */
typedef u64 __attribute__((__may_alias__, __aligned__(1))) word_t;

void *memcpy(void *restrict to, const void *restrict from, size_t len)
{
	u8 *t = to;
	const u8 *f = from;

	for (; len >= 4 * sizeof(word_t); len -= 4 * sizeof(word_t)) {
		((word_t *)t)[0] = ((const word_t *)f)[0];
		((word_t *)t)[1] = ((const word_t *)f)[1];
		((word_t *)t)[2] = ((const word_t *)f)[2];
		((word_t *)t)[3] = ((const word_t *)f)[3];
		t += 4 * sizeof(word_t);
		f += 4 * sizeof(word_t);
	}
	for (; len >= sizeof(word_t); len -= sizeof(word_t)) {
		*(word_t *)t = *(const word_t *)f;
		t += sizeof(word_t);
		f += sizeof(word_t);
	}
	while (len--)
		*t++ = *f++;
	return to;
}

void *memmove(void *to, const void *from, size_t len)
{
	u8 *t = to;
	const u8 *f = from;

	if (t <= f || t >= f + len) {
		for (; len >= sizeof(word_t); len -= sizeof(word_t)) {
			*(word_t *)t = *(const word_t *)f;
			t += sizeof(word_t);
			f += sizeof(word_t);
		}
		while (len--)
			*t++ = *f++;
		return to;
	}
	for (; len >= sizeof(word_t); len -= sizeof(word_t))
		*(word_t *)(t + len - sizeof(word_t)) = *(const word_t *)(f + len - sizeof(word_t));
	while (len--)
		t[len] = f[len];
	return to;
}

void *memset(void *to, int value, size_t len)
{
	u64 pattern = (u8)value * 0x0101010101010101ull;
	u8 *t = to;

	for (; len >= 4 * sizeof(word_t); len -= 4 * sizeof(word_t)) {
		((word_t *)t)[0] = pattern;
		((word_t *)t)[1] = pattern;
		((word_t *)t)[2] = pattern;
		((word_t *)t)[3] = pattern;
		t += 4 * sizeof(word_t);
	}
	while (len--)
		*t++ = (u8)value;
	return to;
}

static inline bool same_four(const word_t *a, const word_t *b)
{
	return !((a[0] ^ b[0]) | (a[1] ^ b[1]) | (a[2] ^ b[2]) | (a[3] ^ b[3]));
}

/* Words that agree are skipped; the bytes of the first that does not, or the tail, decide. */
int memcmp(const void *a, const void *b, size_t len)
{
	const u8 *x = a, *y = b;

	while (len >= 4 * sizeof(word_t) && same_four((const word_t *)x, (const word_t *)y)) {
		len -= 4 * sizeof(word_t);
		x += 4 * sizeof(word_t);
		y += 4 * sizeof(word_t);
	}
	for (; len >= sizeof(word_t) && *(const word_t *)x == *(const word_t *)y;
	     len -= sizeof(word_t)) {
		x += sizeof(word_t);
		y += sizeof(word_t);
	}
	for (; len; len--, x++, y++)
		if (*x != *y)
			return *x - *y;
	return 0;
}

void *memchr(const void *where, int what, size_t len)
{
	const u8 *p = where;

	for (; len; len--, p++)
		if (*p == (u8)what)
			return (void *)p;
	return NULL;
}

size_t strnlen(const char *text, size_t max)
{
	size_t len = 0;

	while (len < max && text[len])
		len++;
	return len;
}

size_t strlen(const char *text)
{
	return strnlen(text, SIZE_MAX);
}

int strcmp(const char *a, const char *b)
{
	while (*a && *a == *b) {
		a++;
		b++;
	}
	return (u8)*a - (u8)*b;
}
