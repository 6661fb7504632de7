/* SPDX-License-Identifier: Apache-2.0 */
/*
 * string.c: lib/string.c does what libc does; lib/text.c reads numbers and refuses the rest.
 *
 * lib/string.c is compiled a second time with its functions renamed to own_*.
 */
#include "sim/sim.h"
#include <lib/string.h>

#define SIZE   96
#define ROUNDS 100000

void *own_memcpy(void *restrict to, const void *restrict from, size_t len);
void *own_memmove(void *to, const void *from, size_t len);
void *own_memset(void *to, int value, size_t len);
int own_memcmp(const void *a, const void *b, size_t len);
void *own_memchr(const void *where, int what, size_t len);
size_t own_strnlen(const char *text, size_t max);
int own_strcmp(const char *a, const char *b);

static int sign(int value)
{
	return (value > 0) - (value < 0);
}

/* Bytes from a small alphabet, so that equal stretches are long. */
static void fill(struct sim_random *random, u8 *to)
{
	for (unsigned i = 0; i < SIZE; i++)
		to[i] = sim_once_in(random, 12) ? (u8)sim_random(random) : 'a';
}

static void blocks_are_moved_as_by_libc(void **state)
{
	struct sim_random random = sim_random_start(0x626c6f636bull);

	for (unsigned i = 0; i < ROUNDS; i++) {
		u8 ours[SIZE], theirs[SIZE], source[SIZE];
		size_t len = sim_below(&random, SIZE / 2);
		size_t from = sim_below(&random, SIZE / 2), to = sim_below(&random, SIZE / 2);

		fill(&random, ours);
		fill(&random, source);
		memcpy(theirs, ours, SIZE);
		assert_ptr_equal(own_memcpy(ours + to, source + from, len), ours + to);
		memcpy(theirs + to, source + from, len);
		assert_memory_equal(ours, theirs, SIZE);
		assert_ptr_equal(own_memmove(ours + to, ours + from, len), ours + to);
		memmove(theirs + to, theirs + from, len);
		assert_memory_equal(ours, theirs, SIZE);
		assert_ptr_equal(own_memset(ours + from, (int)i, len), ours + from);
		memset(theirs + from, (int)i, len);
		assert_memory_equal(ours, theirs, SIZE);
	}
}

static void blocks_compare_as_by_libc(void **state)
{
	struct sim_random random = sim_random_start(0x636f6d70ull);

	for (unsigned i = 0; i < ROUNDS; i++) {
		u8 a[SIZE], b[SIZE];
		size_t len = sim_below(&random, SIZE);
		int what = (int)sim_below(&random, 256);

		fill(&random, a);
		memcpy(b, a, SIZE);
		b[sim_below(&random, SIZE)] = (u8)sim_random(&random);
		assert_int_equal(sign(own_memcmp(a, b, len)), sign(memcmp(a, b, len)));
		assert_ptr_equal(own_memchr(a, what, len), memchr(a, what, len));
	}
}

static void texts_compare_as_by_libc(void **state)
{
	static const char *const texts[] = {"",	 "a",	"ab",	"abc",	 "abd",
					    "b", "aab", "\xff", "abcabd"};

	for (unsigned i = 0; i < ARRAY_SIZE(texts); i++) {
		for (unsigned j = 0; j < ARRAY_SIZE(texts); j++) {
			const char *a = texts[i], *b = texts[j];

			assert_int_equal(sign(own_strcmp(a, b)), sign(strcmp(a, b)));
			assert_int_equal(own_strnlen(a, j), strnlen(a, j));
		}
	}
}

static void assert_number(const char *text, u64 expected)
{
	u64 value = 0;

	assert_int_equal(string_to_u64(text, strlen(text), &value), 0);
	assert_true(value == expected);
}

static void assert_no_number(const char *text, int error)
{
	u64 value = 77;

	assert_int_equal(string_to_u64(text, strlen(text), &value), error);
	assert_true(value == 77);
}

static void numbers_are_read_with_base_and_unit(void **state)
{
	assert_number("0", 0);
	assert_number("18446744073709551615", UINT64_MAX);
	assert_number("0xdeadBEEF", 0xdeadbeef);
	assert_number("0xffffffffffffffff", UINT64_MAX);
	assert_number("64K", 65536);
	assert_number("16m", 16 * MIB);
	assert_number("0x10G", 16 * GIB);
}

static void what_is_no_number_is_refused(void **state)
{
	static const char *const malformed[] = {"",   "K",   "0x",  "0xK", "1.5", "-1", "+1", " 1",
						"1 ", "12a", "1KK", "KM",  "0xg", "1T", "a"};

	for (unsigned i = 0; i < ARRAY_SIZE(malformed); i++)
		assert_no_number(malformed[i], ERR_FORMAT);
	assert_no_number("18446744073709551616", ERR_RANGE);
	assert_no_number("0x10000000000000000", ERR_RANGE);
	assert_no_number("18014398509481984K", ERR_RANGE);
}

static void a_copy_is_always_terminated(void **state)
{
	char to[4] = "xxx";

	assert_true(string_copy(to, sizeof(to), "abc"));
	assert_string_equal(to, "abc");
	assert_false(string_copy(to, sizeof(to), "defg"));
	assert_string_equal(to, "def");
	assert_false(string_copy(to, 1, "h"));
	assert_string_equal(to, "");
}

static void every_error_has_a_name(void **state)
{
	for (int error = 0; error >= ERR_REENTRANT; error--)
		assert_string_not_equal(error_name(error), "unknown error");
	assert_string_equal(error_name(1), "unknown error");
	assert_string_equal(error_name(ERR_REENTRANT - 1), "unknown error");
	assert_string_equal(error_name(INT32_MIN), "unknown error");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(blocks_are_moved_as_by_libc),
		cmocka_unit_test(blocks_compare_as_by_libc),
		cmocka_unit_test(texts_compare_as_by_libc),
		cmocka_unit_test(numbers_are_read_with_base_and_unit),
		cmocka_unit_test(what_is_no_number_is_refused),
		cmocka_unit_test(a_copy_is_always_terminated),
		cmocka_unit_test(every_error_has_a_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
