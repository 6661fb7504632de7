/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mirror.c: devices with page tables of their own: their accesses against changes of the primary in
 * every interleaving of two preemptions, and what their invalidations wait for.
 */
#include "sim/explore.h"
#include "sim/mm_world.h"

#include <mm/audit.h>
#include <mm/mirror.h>

#include "mm/space/space.h"

#define OLD  1111
#define NEW  2222
#define GPA  (5 * PAGE_SIZE)
#define WAIT 40 /* ticks; each call of arch_ticks() is one */

static const struct notifier_policy *policy_named(const char *name)
{
	return notifier_policy_find(name, strlen(name));
}

/* --- Races --- */

static struct race {
	const struct notifier_policy *policy;
	enum mirror_kind kind;
	struct addrspace *as;
	struct mirror *mirror;
	bool written;
	u64 stale, clear;
} race;

static void race_setup(void *world)
{
	const u64 gfns[] = {5, 6};

	race.written = false;
	race.as = world_space(16);
	assert_int_equal(addrspace_set_policy(race.as, race.policy), 0);
	world_share(race.as, gfns, 2, OLD);
	assert_int_equal(mirror_create(race.as, race.kind, world_range(0, 16), 0, &race.mirror), 0);
}

/* Breaks the sharing, and then writes to the page. */
static void writer(void *world)
{
	u64 value = NEW;

	assert_int_equal(addrspace_write(race.as, (struct gpa){GPA}, &value, 8), 0);
	race.written = true;
	sched_point("writer: wrote");
	if (race.clear)
		assert_int_equal(addrspace_clear(race.as, world_range(5, 1), 0), 0);
	race.written = !race.clear;
}

static void device(void *world)
{
	for (unsigned i = 0; i < 2; i++) {
		bool written = race.written;
		u64 value = 0;

		assert_int_equal(mirror_read(race.mirror, (struct gpa){GPA}, &value), 0);
		race.stale += written && value == OLD;
	}
}

static void race_check(void *world)
{
	struct audit_report report;
	u64 value;

	assert_int_equal(mirror_read(race.mirror, (struct gpa){GPA}, &value), 0);
	assert_int_equal(value, race.clear ? 0 : NEW);
	assert_int_equal(audit_run(0, &report), 0);
	mirror_destroy(race.mirror);
	addrspace_destroy(race.as);
}

static void race_each(const struct notifier_policy *policy, bool clear)
{
	struct sched_scenario scenario = {
		.setup = race_setup,
		.task = {writer, device},
		.check = race_check,
		.preemptions = 2,
		.at_locks = true,
	};

	for (unsigned kind = 0; kind < MIRROR_KINDS; kind++) {
		race = (struct race){.policy = policy, .kind = kind, .clear = clear};
		world_begin(2, 4);
		print_message("# %s, kind %u: %llu schedules\n", policy->name, kind,
			      (unsigned long long)sched_explore(&scenario));
		world_end();
		assert_true(!race.stale || !strcmp(policy->name, "late"));
	}
}

/* MIRROR-1, NOTIFIER-6 */
static void a_device_never_reads_a_page_that_was_replaced(void **state)
{
	for (unsigned i = 0; i < notifier_policy_count(); i++) {
		race_each(notifier_policy(i), false);
		race_each(notifier_policy(i), true);
	}
}

/* --- Waits --- */

static struct addrspace *as;
static struct mirror *mirror[4];

static void open_devices(const char *policy, enum mirror_kind kind, unsigned count)
{
	u64 value = OLD;

	world_begin(1, 8);
	as = world_space(16);
	assert_int_equal(addrspace_set_policy(as, policy_named(policy)), 0);
	for (unsigned i = 0; i < count; i++)
		assert_int_equal(mirror_create(as, kind, world_range(0, 16), WAIT, &mirror[i]), 0);
	assert_int_equal(addrspace_write(as, (struct gpa){GPA}, &value, 8), 0);
	for (unsigned i = 0; i < count; i++)
		assert_int_equal(mirror_read(mirror[i], (struct gpa){GPA}, &value), 0);
}

static void close_devices(unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		mirror_destroy(mirror[i]);
	addrspace_destroy(as);
	world_end();
}

static int add_waits(struct subscription *sub, void *argument)
{
	struct subscriber_work *sum = argument, work;

	sub->ops->work(sub, &work);
	sum->waits += work.waits;
	sum->waited += work.waited;
	return 0;
}

static struct subscriber_work waits_of_clearing(const char *policy, unsigned count)
{
	struct subscriber_work work = {0};

