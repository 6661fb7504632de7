/* SPDX-License-Identifier: Apache-2.0 */
/*
 * own_break.c: the own break of a fault leaves it nothing to install: when it ends there, what is
 * counted then, and other CPUs that change the page meanwhile (FAULT-4).
 */
#include "sim/explore.h"
#include "sim/mm_world.h"

#include <mm/audit.h>
#include <mm/frame.h>
#include <mm/policy.h>
#include <mm/reclaim.h>
#include "mm/space/space.h"
#include "mm/stage2/private.h"

#define GPA (5 * PAGE_SIZE)

static struct addrspace *as;
static struct stage2 *s2;

static const u64 sharers[] = {5, 6};

static void begin_space(const char *policy, enum retry_mode retry)
{
	as = world_space(16);
	assert_int_equal(addrspace_set_policy(as, notifier_policy_find(policy, strlen(policy))), 0);
	addrspace_set_retry(as, retry);
	s2 = world_stage2(as);
	world_share(as, sharers, 2, 7);
}

static void begin(const char *policy, enum retry_mode retry)
{
	world_begin(2, 8);
	begin_space(policy, retry);
}

static void end_space(void)
{
	guest_out();
	stage2_destroy(s2);
	addrspace_destroy(as);
}

static void end(void)
{
	end_space();
	world_end();
}

/* A leaf of the shared frame. */
static void map_shared(struct stage2 *view)
{
	u64 value;

	assert_int_equal(guest_read(view, GPA, &value), FAULT_MAPPED);
	assert_int_equal(value, 7);
	guest_out();
}

static enum fault_outcome write_fault(struct stage2 *view)
{
	return fault_handle(view, (struct gpa){GPA}, HV_WRITE);
}

static bool is_writable(struct stage2 *view)
{
	struct pgtable_visit visit;

	stage2_lookup(view, (struct gfn){5}, &visit);
	return visit.kind == VISIT_LEAF && (visit.pte & view->table.format->level[0].write);
}

static u64 caused(const struct stage2 *view)
{
	u64 sum = 0;

	for (unsigned i = 0; i < ARRAY_SIZE(view->counters.cause); i++)
		sum += view->counters.cause[i];
	return sum;
}

/* It is counted as one that found its leaf after a step of its own. */
static void a_fault_ends_with_the_leaf_that_its_own_break_has_changed(void **state)
{
	u64 checks, causes;

	begin("masked", RETRY_INPLACE);
	map_shared(s2);
	checks = s2->log.counters.checks;
	causes = caused(s2);
	assert_int_equal(write_fault(s2), FAULT_SPURIOUS);
	assert_true(is_writable(s2));
	assert_int_equal(s2->log.counters.checks, checks);
	assert_int_equal(caused(s2), causes + 1);
	assert_int_equal(s2->counters.retries, 1);
	assert_int_equal(s2->counters.faults[FAULT_SPURIOUS], 1);
	end();
}

/* Under `late` each view changes its leaf in one step. */
static void the_leaf_of_another_view_does_not_end_a_fault(void **state)
{
	struct stage2 *other;

	begin("late", RETRY_INPLACE);
	other = world_stage2(as);
	map_shared(other);
	assert_int_equal(write_fault(s2), FAULT_MAPPED);
	assert_true(is_writable(s2));
	assert_true(is_writable(other));
	assert_int_equal(other->counters.retries, 0);
	stage2_destroy(other);
	end();
}

/* Under `bracket` the break drops the leaf; the fault installs one, and its own step is no race. */
static void a_leaf_that_the_break_drops_is_installed(void **state)
{
	begin("bracket", RETRY_INPLACE);
	map_shared(s2);
	assert_int_equal(write_fault(s2), FAULT_MAPPED);
	assert_true(is_writable(s2));
	assert_int_equal(s2->log.counters.raced, 0);
	assert_int_equal(s2->counters.retries, 1);
	end();
}

/* The fault of the break has ended: one of mm's own later is not for it. */
static void a_break_without_a_fault_counts_none(void **state)
{
	struct cow_look look;
	u64 causes;

	begin("bracket", RETRY_INPLACE);
	assert_int_equal(write_fault(s2), FAULT_MAPPED);
	assert_int_equal(addrspace_set_policy(as, notifier_policy_find("masked", 6)), 0);
	assert_int_equal(cow_protect_look(as, (struct gfn){5}, &look), 0);
	assert_int_equal(cow_offer(as, (struct gfn){5}, &look), 0);
	assert_false(frame_put(look.mfn));
	causes = caused(s2);
	assert_int_equal(cow_break(as, (struct gfn){5}), 0);
	assert_true(is_writable(s2));
	assert_int_equal(caused(s2), causes);
	assert_int_equal(s2->counters.retries, 1);
	end();
}

