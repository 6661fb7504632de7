/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sharing.c: lab 5. Sharing and breaking with the exact number of references, users and free
 * frames; then breaks beside breaks and merges, in every interleaving with three preemptions.
 */
#include "sim/explore.h"
#include "sim/mm_world.h"

#include <mm/audit.h>
#include <mm/rmap.h>

#include "mm/space/space.h"

#define VALUE 77

static struct addrspace *as;
static struct stage2 *s2;

static void begin(unsigned cpus)
{
	world_begin(cpus, 8);
	as = world_space(32);
	s2 = world_stage2(as);
}

static void end(void)
{
	struct audit_report report;

	guest_out();
	addrspace_settle(as);
	assert_int_equal(audit_run(0, &report), 0);
	stage2_destroy(s2);
	addrspace_destroy(as);
	world_end();
}

static u64 free_frames(void)
{
	struct frame_stats stats;

	addrspace_settle(as);
	frame_stats(&stats);
	return stats.free;
}

static ppte_t pte_of(u64 gfn)
{
	return primary_load(&as->primary, (struct gfn){gfn});
}

static struct cow_look look_at(u64 gfn)
{
	struct cow_look look;

	assert_int_equal(guest_write(s2, gfn * PAGE_SIZE, VALUE), FAULT_MAPPED);
	assert_int_equal(cow_protect_look(as, (struct gfn){gfn}, &look), 0);
	return look;
}

static u64 value_of(u64 gfn)
{
	u64 value;

	assert_int_equal(guest_read(s2, gfn * PAGE_SIZE, &value), FAULT_MAPPED);
	return value;
}

static void an_offer_keeps_the_frame_and_adds_one_reference(void **state)
{
	struct cow_look look;
	u64 frames;

	begin(1);
	look = look_at(5);
	frames = free_frames();
	assert_int_equal(cow_offer(as, (struct gfn){5}, &look), 0);
	assert_int_equal(ppte_state(pte_of(5)), PPTE_SHARED);
	assert_int_equal(ppte_mfn(pte_of(5)).raw, look.mfn.raw);
	assert_true(pte_of(5) & PPTE_WRITE);
	assert_int_equal(frame_refs(look.mfn), 2);
	assert_int_equal(rmap_count(look.mfn), 1);
	assert_int_equal(free_frames(), frames);
	assert_int_equal(value_of(5), VALUE);
	assert_false(frame_put(look.mfn));
	end();
}

static void an_offer_after_a_write_is_refused_and_changes_nothing(void **state)
{
	struct cow_look look;
	ppte_t pte;

	begin(1);
	look = look_at(5);
	assert_int_equal(guest_write(s2, 5 * PAGE_SIZE, 78), FAULT_MAPPED);
	assert_int_equal(cow_protect(as, world_range(5, 1)), 0);
	pte = pte_of(5);
	assert_int_equal(cow_offer(as, (struct gfn){5}, &look), ERR_BUSY);
	assert_true(pte_of(5) == pte);
	assert_int_equal(frame_refs(look.mfn), 1);
	end();
}

static void sharing_moves_users_and_references_and_frees_frames(void **state)
{
	const u64 gfns[] = {3, 4, 5, 6};
	struct rmap_entry list[8];
	struct mfn shared;
	u64 frames;

	begin(1);
	for (unsigned i = 0; i < 4; i++)
		look_at(gfns[i]);
	frames = free_frames();
	world_share(as, gfns, 4, VALUE);
	shared = ppte_mfn(pte_of(3));
	assert_int_equal(frame_refs(shared), 4);
	assert_int_equal(rmap_list(shared, NULL, list, 8), 4);
	for (unsigned i = 0; i < 4; i++) {
		assert_int_equal(list[i].gfn.raw, gfns[i]);
		assert_int_equal(ppte_mfn(pte_of(gfns[i])).raw, shared.raw);
		assert_true(pte_of(gfns[i]) & PPTE_WRITE);
	}
	/* Three frames came back; what the rmap uses for four users may be counted against it. */
	assert_true(free_frames() + (rmap_bytes() ? 2 : 0) >= frames + 3);
	end();
}

