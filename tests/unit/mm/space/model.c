/* SPDX-License-Identifier: Apache-2.0 */
/*
 * model.c: random operations against a model of what each page must read as.
 *
 * Four simulated CPUs take turns; two views, the device models' cache, and mm's own copies read and
 * write; pages are shared, broken, cleared, protected, moved, collapsed, under a policy that
 * changes on the way. After each round the auditor runs (RESOLVE-1, UPDATE-1).
 */
#include "sim/mm_world.h"

#include <mm/audit.h>
#include <mm/guest_cache.h>
#include <mm/reclaim.h>

#define GFNS   1536ull
#define ROUNDS 45
#define STEPS  20000
#define CPUS   4

struct page {
	u64 value;
	bool protected, pinned, dirty;
};

static struct {
	struct addrspace *as;
	struct stage2 *view[2];
	struct guest_cache *cache;
	struct page page[GFNS];
	struct sim_random random;
} m;

static u64 any_gfn(void)
{
	/* Half of the time one of a few, so that they meet. */
	return sim_below(&m.random, 2) ? sim_below(&m.random, GFNS) : sim_below(&m.random, 8) * 100;
}

static struct gfn_range any_range(void)
{
	u64 start = any_gfn(), frames = sim_size(&m.random, 600);

	return world_range(start, MIN(frames, GFNS - start));
}

static struct stage2 *any_view(void)
{
	return m.view[sim_below(&m.random, 2)];
}

static void check_value(u64 gfn, u64 value)
{
	if (value != m.page[gfn].value)
		fail_msg("gfn %llu reads %llu, not %llu", (unsigned long long)gfn,
			 (unsigned long long)value, (unsigned long long)m.page[gfn].value);
}

static void step_guest_read(void)
{
	u64 gfn = any_gfn(), value;

	assert_int_equal(guest_read(any_view(), gfn * PAGE_SIZE, &value), FAULT_MAPPED);
	check_value(gfn, value);
}

static void step_guest_write(void)
{
	u64 gfn = any_gfn(), value = sim_random(&m.random);
	enum fault_outcome outcome = guest_write(any_view(), gfn * PAGE_SIZE, value);

	assert_int_equal(outcome, m.page[gfn].protected ? FAULT_READ_ONLY : FAULT_MAPPED);
	if (outcome == FAULT_MAPPED) {
		m.page[gfn].value = value;
		m.page[gfn].dirty = true;
	}
}

static void step_copy(void)
{
	u64 gfn = any_gfn(), value;
	struct gpa gpa = {gfn * PAGE_SIZE};

	assert_int_equal(addrspace_read(m.as, gpa, &value, 8), 0);
	check_value(gfn, value);
	if (m.page[gfn].protected)
		return;
	value = sim_random(&m.random);
	assert_int_equal(addrspace_write(m.as, gpa, &value, 8), 0);
	m.page[gfn].value = value;
	m.page[gfn].dirty = true;
}

static void step_device(void)
{
	u64 gfn = any_gfn();
	bool write = sim_below(&m.random, 2);
	void *place;
	int err = guest_cache_get(m.cache, (struct gpa){gfn * PAGE_SIZE}, 8, write, &place);

	if (write && m.page[gfn].protected) {
		assert_int_equal(err, ERR_PERMISSION);
		return;
	}
	assert_int_equal(err, 0);
	check_value(gfn, *(u64 *)place);
	if (write) {
		m.page[gfn].value = *(u64 *)place = sim_random(&m.random);
		m.page[gfn].dirty = true;
	}
	guest_cache_put(m.cache, (struct gpa){gfn * PAGE_SIZE});
}

/* Looks at a page as a merging engine would; false when it cannot be shared. */
static bool look_at(u64 gfn, struct cow_look *look)
{
	assert_int_equal(cow_protect(m.as, world_range(gfn, 1)), 0);
	return !cow_look(m.as, (struct gfn){gfn}, look);
}

static void step_share(void)
{
	u64 a = any_gfn(), b = any_gfn();
	struct cow_look first, second;

	if (a == b || m.page[a].protected || m.page[b].protected)
		return;
	/* Make them equal, as the model has them: whole pages of nothing but the first word. */
	if (guest_write(m.view[0], b * PAGE_SIZE, m.page[a].value) != FAULT_MAPPED)
		return;
	m.page[b].value = m.page[a].value;
	m.page[b].dirty = true;
	if (!look_at(a, &first) || !look_at(b, &second))
		return;
	assert_int_equal(cow_offer(m.as, (struct gfn){a}, &first), 0);
	assert_int_equal(cow_share(m.as, (struct gfn){b}, &second, first.mfn), 0);
	assert_false(frame_put(first.mfn));
}

static void step_share_zero(void)
{
	u64 gfn = any_gfn();
	struct cow_look look;

	if (m.page[gfn].value || m.page[gfn].protected || !look_at(gfn, &look))
		return;
	assert_int_equal(cow_share_zero(m.as, (struct gfn){gfn}, &look), 0);
}

static void step_clear(void)
{
	struct gfn_range range = any_range();

	if (sim_below(&m.random, 2))
		assert_int_equal(addrspace_clear(m.as, range, 0), 0);
	else
		assert_int_equal(addrspace_balloon(m.as, range, ADDRSPACE_NOBLOCK), 0);
	for (u64 gfn = range.start.raw; gfn < range.end.raw; gfn++)
		if (!m.page[gfn].pinned)
			m.page[gfn] = (struct page){.protected = m.page[gfn].protected};
}

