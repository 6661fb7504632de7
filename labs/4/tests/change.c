/* SPDX-License-Identifier: Apache-2.0 */
/*
 * change.c: lab 4. What a change of a leaf keeps, notes and owes: bits that the CPU sets meanwhile,
 * the invalidate sequence, flushes that were put off.
 */
#include "4/tests/world.h"

#include <mm/dirty_log.h>

#include "mm/notify/dispatch.h"

static void (*next_kick)(unsigned cpu);
static void (*at_kick)(void);

static void on_kick(unsigned cpu)
{
	at_kick();
	next_kick(cpu);
}

/* Calls `look` at each kick: the tables have changed, and no CPU has flushed yet. */
static void watch_kicks(void (*look)(void))
{
	next_kick = sim_on_kick;
	at_kick = look;
	sim_on_kick = on_kick;
}

static unsigned attr_of(u64 gfn, u64 *mfn)
{
	struct pgtable_visit visit;

	pgtable_lookup(&s2->table, gfn * PAGE_SIZE, &visit);
	assert_int_equal(visit.kind, VISIT_LEAF);
	*mfn = pte_addr(s2->table.format, visit.pte, 0).raw >> PAGE_SHIFT;
	return s2->table.format->attr(visit.pte, 0);
}

static u64 old_frame, watched;

static void leaf_is_old(void)
{
	u64 mfn;

	watched++;
	(void)attr_of(5, &mfn);
	assert_int_equal(mfn, old_frame);
}

/* Under `late`, which passes a break in place: pages 5 and 6 share a frame, and have leaves. */
static void begin_shared(void)
{
	const u64 gfns[] = {5, 6};

	begin(2);
	assert_int_equal(addrspace_set_policy(as, notifier_policy_find("late", 4)), 0);
	assert_int_equal(guest_write(s2, GPA, 1), FAULT_MAPPED);
	guest_out();
	world_share(as, gfns, 2, 1);
	addrspace_settle(as);
}

/* A flush that an earlier change owes, by a leaf that was dropped lazily or as `stale`. */
static void what_is_owed_is_flushed_before_a_leaf_changes(void **state)
{
	for (unsigned dropped = 0; dropped < 2; dropped++) {
		u64 mfn;

		begin_shared();
		enter(1, s2);
		old_frame = world_mfn(as, 5);
		*(dropped ? &s2->dropped : &s2->stale) = true;
		watched = 0;
		watch_kicks(leaf_is_old);
		assert_int_equal(cow_break(as, (struct gfn){5}), 0);
		assert_int_equal(watched, 1);
		assert_int_equal(attr_of(5, &mfn) & PT_RWX, PT_RWX);
		assert_int_equal(mfn, world_mfn(as, 5));
		end();
	}
}

static unsigned swaps_left;

/* The CPU sets A between the load and the swap, once. */
static bool swap_beside_a_walk(void *context, pte_t *slot, pte_t old, pte_t value)
{
	if (swaps_left && !--swaps_left)
		*slot |= s2->table.format->level[0].accessed;
	return ck_pr_cas_64(slot, old, value);
}

/* Page 5 leaves a shared frame: its leaf is swapped once for the frame, once for the right. */
static void an_a_that_the_cpu_sets_meanwhile_stays(void **state)
{
	for (unsigned nth = 1; nth <= 2; nth++) {
		u64 mfn;

		begin_shared();
		spin_lock(&as->lock);
		(void)notifier_young(&as->notifier, world_range(5, 1), true);
		spin_unlock(&as->lock);
		assert_int_equal(attr_of(5, &mfn) & PT_ACCESSED, 0);
		s2->memory.swap = swap_beside_a_walk;
		swaps_left = nth;
		assert_int_equal(cow_break(as, (struct gfn){5}), 0);
		s2->memory.swap = NULL;
		assert_int_equal(attr_of(5, &mfn) & (PT_RWX | PT_ACCESSED), PT_RWX | PT_ACCESSED);
		assert_int_equal(mfn, world_mfn(as, 5));
		end();
	}
}

