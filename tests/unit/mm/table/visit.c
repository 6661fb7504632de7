/* SPDX-License-Identifier: Apache-2.0 */
/*
 * visit.c: what visitors, `dropped` and harvests are shown, and what a CPU beside the
 * walker sees (WALK-2, WALK-3, WALK-6).
 */
#include "sim/walk_world.h"

#include <pthread.h>

#define P   PAGE_SIZE
#define P2M LEVEL_SIZE(1)
#define P1G LEVEL_SIZE(2)

static struct world world;
static struct pgtable *const table = &world.table;

static int start_ept(void **state)
{
	world_init(&world, &ept_format, (struct sim_random){1});
	return 0;
}

static int finish(void **state)
{
	world_fini(&world);
	return 0;
}

static int map(u64 start, u64 end, u64 to, unsigned attr, unsigned level)
{
	return world_map(&world, start, end, to, attr, level);
}

static unsigned attr_of(u64 address)
{
	return world_read(&world, address).attr;
}

static struct pgtable_visit lookup(u64 address)
{
	struct pgtable_visit visit;

	pgtable_lookup(table, address, &visit);
	return visit;
}

static struct pgtable_visit drops[1024];
static unsigned drop_count;

static void note_drop(struct world *w, const struct pgtable_visit *leaf)
{
	assert_true(drop_count < ARRAY_SIZE(drops));
	drops[drop_count++] = *leaf;
}

static void each_leaf_that_leaves_is_reported_once_with_its_last_content(void **state)
{
	assert_int_equal(map(0, P2M, P1G, PT_RWX, 0), 0);
	assert_int_equal(map(P2M, 2 * P2M, 2 * P1G, PT_RWX, 1), 0);
	assert_true(world_access(&world, 3 * P, true));
	drop_count = 0;
	world.on_dropped = note_drop;
	assert_int_equal(pgtable_unmap(table, 0, P1G), 0);
	assert_int_equal(drop_count, 513);
	for (unsigned i = 0; i < 513; i++) {
		u64 at = i * P;
		unsigned expected = i == 3 ? PT_RWX | PT_ACCESSED | PT_DIRTY : PT_RWX;

		assert_int_equal(drops[i].address, at);
		assert_int_equal(drops[i].level, i == 512);
		assert_int_equal(ept_format.attr(drops[i].pte, drops[i].level), expected);
	}
	assert_int_equal(map(0, P, 0, PT_RWX, 0), 0);
	assert_int_equal(drop_count, 513); /* nothing left: nothing was there */
	assert_int_equal(map(0, P, P, PT_RWX, 0), 0);
	assert_int_equal(drop_count, 514);
}

static pte_t *racing_slot;

static void set_dirty_once(struct world *w, pte_t *slot)
{
	if (slot != racing_slot)
		return;
	*slot |= w->table.format->level[0].accessed | w->table.format->level[0].dirty;
	racing_slot = NULL;
}

static void protecting_keeps_a_d_that_the_cpu_sets_meanwhile(void **state)
{
	assert_int_equal(map(0, P, 0, PT_RWX, 0), 0);
	racing_slot = lookup(0).slot;
	world.before_swap = set_dirty_once;
	assert_int_equal(pgtable_protect(table, 0, P, PT_READ), 0);
	assert_int_equal(attr_of(0), PT_READ | PT_ACCESSED | PT_DIRTY);
}

static int count_found(struct pgtable *t, const struct pgtable_visit *visit, void *argument)
{
	unsigned *found = argument;

	assert_true(t->format->attr(visit->pte, visit->level) & PT_DIRTY);
	++*found;
	return 0;
}

static void harvesting_shows_each_dirty_leaf_and_clears_only_the_range(void **state)
{
	unsigned found = 0;

	assert_int_equal(map(0, 4 * P, 0, PT_RWX, 0), 0);
	assert_true(world_access(&world, P, true));
	assert_true(world_access(&world, 2 * P, false));
	assert_true(world_access(&world, 3 * P, true));
	assert_int_equal(pgtable_harvest(table, 0, 4 * P, PT_DIRTY, count_found, &found), 0);
	assert_int_equal(found, 2);
	assert_int_equal(attr_of(P), PT_RWX | PT_ACCESSED);
	assert_int_equal(pgtable_harvest(table, 0, 4 * P, PT_DIRTY, count_found, &found), 0);
	assert_int_equal(found, 2);
	assert_int_equal(pgtable_harvest(table, 0, 4 * P, PT_ACCESSED, NULL, NULL), 0);
	assert_int_equal(attr_of(2 * P), PT_RWX);
}

static void harvesting_shows_a_d_that_the_cpu_sets_while_a_is_taken(void **state)
{
	unsigned found = 0;

	assert_int_equal(map(0, P, 0, PT_RWX | PT_ACCESSED, 0), 0);
	racing_slot = lookup(0).slot;
	world.before_swap = set_dirty_once;
	assert_int_equal(pgtable_harvest(table, 0, P, PT_ACCESSED | PT_DIRTY, count_found, &found),
			 0);
	assert_int_equal(found, 1);
	assert_int_equal(attr_of(0), PT_RWX);
}

struct trail {
	unsigned count;
	struct {
		u64 address;
		unsigned level, kind;
	} step[16];
	int answer;
	unsigned answer_at;
};

static int follow(struct pgtable *t, const struct pgtable_visit *visit, void *argument)
{
	struct trail *trail = argument;

	assert_true(trail->count < ARRAY_SIZE(trail->step));
	trail->step[trail->count].address = visit->address;
	trail->step[trail->count].level = visit->level;
	trail->step[trail->count].kind = visit->kind;
	return trail->count++ == trail->answer_at ? trail->answer : 0;
}