static void step_protect(void)
{
	struct gfn_range range = any_range();
	bool writable = sim_below(&m.random, 3);

	assert_int_equal(addrspace_populate(m.as, range), 0);
	assert_int_equal(addrspace_protect(m.as, range, writable), 0);
	for (u64 gfn = range.start.raw; gfn < range.end.raw; gfn++)
		m.page[gfn].protected = !writable;
}

static void step_soft_dirty(void)
{
	struct gfn_range range = any_range();

	assert_int_equal(addrspace_clear_soft_dirty(m.as, range), 0);
	for (u64 gfn = range.start.raw; gfn < range.end.raw; gfn++)
		m.page[gfn].dirty = false;
}

static void step_move(void)
{
	u64 gfn = any_gfn();
	int err;

	if (sim_below(&m.random, 4))
		err = addrspace_migrate(m.as, (struct gfn){gfn});
	else
		err = addrspace_collapse(m.as, (struct gfn){gfn});
	assert_true(err == 0 || err == ERR_BUSY || err == ERR_NO_MEMORY);
}

static void step_age_or_split(void)
{
	struct gfn_range range = any_range();
	bool young;

	if (sim_below(&m.random, 2))
		assert_int_equal(addrspace_age(m.as, range, &young), 0);
	else
		assert_int_equal(addrspace_split(m.as, range), 0);
	assert_int_equal(addrspace_exclusive(m.as, range.start, m.view[0]), 0);
}

static void step_pin(void)
{
	u64 gfn = any_gfn();

	if (m.page[gfn].pinned) {
		addrspace_unpin(m.as, (struct gfn){gfn});
		m.page[gfn].pinned = false;
	} else if (!m.page[gfn].protected) {
		assert_int_equal(addrspace_pin(m.as, (struct gfn){gfn}), 0);
		m.page[gfn].pinned = true;
		m.page[gfn].dirty = true;
	}
}

static void step_reclaim(void)
{
	u64 done;
	int err;

	if (!sim_below(&m.random, 4)) {
		reclaim_cold(m.as, sim_below(&m.random, 50));
		return;
	}
	err = addrspace_reclaim(m.as, any_range(), &done);
	assert_true(err == 0 || err == ERR_NO_MEMORY);
}

static void step_settle(void)
{
	addrspace_settle(m.as);
	assert_int_equal(addrspace_set_policy(m.as, notifier_policy(sim_below(
							    &m.random, notifier_policy_count()))),
			 0);
	addrspace_set_retry(m.as, sim_below(&m.random, 2) ? RETRY_INPLACE : RETRY_REENTER);
}

static const struct {
	void (*step)(void);
	unsigned weight;
} steps[] = {
	{step_guest_read, 30}, {step_guest_write, 30}, {step_copy, 10},	       {step_device, 15},
	{step_share, 20},      {step_share_zero, 5},   {step_clear, 2},	       {step_protect, 2},
	{step_soft_dirty, 2},  {step_move, 5},	       {step_age_or_split, 2}, {step_pin, 2},
	{step_settle, 1},      {step_reclaim, 10},
};

static void any_step(void)
{
	unsigned total = 0, pick;

	for (unsigned i = 0; i < ARRAY_SIZE(steps); i++)
		total += steps[i].weight;
	pick = sim_below(&m.random, total);
	for (unsigned i = 0; i < ARRAY_SIZE(steps); i++) {
		if (pick < steps[i].weight) {
			steps[i].step();
			return;
		}
		pick -= steps[i].weight;
	}
}

static void open_world(void)
{
	world_begin(CPUS, 32);
	m.as = world_space(GFNS);
	m.view[0] = world_stage2(m.as);
	m.view[1] = world_stage2(m.as);
	assert_int_equal(guest_cache_create(m.as, &m.cache), 0);
	memset(m.page, 0, sizeof(m.page));
}

static void close_world(void)
{
	struct audit_report report;

	assert_int_equal(audit_run(0, &report), 0);
	guest_cache_destroy(m.cache);
	stage2_destroy(m.view[1]);
	stage2_destroy(m.view[0]);
	addrspace_destroy(m.as);
	world_end();
}

static void check_dirty(void)
{
	for (u64 gfn = 0; gfn < GFNS; gfn++)
		if (m.page[gfn].dirty)
			assert_true(addrspace_is_soft_dirty(m.as, (struct gfn){gfn}));
}

static void random_operations_read_as_the_model_says(void **state)
{
	m.random = sim_random_start(20261123);
	for (unsigned round = 0; round < ROUNDS; round++) {
		open_world();
		assert_int_equal(addrspace_set_policy(
					 m.as, notifier_policy(round % notifier_policy_count())),
				 0);
		for (unsigned i = 0; i < STEPS; i++) {
			sim_set_cpu(sim_below(&m.random, CPUS));
			any_step();
		}
		check_dirty();
		for (unsigned cpu = 0; cpu < CPUS; cpu++) {
			sim_set_cpu(cpu);
			guest_out();
		}
		sim_set_cpu(0);
		close_world();
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(random_operations_read_as_the_model_says),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
