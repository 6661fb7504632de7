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

enum stat_taken stat_machine_take(unsigned instance, void *figures, u64 *walk)
{
	struct stat_machine *out = figures;

	memset(out, 0, sizeof(*out));
	out->cpus = 3;
	return STAT_TAKEN;
}

/* Scopes without an instance. */
#define NO_SCOPE(name)                                                                  \
	bool stat_##name##_prefix(unsigned instance, char *prefix)                      \
	{                                                                               \
		return false;                                                           \
	}                                                                               \
	enum stat_taken stat_##name##_take(unsigned instance, void *figures, u64 *walk) \
	{                                                                               \
		return STAT_NONE;                                                       \
	}
NO_SCOPE(cpu)
NO_SCOPE(domain)
NO_SCOPE(vcpu)
NO_SCOPE(subscriber)
NO_SCOPE(subscribers)
NO_SCOPE(slot)

bool stat_vm_prefix(unsigned instance, char *prefix)
{
	snprintf(prefix, STAT_PREFIX_MAX, "vm.%c.", 'a' + (int)instance);
	return instance < VMS;
}

enum stat_taken stat_vm_take(unsigned instance, void *figures, u64 *walk)
{
	struct stat_vm *out = figures;

	memset(out, 0, sizeof(*out));
	out->exits[0] = 10 + instance;
	out->exit_ticks[1][3] = 5;
	out->slices = 7;
	return STAT_TAKEN;
}

/* Of the first VM alone, after three steps. */
bool stat_memory_prefix(unsigned instance, char *prefix)
{
	snprintf(prefix, STAT_PREFIX_MAX, "vm.a.memory.");
	return instance == 0;
}

enum stat_taken stat_memory_take(unsigned instance, void *figures, u64 *walk)
{
	struct vm_share *out = figures;

	*out = (struct vm_share){.profit = -1};
	return (*walk)++ < 2 ? STAT_AGAIN : STAT_TAKEN;
}

#define NAMES(which)                                        \
	const char *stat_##which##_name(unsigned index)     \
	{                                                   \
		static char name[8];                        \
                                                            \
		snprintf(name, sizeof(name), "e%u", index); \
		return name;                                \
	}
NAMES(exit)
NAMES(fault)
NAMES(event)
NAMES(reason)

static struct stat_cursor cursor;
static char text[8192];
static unsigned later;

/* All of what matches, in buffers of `size` bytes; returns how many they were. */
static unsigned walk(size_t size, const char *pattern)
{
	const char *patterns[] = {pattern};
	char part[4096];
	unsigned parts = 0;
	enum stat_progress progress = STAT_MORE;
	struct json json;

	text[0] = '\0';
	later = 0;
	stat_begin(&cursor, patterns, pattern ? 1 : 0);
	for (; progress != STAT_DONE; parts++) {
		json_init(&json, part, size);
		json_open(&json, '{');
		progress = stat_write(&cursor, &json);
		later += progress == STAT_LATER;
		assert_false(json.cut);
		strcat(text, part[1] && text[0] ? "," : "");
		strcat(text, part + 1);
	}
	return parts;
}

static void names_are_chosen_by_pattern(void **state)
{
	assert_int_equal(walk(4096, "vm.b.exits.*"), 1);
	assert_string_equal(text, "\"vm.b.exits.e0\":11");
	walk(4096, "vm.b.exit_ticks.*");
	assert_string_equal(text, "\"vm.b.exit_ticks.e1\":[0,0,0,5]");
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
	assert_true(walk(64, "vm.*") >= 3);
	assert_string_equal(text, whole);
}

static void a_long_walk_goes_on_in_further_steps(void **state)
{
	walk(4096, "vm.a.memory.pro*");
	assert_string_equal(text, "\"vm.a.memory.profit\":-1");
	assert_int_equal(later, 2);
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
		cmocka_unit_test(a_long_walk_goes_on_in_further_steps),
		cmocka_unit_test(ticks_become_nanoseconds_without_an_overflow),
		cmocka_unit_test(every_row_has_a_name_of_its_own_a_unit_and_a_sentence),
	};

	sim_init(1);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