	open_devices(policy, MIRROR_SLOW, count);
	assert_int_equal(addrspace_clear(as, world_range(5, 1), 0), 0);
	notifier_each(&as->notifier, add_waits, &work);
	assert_int_equal(addrspace_clear(as, world_range(5, 1), 0), 0); /* no PTE: no wait */
	close_devices(count);
	return work;
}

static void two_passes_wait_for_the_slowest_and_one_pass_for_the_sum(void **state)
{
	struct subscriber_work one = waits_of_clearing("invalidate", 4);
	struct subscriber_work two = waits_of_clearing("two_pass", 4);

	print_message("# one pass: %llu waits, %llu ticks; two: %llu, %llu\n",
		      (unsigned long long)one.waits, (unsigned long long)one.waited,
		      (unsigned long long)two.waits, (unsigned long long)two.waited);
	assert_int_equal(one.waits, 4);
	assert_true(one.waited >= 4 * (WAIT - 2));
	assert_true(two.waited <= WAIT + 8);
}

static void a_device_that_would_wait_refuses_without_effect(void **state)
{
	u64 value;

	open_devices("two_pass", MIRROR_SLOW, 2);
	assert_int_equal(addrspace_clear(as, world_range(5, 1), ADDRSPACE_NOBLOCK),
			 ERR_WOULD_BLOCK);
	assert_int_equal(mirror_read(mirror[1], (struct gpa){GPA}, &value), 0);
	assert_int_equal(value, OLD);
	assert_int_equal(addrspace_clear(as, world_range(6, 1), ADDRSPACE_NOBLOCK), 0);
	close_devices(2);
}

static void a_transfer_delays_its_page_alone_and_ends_by_itself(void **state)
{
	struct subscriber_work work = {0};
	u64 value;

	open_devices("masked", MIRROR_BUSY, 1);
	assert_int_equal(mirror_read(mirror[0], (struct gpa){6 * PAGE_SIZE}, &value), ERR_BUSY);
	assert_int_equal(mirror_read(mirror[0], (struct gpa){GPA}, &value), 0);
	assert_int_equal(addrspace_clear(as, world_range(6, 1), ADDRSPACE_NOBLOCK), 0);
	assert_int_equal(addrspace_clear(as, world_range(5, 1), 0), 0);
	notifier_each(&as->notifier, add_waits, &work);
	assert_int_equal(work.waits, 1);
	assert_int_equal(mirror_read(mirror[0], (struct gpa){GPA}, &value), 0);
	assert_int_equal(value, 0);
	close_devices(1);
}

static void a_step_reads_backed_pages_in_turn_and_backs_none(void **state)
{
	struct addrspace_pages pages;

	world_begin(1, 8);
	as = world_space(16);
	assert_int_equal(mirror_create(as, MIRROR_INTERVAL, world_range(2, 4), 0, &mirror[0]), 0);
	assert_false(mirror_step(mirror[0]));
	assert_int_equal(addrspace_populate(as, world_range(3, 6)), 0);
	for (unsigned i = 0; i < 7; i++)
		assert_true(mirror_step(mirror[0]));
	addrspace_count(as, &pages);
	assert_int_equal(pages.private, 6);
	close_devices(1);
}

static void a_device_reads_no_more_than_its_range_and_memory(void **state)
{
	u64 value;

	world_begin(1, 8);
	as = world_space(16);
	assert_int_equal(mirror_create(as, MIRROR_SLOW, world_range(8, 16), 0, &mirror[0]), 0);
	assert_int_equal(mirror_read(mirror[0], (struct gpa){7 * PAGE_SIZE}, &value), ERR_RANGE);
	assert_int_equal(mirror_read(mirror[0], (struct gpa){16 * PAGE_SIZE}, &value), ERR_RANGE);
	assert_int_equal(mirror_read(mirror[0], (struct gpa){8 * PAGE_SIZE + 4}, &value),
			 ERR_RANGE);
	assert_int_equal(mirror_read(mirror[0], (struct gpa){8 * PAGE_SIZE}, &value), 0);
	close_devices(1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_device_never_reads_a_page_that_was_replaced),
		cmocka_unit_test(two_passes_wait_for_the_slowest_and_one_pass_for_the_sum),
		cmocka_unit_test(a_device_that_would_wait_refuses_without_effect),
		cmocka_unit_test(a_transfer_delays_its_page_alone_and_ends_by_itself),
		cmocka_unit_test(a_step_reads_backed_pages_in_turn_and_backs_none),
		cmocka_unit_test(a_device_reads_no_more_than_its_range_and_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
