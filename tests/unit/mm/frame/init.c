/* SPDX-License-Identifier: Apache-2.0 */
/*
 * init.c: memory maps as firmware gives them, good and bad (INIT-1, INIT-2), and the sections that
 * open later (SECTION-1, SECTION-2).
 */
#include "sim/frame_check.h"

static int start(void **state)
{
	sim_init(2);
	return 0;
}

static u64 total(void)
{
	struct frame_stats stats;

	frame_check();
	frame_stats(&stats);
	return stats.total;
}

/* What the records of one section take. */
#define RECORDS	      (FRAME_SECTION * sizeof(struct frame))
#define SECTION_BYTES (FRAME_SECTION * PAGE_SIZE)

static enum frame_kind kind_at(u64 address)
{
	return frame_kind((struct mfn){address >> PAGE_SHIFT});
}

static void what_holds_no_record_is_free(void **state)
{
	struct frame_range range = {{MIB}, {9 * MIB}};

	sim_add_memory(MIB, 8 * MIB);
	assert_int_equal(frame_init(&range, 1), 0);
	/* One section of records and the page that points to it, off the end. */
	assert_int_equal(total(), (8 * MIB - RECORDS) / PAGE_SIZE - 1);
	assert_int_equal(kind_at(MIB), FRAME_FREE);
	assert_int_equal(kind_at(MIB - PAGE_SIZE), FRAME_RESERVED);
	assert_int_equal(kind_at(9 * MIB - PAGE_SIZE), FRAME_RESERVED);
	assert_int_equal(kind_at(9 * MIB), FRAME_RESERVED);
	assert_int_equal(kind_at(9 * MIB - RECORDS - 2 * PAGE_SIZE), FRAME_FREE);
}

static void ranges_may_be_unsorted_overlapping_and_touching(void **state)
{
	const struct frame_range ranges[] = {
		{{12 * MIB}, {16 * MIB}}, {{2 * MIB}, {6 * MIB}}, {{4 * MIB}, {8 * MIB}},
		{{3 * MIB}, {4 * MIB}},	  {{8 * MIB}, {9 * MIB}},
	};

	sim_add_memory(2 * MIB, 14 * MIB);
	assert_int_equal(frame_init(ranges, ARRAY_SIZE(ranges)), 0);
	assert_int_equal(total(), ((7 + 4) * MIB - RECORDS) / PAGE_SIZE - 1);
	assert_int_equal(kind_at(9 * MIB), FRAME_RESERVED);
	assert_int_equal(kind_at(12 * MIB), FRAME_FREE);
}

static void a_page_only_partly_in_a_range_is_not_used(void **state)
{
	const struct frame_range ranges[] = {{{MIB}, {8 * MIB}},
					     {{10 * MIB + 1}, {10 * MIB + 3 * PAGE_SIZE - 1}}};

	sim_add_memory(MIB, 15 * MIB);
	assert_int_equal(frame_init(ranges, 2), 0);
	assert_int_equal(kind_at(10 * MIB), FRAME_RESERVED);
	assert_int_equal(kind_at(10 * MIB + PAGE_SIZE), FRAME_FREE);
	assert_int_equal(kind_at(10 * MIB + 2 * PAGE_SIZE), FRAME_RESERVED);
}

static void a_hole_of_gigabytes_costs_no_records(void **state)
{
	const struct frame_range ranges[] = {{{MIB}, {8 * MIB}},
					     {{40 * GIB}, {40 * GIB + 4 * MIB}}};

	sim_add_memory(MIB, 7 * MIB);
	sim_add_memory(40 * GIB, 4 * MIB);
	assert_int_equal(frame_init(ranges, 2), 0);
	/* Two pointers for each section below the end, in whole pages. */
	assert_int_equal(total(), (11 * MIB - 2 * RECORDS) / PAGE_SIZE -
					  ALIGN_UP((40 * GIB / SECTION_BYTES + 1) * 16, PAGE_SIZE) /
						  PAGE_SIZE);
	assert_null(frame_record((struct mfn){GIB >> PAGE_SHIFT})); /* INIT-2 */
	assert_int_equal(kind_at(40 * GIB), FRAME_FREE);
	assert_int_equal(kind_at(GIB), FRAME_RESERVED);
	assert_int_equal(kind_at(63 * GIB), FRAME_RESERVED);
}

