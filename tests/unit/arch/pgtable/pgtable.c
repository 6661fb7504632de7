/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pgtable.c: the formats, against literal entries worked out from the manuals by hand and
 * against the laws of pgtable.h (FORMAT-1 to FORMAT-5).
 */
#include "sim/fake_format.h"
#include "sim/sim.h"

static const struct pgtable_format *const formats[] = {&ept_format, &npt_format, &host_format,
						       &fake_format};

struct literal {
	const struct pgtable_format *format;
	u64 addr;
	unsigned level, attr;
	pte_t pte;
};

/* SDM vol. 3C tables 28-3, 28-5, 28-7; APM vol. 2 figures 5-20 to 5-24 and 15.25.5. */
static const struct literal literals[] = {
	{&ept_format, 0x12345000, 0, PT_RWX, 0x12345077},
	{&ept_format, 0x12345000, 0, PT_READ, 0x12345071},
	{&ept_format, 0x12345000, 0, PT_EXEC, 0x12345074},
	{&ept_format, 0x12345000, 0, PT_READ | PT_WRITE | PT_UNCACHED, 0x12345003},
	{&ept_format, 0x12345000, 0, PT_RWX | PT_ACCESSED, 0x12345177},
	{&ept_format, 0x12345000, 0, PT_RWX | PT_ACCESSED | PT_DIRTY, 0x12345377},
	{&ept_format, 0x40200000, 1, PT_RWX, 0x402000f7},
	{&ept_format, 0x40000000, 2, PT_READ | PT_EXEC, 0x400000f5},
	{&ept_format, 0xffffffffff000, 0, PT_READ, 0x000ffffffffff071},
	{&npt_format, 0x12345000, 0, PT_RWX, 0x12345007},
	{&npt_format, 0x12345000, 0, PT_READ, 0x8000000012345005},
	{&npt_format, 0x12345000, 0, PT_READ | PT_WRITE | PT_UNCACHED, 0x800000001234501f},
	{&npt_format, 0x12345000, 0, PT_RWX | PT_ACCESSED | PT_DIRTY, 0x12345067},
	{&npt_format, 0x40200000, 1, PT_RWX, 0x40200087},
	{&npt_format, 0x40000000, 2, PT_READ | PT_EXEC, 0x40000085},
	{&npt_format, 0xffffffffff000, 0, PT_RWX, 0x000ffffffffff007},
	{&host_format, 0x12345000, 0, PT_READ | PT_EXEC, 0x12345001},
	{&host_format, 0x12345000, 0, PT_READ | PT_WRITE, 0x8000000012345003},
	{&host_format, 0x12345000, 0, PT_READ | PT_WRITE | PT_GLOBAL, 0x8000000012345103},
	{&host_format, 0x12345000, 0, PT_READ | PT_EXEC | PT_USER, 0x12345005},
	{&host_format, 0xfee00000, 1, PT_READ | PT_WRITE | PT_UNCACHED, 0x80000000fee0009b},
	{&host_format, 0x40000000, 2, PT_READ | PT_WRITE, 0x8000000040000083},
};

static void a_leaf_is_the_entry_that_the_manual_shows(void **state)
{
	for (unsigned i = 0; i < ARRAY_SIZE(literals); i++) {
		const struct literal *expected = &literals[i];
		pte_t pte = expected->format->make_leaf((struct hpa){expected->addr},
							expected->level, expected->attr);

		if (pte != expected->pte)
			fail_msg("literal %u (%s): 0x%llx is not 0x%llx", i, expected->format->name,
				 (unsigned long long)pte, (unsigned long long)expected->pte);
		assert_true(expected->format->valid_attr(expected->attr));
	}
}

static void a_table_entry_is_open_for_every_access(void **state)
{
	struct hpa table = {0x7654321000};

	for (unsigned level = 1; level < 4; level++) {
		assert_int_equal(ept_format.make_table(table, level), 0x7654321007);
		assert_int_equal(npt_format.make_table(table, level), 0x7654321007);
		assert_int_equal(host_format.make_table(table, level), 0x7654321007);
	}
}

static void nothing_is_present_in_a_zeroed_table(void **state)
{
	for (unsigned f = 0; f < ARRAY_SIZE(formats); f++)
		for (unsigned level = 0; level < formats[f]->levels; level++)
			assert_false(pte_present(formats[f], 0, level)); /* FORMAT-1 */
}

static u64 some_address(struct sim_random *random, unsigned level)
{
	return sim_random(random) & BITS(51, LEVEL_SHIFT(level));
}

static void check_leaf(const struct pgtable_format *format, u64 addr, unsigned level, unsigned attr)
{
	pte_t pte = format->make_leaf((struct hpa){addr}, level, attr);
	const struct pgtable_level *bits = &format->level[level];

	assert_true(pte_present(format, pte, level));		  /* FORMAT-1 */
	assert_true(pte_leaf(format, pte, level));		  /* FORMAT-4 */
	assert_int_equal(format->attr(pte, level), attr);	  /* FORMAT-2 */
	assert_int_equal(pte_addr(format, pte, level).raw, addr); /* FORMAT-2 */
	assert_int_equal(pte,
			 format->make_leaf((struct hpa){0}, level, attr) + addr); /* FORMAT-3 */
	assert_int_equal(!!(pte & bits->accessed), !!(attr & PT_ACCESSED));	  /* FORMAT-5 */
	assert_int_equal(!!(pte & bits->dirty), !!(attr & PT_DIRTY));
	assert_int_equal(!!(pte & bits->write), !!(attr & PT_WRITE));
}