/* A fault that resolved before the change finds it at its check. */
static void a_change_is_noted_in_the_invalidate_sequence(void **state)
{
	u64 word, value;

	begin(2);
	assert_int_equal(guest_read(s2, GPA, &value), FAULT_MAPPED);
	guest_out();
	word = invalidate_read(&s2->log);
	assert_int_equal(cow_protect(as, world_range(5, 1)), 0);
	spin_lock(&as->lock);
	assert_int_equal(invalidate_check(&s2->log, word, (struct gfn){5}), INVALIDATE_RACED);
	assert_int_equal(invalidate_check(&s2->log, word, (struct gfn){6}), INVALIDATE_CLEAN);
	spin_unlock(&as->lock);
	end();
}

/* While D is clear no TLB has the page writable. */
static void a_clean_page_is_protected_without_a_flush(void **state)
{
	u64 flushes, value;

	begin(2);
	assert_int_equal(dirty_log_start(as, world_range(0, 16), DIRTY_BITS), 0);
	for (u64 gfn = 0; gfn < 8; gfn++)
		assert_int_equal(guest_read(s2, gfn * PAGE_SIZE, &value), FAULT_MAPPED);
	assert_int_equal(guest_write(s2, 8 * PAGE_SIZE, 1), FAULT_MAPPED);
	guest_out();
	flushes = s2->counters.flushes;
	assert_int_equal(cow_protect(as, world_range(0, 8)), 0);
	assert_int_equal(s2->counters.flushes, flushes);
	assert_int_equal(cow_protect(as, world_range(8, 1)), 0);
	assert_int_equal(s2->counters.flushes, flushes + 1);
	dirty_log_stop(as);
	end();
}

/* The subscriber's change of page 5, which keeps its frame. How many flushes it took. */
static u64 change_rights(unsigned rights, unsigned flags)
{
	const struct notify_range range = {
		.event = EVENT_PROTECT_PAGE, .range = world_range(5, 1), .flags = NOTIFY_LAZY};
	const struct pte_change pte = {.gfn = {5}, .mfn = {world_mfn(as, 5)}, .rights = rights};
	const struct notify_change change = {&range, &pte, 1, flags};
	u64 flushes = s2->counters.flushes;

	spin_lock(&as->lock);
	s2->sub.ops->change(&s2->sub, &change);
	spin_unlock(&as->lock);
	return s2->counters.flushes - flushes;
}

/* What a merge owes is for sync(): no other change pays for it, and none takes it away. */
static void a_flush_that_is_owed_for_a_merge_stays_owed(void **state)
{
	u64 value;

	begin(2);
	assert_int_equal(guest_read(s2, GPA, &value), FAULT_MAPPED);
	guest_out();
	s2->moved = true;
	assert_int_equal(change_rights(PT_RWX, 0), 0);
	assert_true(s2->moved);
	assert_int_equal(change_rights(PT_RWX, CHANGE_LAZY), 0);
	assert_true(s2->moved);
	assert_int_equal(s2->counters.put_off, 0);
	/* Any right that goes is flushed for. */
	assert_int_equal(change_rights(PT_READ | PT_EXEC, 0), 1);
	assert_int_equal(change_rights(PT_READ, 0), 1);
	assert_false(s2->moved);
	end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_a_that_the_cpu_sets_meanwhile_stays),
		cmocka_unit_test(a_change_is_noted_in_the_invalidate_sequence),
		cmocka_unit_test(what_is_owed_is_flushed_before_a_leaf_changes),
		cmocka_unit_test(a_clean_page_is_protected_without_a_flush),
		cmocka_unit_test(a_flush_that_is_owed_for_a_merge_stays_owed),
	};

	return cmocka_run_group_tests_name("lab4_change", tests, NULL, NULL);
}