static void frame_zero_is_never_used(void **state)
{
	struct frame_range range = {{0}, {8 * MIB}};

	sim_add_memory(0, 8 * MIB);
	assert_int_equal(frame_init(&range, 1), 0);
	assert_int_equal(kind_at(0), FRAME_RESERVED);
	assert_int_equal(kind_at(PAGE_SIZE), FRAME_FREE);
}

static void memory_too_small_for_its_records_is_an_error(void **state)
{
	const struct frame_range small = {{MIB}, {MIB + RECORDS}};
	const struct frame_range map_only = {{MIB}, {MIB + PAGE_SIZE}};

	sim_add_memory(MIB, MIB);
	assert_int_equal(frame_init(&small, 1), ERR_NO_MEMORY);
	assert_int_equal(frame_init(&map_only, 1), ERR_NO_MEMORY);
	assert_int_equal(kind_at(MIB), FRAME_RESERVED);
	assert_non_null(strstr(sim_console(), "cannot hold the frame records"));
}

static void no_memory_at_all_is_an_error(void **state)
{
	const struct frame_range backwards = {{8 * MIB}, {MIB}};
	const struct frame_range sliver = {{MIB + 1}, {MIB + PAGE_SIZE}};
	const struct frame_range wraps = {{~0ull - 5}, {~0ull}};

	assert_int_equal(frame_init(NULL, 0), ERR_NO_MEMORY);
	assert_int_equal(frame_init(&backwards, 1), ERR_NO_MEMORY);
	assert_int_equal(frame_init(&sliver, 1), ERR_NO_MEMORY);
	assert_int_equal(frame_init(&wraps, 1), ERR_NO_MEMORY);
}

static void too_many_ranges_are_refused(void **state)
{
	static struct frame_range ranges[FRAME_RANGES_MAX + 1];

	for (unsigned i = 0; i < ARRAY_SIZE(ranges); i++)
		ranges[i] = (struct frame_range){{MIB + i * 8 * PAGE_SIZE},
						 {MIB + i * 8 * PAGE_SIZE + PAGE_SIZE}};
	ranges[FRAME_RANGES_MAX - 1] = (struct frame_range){{16 * MIB}, {32 * MIB}};
	sim_add_memory(MIB, 31 * MIB);
	assert_int_equal(frame_init(ranges, ARRAY_SIZE(ranges)), ERR_INVALID);
	assert_int_equal(frame_init(ranges, FRAME_RANGES_MAX), 0);
	frame_check();
}

/* Random maps against a bitmap of what is usable. */
static void a_frame_is_free_just_when_it_lies_in_a_range(void **state)
{
	static bool usable[32 * MIB / PAGE_SIZE];
	struct sim_random random = sim_random_start(41);

	for (unsigned round = 0; round < 200; round++) {
		struct frame_range ranges[6];
		u64 free = 0, expected = 0;

		sim_init(1);
		sim_add_memory(0, 32 * MIB);
		memset(usable, 0, sizeof(usable));
		ranges[0] = (struct frame_range){{24 * MIB}, {32 * MIB}};
		for (unsigned i = 1; i < ARRAY_SIZE(ranges); i++) {
			ranges[i].start.raw = sim_below(&random, 20 * MIB);
			ranges[i].end.raw = ranges[i].start.raw + sim_size(&random, 4 * MIB);
			for (u64 page = ALIGN_UP(ranges[i].start.raw, PAGE_SIZE);
			     page + PAGE_SIZE <= ranges[i].end.raw; page += PAGE_SIZE)
				usable[page / PAGE_SIZE] = true;
		}
		usable[0] = false;
		assert_int_equal(frame_init(ranges, ARRAY_SIZE(ranges)), 0);
		for (u64 i = 0; i < 24 * MIB / PAGE_SIZE; i++) {
			free += kind_at(i * PAGE_SIZE) == FRAME_FREE;
			expected += usable[i];
			assert_true(usable[i] || kind_at(i * PAGE_SIZE) == FRAME_RESERVED);
		}
		assert_int_equal(free,
				 expected); /* the records went into the largest range, at 24 MiB */
		frame_check();
	}
}

