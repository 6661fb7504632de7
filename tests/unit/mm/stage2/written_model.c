/* SPDX-License-Identifier: Apache-2.0 */
/*
 * written_model.c: dirty logging and aging against a model, over a million random operations in
 * every mode, under every policy, through two views, with allocations that fail.
 *
 *     must     written since the last answer: has to be in the next one (DIRTY-1)
 *     may      written, or behind a large leaf that was: nothing else is in it (DIRTY-2)
 *     touched  accessed since last aged, by a walk: the range is young (STAGE2-4). Aging flushes
 *              nothing, so an access by a translation that was cached before sets no A
 *
 * A guest's access goes through the simulated TLB; its CPU lists a page when it sets D.
 */
#include "sim/mm_world.h"

#include <mm/audit.h>
#include <mm/dirty_log.h>
#include <mm/reclaim.h>

#include <mm/policy.h>
#include "mm/stage2/private.h"

#define PAGES	 1024ull
#define WORDS	 (PAGES / 64)
#define VIEWS	 2
#define EPISODES 250
#define STEPS	 4000
#define FAIL_ONE 40

static struct {
	struct sim_random random;
	struct addrspace *as;
	struct stage2 *view[VIEWS];
	bool must[PAGES], may[PAGES], touched[PAGES];
	struct gpa list[512];
	unsigned listed;
	u64 answers, found;
} m;

static ppte_t pte_of(u64 gfn)
{
	return primary_load(&m.as->primary, (struct gfn){gfn});
}

static u64 any_gfn(void)
{
	return sim_once_in(&m.random, 4) ? sim_below(&m.random, PAGES) : sim_below(&m.random, 64);
}

static struct gfn_range any_range(void)
{
	u64 gfn = any_gfn();

	return world_range(gfn, 1 + sim_below(&m.random, MIN(PAGES - gfn, 100ull)));
}

/* Only what an allocation that fails, or the state of a page, explains. */
static void expect(int err)
{
	if (err && err != ERR_NO_MEMORY && err != ERR_BUSY && err != ERR_PERMISSION)
		fail_msg("%s", error_name(err));
}

static void set_all(bool *what, struct gfn_range range, bool value)
{
	for (u64 gfn = range.start.raw; gfn < range.end.raw; gfn++)
		what[gfn] = value;
}

static bool has_dirty(const struct pgtable_visit *leaf)
{
	const struct pgtable_format *format = m.view[0]->table.format;

	return leaf->kind == VISIT_LEAF && (leaf->pte & format->level[leaf->level].dirty);
}

static bool has_accessed(const struct pgtable_visit *leaf)
{
	const struct pgtable_format *format = m.view[0]->table.format;

	return leaf->kind == VISIT_LEAF && (leaf->pte & format->level[leaf->level].accessed);
}

static struct pgtable_visit leaf_in(struct stage2 *view, u64 gfn)
{
	struct pgtable_visit visit;

	pgtable_lookup(&view->table, gfn << PAGE_SHIFT, &visit);
	return visit;
}

static void drain(void)
{
	dirty_log_pml(m.view[0], m.list, m.listed);
	m.listed = 0;
}

static void wrote(u64 gfn, const struct pgtable_visit *leaf)
{
	m.must[gfn] = true;
	m.touched[gfn] |= has_accessed(leaf);
	if (leaf->level)
		set_all(m.may, world_range(ALIGN_DOWN(gfn, 512), 512), true);
	else
		m.may[gfn] = true;
}

static void step_write(void)
{
	struct stage2 *view = m.view[sim_below(&m.random, VIEWS)];
	u64 gfn = any_gfn();
	struct pgtable_visit before = leaf_in(view, gfn), after;
	enum fault_outcome outcome = guest_write(view, gfn << PAGE_SHIFT, sim_below(&m.random, 2));

	if (outcome != FAULT_MAPPED) {
		assert_true(outcome == FAULT_NO_MEMORY || outcome == FAULT_READ_ONLY ||
			    outcome == FAULT_DENIED);
		m.may[gfn] = true; /* it may have been backed */
		return;
	}
	after = leaf_in(view, gfn);
	wrote(gfn, &after);
	if (dirty_log_mode(m.as) != DIRTY_PML || before.kind != VISIT_LEAF || has_dirty(&before) ||
	    !has_dirty(&after))
		return;
	m.list[m.listed++] = (struct gpa){gfn << PAGE_SHIFT};
	if (m.listed == ARRAY_SIZE(m.list))
		drain();
}