static void a_fault_that_reenters_counts_its_break_as_a_race(void **state)
{
	begin("masked", RETRY_REENTER);
	map_shared(s2);
	assert_int_equal(write_fault(s2), FAULT_RACED);
	assert_true(is_writable(s2));
	assert_int_equal(s2->counters.retries, 0);
	end();
}

/* STAGE2-2: what a merge has put off is flushed with the break, once. */
static void the_flush_of_a_break_is_that_of_earlier_merges_too(void **state)
{
	struct cow_look look;
	struct mfn shared;
	u64 value;

	begin("masked", RETRY_INPLACE);
	map_shared(s2);
	value = 7;
	assert_int_equal(addrspace_write(as, (struct gpa){8 * PAGE_SIZE}, &value, sizeof(value)),
			 0);
	assert_int_equal(guest_read(s2, 8 * PAGE_SIZE, &value), FAULT_MAPPED);
	guest_out();
	assert_int_equal(cow_protect_look(as, (struct gfn){8}, &look), 0);
	shared.raw = world_mfn(as, 6);
	assert_int_equal(cow_share(as, (struct gfn){8}, &look, shared), 0);
	assert_true(s2->moved);
	assert_int_equal(write_fault(s2), FAULT_SPURIOUS);
	addrspace_settle(as);
	assert_int_equal(s2->counters.synced, 0);
	end();
}

static void shared_rom_is_not_broken(void **state)
{
	const u64 rom[] = {16, 17};

	begin("masked", RETRY_INPLACE);
	assert_int_equal(addrspace_add_slot(as, world_range(16, 4), SLOT_ROM), 0);
	world_share(as, rom, 2, 8);
	assert_int_equal(fault_handle(s2, (struct gpa){16 * PAGE_SIZE}, HV_WRITE), FAULT_READ_ONLY);
	assert_int_equal(world_mfn(as, 16), world_mfn(as, 17));
	end();
}

/* One attempt: the fault ends with the break's error. */
static void a_break_without_memory_is_no_memory(void **state)
{
	begin("masked", RETRY_INPLACE);
	map_shared(s2);
	frame_fail_set(1, 1);
	assert_int_equal(write_fault(s2), FAULT_NO_MEMORY);
	assert_int_equal(frame_fail_count(), 1);
	frame_fail_set(0, 0);
	assert_false(is_writable(s2));
	assert_int_equal(write_fault(s2), FAULT_SPURIOUS);
	end();
}

/* CPU 1 breaks the page first: the fault's own break finds nothing to do. */
static void break_first(const char *point)
{
	if (strcmp(point, "cow: copied") != 0)
		return;
	sim_on_race_point = NULL;
	sim_set_cpu(1);
	assert_int_equal(cow_break(as, (struct gfn){5}), 0);
	sim_set_cpu(0);
}

static void a_page_that_another_cpu_breaks_is_installed(void **state)
{
	begin("masked", RETRY_INPLACE);
	sim_on_race_point = break_first;
	assert_int_equal(write_fault(s2), FAULT_MAPPED);
	assert_null(sim_on_race_point);
	assert_true(is_writable(s2));
	end();
}

#define LONE ((struct gfn){8})

static void put_value(u64 value)
{
	assert_int_equal(addrspace_write(as, gfn_to_gpa(LONE), &value, sizeof(value)), 0);
}

/* A page that shares its frame with none. */
static void offer(void)
{
	struct cow_look look;

	assert_int_equal(cow_protect_look(as, LONE, &look), 0);
	assert_int_equal(cow_offer(as, LONE, &look), 0);
	assert_false(frame_put(look.mfn));
}

/*
 * Another CPU breaks the page and offers it again, a round of generations: the PTE reads the same,
 * and its frame, which was free in between, has another content (COW-6).
 */
static void go_around(const char *point)
{
	const ppte_t first = primary_load(&as->primary, LONE);

	if (strcmp(point, "cow: copied") != 0)
		return;
	sim_on_race_point = NULL;
	sim_set_cpu(1);
	for (u64 i = 0; i <= PPTE_GENERATION / PPTE_GENERATION_ONE; i++) {
		assert_int_equal(cow_break(as, LONE), 0);
		put_value(100 + i);
		offer();
	}
	sim_set_cpu(0);
	assert_true(ppte_unchanged(primary_load(&as->primary, LONE), first));
}

static void a_copy_from_a_round_of_generations_ago_is_not_installed(void **state)
{
	u64 value;

	begin("masked", RETRY_INPLACE);
	put_value(7);
	offer();
	sim_on_race_point = go_around;
	assert_int_equal(cow_break(as, LONE), 0);
	assert_null(sim_on_race_point);
	assert_int_equal(addrspace_read(as, gfn_to_gpa(LONE), &value, sizeof(value)), 0);
	assert_int_equal(value, 100 + PPTE_GENERATION / PPTE_GENERATION_ONE);
	end();
}

