/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fail.c: each operation with its n-th allocation failing, for every n (WALK-5).
 */
#include "sim/fake_format.h"
#include "sim/walk_model.h"

#define OPERATIONS	 40000
#define OPERATIONS_ROUND 1000

/*
 * Runs `op` until no allocation fails any more; the result of that last run. Counts the failures.
 */
static int do_with_every_failure(struct world *world, const struct op *op, u64 *failures)
{
	for (u64 nth = 1;; nth++) {
		u64 tables = world->table.tables;
		int err;

		world->fail_at = nth;
		world->allocs = 0;
		world->stores = 0;
		err = world_do(world, op);
		world->fail_at = 0;
		if (world->allocs < nth)
			return err;
		assert_int_equal(err, ERR_NO_MEMORY);
		assert_int_equal(world->stores, 0);
		assert_int_equal(world->table.tables, tables);
		assert_int_equal(world->allocated, tables);
		++*failures;
	}
}

static void run_round(const struct pgtable_format *format, struct sim_random *random, bool dense,
		      u64 *failures)
{
	static struct model model;
	u64 base = model_base(format, random);
	struct world world;

	world_init(&world, format, *random);
	model_init(&model, &world, base, dense);
	for (unsigned i = 0; i < OPERATIONS_ROUND; i++) {
		struct op op = model_choose(&model);
		int expected = model_expect(&model, &op);

		model_do(&model, &op);
		model_check_result(&model, &op, expected,
				   do_with_every_failure(&world, &op, failures));
		model_check_some(&model, &op);
		world_flush(&world);
	}
	model_check_all(&model);
	*random = world.random;
	world_fini(&world);
}

static void run_format(const struct pgtable_format *format, u64 seed)
{
	struct sim_random random = sim_random_start(seed);
	u64 failures = 0;

	for (unsigned round = 0; round < OPERATIONS / OPERATIONS_ROUND; round++)
		run_round(format, &random, round % 2, &failures);
	printf("# %s: %llu failed allocations\n", format->name, (unsigned long long)failures);
	assert_true(failures > OPERATIONS / 10);
}

static void an_ept_operation_that_runs_out_of_tables_changes_nothing(void **state)
{
	run_format(&ept_format, 21);
}

static void an_npt_operation_that_runs_out_of_tables_changes_nothing(void **state)
{
	run_format(&npt_format, 22);
}

static void a_host_operation_that_runs_out_of_tables_changes_nothing(void **state)
{
	run_format(&host_format, 23);
}

static void a_fake_operation_that_runs_out_of_tables_changes_nothing(void **state)
{
	run_format(&fake_format, 24);
}

static void a_table_without_memory_for_its_root_is_none(void **state)
{
	struct pgtable table = {.tables = 77};
	struct world world;

	world_init(&world, &ept_format, (struct sim_random){0});
	world.allocs = 0;
	world.fail_at = 1;
	assert_int_equal(pgtable_init(&table, &ept_format, &world.memory), ERR_NO_MEMORY);
	assert_int_equal(table.tables, 77);
	world_fini(&world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_ept_operation_that_runs_out_of_tables_changes_nothing),
		cmocka_unit_test(an_npt_operation_that_runs_out_of_tables_changes_nothing),
		cmocka_unit_test(a_host_operation_that_runs_out_of_tables_changes_nothing),
		cmocka_unit_test(a_fake_operation_that_runs_out_of_tables_changes_nothing),
		cmocka_unit_test(a_table_without_memory_for_its_root_is_none),
	};

	return cmocka_run_group_tests_name("walk_fail", tests, NULL, NULL);
}
