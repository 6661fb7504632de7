/* SPDX-License-Identifier: Apache-2.0 */
/*
 * format.c: formatted text: one pass over the format, one conversion at a time.
 *
 * Why not a package: those of Debian need floating point or a libc. Each conversion is parsed into
 * a struct spec, turned into a prefix, zeroes and a body, and padded in one place, so the flags
 * need no cases of their own.
 */
#include <lib/format.h>
#include <lib/string.h>

/* Where the text goes. `len` counts all of it, also what does not fit. */
struct sink {
	char *to;
	size_t size;
	size_t len;
};

struct spec {
	bool left, zero, plus, space, alternate;
	unsigned width;
	int precision; /* -1: none given */
	unsigned size; /* bytes of an integer argument */
	char conversion;
};

static void sink_put(struct sink *sink, char c)
{
	if (sink->len + 1 < sink->size)
		sink->to[sink->len] = c;
	sink->len++;
}

static void put_many(struct sink *sink, char c, size_t count)
{
	while (count--)
		sink_put(sink, c);
}

static void put_text(struct sink *sink, const char *text, size_t len)
{
	while (len--)
		sink_put(sink, *text++);
}

/* The one place that pads: blanks, prefix, zeroes, body, blanks. */
static void put_field(struct sink *sink, const struct spec *spec, const char *prefix, size_t zeroes,
		      const char *body, size_t len)
{
	size_t all = strlen(prefix) + zeroes + len;
	size_t blanks = spec->width > all ? spec->width - all : 0;

	if (!spec->left)
		put_many(sink, ' ', blanks);
	put_text(sink, prefix, strlen(prefix));
	put_many(sink, '0', zeroes);
	put_text(sink, body, len);
	if (spec->left)
		put_many(sink, ' ', blanks);
}

static void put_number(struct sink *sink, const struct spec *spec, u64 value, unsigned base,
		       const char *prefix)
{
	const char *digits = spec->conversion == 'X' ? "0123456789ABCDEF" : "0123456789abcdef";
	char body[20]; /* 64 bits are 20 decimal digits */
	size_t at = sizeof(body), len, zeroes = 0;

	for (; value; value /= base)
		body[--at] = digits[value % base];
	len = sizeof(body) - at;
	if (spec->precision >= 0)
		zeroes = (size_t)spec->precision > len ? (size_t)spec->precision - len : 0;
	else if (spec->zero && !spec->left && spec->width > strlen(prefix) + len)
		zeroes = spec->width - strlen(prefix) - len;
	if (!len && !zeroes && spec->precision)
		zeroes = 1;
	put_field(sink, spec, prefix, zeroes, body + at, len);
}

static void put_signed(struct sink *sink, const struct spec *spec, s64 value)
{
	const char *prefix = spec->plus ? "+" : spec->space ? " " : "";

	if (value < 0)
		prefix = "-";
	put_number(sink, spec, value < 0 ? -(u64)value : (u64)value, 10, prefix);
}

static void put_unsigned(struct sink *sink, const struct spec *spec, u64 value)
{
	switch (spec->conversion) {
	case 'x':
		put_number(sink, spec, value, 16, spec->alternate && value ? "0x" : "");
		break;
	case 'X':
		put_number(sink, spec, value, 16, spec->alternate && value ? "0X" : "");
		break;
	default:
		put_number(sink, spec, value, 10, "");
	}
}

static void put_string(struct sink *sink, const struct spec *spec, const char *text)
{
	if (!text)
		text = "(null)";
	put_field(sink, spec, "", 0, text,
		  strnlen(text, spec->precision < 0 ? SIZE_MAX : (size_t)spec->precision));
}

static const char *parse_flags(const char *f, struct spec *spec)
{
	for (;; f++) {
		switch (*f) {
		case '-':
			spec->left = true;
			break;
		case '0':
			spec->zero = true;
			break;
		case '+':
			spec->plus = true;
			break;
		case ' ':
			spec->space = true;
			break;
		case '#':
			spec->alternate = true;
			break;
		default:
			return f;
		}
	}
}