/*
 *     CPU 0: its guest writes            CPU 1
 *     -----------------------            -----
 *     fault: break; the leaf is writable
 *                                        changes the page again: its leaf goes, or is read-only
 *     the fault ends, SPURIOUS
 *     the guest writes: faults again
 */
static void (*change)(void);
static bool clears;
static u64 spoiled;

static void share_again(void)
{
	struct cow_look look;

	if (!cow_protect_look(as, (struct gfn){5}, &look) && !cow_offer(as, (struct gfn){5}, &look))
		assert_false(frame_put(look.mfn));
}

static void clear(void)
{
	assert_int_equal(addrspace_clear(as, world_range(5, 1), 0), 0);
}

static void migrate(void)
{
	int err = addrspace_migrate(as, (struct gfn){5});

	assert_true(err == 0 || err == ERR_BUSY);
}

static void break_it(void)
{
	assert_int_equal(cow_break(as, (struct gfn){5}), 0);
}

/* The shared frame is freed and used anew while CPU 0 may copy it. */
static void break_and_spoil(void)
{
	const u64 shared = world_mfn(as, 6);
	struct mfn mfn[8];

	assert_int_equal(cow_break(as, (struct gfn){5}), 0);
	assert_int_equal(cow_break(as, (struct gfn){6}), 0);
	for (unsigned i = 0; i < ARRAY_SIZE(mfn); i++) {
		assert_int_equal(frame_alloc(0, FRAME_HYPERVISOR, 0, &mfn[i]), 0);
		memset(arch_hpa_to_virt(mfn_to_hpa(mfn[i])), 0xee, PAGE_SIZE);
		spoiled += mfn[i].raw == shared;
	}
	sched_point("spoiled");
	for (unsigned i = 0; i < ARRAY_SIZE(mfn); i++)
		frame_free(mfn[i], 0);
}

static void reclaim(void)
{
	u64 done;

	assert_int_equal(addrspace_reclaim(as, world_range(5, 1), &done), 0);
}

static void setup(void *policy)
{
	const struct notifier_policy *named = policy;

	begin_space("masked", RETRY_INPLACE);
	assert_int_equal(addrspace_set_policy(as, named), 0);
	map_shared(s2);
}

static void guest(void *policy)
{
	u64 value;

	assert_int_equal(guest_write(s2, GPA, 200), FAULT_MAPPED);
	assert_int_equal(guest_read(s2, GPA, &value), FAULT_MAPPED);
	assert_true(value == 200 || (clears && value == 0));
	guest_out();
}

static void changer(void *policy)
{
	change();
}

static void check(void *policy)
{
	struct audit_report report;
	u64 value = 0;

	if (audit_run(0, &report))
		fail_msg("audit after%s", sched_trace());
	assert_int_equal(guest_read(s2, GPA, &value), FAULT_MAPPED);
	if (value != 200 && !(clears && value == 0))
		fail_msg("reads %llu after%s", (unsigned long long)value, sched_trace());
	assert_int_equal(guest_read(s2, 6 * PAGE_SIZE, &value), FAULT_MAPPED);
	assert_int_equal(value, 7);
	end_space();
}

static void explore(const struct notifier_policy *policy, enum retry_mode retry)
{
	const struct sched_scenario scenario = {.setup = setup,
						.task = {guest, changer},
						.check = check,
						.world = (void *)policy,
						.preemptions = 3};

	if (retry != RETRY_INPLACE)
		return;
	world_begin(2, 4);
	assert_true(sched_explore(&scenario) > 1);
	world_end();
}

static void whatever_changes_the_page_behind_the_break_no_write_is_lost(void **state)
{
	static void (*const changes[])(void) = {share_again, clear,   migrate,
						break_it,    reclaim, break_and_spoil};

	for (unsigned i = 0; i < ARRAY_SIZE(changes); i++) {
		change = changes[i];
		clears = change == clear;
		world_each_policy(explore);
	}
	assert_true(spoiled > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_fault_ends_with_the_leaf_that_its_own_break_has_changed),
		cmocka_unit_test(the_leaf_of_another_view_does_not_end_a_fault),
		cmocka_unit_test(a_leaf_that_the_break_drops_is_installed),
		cmocka_unit_test(a_break_without_a_fault_counts_none),
		cmocka_unit_test(a_fault_that_reenters_counts_its_break_as_a_race),
		cmocka_unit_test(the_flush_of_a_break_is_that_of_earlier_merges_too),
		cmocka_unit_test(shared_rom_is_not_broken),
		cmocka_unit_test(a_break_without_memory_is_no_memory),
		cmocka_unit_test(a_page_that_another_cpu_breaks_is_installed),
		cmocka_unit_test(a_copy_from_a_round_of_generations_ago_is_not_installed),
		cmocka_unit_test(whatever_changes_the_page_behind_the_break_no_write_is_lost),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
