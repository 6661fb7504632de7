/* SPDX-License-Identifier: Apache-2.0 */
/*
 * walk.c: the walk over the table of figures, with figures of the test's own; and the table itself
 * (STAT-1).
 */
#include "sim/sim.h"
#include "hv/stat/private.h"

#define VMS 2

bool stat_machine_prefix(unsigned instance, char *prefix)
{
	prefix[0] = '\0';
	return instance == 0;
}

bool stat_machine_take(unsigned instance, void *figures)
{
	struct stat_machine *out = figures;

	memset(out, 0, sizeof(*out));
	out->cpus = 3;
	return true;
}

bool stat_cpu_prefix(unsigned instance, char *prefix)
{
	return false;
}

bool stat_cpu_take(unsigned instance, void *figures)
{
	return false;
}

bool stat_vm_prefix(unsigned instance, char *prefix)
{
	snprintf(prefix, STAT_PREFIX_MAX, "vm.%c.", 'a' + (int)instance);
	return instance < VMS;
}

bool stat_vm_take(unsigned instance, void *figures)
{
	struct stat_vm *out = figures;

	memset(out, 0, sizeof(*out));
	out->exits[0] = 10 + instance;
	out->slices = 7;
	return true;
}

const char *stat_exit_name(unsigned index)
{
	static char name[8];

	snprintf(name, sizeof(name), "e%u", index);
	return name;
}

static struct stat_cursor cursor;
static char text[4096];

/* All of what matches, in buffers of `size` bytes; returns how many they were. */
static unsigned walk(size_t size, const char *pattern)
{
	const char *patterns[] = {pattern};
	char part[4096];
	unsigned parts = 0;
	struct json json;
	bool more = true;

	text[0] = '\0';
	stat_begin(&cursor, patterns, pattern ? 1 : 0);
	for (; more; parts++) {
		json_init(&json, part, size);
		json_open(&json, '{');
		more = stat_write(&cursor, &json);
		assert_false(json.cut);
		strcat(text, part + 1);
		strcat(text, more ? "," : "");
	}
	return parts;
}

static void names_are_chosen_by_pattern(void **state)
{
	assert_int_equal(walk(4096, "vm.b.*"), 1);
	assert_string_equal(text, "\"vm.b.exits.e0\":11,\"vm.b.slices\":7,\"vm.b.used\":0");
	walk(4096, "*.slices");
	assert_string_equal(text, "\"vm.a.slices\":7,\"vm.b.slices\":7");
	walk(4096, "machine.cpus");
	assert_string_equal(text, "\"machine.cpus\":3");
	walk(4096, "nothing.*");
	assert_string_equal(text, "");
}

static void a_star_stands_for_any_text(void **state)
{
	assert_true(stat_match("*", ""));
	assert_true(stat_match("a*c*e", "abcde"));
	assert_true(stat_match("a*a*", "aba"));
	assert_true(stat_match("*ab", "aab"));
	assert_false(stat_match("a*c", "abd"));
	assert_false(stat_match("abc", "ab"));
	assert_false(stat_match("ab", "abc"));
	assert_false(stat_match("", "a"));
}

static void a_full_buffer_goes_on_in_the_next_one(void **state)
{
	char whole[sizeof(text)];

	walk(4096, "vm.*");
	strcpy(whole, text);
	assert_true(walk(40, "vm.*") >= 3);
	assert_string_equal(text, whole);
}

static void ticks_become_nanoseconds_without_an_overflow(void **state)
{
	u64 rate = arch_ticks_per_second();

	assert_int_equal(stat_ns(0), 0);
	assert_int_equal(stat_ns(rate), 1000000000);
	assert_int_equal(stat_ns(rate * 1000000), 1000000000000000);
}

/* STAT-1. */
static void every_row_has_a_name_of_its_own_a_unit_and_a_sentence(void **state)
{
	for (unsigned i = 0; i < stat_scope_count; i++) {
		const struct stat_scope *scope = &stat_scopes[i];

		for (unsigned row = 0; row < scope->count; row++) {
			const struct stat_row *it = &scope->rows[row];

			assert_true(*it->unit && it->text[strlen(it->text) - 1] == '.');
			assert_int_equal(it->family != NULL, strchr(it->name, '*') != NULL);
			for (unsigned other = 0; other < row; other++)
				assert_string_not_equal(it->name, scope->rows[other].name);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_are_chosen_by_pattern),
		cmocka_unit_test(a_star_stands_for_any_text),
		cmocka_unit_test(a_full_buffer_goes_on_in_the_next_one),
		cmocka_unit_test(ticks_become_nanoseconds_without_an_overflow),
		cmocka_unit_test(every_row_has_a_name_of_its_own_a_unit_and_a_sentence),
	};

	sim_init(1);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