/* Until the flush the old frame is kept, but by then it is no page's. */
static void a_shared_page_is_no_user_of_its_old_frame(void **state)
{
	struct cow_look first, second;

	begin(1);
	first = look_at(3);
	second = look_at(4);
	assert_int_equal(cow_offer(as, (struct gfn){3}, &first), 0);
	assert_int_equal(cow_share(as, (struct gfn){4}, &second, first.mfn), 0);
	assert_int_equal(rmap_count(second.mfn), 0);
	assert_int_equal(rmap_count(first.mfn), 2);
	assert_int_equal(frame_refs(first.mfn), 3);
	assert_false(frame_put(first.mfn));
	end();
}

static void a_share_after_a_write_is_refused_and_changes_nothing(void **state)
{
	struct cow_look first, second;
	ppte_t pte;

	begin(1);
	first = look_at(3);
	second = look_at(4);
	assert_int_equal(cow_offer(as, (struct gfn){3}, &first), 0);
	assert_int_equal(guest_write(s2, 4 * PAGE_SIZE, VALUE), FAULT_MAPPED);
	assert_int_equal(cow_protect(as, world_range(4, 1)), 0);
	pte = pte_of(4);
	assert_int_equal(cow_share(as, (struct gfn){4}, &second, first.mfn), ERR_BUSY);
	assert_int_equal(cow_share_zero(as, (struct gfn){4}, &second), ERR_BUSY);
	assert_true(pte_of(4) == pte);
	assert_int_equal(frame_refs(first.mfn), 2);
	assert_int_equal(rmap_count(first.mfn), 1);
	assert_int_equal(rmap_count(second.mfn), 1);
	assert_false(frame_put(first.mfn));
	end();
}

static void a_zero_page_has_neither_user_nor_reference(void **state)
{
	struct cow_look look;
	u64 zero = 0, frames;

	begin(1);
	for (u64 gfn = 3; gfn < 6; gfn++) {
		assert_int_equal(addrspace_write(as, (struct gpa){gfn * PAGE_SIZE}, &zero, 8), 0);
		assert_int_equal(cow_protect_look(as, (struct gfn){gfn}, &look), 0);
		assert_int_equal(cow_share_zero(as, (struct gfn){gfn}, &look), 0);
		assert_int_equal(ppte_state(pte_of(gfn)), PPTE_ZERO);
	}
	assert_int_equal(frame_refs(ppte_mfn(pte_of(3))), 1);
	assert_int_equal(rmap_count(ppte_mfn(pte_of(3))), 0);
	assert_int_equal(value_of(4), 0);
	frames = free_frames();
	assert_int_equal(guest_write(s2, 4 * PAGE_SIZE, 9), FAULT_MAPPED);
	assert_int_equal(value_of(4), 9);
	assert_int_equal(value_of(3), 0);
	assert_int_equal(((u64 *)arch_hpa_to_virt(mfn_to_hpa(ppte_mfn(pte_of(4)))))[1], 0);
	assert_int_equal(frames - free_frames(), 1);
	end();
}

static void every_user_gets_a_copy_and_the_last_one_frees_the_frame(void **state)
{
	const u64 gfns[] = {3, 4, 5};
	struct mfn shared;
	u64 frames;

	begin(1);
	world_share(as, gfns, 3, VALUE);
	shared = ppte_mfn(pte_of(3));
	for (unsigned i = 0; i < 3; i++) {
		frames = free_frames();
		assert_int_equal(frame_refs(shared), 3 - i);
		assert_int_equal(cow_break(as, (struct gfn){gfns[i]}), 0);
		assert_int_equal(ppte_state(pte_of(gfns[i])), PPTE_PRIVATE);
		assert_true(ppte_mfn(pte_of(gfns[i])).raw != shared.raw);
		assert_int_equal(value_of(gfns[i]), VALUE);
		assert_int_equal(frame_refs(ppte_mfn(pte_of(gfns[i]))), 1);
		assert_int_equal(rmap_count(ppte_mfn(pte_of(gfns[i]))), 1);
		if (i == 2)
			assert_int_equal(free_frames(), frames);
	}
	assert_int_equal(cow_break(as, (struct gfn){3}), 0);
	end();
}

/* Each frame that a page is given begins a generation, so that no older look fits it. */
static void a_break_begins_the_next_generation(void **state)
{
	struct cow_look look;

	begin(1);
	look = look_at(3);
	assert_int_equal(cow_offer(as, (struct gfn){3}, &look), 0);
	assert_false(frame_put(look.mfn));
	assert_int_equal(cow_break(as, (struct gfn){3}), 0);
	assert_true((pte_of(3) & PPTE_GENERATION) == ppte_next_generation(look.pte));
	assert_int_equal(cow_protect(as, world_range(3, 1)), 0);
	assert_int_equal(cow_offer(as, (struct gfn){3}, &look), ERR_BUSY);
	end();
}

