/* SPDX-License-Identifier: Apache-2.0 */
/*
 * history.c: what the CPU would see at every instant of an operation.
 *
 * After each single store, pages inside and around the operation's range are looked up from the
 * root: each must read as before the operation or as after it, and once it has changed it must not
 * change back (WALK-2, WALK-3, WALK-7). A plain store, which fills a new table, must not show at
 * all (WALK-1, WALK-4).
 */
#include "sim/fake_format.h"
#include "sim/walk_model.h"

#define OPERATIONS	 30000
#define OPERATIONS_ROUND 1000
#define WATCHED		 20

struct history {
	struct model model;
	unsigned watched;
	u64 page[WATCHED];
	struct reading before[WATCHED], after[WATCHED], last[WATCHED];
	u64 instants;
};

static void look(struct world *world, bool swapped)
{
	struct history *history = world->test;

	history->instants++;
	for (unsigned i = 0; i < history->watched; i++) {
		struct reading now = world_read(world, history->page[i]);

		if (readings_agree(now, history->last[i]))
			continue;
		if (!swapped || !readings_agree(now, history->after[i]))
			fail_msg("0x%llx reads as %d 0x%llx %x in the middle",
				 (unsigned long long)history->page[i], now.mapped,
				 (unsigned long long)now.hpa, now.attr);
		history->last[i] = now;
	}
}

/* Pages at the operation's ends and anywhere; what they read as before and shall read as after. */
static void watch(struct history *history, const struct op *op)
{
	struct model *model = &history->model;
	unsigned index[WATCHED];
	unsigned start = model_find(model, op->start), end = model_find(model, op->end);

	history->watched = 0;
	for (unsigned i = 0; i < WATCHED; i++) {
		unsigned at = i < 4 ? start + i - 2 : i < 8 ? end + i - 6 : model->pages;

		if (at >= model->pages)
			at = (unsigned)sim_below(&model->world->random, model->pages);
		index[i] = at;
		history->page[i] = model->page[at];
		history->before[i] = history->last[i] = model->now[at];
	}
	model_do(model, op);
	for (unsigned i = 0; i < WATCHED; i++)
		history->after[i] = model->now[index[i]];
	history->watched = WATCHED;
}

static void run_round(struct history *history, const struct pgtable_format *format,
		      struct sim_random *random, bool dense)
{
	struct model *model = &history->model;
	u64 base = model_base(format, random);
	struct world world;

	world_init(&world, format, *random);
	model_init(model, &world, base, dense);
	world.test = history;
	world.after_store = look;
	for (unsigned i = 0; i < OPERATIONS_ROUND; i++) {
		struct op op = model_choose(model);
		int expected = model_expect(model, &op);

		watch(history, &op);
		model_check_result(model, &op, expected, world_do(&world, &op));
		for (unsigned w = 0; w < WATCHED; w++)
			assert_true(readings_agree(world_read(&world, history->page[w]),
						   history->after[w]));
		world_flush(&world);
	}
	*random = world.random;
	world_fini(&world);
}

static void run_format(const struct pgtable_format *format, u64 seed)
{
	static struct history history;
	struct sim_random random = sim_random_start(seed);

	history.instants = 0;
	for (unsigned round = 0; round < OPERATIONS / OPERATIONS_ROUND; round++)
		run_round(&history, format, &random, round % 2);
	printf("# %s: %llu instants\n", format->name, (unsigned long long)history.instants);
}

static void every_ept_store_leaves_each_page_old_or_new(void **state)
{
	run_format(&ept_format, 11);
}

static void every_npt_store_leaves_each_page_old_or_new(void **state)
{
	run_format(&npt_format, 12);
}

static void every_host_store_leaves_each_page_old_or_new(void **state)
{
	run_format(&host_format, 13);
}

static void every_fake_store_leaves_each_page_old_or_new(void **state)
{
	run_format(&fake_format, 14);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_ept_store_leaves_each_page_old_or_new),
		cmocka_unit_test(every_npt_store_leaves_each_page_old_or_new),
		cmocka_unit_test(every_host_store_leaves_each_page_old_or_new),
		cmocka_unit_test(every_fake_store_leaves_each_page_old_or_new),
	};

	return cmocka_run_group_tests_name("walk_history", tests, NULL, NULL);
}
