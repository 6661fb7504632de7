/* SPDX-License-Identifier: Apache-2.0 */
/*
 * quiesce.c: readers that take no lock against an updater, in every order of their steps.
 */
#include "sim/explore.h"
#include "sim/sim.h"

#include <lib/quiesce.h>

#define READERS 2

/*
 * object	what readers find; NULL: unlinked
 * freed	the updater has freed it
 * inside	readers that entered before the wait and have not left, as a bitmap by CPU
 */
static struct {
	struct quiesce quiesce;
	int *object;
	bool freed, waiting;
	unsigned entered, inside;
} world;

static int the_object;

static void begin(void *argument)
{
	memset(&world, 0, sizeof(world));
	world.object = &the_object;
}

static void read_once(void)
{
	unsigned me = arch_cpu_id();
	int *object;

	quiesce_enter(&world.quiesce, me);
	if (!world.waiting)
		world.inside |= BIT(me);
	assert_true(quiesce_inside(&world.quiesce, me));
	sched_point("entered");
	object = world.object;
	sched_point("found");
	assert_false(object && world.freed);
	sched_point("used");
	assert_false(object && world.freed);
	world.inside &= ~BIT(me);
	quiesce_leave(&world.quiesce, me);
	assert_false(quiesce_inside(&world.quiesce, me));
	sched_point("left");
}

static void read_twice(void *argument)
{
	read_once();
	read_once();
}

static void update(void *argument)
{
	sched_point("not yet");
	world.object = NULL;
	sched_point("unlinked");
	world.waiting = true;
	quiesce_wait(&world.quiesce, READERS + 1);
	assert_int_equal(world.inside, 0); /* QUIESCE-1 */
	world.freed = true;
}

static void freed_in_the_end(void *argument)
{
	assert_true(world.freed);
}

/* QUIESCE-1 */
static void an_object_is_freed_when_its_last_reader_has_left(void **state)
{
	const struct sched_scenario scenario = {
		.setup = begin,
		.task = {read_twice, update, read_twice},
		.check = freed_in_the_end,
		.preemptions = 3,
	};

	sim_init(READERS + 1);
	assert_true(sched_explore(&scenario) > 1000);
}

/* Inside when the wait begins, and inside again for as long as it lasts. */
static void enter_again(void *argument)
{
	read_once();
	quiesce_enter(&world.quiesce, arch_cpu_id());
	while (world.waiting && !world.freed)
		sched_wait();
	quiesce_leave(&world.quiesce, arch_cpu_id());
}

/* QUIESCE-2: a wait that never ends fails as a deadlock. */
static void a_reader_that_enters_again_delays_no_updater(void **state)
{
	const struct sched_scenario scenario = {
		.setup = begin,
		.task = {enter_again, update, read_twice},
		.check = freed_in_the_end,
		.preemptions = 3,
	};

	sim_init(READERS + 1);
	assert_true(sched_explore(&scenario) > 1000);
}

static void a_cpu_is_inside_one_section_only(void **state)
{
	struct quiesce other = {0};

	sim_init(2);
	begin(NULL);
	quiesce_enter(&world.quiesce, 0);
	assert_false(quiesce_inside(&world.quiesce, 1));
	assert_false(quiesce_inside(&other, 0));
	quiesce_wait(&other, 2);
	quiesce_leave(&world.quiesce, 0);
	quiesce_wait(&world.quiesce, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_object_is_freed_when_its_last_reader_has_left),
		cmocka_unit_test(a_reader_that_enters_again_delays_no_updater),
		cmocka_unit_test(a_cpu_is_inside_one_section_only),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
