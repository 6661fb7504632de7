/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dirty.c: dirty logging in each mode, views, aging.
 */
#include "sim/mm_world.h"

#include <mm/audit.h>
#include <mm/dirty_log.h>

#define GFNS  1024ull
#define WORDS (GFNS / 64)

static struct addrspace *as;
static struct stage2 *view[2];

static void open_world(void)
{
	world_begin(2, 16);
	as = world_space(GFNS);
	view[0] = world_stage2(as);
	view[1] = world_stage2(as);
	assert_int_equal(addrspace_populate(as, world_range(0, GFNS)), 0);
}

static void close_world(void)
{
	struct audit_report report;

	guest_out();
	assert_int_equal(audit_run(0, &report), 0);
	stage2_destroy(view[0]);
	stage2_destroy(view[1]);
	addrspace_destroy(as);
	world_end();
}

/* A random mix of writers; what the log says must be what was written (DIRTY-1, DIRTY-2). */
static void log_in(enum dirty_mode mode, const struct notifier_policy *policy)
{
	struct sim_random random = sim_random_start(mode + 5);
	u64 bitmap[WORDS], expected[WORDS], value = 3;

	open_world();
	assert_int_equal(addrspace_set_policy(as, policy), 0);
	for (u64 gfn = 0; gfn < GFNS; gfn += 100)
		assert_int_equal(guest_write(view[0], gfn * PAGE_SIZE, 1), FAULT_MAPPED);
	assert_int_equal(dirty_log_start(as, world_range(0, GFNS), mode), 0);
	for (unsigned round = 0; round < 20; round++) {
		memset(expected, 0, sizeof(expected));
		for (unsigned i = 0; i < 50; i++) {
			u64 gfn = sim_below(&random, GFNS);
			struct gpa gpa = {gfn * PAGE_SIZE + 5};

			if (sim_below(&random, 4) == 0)
				assert_int_equal(guest_read(view[1], gpa.raw - 5, &value),
						 FAULT_MAPPED);
			else if (sim_below(&random, 5) == 0)
				assert_int_equal(addrspace_write(as, gpa, &value, 8), 0);
			else
				assert_int_equal(guest_write(view[i % 2], gpa.raw - 5, i),
						 FAULT_MAPPED);
			if (addrspace_is_soft_dirty(as, (struct gfn){gfn}) || mode == DIRTY_PML)
				expected[gfn / 64] |= BIT(gfn % 64);
			if (mode == DIRTY_PML)
				dirty_log_pml(view[i % 2], &gpa, 1);
		}
		assert_int_equal(dirty_log_collect(as, world_range(0, GFNS), bitmap), 0);
		for (unsigned i = 0; i < WORDS; i++) {
			assert_int_equal(expected[i] & ~bitmap[i], 0);
			if (mode != DIRTY_BITS)
				assert_int_equal(bitmap[i] & ~expected[i], 0);
		}
	}
	assert_int_equal(dirty_log_collect(as, world_range(0, GFNS), bitmap), 0);
	for (unsigned i = 0; i < WORDS; i++)
		assert_int_equal(bitmap[i], 0);
	dirty_log_stop(as);
	close_world();
}

static void every_mode_finds_what_was_written(void **state)
{
	for (unsigned i = 0; i < notifier_policy_count(); i++) {
		log_in(DIRTY_WRITE_PROTECT, notifier_policy(i));
		log_in(DIRTY_BITS, notifier_policy(i));
		log_in(DIRTY_PML, notifier_policy(i));
	}
}

/* Under every policy a collection takes no leaf of pages that were not written. */
static void asking_drops_only_around_what_was_written(void **state)
{
	u64 bitmap[WORDS], value;

	for (unsigned i = 0; i < notifier_policy_count(); i++) {
		open_world();
		assert_int_equal(addrspace_set_policy(as, notifier_policy(i)), 0);
		assert_int_equal(dirty_log_start(as, world_range(0, GFNS), DIRTY_BITS), 0);
		for (u64 gfn = 0; gfn < 64; gfn++)
			assert_int_equal(guest_write(view[0], gfn * PAGE_SIZE, 1), FAULT_MAPPED);
		assert_int_equal(dirty_log_collect(as, world_range(0, GFNS), bitmap), 0);
		for (u64 gfn = 0; gfn < 64; gfn++)
			assert_int_equal(guest_read(view[0], gfn * PAGE_SIZE, &value),
					 FAULT_MAPPED);
		assert_int_equal(guest_write(view[0], 7 * PAGE_SIZE, 1), FAULT_MAPPED);
		assert_int_equal(dirty_log_collect(as, world_range(0, GFNS), bitmap), 0);
		assert_int_equal(bitmap[0], BIT(7));
		guest_counters.exits = 0;
		for (u64 gfn = 0; gfn < 64; gfn++)
			assert_int_equal(guest_read(view[0], gfn * PAGE_SIZE, &value),
					 FAULT_MAPPED);
		assert_true(guest_counters.exits <= 1);
		close_world();
	}
}