static void step_read(void)
{
	u64 gfn = any_gfn(), value;

	struct stage2 *view = m.view[sim_below(&m.random, VIEWS)];
	struct pgtable_visit after;

	if (ppte_state(pte_of(gfn)) == PPTE_ABSENT)
		m.may[gfn] = true;
	if (guest_read(view, gfn << PAGE_SHIFT, &value) != FAULT_MAPPED)
		return;
	after = leaf_in(view, gfn);
	m.touched[gfn] |= has_accessed(&after);
}

static void step_own_write(void)
{
	u64 gfn = any_gfn(), value = sim_below(&m.random, 2);
	int err = addrspace_write(m.as, (struct gpa){gfn << PAGE_SHIFT}, &value, sizeof(value));

	expect(err);
	m.may[gfn] = true;
	if (!err)
		m.must[gfn] = m.touched[gfn] = true;
}

static void step_collect(void)
{
	u64 first = ALIGN_DOWN(any_gfn(), 64), frames = 64 * (1 + sim_below(&m.random, 4));
	u64 bitmap[WORDS];

	frames = MIN(frames, PAGES - first);
	drain();
	assert_int_equal(dirty_log_collect(m.as, world_range(first, frames), bitmap), 0);
	m.answers++;
	for (u64 i = 0; i < frames; i++) {
		bool in = bitmap[i / 64] & BIT(i % 64);
		u64 gfn = first + i;

		if (m.must[gfn] && !in)
			fail_msg("page %llu was written and is not in the answer",
				 (unsigned long long)gfn);
		if (in && !m.may[gfn])
			fail_msg("page %llu is in the answer and was not written",
				 (unsigned long long)gfn);
		m.found += in;
		m.must[gfn] = m.may[gfn] = false;
	}
}

static void step_mode(void)
{
	enum dirty_mode mode = (enum dirty_mode)sim_below(&m.random, 3);

	drain();
	if (sim_once_in(&m.random, 3))
		dirty_log_coarse(m.as, sim_below(&m.random, 2));
	if (sim_once_in(&m.random, 8)) {
		dirty_log_stop(m.as);
		return;
	}
	assert_int_equal(dirty_log_start(m.as, world_range(0, PAGES), mode), 0);
	set_all(m.must, world_range(0, PAGES), false);
	set_all(m.may, world_range(0, PAGES), false);
}

static void step_take_away(void)
{
	struct gfn_range range = any_range();

	if (sim_once_in(&m.random, 2))
		assert_int_equal(addrspace_clear(m.as, range, 0), 0);
	else
		assert_int_equal(addrspace_balloon(m.as, range, 0), 0);
	set_all(m.must, range, false);
	set_all(m.touched, range, false);
}

static void step_populate(void)
{
	struct gfn_range range = sim_once_in(&m.random, 4) ? world_range(0, PAGES) : any_range();

	for (u64 gfn = range.start.raw; gfn < range.end.raw; gfn++)
		m.may[gfn] |= ppte_state(pte_of(gfn)) == PPTE_ABSENT;
	expect(addrspace_populate(m.as, range));
}

static void step_collapse(void)
{
	u64 block = ALIGN_DOWN(any_gfn(), 512);

	for (u64 i = 0; i < 512; i++)
		expect(cow_break(m.as, (struct gfn){block + i}));
	set_all(m.may, world_range(block, 512), true);
	expect(addrspace_collapse(m.as, (struct gfn){block}));
}

static void step_reclaim(void)
{
	struct gfn_range range = any_range();
	u64 done;

	expect(addrspace_reclaim(m.as, range, &done));
}

static void step_age(void)
{
	struct gfn_range range = any_range();
	bool young, expected = false;

	for (u64 gfn = range.start.raw; gfn < range.end.raw; gfn++)
		expected |= m.touched[gfn] && ppte_backed(pte_of(gfn));
	assert_int_equal(addrspace_age(m.as, range, &young), 0);
	if (expected && !young)
		fail_msg("pages from %llu on were accessed and are not young",
			 (unsigned long long)range.start.raw);
	set_all(m.touched, range, false);
}