static void step_is(const struct trail *trail, unsigned i, u64 address, unsigned level,
		    unsigned kind)
{
	assert_true(i < trail->count);
	assert_int_equal(trail->step[i].address, address);
	assert_int_equal(trail->step[i].level, level);
	assert_int_equal(trail->step[i].kind, kind);
}

#define VISIT_ALL (VISIT_LEAF | VISIT_ABSENT | VISIT_TABLE)

static void a_walk_visits_a_table_before_what_is_in_it(void **state)
{
	struct trail trail = {.answer = 0};

	assert_int_equal(map(P2M - P, 2 * P2M, P2M - P, PT_RWX, 1), 0);
	assert_int_equal(pgtable_walk(table, P2M - 2 * P, 2 * P2M + P, VISIT_ALL, follow, &trail),
			 0);
	assert_int_equal(trail.count, 7);
	step_is(&trail, 0, 0, 3, VISIT_TABLE);
	step_is(&trail, 1, 0, 2, VISIT_TABLE);
	step_is(&trail, 2, 0, 1, VISIT_TABLE);
	step_is(&trail, 3, P2M - 2 * P, 0, VISIT_ABSENT);
	step_is(&trail, 4, P2M - P, 0, VISIT_LEAF);
	step_is(&trail, 5, P2M, 1, VISIT_LEAF);
	step_is(&trail, 6, 2 * P2M, 1, VISIT_ABSENT);
}

static void a_walk_shows_only_the_kinds_of_its_flags(void **state)
{
	struct trail trail = {.answer = 0};

	assert_int_equal(map(P2M - P, 2 * P2M, P2M - P, PT_RWX, 1), 0);
	assert_int_equal(pgtable_walk(table, 0, P1G, VISIT_LEAF, follow, &trail), 0);
	assert_int_equal(trail.count, 2);
	step_is(&trail, 0, P2M - P, 0, VISIT_LEAF);
	step_is(&trail, 1, P2M, 1, VISIT_LEAF);
}

static void a_visitor_can_skip_a_table_and_can_end_the_walk(void **state)
{
	struct trail skip = {.answer = VISIT_SKIP, .answer_at = 2};
	struct trail stop = {.answer = ERR_BUSY, .answer_at = 4};

	assert_int_equal(map(P2M - P, 2 * P2M, P2M - P, PT_RWX, 1), 0);
	assert_int_equal(pgtable_walk(table, P2M - 2 * P, 2 * P2M + P, VISIT_ALL, follow, &skip),
			 0);
	assert_int_equal(skip.count, 5);
	step_is(&skip, 3, P2M, 1, VISIT_LEAF);
	assert_int_equal(pgtable_walk(table, P2M - 2 * P, 2 * P2M + P, VISIT_ALL, follow, &stop),
			 ERR_BUSY);
	assert_int_equal(stop.count, 5);
}

static bool reader_stop;

/* A CPU's walks beside the changes: it must find the page at every moment. */
static void *reader(void *argument)
{
	u64 *misses = argument;

	for (u64 n = 0; !__atomic_load_n(&reader_stop, __ATOMIC_ACQUIRE); n++) {
		u64 page = n % 1024 * P;
		struct reading now = world_read(&world, page);

		if (!now.mapped || now.hpa != P1G + page || !(now.attr & PT_READ))
			++*misses;
	}
	return NULL;
}

/* Plain machine stores here, not the world's. Freed tables stay readable, as no flush comes. */
static void a_reader_beside_splits_joins_and_protects_always_finds_the_page(void **state)
{
	u64 misses = 0;
	pthread_t thread;

	world.memory.store = NULL;
	world.memory.swap = NULL;
	assert_int_equal(map(0, 2 * P2M, P1G, PT_RWX, 1), 0);
	reader_stop = false;
	assert_int_equal(pthread_create(&thread, NULL, reader, &misses), 0);
	for (unsigned i = 0; i < 3000; i++) {
		assert_int_equal(pgtable_split(table, i % 2 * P2M, 0), 0);
		assert_int_equal(pgtable_protect(table, 5 * P, P2M + 9 * P, PT_READ), 0);
		assert_int_equal(pgtable_protect(table, 0, 2 * P2M, PT_RWX), 0);
		assert_int_equal(pgtable_collapse(table, 0, 1), 0);
		assert_int_equal(pgtable_collapse(table, P2M, 1), 0);
	}
	__atomic_store_n(&reader_stop, true, __ATOMIC_RELEASE);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_int_equal(misses, 0);
}

#define test_on(start, name) cmocka_unit_test_setup_teardown(name, start, finish)

int main(void)
{
	const struct CMUnitTest tests[] = {
		test_on(start_ept, each_leaf_that_leaves_is_reported_once_with_its_last_content),
		test_on(start_ept, protecting_keeps_a_d_that_the_cpu_sets_meanwhile),
		test_on(start_ept, harvesting_shows_each_dirty_leaf_and_clears_only_the_range),
		test_on(start_ept, harvesting_shows_a_d_that_the_cpu_sets_while_a_is_taken),
		test_on(start_ept, a_walk_visits_a_table_before_what_is_in_it),
		test_on(start_ept, a_walk_shows_only_the_kinds_of_its_flags),
		test_on(start_ept, a_visitor_can_skip_a_table_and_can_end_the_walk),
		test_on(start_ept, a_reader_beside_splits_joins_and_protects_always_finds_the_page),
	};

	return cmocka_run_group_tests_name("walk_visit", tests, NULL, NULL);
}