/* With D bits, the answer is the pages written, and the guest does not fault for it. */
static void d_bits_cost_no_exit(void **state)
{
	u64 bitmap[WORDS];

	open_world();
	assert_int_equal(dirty_log_start(as, world_range(0, GFNS), DIRTY_BITS), 0);
	for (u64 gfn = 0; gfn < 64; gfn++)
		assert_int_equal(guest_write(view[0], gfn * PAGE_SIZE, 1), FAULT_MAPPED);
	assert_int_equal(dirty_log_collect(as, world_range(0, GFNS), bitmap), 0);
	assert_int_equal(bitmap[0], ~0ull);
	guest_counters.exits = 0;
	for (u64 gfn = 0; gfn < 64; gfn += 2)
		assert_int_equal(guest_write(view[0], gfn * PAGE_SIZE, 2), FAULT_MAPPED);
	assert_int_equal(guest_counters.exits, 0);
	assert_int_equal(dirty_log_collect(as, world_range(0, GFNS), bitmap), 0);
	assert_int_equal(bitmap[0], 0x5555555555555555ull);
	/*
	 * Stopped, a clean page faults at its first write again, and no write is lost.
	 */
	assert_int_equal(guest_write(view[0], 0, 3), FAULT_MAPPED);
	dirty_log_stop(as);
	assert_true(addrspace_is_soft_dirty(as, (struct gfn){0}));
	guest_counters.exits = 0;
	assert_int_equal(guest_write(view[0], 9 * PAGE_SIZE, 3), FAULT_MAPPED);
	assert_int_equal(guest_counters.exits, 1);
	close_world();
}

/* VIEW-1. */
static void a_view_allows_less_than_its_address_space(void **state)
{
	u64 value;

	open_world();
	assert_int_equal(guest_write(view[0], 0, 1), FAULT_MAPPED);
	assert_int_equal(guest_write(view[1], 0, 1), FAULT_MAPPED);
	assert_int_equal(stage2_view_restrict(view[1], world_range(3, 2), PT_READ | PT_EXEC), 0);
	assert_int_equal(stage2_view_restrict(view[1], world_range(4, 2), PT_READ), ERR_INVALID);
	assert_int_equal(stage2_view_restrict(view[1], world_range(4, 0), PT_READ), ERR_INVALID);
	assert_int_equal(stage2_view_restrict(view[1], world_range(~0ull, 2), PT_READ),
			 ERR_INVALID);
	assert_int_equal(stage2_view_restrict(view[1], world_range(9, 2), PT_WRITE), ERR_INVALID);
	assert_int_equal(guest_write(view[1], 3 * PAGE_SIZE, 2), FAULT_DENIED);
	assert_int_equal(guest_read(view[1], 3 * PAGE_SIZE, &value), FAULT_MAPPED);
	assert_int_equal(guest_write(view[1], 2 * PAGE_SIZE, 2), FAULT_MAPPED);
	assert_int_equal(guest_write(view[0], 3 * PAGE_SIZE, 4), FAULT_MAPPED);
	assert_int_equal(guest_read(view[1], 3 * PAGE_SIZE, &value), FAULT_MAPPED);
	assert_int_equal(value, 4);
	/* A change that hands over a writable page keeps within the limit too. */
	assert_int_equal(addrspace_migrate(as, (struct gfn){3}), 0);
	assert_int_equal(guest_write(view[1], 3 * PAGE_SIZE, 2), FAULT_DENIED);
	assert_int_equal(stage2_view_restrict(view[1], world_range(3, 2), PT_RWX), 0);
	assert_int_equal(guest_write(view[1], 3 * PAGE_SIZE, 2), FAULT_MAPPED);
	close_world();
}

static void aging_finds_what_was_touched_since(void **state)
{
	bool young;
	u64 value;

	open_world();
	assert_int_equal(guest_read(view[0], 700 * PAGE_SIZE, &value), FAULT_MAPPED);
	assert_int_equal(addrspace_age(as, world_range(512, 512), &young), 0);
	assert_true(young);
	assert_int_equal(addrspace_age(as, world_range(512, 512), &young), 0);
	assert_false(young);
	sim_set_cpu(1);
	assert_int_equal(guest_read(view[0], 800 * PAGE_SIZE, &value), FAULT_MAPPED);
	guest_out();
	sim_set_cpu(0);
	assert_int_equal(addrspace_age(as, world_range(512, 512), &young), 0);
	assert_true(young);
	close_world();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_mode_finds_what_was_written),
		cmocka_unit_test(asking_drops_only_around_what_was_written),
		cmocka_unit_test(d_bits_cost_no_exit),
		cmocka_unit_test(a_view_allows_less_than_its_address_space),
		cmocka_unit_test(aging_finds_what_was_touched_since),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