/* Two pages of the same content share a frame. */
static void step_merge(void)
{
	struct gfn a = {any_gfn()}, b = {any_gfn()};
	struct cow_look look, other;
	int err = a.raw == b.raw ? ERR_BUSY : cow_protect_look(m.as, a, &look);

	if (!err)
		err = cow_offer(m.as, a, &look);
	if (err)
		return;
	err = cow_protect_look(m.as, b, &other);
	if (!err && !memcmp(arch_hpa_to_virt(mfn_to_hpa(look.mfn)),
			    arch_hpa_to_virt(mfn_to_hpa(other.mfn)), PAGE_SIZE))
		expect(cow_share(m.as, b, &other, look.mfn));
	if (frame_put(look.mfn))
		frame_free(look.mfn, 0);
}

static void step_rights(void)
{
	struct gfn_range range = any_range();
	int err;

	switch (sim_below(&m.random, 4)) {
	case 0:
		expect(addrspace_protect(m.as, range, false));
		break;
	case 1:
		assert_int_equal(addrspace_protect(m.as, world_range(0, PAGES), true), 0);
		break;
	case 2:
		assert_int_equal(addrspace_clear_soft_dirty(m.as, range), 0);
		set_all(m.must, range, false);
		break;
	default:
		err = stage2_view_restrict(m.view[0], world_range(0, 16),
					   sim_once_in(&m.random, 2) ? PT_READ : PT_RWX);
		assert_int_equal(err, 0);
		break;
	}
}

static void step_move(void)
{
	u64 gfn = any_gfn();

	switch (sim_below(&m.random, 4)) {
	case 0:
		expect(addrspace_migrate(m.as, (struct gfn){gfn}));
		break;
	case 1:
		assert_int_equal(addrspace_split(m.as, any_range()), 0);
		break;
	case 2:
		if (!addrspace_pin(m.as, (struct gfn){gfn}))
			addrspace_unpin(m.as, (struct gfn){gfn});
		m.may[gfn] = true; /* pinning backs it, and breaks its sharing */
		break;
	default:
		addrspace_settle(m.as);
		break;
	}
}

static void step_view(void)
{
	struct stage2 **view = &m.view[1], *fresh;

	if (stage2_create(m.as, (*view)->table.format, &fresh))
		return;
	stage2_destroy(*view);
	*view = fresh;
}

static void step(void)
{
	static void (*const rare[])(void) = {
		step_mode, step_take_away, step_populate, step_reclaim,
		step_age,  step_merge,	   step_rights,	  step_move,
	};

	switch (sim_below(&m.random, 16)) {
	case 0:
		step_own_write();
		break;
	case 1:
	case 2:
		step_collect();
		break;
	case 3:
	case 4:
		guest_out();
		rare[sim_below(&m.random, ARRAY_SIZE(rare))]();
		break;
	case 5:
	case 6:
	case 7:
		step_read();
		break;
	default:
		step_write();
		break;
	}
	if (!sim_below(&m.random, 600)) {
		guest_out();
		if (sim_once_in(&m.random, 2))
			step_collapse();
		else
			step_view();
	}
}

static void episode(unsigned number)
{
	unsigned policies = notifier_policy_count(), round = number / policies;
	struct audit_report report;

	world_begin(1, 16);
	m.as = world_space(PAGES);
	memset(m.must, 0, sizeof(m.must));
	memset(m.may, 1, sizeof(m.may));
	memset(m.touched, 0, sizeof(m.touched));
	m.listed = 0;
	for (unsigned i = 0; i < VIEWS; i++)
		m.view[i] = world_stage2(m.as);
	assert_int_equal(addrspace_set_policy(m.as, notifier_policy(number % policies)), 0);
	addrspace_set_retry(m.as, round & 1 ? RETRY_INPLACE : RETRY_REENTER);
	step_mode();
	frame_fail_set(round % 4 > 1 ? FAIL_ONE : 0, number + 1);
	for (unsigned i = 0; i < STEPS; i++)
		step();
	frame_fail_set(0, 0);
	guest_out();
	assert_int_equal(audit_run(0, &report), 0);
	for (unsigned i = 0; i < VIEWS; i++)
		stage2_destroy(m.view[i]);
	addrspace_destroy(m.as);
	world_end();
}

static void a_million_operations_lose_no_write_and_invent_none(void **state)
{
	(void)state;
	m.random = sim_random_start(10);
	for (unsigned number = 0; number < EPISODES; number++)
		episode(number);
	print_message("# %llu answers named %llu pages\n", (unsigned long long)m.answers,
		      (unsigned long long)m.found);
	assert_true(m.found > EPISODES * 100);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_million_operations_lose_no_write_and_invent_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