static unsigned open_sections(void)
{
	unsigned open = 0;

	for (u64 i = 0; i < frame_map.sections; i++)
		open += frame_map.section[i] != NULL;
	return open;
}

/* Memory is left alone at the start: no record is written before its section opens. */
static void sections_open_when_their_frames_are_needed(void **state)
{
	struct frame_range range = {{0}, {5 * SECTION_BYTES}};
	unsigned char *records;
	struct mfn mfn;
	u64 frames;

	sim_add_memory(0, 5 * SECTION_BYTES);
	records = arch_hpa_to_virt((struct hpa){5 * SECTION_BYTES - PAGE_SIZE - 5 * RECORDS});
	memset(records, 0xa5, 5 * RECORDS);
	assert_int_equal(frame_init(&range, 1), 0);
	frames = total();
	assert_int_equal(open_sections(), 0);
	for (u64 i = 0; i < 5 * RECORDS; i++)
		assert_int_equal(records[i], 0xa5);
	for (u64 i = 0; i < frames; i++) {
		assert_int_equal(frame_alloc(0, FRAME_GUEST, 0, &mfn), 0);
		assert_non_null(frame_record(mfn)); /* SECTION-2 */
		assert_true(open_sections() <= i / (FRAME_SECTION - 64) + 1);
	}
	assert_int_equal(frame_alloc(0, FRAME_GUEST, 0, &mfn), ERR_NO_MEMORY);
	assert_int_equal(frame_closed(), 0);
	frame_check();
}

/* A block of a gibibyte opens the sections that it needs and joins them. */
static void a_large_block_opens_as_many_sections_as_it_takes(void **state)
{
	struct frame_range range = {{MIB}, {8 * SECTION_BYTES}};
	struct frame_stats stats;
	struct mfn mfn;
	unsigned order = FRAME_SECTION_SHIFT + 1;

	sim_add_memory(MIB, 8 * SECTION_BYTES - MIB);
	assert_int_equal(frame_init(&range, 1), 0);
	frame_stats(&stats);
	assert_int_equal(stats.largest, order);
	assert_int_equal(kind_at(4 * SECTION_BYTES), FRAME_FREE); /* SECTION-1 */
	assert_true(frame_near_memory((struct mfn){4 * FRAME_SECTION}));
	assert_false(frame_near_memory((struct mfn){8 * FRAME_SECTION}));
	assert_int_equal(frame_alloc(order, FRAME_GUEST, 0, &mfn), 0);
	assert_int_equal(mfn.raw, 2 * FRAME_SECTION);
	assert_int_equal(open_sections(), 4);
	frame_check();
	frame_free(mfn, order);
	frame_check();
	assert_int_equal(frame_alloc(FRAME_MAX_ORDER, FRAME_GUEST, 0, &mfn), ERR_NO_MEMORY);
	frame_check();
}

#define test(name) cmocka_unit_test_setup(name, start)

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(what_holds_no_record_is_free),
		test(ranges_may_be_unsorted_overlapping_and_touching),
		test(a_page_only_partly_in_a_range_is_not_used),
		test(a_hole_of_gigabytes_costs_no_records),
		test(frame_zero_is_never_used),
		test(memory_too_small_for_its_records_is_an_error),
		test(no_memory_at_all_is_an_error),
		test(too_many_ranges_are_refused),
		test(a_frame_is_free_just_when_it_lies_in_a_range),
		test(sections_open_when_their_frames_are_needed),
		test(a_large_block_opens_as_many_sections_as_it_takes),
	};

	return cmocka_run_group_tests_name("frame_init", tests, NULL, NULL);
}
