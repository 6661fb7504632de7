/* SPDX-License-Identifier: Apache-2.0 */
/*
 * text.c: words and numbers out of command lines.
 *
 * A command line comes from outside: nothing here trusts it, and what it cannot mean is an error
 * code.
 */
#include <lib/error.h>
#include <lib/string.h>

bool string_copy(char *to, size_t size, const char *from)
{
	size_t len = strnlen(from, size);
	bool fits = len < size;

	if (!fits)
		len = size - 1;
	memcpy(to, from, len);
	to[len] = '\0';
	return fits;
}

bool string_is(const char *text, size_t len, const char *word)
{
	return strlen(word) == len && !memcmp(text, word, len);
}

static int digit_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : 16;
}

/* The shift a unit suffix stands for; 0 when the last character is none. */
static unsigned unit_shift(char c)
{
	switch (c | 0x20) {
	case 'k':
		return 10;
	case 'm':
		return 20;
	case 'g':
		return 30;
	default:
		return 0;
	}
}

int string_to_u64(const char *text, size_t len, u64 *out)
{
	unsigned shift, base = 10;
	u64 value = 0;

	if (len > 2 && text[0] == '0' && (text[1] | 0x20) == 'x') {
		base = 16;
		text += 2;
		len -= 2;
	}
	shift = len > 1 ? unit_shift(text[len - 1]) : 0;
	if (shift)
		len--;
	if (!len)
		return ERR_FORMAT;
	for (; len; len--, text++) {
		unsigned digit = (unsigned)digit_value(*text);

		if (digit >= base)
			return ERR_FORMAT;
		if (__builtin_mul_overflow(value, base, &value) ||
		    __builtin_add_overflow(value, digit, &value))
			return ERR_RANGE;
	}
	if (value << shift >> shift != value)
		return ERR_RANGE;
	*out = value << shift;
	return 0;
}
