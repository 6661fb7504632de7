/* SPDX-License-Identifier: Apache-2.0 */
/*
 * operations.c: lab 1. Random operations of one task against the flat model (sim/walk_model.h),
 * together with those that the task builds upon and no others.
 *
 *     random    each page reads as the model's after every operation
 *     stores    after every single store each page reads as before the operation or as after it,
 *               and a store to a table that is not linked yet does not show
 *     memory    with its n-th allocation failing, for every n, an operation has stored nothing
 */
#include "sim/fake_format.h"
#include "sim/walk_model.h"

#define OPERATIONS 3000
#define ROUND	   500
#define WATCHED	   12

#define MAPS	 (BIT(OP_MAP) | BIT(OP_ACCESS))
#define SPLITS	 (MAPS | BIT(OP_SPLIT))
#define UNMAPS	 (SPLITS | BIT(OP_UNMAP))
#define PROTECTS (SPLITS | BIT(OP_PROTECT))

static const struct pgtable_format *const formats[] = {&ept_format, &npt_format, &host_format,
						       &fake_format};

/* page, old, new, last: what the watched pages may read as while an operation runs */
struct instants {
	struct model model;
	u64 page[WATCHED];
	struct reading after[WATCHED], last[WATCHED];
	bool on;
};

static struct instants instants;
static struct world world;

static struct op choose(struct model *model, u64 kinds)
{
	struct op op;

	do
		op = model_choose(model);
	while (!(kinds & BIT(op.kind)));
	return op;
}

static void look(struct world *w, bool swapped)
{
	for (unsigned i = 0; instants.on && i < WATCHED; i++) {
		struct reading now = world_read(w, instants.page[i]);

		if (readings_agree(now, instants.last[i]))
			continue;
		if (!swapped || !readings_agree(now, instants.after[i]))
			fail_msg("0x%llx reads as %d 0x%llx %x in the middle of an operation",
				 (unsigned long long)instants.page[i], now.mapped,
				 (unsigned long long)now.hpa, now.attr);
		instants.last[i] = now;
	}
}

/* The pages at both ends of the operation, and some others; the model does the operation. */
static void watch(const struct op *op)
{
	struct model *model = &instants.model;
	unsigned ends[] = {model_find(model, op->start), model_find(model, op->end)};
	unsigned index[WATCHED];

	for (unsigned i = 0; i < WATCHED; i++) {
		unsigned at = i < 8 ? ends[i / 4] + i % 4 - 2 : model->pages;

		if (at >= model->pages)
			at = (unsigned)sim_below(&world.random, model->pages);
		index[i] = at;
		instants.page[i] = model->page[at];
		instants.last[i] = model->now[at];
	}
	model_do(model, op);
	for (unsigned i = 0; i < WATCHED; i++)
		instants.after[i] = model->now[index[i]];
}

/* Runs an operation until no allocation of it fails; the last result. */
static int do_with_every_failure(const struct op *op)
{
	for (u64 nth = 1;; nth++) {
		u64 tables = world.table.tables;
		int err;

		world.fail_at = nth;
		world.allocs = world.stores = 0;
		err = world_do(&world, op);
		world.fail_at = 0;
		if (world.allocs < nth)
			return err;
		assert_int_equal(err, ERR_NO_MEMORY);
		assert_int_equal(world.stores, 0);
		assert_int_equal(world.table.tables, tables);
		assert_int_equal(world.allocated, tables);
	}
}

enum how { RANDOM, STORES, MEMORY };

static void run_round(const struct pgtable_format *format, struct sim_random *random, u64 kinds,
		      enum how how, bool dense)
{
	struct model *model = &instants.model;
	u64 base = model_base(format, random);

	world_init(&world, format, *random);
	model_init(model, &world, base, dense);
	world.after_store = look;
	for (unsigned i = 0; i < ROUND; i++) {
		struct op op = choose(model, kinds);
		int expected = model_expect(model, &op);

		watch(&op);
		instants.on = how == STORES;
		model_check_result(model, &op, expected,
				   how == MEMORY ? do_with_every_failure(&op)
						 : world_do(&world, &op));
		instants.on = false;
		world_flush(&world);
		model_check_some(model, &op);
	}
	model_check_all(model);
	*random = world.random;
	world_fini(&world);
}

static void run(u64 kinds, enum how how)
{
	struct sim_random random = sim_random_start(0x6c616231 + kinds);

	for (unsigned i = 0; i < ARRAY_SIZE(formats); i++)
		for (unsigned round = 0; round < OPERATIONS / ROUND; round++)
			run_round(formats[i], &random, kinds, how, round % 2);
}

static void random_maps_read_as_the_flat_model_says(void **state)
{
	run(MAPS, RANDOM);
}

static void every_store_of_maps_leaves_a_page_old_or_new(void **state)
{
	run(MAPS, STORES);
}

static void maps_that_run_out_of_tables_change_nothing(void **state)
{
	run(MAPS, MEMORY);
}

static void random_splits_read_as_the_flat_model_says(void **state)
{
	run(SPLITS, RANDOM);
}

static void every_store_of_splits_leaves_a_page_old_or_new(void **state)
{
	run(SPLITS, STORES);
}

static void splits_that_run_out_of_tables_change_nothing(void **state)
{
	run(SPLITS, MEMORY);
}

static void random_unmaps_read_as_the_flat_model_says(void **state)
{
	run(UNMAPS, RANDOM);
}

static void every_store_of_unmaps_leaves_a_page_old_or_new(void **state)
{
	run(UNMAPS, STORES);
}

static void unmaps_that_run_out_of_tables_change_nothing(void **state)
{
	run(UNMAPS, MEMORY);
}

static void random_protects_read_as_the_flat_model_says(void **state)
{
	run(PROTECTS, RANDOM);
}

static void every_store_of_protects_leaves_a_page_old_or_new(void **state)
{
	run(PROTECTS, STORES);
}

static void protects_that_run_out_of_tables_change_nothing(void **state)
{
	run(PROTECTS, MEMORY);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(random_maps_read_as_the_flat_model_says),
		cmocka_unit_test(every_store_of_maps_leaves_a_page_old_or_new),
		cmocka_unit_test(maps_that_run_out_of_tables_change_nothing),
		cmocka_unit_test(random_splits_read_as_the_flat_model_says),
		cmocka_unit_test(every_store_of_splits_leaves_a_page_old_or_new),
		cmocka_unit_test(splits_that_run_out_of_tables_change_nothing),
		cmocka_unit_test(random_unmaps_read_as_the_flat_model_says),
		cmocka_unit_test(every_store_of_unmaps_leaves_a_page_old_or_new),
		cmocka_unit_test(unmaps_that_run_out_of_tables_change_nothing),
		cmocka_unit_test(random_protects_read_as_the_flat_model_says),
		cmocka_unit_test(every_store_of_protects_leaves_a_page_old_or_new),
		cmocka_unit_test(protects_that_run_out_of_tables_change_nothing),
	};

	return cmocka_run_group_tests_name("lab1_operations", tests, NULL, NULL);
}
