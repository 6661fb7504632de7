/* SPDX-License-Identifier: Apache-2.0 */
/*
 * model.c: random operations on each format, against the flat model (WALK-2, WALK-3, WALK-6,
 * WALK-7, WALK-8): a million of them, with --long a million on each.
 */
#include "sim/fake_format.h"
#include "sim/walk_model.h"

#define OPERATIONS	 250000
#define OPERATIONS_LONG	 1000000
#define OPERATIONS_ROUND 2500

static u64 run_round(const struct pgtable_format *format, struct sim_random *random, bool dense,
		     u64 *done)
{
	static struct model model;
	struct world world;
	u64 base = model_base(format, random);

	world_init(&world, format, *random);
	model_init(&model, &world, base, dense);
	for (unsigned i = 1; i <= OPERATIONS_ROUND; i++) {
		struct op op = model_choose(&model);
		int expected = model_expect(&model, &op);

		model_do(&model, &op);
		model_check_result(&model, &op, expected, world_do(&world, &op));
		world_flush(&world);
		model_check_some(&model, &op);
		if (i % 500 == 0)
			model_check_all(&model);
	}
	for (unsigned kind = 0; kind < OP_KINDS; kind++)
		done[kind] += model.done[kind];
	*random = world.random;
	world_fini(&world);
	return OPERATIONS_ROUND;
}

static void run_format(const struct pgtable_format *format, u64 seed)
{
	struct sim_random random = sim_random_start(seed);
	u64 total = sim_long() ? OPERATIONS_LONG : OPERATIONS;
	u64 done[OP_KINDS] = {0};

	for (u64 operations = 0, round = 0; operations < total; round++)
		operations += run_round(format, &random, round % 2, done);
	printf("# %s: maps %llu, unmaps %llu, protects %llu, splits %llu, collapses %llu, "
	       "harvests %llu, accesses %llu succeeded\n",
	       format->name, (unsigned long long)done[0], (unsigned long long)done[1],
	       (unsigned long long)done[2], (unsigned long long)done[3],
	       (unsigned long long)done[4], (unsigned long long)done[5],
	       (unsigned long long)done[6]);
	for (unsigned kind = 0; kind < OP_KINDS; kind++)
		assert_true(done[kind] >= 1000);
}

static void operations_on_ept_read_as_the_flat_model_says(void **state)
{
	run_format(&ept_format, 0x657074);
}

static void operations_on_npt_read_as_the_flat_model_says(void **state)
{
	run_format(&npt_format, 0x6e7074);
}

static void operations_on_host_tables_read_as_the_flat_model_says(void **state)
{
	run_format(&host_format, 0x686f7374);
}

static void operations_on_the_fake_format_read_as_the_flat_model_says(void **state)
{
	run_format(&fake_format, 0x66616b65);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(operations_on_ept_read_as_the_flat_model_says),
		cmocka_unit_test(operations_on_npt_read_as_the_flat_model_says),
		cmocka_unit_test(operations_on_host_tables_read_as_the_flat_model_says),
		cmocka_unit_test(operations_on_the_fake_format_read_as_the_flat_model_says),
	};

	return cmocka_run_group_tests_name("walk_model", tests, NULL, NULL);
}
