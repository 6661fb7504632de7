/* SPDX-License-Identifier: Apache-2.0 */
/*
 * format.c: format_text() says what snprintf says, for everything that both have.
 */
#include "sim/sim.h"

#include <lib/format.h>

#define FORMATS 200000

/* One conversion with its argument, both ways; `size` cuts both alike. */
#define same(size, ...)                                                                         \
	do {                                                                                    \
		char ours[200], theirs[200];                                                    \
		memset(ours, 'x', sizeof(ours));                                                \
		size_t length = format_text(ours, size, __VA_ARGS__);                           \
		int expected = snprintf(theirs, size, __VA_ARGS__);                             \
		if ((int)length != expected || strcmp(ours, theirs))                            \
			fail_msg("ours \"%s\" (%zu), libc's \"%s\" (%d)", ours, length, theirs, \
				 expected);                                                     \
	} while (0)

static void every_conversion_reads_as_in_c(void **state)
{
	same(200, "plain");
	same(200, "%d %i %u %x %X %c %s %p %%", -1, 7, 42u, 0xbeefu, 0xbeefu, 'z', "text",
	     (void *)0x1000);
	same(200, "%hhd %hhu %hd %hu", (char)-3, (unsigned char)250, (short)-300,
	     (unsigned short)65000);
	same(200, "%ld %lu %lld %llx %zu %jd %td", -5l, 5ul, -6ll, 6ull, (size_t)7, (intmax_t)-8,
	     (ptrdiff_t)9);
	same(200, "[%8d|%-8d|%08d|%+d|% d|%.5d|%8.5d|%-8.5d]", 42, 42, 42, 42, 42, 42, 42, 42);
	same(200, "[%#x|%#010x|%#X|%#x|%.0d|%.0x]", 255u, 255u, 255u, 0u, 0, 0u);
	same(200, "[%5s|%-5s|%.2s|%5.1s|%*s|%-*s|%.*s]", "abc", "abc", "abc", "abc", 6, "abc", 6,
	     "abc", 1, "abc");
	same(200, "%*d|%d", -6, 42, INT32_MIN);
	same(200, "%ld %lu", INT64_MIN, UINT64_MAX);
}

static void text_that_does_not_fit_is_cut_and_still_counted(void **state)
{
	char untouched = 'x';

	for (size_t size = 1; size < 12; size++)
		same(size, "%s:%d", "name", 12345);
	assert_int_equal(format_text(&untouched, 0, "%d", 123), 3);
	assert_int_equal(untouched, 'x');
}

static void an_unknown_conversion_stands_as_it_is(void **state)
{
	const char *format = "a %y b %";
	char ours[20];

	format_text(ours, sizeof(ours), format, 0);
	assert_string_equal(ours, "a %y b %");
	format = "%s";
	format_text(ours, sizeof(ours), format, (char *)NULL);
	assert_string_equal(ours, "(null)");
}

/* Appends a random conversion of an integer of 8 bytes, or of a string. */
static char make_format(struct sim_random *random, char *to)
{
	static const char flags[] = "-0+ #", conversions[] = "diuxXs";
	char conversion = conversions[sim_below(random, 6)];
	bool text = conversion == 's';

	*to++ = '[';
	*to++ = '%';
	for (unsigned i = 0; i < 5; i++) {
		bool fits = text ? flags[i] == '-' : !strchr("ux", conversion) || flags[i] != ' ';

		if (fits && sim_once_in(random, 3))
			*to++ = flags[i];
	}
	if (sim_once_in(random, 2))
		to += sprintf(to, "%u", (unsigned)sim_below(random, 30) + 1);
	if (sim_once_in(random, 2))
		to += sprintf(to, ".%u", (unsigned)sim_below(random, 25));
	sprintf(to, "%s%c]", text ? "" : "l", conversion);
	return conversion;
}

static void random_formats_read_as_in_c(void **state)
{
	struct sim_random random = sim_random_start(0x666f726d6174ull);

	for (unsigned i = 0; i < FORMATS; i++) {
		char format[40];
		char conversion = make_format(&random, format);
		u64 value = sim_random(&random) >> sim_below(&random, 64);
		size_t size = sim_size(&random, 199);

		if (conversion == 's')
			same(size, format, "some text");
		else
			same(size, format, value);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_conversion_reads_as_in_c),
		cmocka_unit_test(text_that_does_not_fit_is_cut_and_still_counted),
		cmocka_unit_test(an_unknown_conversion_stands_as_it_is),
		cmocka_unit_test(random_formats_read_as_in_c),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
