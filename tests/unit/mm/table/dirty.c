/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dirty.c: a CPU that writes through the table while operations run; no D may be lost
 * (WALK-6).
 *
 * The CPU writes at the worst moments: between the walker's read of an entry and its swap, and
 * through a slot it found before the operation, in a table that may be unlinked by now. Each such
 * write leaves a debt on its page, which is paid when a D that covers the page is reported as
 * dropped or harvested. A debt must be paid or still stand as D in the table: at every drop and
 * after every operation.
 *
 *     walker                          CPU
 *     ------                          ---
 *     pte = *slot
 *                                     sets D in *slot, for its write
 *     swap(slot, pte, 0)  fails
 *     pte = *slot
 *     swap(slot, pte, 0)
 *     dropped(pte)  has D
 */
#include "sim/fake_format.h"
#include "sim/walk_model.h"

#define OPERATIONS	 60000
#define OPERATIONS_ROUND 1000

/*
 * debt		pages with a write that was not reported yet
 * stale	a slot that the CPU found before the operation
 */
struct debts {
	struct model model;
	bool debt[MODEL_PAGES];
	struct pgtable_visit stale;
	u64 writes, stale_writes, paid;
};

static void cpu_writes(struct debts *debts)
{
	struct world *world = debts->model.world;
	unsigned i = (unsigned)sim_below(&world->random, debts->model.pages);

	if (!world_access(world, debts->model.page[i], true))
		return;
	debts->debt[i] = true;
	debts->writes++;
}

static void cpu_writes_through_stale_slot(struct debts *debts)
{
	const struct pgtable_format *format = debts->model.world->table.format;
	const struct pgtable_visit *stale = &debts->stale;
	const struct pgtable_level *level = &format->level[stale->level];
	unsigned i = model_find(&debts->model, stale->address);

	if (i == debts->model.pages || debts->model.page[i] >= stale->end)
		return;
	if (!pte_present(format, *stale->slot, stale->level) ||
	    !pte_leaf(format, *stale->slot, stale->level) || !(*stale->slot & level->write))
		return;
	*stale->slot |= level->accessed | level->dirty;
	debts->debt[i] = true;
	debts->stale_writes++;
}

static void interfere(struct world *world, pte_t *slot)
{
	struct debts *debts = world->test;

	if (sim_once_in(&world->random, 2))
		cpu_writes(debts);
	if (sim_once_in(&world->random, 2))
		cpu_writes_through_stale_slot(debts);
}

static bool is_dirty(struct debts *debts, unsigned i)
{
	struct reading now = world_read(debts->model.world, debts->model.page[i]);

	return now.mapped && (now.attr & PT_DIRTY);
}

static int pay(struct pgtable *table, const struct pgtable_visit *leaf, void *argument)
{
	struct debts *debts = argument;
	bool dirty = leaf->pte & table->format->level[leaf->level].dirty;
	u64 end = leaf->address + LEVEL_SIZE(leaf->level);

	for (unsigned i = model_find(&debts->model, leaf->address);
	     i < debts->model.pages && debts->model.page[i] < end; i++) {
		if (!debts->debt[i])
			continue;
		/* The write may have gone through the leaf that took this one's place already. */
		if (!dirty && !is_dirty(debts, i))
			fail_msg("the write to 0x%llx is lost",
				 (unsigned long long)debts->model.page[i]);
		debts->paid += dirty;
		debts->debt[i] = !dirty;
	}
	return 0;
}

static void leaf_dropped(struct world *world, const struct pgtable_visit *leaf)
{
	struct debts *debts = world->test;

	pay(&world->table, leaf, debts);
	if (sim_once_in(&world->random, 2))
		cpu_writes_through_stale_slot(debts);
}

static void check_debts(struct debts *debts)
{
	for (unsigned i = 0; i < debts->model.pages; i++)
		if (debts->debt[i] && !is_dirty(debts, i))
			fail_msg("the write to 0x%llx is lost",
				 (unsigned long long)debts->model.page[i]);
}

static void do_op(struct debts *debts, const struct op *op)
{
	struct world *world = debts->model.world;
	u64 page = debts->model.page[sim_below(&world->random, debts->model.pages)];

	pgtable_lookup(&world->table, page, &debts->stale);
	if (op->kind == OP_HARVEST)
		assert_int_equal(
			pgtable_harvest(&world->table, op->start, op->end, PT_DIRTY, pay, debts),
			0);
	else if (op->kind != OP_ACCESS)
		(void)world_do(world, op);
	check_debts(debts);
	world_flush(world);
}

static void run_round(struct debts *debts, const struct pgtable_format *format,
		      struct sim_random *random, bool dense)
{
	u64 base = model_base(format, random);
	struct world world;

	world_init(&world, format, *random);
	model_init(&debts->model, &world, base, dense);
	memset(debts->debt, 0, sizeof(debts->debt));
	world.test = debts;
	world.before_swap = interfere;
	world.on_dropped = leaf_dropped;
	for (unsigned i = 0; i < OPERATIONS_ROUND; i++) {
		struct op op = model_choose(&debts->model);

		do_op(debts, &op);
	}
	world.before_swap = NULL;
	*random = world.random;
	world_fini(&world);
}

static void run_format(const struct pgtable_format *format, u64 seed)
{
	static struct debts debts;
	struct sim_random random = sim_random_start(seed);

	debts.writes = debts.stale_writes = debts.paid = 0;
	for (unsigned round = 0; round < OPERATIONS / OPERATIONS_ROUND; round++)
		run_round(&debts, format, &random, round % 2);
	printf("# %s: %llu writes, %llu through stale slots, %llu reported\n", format->name,
	       (unsigned long long)debts.writes, (unsigned long long)debts.stale_writes,
	       (unsigned long long)debts.paid);
	assert_true(debts.writes > 1000 && debts.stale_writes > 100 && debts.paid > 1000);
}

static void no_write_through_ept_is_lost(void **state)
{
	run_format(&ept_format, 31);
}

static void no_write_through_npt_is_lost(void **state)
{
	run_format(&npt_format, 32);
}

static void no_write_through_host_tables_is_lost(void **state)
{
	run_format(&host_format, 33);
}

static void no_write_through_the_fake_format_is_lost(void **state)
{
	run_format(&fake_format, 34);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_write_through_ept_is_lost),
		cmocka_unit_test(no_write_through_npt_is_lost),
		cmocka_unit_test(no_write_through_host_tables_is_lost),
		cmocka_unit_test(no_write_through_the_fake_format_is_lost),
	};

	return cmocka_run_group_tests_name("walk_dirty", tests, NULL, NULL);
}