static const char *parse_size(const char *f, struct spec *spec)
{
	spec->size = sizeof(int);
	for (;; f++) {
		switch (*f) {
		case 'h':
			spec->size /= 2;
			break;
		case 'l':
		case 'j':
		case 'z':
		case 't':
			spec->size = sizeof(u64);
			break;
		default:
			return f;
		}
	}
}

/* A va_list in a struct, so that it can be passed by address whatever its type is. */
struct arguments {
	va_list list;
};

static const char *parse_count(const char *f, struct arguments *arguments, int *out)
{
	int value = 0;

	if (*f == '*') {
		*out = va_arg(arguments->list, int);
		return f + 1;
	}
	for (; *f >= '0' && *f <= '9'; f++)
		value = value * 10 + (*f - '0');
	*out = value;
	return f;
}

static const char *parse_spec(const char *f, struct arguments *arguments, struct spec *spec)
{
	int count;

	*spec = (struct spec){.precision = -1};
	f = parse_flags(f, spec);
	f = parse_count(f, arguments, &count);
	spec->left |= count < 0;
	spec->width = (unsigned)(count < 0 ? -count : count);
	if (*f == '.')
		f = parse_count(f + 1, arguments, &spec->precision);
	f = parse_size(f, spec);
	spec->conversion = *f;
	return *f ? f + 1 : f;
}

static s64 signed_argument(struct arguments *arguments, unsigned size)
{
	if (size == sizeof(u64))
		return va_arg(arguments->list, s64);
	if (size == sizeof(s16))
		return (s16)va_arg(arguments->list, int);
	if (size == sizeof(s8))
		return (s8)va_arg(arguments->list, int);
	return va_arg(arguments->list, int);
}

static u64 unsigned_argument(struct arguments *arguments, unsigned size)
{
	u64 value = size == sizeof(u64) ? va_arg(arguments->list, u64)
					: va_arg(arguments->list, unsigned);

	return size == sizeof(u64) ? value : value & BITS(size * 8 - 1, 0);
}

/* False: an unknown conversion. */
static bool format_convert(struct sink *sink, const struct spec *spec, struct arguments *arguments)
{
	char c;

	switch (spec->conversion) {
	case 'd':
	case 'i':
		put_signed(sink, spec, signed_argument(arguments, spec->size));
		return true;
	case 'u':
	case 'x':
	case 'X':
		put_unsigned(sink, spec, unsigned_argument(arguments, spec->size));
		return true;
	case 'p':
		put_number(sink, spec, (u64)(uintptr_t)va_arg(arguments->list, void *), 16, "0x");
		return true;
	case 's':
		put_string(sink, spec, va_arg(arguments->list, const char *));
		return true;
	case 'c':
		c = (char)va_arg(arguments->list, int);
		put_field(sink, spec, "", 0, &c, 1);
		return true;
	case '%':
		sink_put(sink, '%');
		return true;
	default:
		return false;
	}
}

size_t format_text_v(char *to, size_t size, const char *format, va_list list)
{
	struct sink sink = {.to = to, .size = size};
	struct arguments arguments;
	struct spec spec;

	va_copy(arguments.list, list);
	while (*format) {
		const char *next = format + 1;

		if (*format != '%') {
			sink_put(&sink, *format);
		} else {
			next = parse_spec(next, &arguments, &spec);
			if (!format_convert(&sink, &spec, &arguments))
				put_text(&sink, format, (size_t)(next - format));
		}
		format = next;
	}
	va_end(arguments.list);
	if (size)
		to[MIN(sink.len, size - 1)] = '\0';
	return sink.len;
}

size_t format_text(char *to, size_t size, const char *format, ...)
{
	va_list arguments;
	size_t len;

	va_start(arguments, format);
	len = format_text_v(to, size, format, arguments);
	va_end(arguments);
	return len;
}