/*
 * CPUs 0 and 1 write to gfns 5 and `other`, which share a frame with gfn 7 (`three`) or with none
 * but each other; or CPU 1 offers gfn 5 again, beside the write of CPU 0.
 */
static struct {
	u64 other;
	bool three, merges;
	const struct notifier_policy *policy;
	enum retry_mode retry;
} scene;

static void setup(void *world)
{
	const u64 gfns[] = {5, 6, 7};

	as = world_space(16);
	assert_int_equal(addrspace_set_policy(as, scene.policy), 0);
	addrspace_set_retry(as, scene.retry);
	s2 = world_stage2(as);
	world_share(as, gfns, scene.three ? 3 : 2, VALUE);
}

static void first_writer(void *world)
{
	assert_int_equal(guest_write(s2, 5 * PAGE_SIZE + 8, 1), FAULT_MAPPED);
	guest_out();
}

static void second_writer(void *world)
{
	assert_int_equal(guest_write(s2, scene.other * PAGE_SIZE + 16, 2), FAULT_MAPPED);
	guest_out();
}

static void merger(void *world)
{
	struct cow_look look;

	if (cow_protect_look(as, (struct gfn){5}, &look))
		return;
	sched_point("merger: looked");
	if (!cow_offer(as, (struct gfn){5}, &look))
		assert_false(frame_put(look.mfn));
}

static void check(void *world)
{
	struct audit_report report;
	u64 value;

	addrspace_settle(as);
	if (audit_run(0, &report))
		fail_msg("the auditor finds %s%s", audit_fault_name(AUDIT_REFS), sched_trace());
	assert_int_equal(value_of(5), VALUE);
	assert_int_equal(value_of(scene.other), VALUE);
	assert_int_equal(guest_read(s2, 5 * PAGE_SIZE + 8, &value), FAULT_MAPPED);
	assert_int_equal(value, 1);
	assert_int_equal(guest_read(s2, scene.other * PAGE_SIZE + 16, &value), FAULT_MAPPED);
	assert_int_equal(value, scene.merges ? 0 : 2);
	assert_int_equal(guest_read(s2, 7 * PAGE_SIZE + 8, &value), FAULT_MAPPED);
	assert_int_equal(value, 0);
	guest_out();
	stage2_destroy(s2);
	addrspace_destroy(as);
}

static void explore(const struct notifier_policy *policy, enum retry_mode retry)
{
	const struct sched_scenario scenario = {
		.setup = setup,
		.task = {first_writer, scene.merges ? merger : second_writer},
		.check = check,
		.preemptions = 3,
	};

	scene.policy = policy;
	scene.retry = retry;
	world_begin(2, 8);
	sched_explore(&scenario);
	world_end();
}

static void two_cpus_that_write_to_one_page_both_find_their_write(void **state)
{
	scene.other = 5;
	scene.three = true;
	scene.merges = false;
	world_each_policy(explore);
}

static void the_last_two_users_break_at_once_and_free_the_frame_once(void **state)
{
	scene.other = 6;
	scene.three = scene.merges = false;
	world_each_policy(explore);
}

static void a_page_offered_again_beside_its_writes_keeps_them(void **state)
{
	scene.other = 6;
	scene.three = scene.merges = true;
	world_each_policy(explore);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_offer_keeps_the_frame_and_adds_one_reference),
		cmocka_unit_test(an_offer_after_a_write_is_refused_and_changes_nothing),
		cmocka_unit_test(sharing_moves_users_and_references_and_frees_frames),
		cmocka_unit_test(a_shared_page_is_no_user_of_its_old_frame),
		cmocka_unit_test(a_share_after_a_write_is_refused_and_changes_nothing),
		cmocka_unit_test(a_zero_page_has_neither_user_nor_reference),
		cmocka_unit_test(every_user_gets_a_copy_and_the_last_one_frees_the_frame),
		cmocka_unit_test(a_break_begins_the_next_generation),
		cmocka_unit_test(two_cpus_that_write_to_one_page_both_find_their_write),
		cmocka_unit_test(the_last_two_users_break_at_once_and_free_the_frame_once),
		cmocka_unit_test(a_page_offered_again_beside_its_writes_keeps_them),
	};

	return cmocka_run_group_tests_name("lab5_sharing", tests, NULL, NULL);
}