static void every_word_a_format_accepts_comes_back_from_a_leaf(void **state)
{
	struct sim_random random = sim_random_start(1);

	for (unsigned f = 0; f < ARRAY_SIZE(formats); f++)
		for (unsigned level = 0; level <= formats[f]->max_leaf_level; level++)
			for (unsigned attr = 0; attr < PT_UNCACHED * 2; attr++)
				if (formats[f]->valid_attr(attr))
					check_leaf(formats[f], some_address(&random, level), level,
						   attr);
}

static void a_table_reads_as_a_table_at_every_level_that_has_tables(void **state)
{
	struct sim_random random = sim_random_start(2);

	for (unsigned f = 0; f < ARRAY_SIZE(formats); f++)
		for (unsigned level = 1; level < formats[f]->levels; level++) {
			u64 addr = some_address(&random, 0);
			pte_t pte = formats[f]->make_table((struct hpa){addr}, level);

			assert_true(pte_present(formats[f], pte, level)); /* FORMAT-1 */
			assert_false(pte_leaf(formats[f], pte, level));	  /* FORMAT-4 */
			assert_int_equal(pte_table(formats[f], pte, level).raw, addr);
		}
}

static void the_cpu_may_set_accessed_in_a_table_entry(void **state)
{
	struct hpa table = {0x1000};

	for (unsigned f = 0; f < ARRAY_SIZE(formats); f++)
		for (unsigned level = 1; level < formats[f]->levels; level++) {
			pte_t pte = formats[f]->make_table(table, level) |
				    formats[f]->level[level].accessed;

			assert_false(pte_leaf(formats[f], pte, level));
			assert_int_equal(pte_table(formats[f], pte, level).raw, table.raw);
		}
}

static void ept_refuses_write_without_read_but_not_execute_alone(void **state)
{
	assert_false(ept_format.valid_attr(PT_WRITE)); /* SDM 28.3.3.1 */
	assert_false(ept_format.valid_attr(PT_WRITE | PT_EXEC));
	assert_false(ept_format.valid_attr(0));
	assert_true(ept_format.valid_attr(PT_EXEC));
	assert_true(ept_format.valid_attr(PT_READ | PT_WRITE));
}

static void npt_and_host_refuse_what_cannot_be_read(void **state)
{
	for (unsigned attr = 0; attr < PT_RWX; attr++)
		if (!(attr & PT_READ)) {
			assert_false(npt_format.valid_attr(attr));
			assert_false(host_format.valid_attr(attr));
		}
}

static void only_the_host_format_has_user_and_global(void **state)
{
	assert_true(host_format.valid_attr(PT_READ | PT_USER | PT_GLOBAL));
	assert_false(ept_format.valid_attr(PT_READ | PT_USER));
	assert_false(npt_format.valid_attr(PT_READ | PT_USER));
	assert_false(ept_format.valid_attr(PT_READ | PT_GLOBAL));
	assert_false(npt_format.valid_attr(PT_READ | PT_GLOBAL));
}

static void no_format_accepts_a_word_it_does_not_have(void **state)
{
	for (unsigned f = 0; f < ARRAY_SIZE(formats); f++)
		for (unsigned bit = 9; bit < 32; bit++)
			assert_false(formats[f]->valid_attr(PT_RWX | 1u << bit));
}

static void the_fake_format_shows_an_entry_read_at_the_wrong_level(void **state)
{
	for (unsigned level = 0; level < 3; level++)
		for (unsigned other = 0; other < 3; other++) {
			pte_t pte = fake_format.make_leaf((struct hpa){0}, level, PT_RWX);

			if (other == level)
				continue;
			assert_false(pte_present(&fake_format, pte, other) &&
				     fake_format.attr(pte, other) == PT_RWX);
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_leaf_is_the_entry_that_the_manual_shows),
		cmocka_unit_test(a_table_entry_is_open_for_every_access),
		cmocka_unit_test(nothing_is_present_in_a_zeroed_table),
		cmocka_unit_test(every_word_a_format_accepts_comes_back_from_a_leaf),
		cmocka_unit_test(a_table_reads_as_a_table_at_every_level_that_has_tables),
		cmocka_unit_test(the_cpu_may_set_accessed_in_a_table_entry),
		cmocka_unit_test(ept_refuses_write_without_read_but_not_execute_alone),
		cmocka_unit_test(npt_and_host_refuse_what_cannot_be_read),
		cmocka_unit_test(only_the_host_format_has_user_and_global),
		cmocka_unit_test(no_format_accepts_a_word_it_does_not_have),
		cmocka_unit_test(the_fake_format_shows_an_entry_read_at_the_wrong_level),
	};

	return cmocka_run_group_tests_name("pgtable", tests, NULL, NULL);
}
