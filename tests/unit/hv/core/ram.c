/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ram.c: the map of a VM's memory (RAM-1).
 */
#include "sim/sim.h"
#include <abi/machine.h>
#include <hv/ram.h>

#define MIB (1ull << 20)
#define GIB (1ull << 30)

static void assert_range(u64 memory, unsigned n, u64 start, u64 end)
{
	struct ram_range range;

	assert_true(ram_range(memory, n, &range));
	assert_int_equal(range.start, start);
	assert_int_equal(range.end, end);
}

static void assert_no_range(u64 memory, unsigned n)
{
	struct ram_range range;

	assert_false(ram_range(memory, n, &range));
}

static void a_small_vm_has_memory_below_the_first_hole(void **state)
{
	assert_range(64 << 10, 0, 0, 64 << 10);
	assert_no_range(64 << 10, 1);
	assert_no_range(MIB, 1);
	assert_int_equal(ram_end(64 << 10), 64 << 10);
	assert_int_equal(ram_end(MIB), MACHINE_HOLE_START);
}

static void up_to_3_gib_the_second_range_ends_at_the_size(void **state)
{
	assert_range(16 * MIB, 0, 0, MACHINE_HOLE_START);
	assert_range(16 * MIB, 1, MIB, 16 * MIB);
	assert_no_range(16 * MIB, 2);
	assert_range(3 * GIB, 1, MIB, 3 * GIB);
	assert_no_range(3 * GIB, 2);
	assert_int_equal(ram_end(3 * GIB), 3 * GIB);
	assert_int_equal(ram_low_end(3 * GIB), 3 * GIB);
}

static void what_is_more_begins_at_4_gib(void **state)
{
	assert_range(3 * GIB + 4096, 1, MIB, 3 * GIB);
	assert_range(3 * GIB + 4096, 2, 4 * GIB, 4 * GIB + 4096);
	assert_no_range(3 * GIB + 4096, 3);
	assert_range(5 * GIB, 2, 4 * GIB, 6 * GIB);
	assert_int_equal(ram_end(5 * GIB), 6 * GIB);
	assert_int_equal(ram_low_end(5 * GIB), 3 * GIB);
}

/* RAM-1: and no byte is lost but those of the hole below 1 MiB. */
static void the_ranges_ascend_and_have_all_the_memory(void **state)
{
	static const u64 sizes[] = {64 << 10, 640 << 10,   MIB,	    MIB + 4096, 3 * GIB - 1,
				    3 * GIB,  3 * GIB + 1, 4 * GIB, 5 * GIB,	1ull << 40};

	for (unsigned i = 0; i < ARRAY_SIZE(sizes); i++) {
		u64 sum = 0, end = 0;
		struct ram_range range;

		for (unsigned n = 0; ram_range(sizes[i], n, &range); n++) {
			assert_true(range.start < range.end && (n == 0 || range.start > end));
			end = range.end;
			sum += range.end - range.start;
		}
		assert_int_equal(sum, sizes[i] > MIB ? sizes[i] - MIB + MACHINE_HOLE_START
						     : MIN(sizes[i], (u64)MACHINE_HOLE_START));
		assert_int_equal(end, ram_end(sizes[i]));
	}
}

static void nothing_reaches_into_a_hole(void **state)
{
	const u64 memory = 5 * GIB;

	assert_true(ram_contains(memory, 0, MACHINE_HOLE_START));
	assert_false(ram_contains(memory, 0, MACHINE_HOLE_START + 1));
	assert_false(ram_contains(memory, MIB - 1, 1));
	assert_true(ram_contains(memory, MIB, 3 * GIB - MIB));
	assert_false(ram_contains(memory, MIB, 3 * GIB - MIB + 1));
	assert_false(ram_contains(memory, 3 * GIB, 1));
	assert_false(ram_contains(memory, 4 * GIB - 1, 2));
	assert_true(ram_contains(memory, 4 * GIB, 2 * GIB));
	assert_false(ram_contains(memory, 4 * GIB, 2 * GIB + 1));
	assert_false(ram_contains(memory, 6 * GIB, 0));
	assert_false(ram_contains(memory, 5 * GIB, ~0ull));
	assert_false(ram_contains(~0ull, ~0ull, 2));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_small_vm_has_memory_below_the_first_hole),
		cmocka_unit_test(up_to_3_gib_the_second_range_ends_at_the_size),
		cmocka_unit_test(what_is_more_begins_at_4_gib),
		cmocka_unit_test(the_ranges_ascend_and_have_all_the_memory),
		cmocka_unit_test(nothing_reaches_into_a_hole),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
