/* SPDX-License-Identifier: Apache-2.0 */
/*
 * memory.c: merging and the frames it takes: when there are none, when a content is very popular,
 * and when VMs come and go.
 *
 * MERGE-5, MERGE-6, COW-3: whatever fails, contents stay, the auditor finds nothing, and every
 * frame comes back.
 */
#include "sim/merge_check.h"

#include <mm/dirty_log.h>
#include <mm/rmap.h>

#include "mm/merge/private.h"

#define VMS   2u
#define PAGES 12u

struct vm {
	struct addrspace *as;
	struct stage2 *s2;
	u64 wrote[PAGES];
};

/* Each page that is mergeable has one reason why it is merged or not. */
static void check_reasons(u64 pages)
{
	struct merge_stats stats;
	u64 sum = 0;

	merge_stats(&stats);
	for (unsigned i = 0; i < MERGE_REASONS; i++)
		sum += stats.by_reason[i];
	assert_int_equal(sum, pages);
}

/* --- Out of memory at every step ------------------------------------------------------------- */

/* Two chunks; half of the pages that are written are in each. */
#define AREA (MERGE_CHUNK + PAGES)

static struct gfn place(u64 page)
{
	return (struct gfn){page < PAGES / 2 ? page : MERGE_CHUNK + page};
}

static void put(struct vm *vm, u64 page, u64 value)
{
	enum fault_outcome outcome;

	do
		outcome = guest_write(vm->s2, gfn_to_gpa(place(page)).raw, value);
	while (outcome == FAULT_NO_MEMORY);
	assert_int_equal(outcome, FAULT_MAPPED);
	vm->wrote[page] = value;
}

static void check_contents(struct vm *vm)
{
	for (u64 page = 0; page < PAGES; page++) {
		u64 value;

		assert_int_equal(addrspace_read(vm->as, gfn_to_gpa(place(page)), &value, 8), 0);
		assert_int_equal(value, vm->wrote[page]);
	}
}

/* Does it until there is memory; nothing but its lack may be in the way. */
#define UNTIL_DONE(operation)                                   \
	do {                                                    \
		int error;                                      \
		while ((error = (operation)) != 0)              \
			assert_int_equal(error, ERR_NO_MEMORY); \
	} while (0)

/* What fails has changed nothing, the way writes are noticed included. */
static void add(struct vm *vm)
{
	enum dirty_mode before = dirty_log_mode(vm->as);
	int err;

	while ((err = merge_add(vm->as, world_range(0, AREA), 0)) != 0) {
		assert_int_equal(err, ERR_NO_MEMORY);
		assert_int_equal(dirty_log_mode(vm->as), before);
	}
}

static void check_all(struct vm *vms)
{
	guest_out();
	for (unsigned i = 0; i < VMS; i++)
		check_contents(&vms[i]);
	check_audit();
}

/* Merging, sharing by three and more, breaking, unmerging, and all again. */
static void work(struct vm *vms)
{
	for (unsigned i = 0; i < VMS; i++)
		add(&vms[i]);
	for (unsigned pass = 0; pass < 4; pass++) {
		(void)merge_scan(VMS * AREA);
		check_all(vms);
	}
	for (unsigned i = 0; i < VMS; i++)
		for (u64 page = i; page < PAGES; page += 2)
			put(&vms[i], page, 50 + page % 4);
	check_all(vms);
	for (unsigned pass = 0; pass < 4; pass++)
		(void)merge_scan(VMS * AREA);
	check_all(vms);
	UNTIL_DONE(merge_remove(vms[0].as, world_range(0, AREA)));
	check_all(vms);
	check_reasons((VMS - 1) * AREA);
	for (u64 page = 0; page < PAGES; page++)
		assert_false(ppte_shared(primary_load(&vms[0].as->primary, place(page))));
	add(&vms[0]);
	(void)merge_scan(VMS * AREA);
	check_reasons(VMS * AREA);
}

static void make_vm(struct vm *vm)
{
	vm->as = world_space(AREA);
	vm->s2 = world_stage2(vm->as);
	for (u64 page = 0; page < PAGES; page++)
		put(vm, page, page < 6 ? 7 : page % 3);
}

/* One frame_alloc, or all for a while, fail from the k-th on. How many calls there were. */
static u64 work_with_bad_luck(u64 k, u64 length)
{
	struct vm vms[VMS] = {0};
	u64 calls;

	for (unsigned i = 0; i < VMS; i++)
		make_vm(&vms[i]);
	sim_fail_frame_alloc(k, length);
	work(vms);
	calls = sim_frame_allocs();
	sim_fail_frame_alloc(0, 0);
	for (unsigned i = 0; i < VMS; i++) {
		merge_remove_all(vms[i].as);
		stage2_destroy(vms[i].s2);
		addrspace_destroy(vms[i].as);
	}
	check_reasons(0);
	check_audit();
	return calls;
}

static void fail_each(const struct merge_engine *engine, bool secure, u64 length)
{
	u64 k = 0, calls;

	do {
		world_begin(1, 4);
		assert_int_equal(merge_configure(engine, &(struct merge_limits){.cap = 4,
										.secure = secure,
										.zero = true}),
				 0);
		calls = work_with_bad_luck(++k, length);
		world_end();
	} while (k <= calls);
	print_message("# %s%s: %llu allocations, each failed %llu time(s)\n",
		      merge_engine_name(engine), secure ? ", secure" : "",
		      (unsigned long long)calls, (unsigned long long)length);
	assert_true(calls > 20);
}

static void a_missing_frame_at_any_step_loses_nothing(void **state)
{
	for (unsigned e = 0; e < merge_engines(); e++) {
		for (unsigned secure = 0; secure < 2; secure++) {
			fail_each(merge_engine_at(e), secure, 1);
			fail_each(merge_engine_at(e), secure, 5);
		}
	}
}

/* --- No frame at all but the reserve ---------------------------------------------------------- */

#define MANY	  (2 * MERGE_CHUNK)
#define EATEN_MAX 8192

/* What guests that wait for memory do to each frame that is given back. */
static unsigned eat_all(struct mfn *eaten, unsigned count)
{
	while (count < EATEN_MAX && frame_alloc(0, FRAME_HYPERVISOR, 0, &eaten[count]) == 0)
		count++;
	assert_true(count < EATEN_MAX);
	return count;
}

static void merging_goes_on_with_the_reserve_alone(void **state)
{
	static struct mfn eaten[EATEN_MAX];
	struct addrspace *as[VMS];
	struct merge_stats before, stats;
	unsigned count = 0;

	world_begin(1, 16);
	merge_stats(&before);
	for (unsigned i = 0; i < VMS; i++) {
		as[i] = world_space(MANY);
		for (u64 page = 0; page < MANY; page++) {
			u64 value = page + 1;

			assert_int_equal(
				addrspace_write(as[i], (struct gpa){page << PAGE_SHIFT}, &value, 8),
				0);
		}
		assert_int_equal(merge_add(as[i], world_range(0, MANY), 0), 0);
	}
	(void)merge_scan(1); /* a visit fills the reserve, while there are frames */
	for (unsigned pass = 0; pass < 4 * VMS * MANY / MERGE_CHUNK; pass++) {
		count = eat_all(eaten, count);
		(void)merge_scan(MERGE_CHUNK);
	}
	merge_stats(&stats);
	assert_int_equal(stats.merged - before.merged, MANY);
	assert_int_equal(stats.by_reason[MERGE_NO_MEMORY], 0);
	check_audit();
	while (count > 0)
		frame_free(eaten[--count], 0);
	for (unsigned i = 0; i < VMS; i++) {
		merge_remove_all(as[i]);
		addrspace_destroy(as[i]);
	}
	world_end();
}

/* --- A content that 10^5 pages have ---------------------------------------------------------- */

#define POPULAR 100000ull
#define BATCH	4000ull
#define CAP	256ull

/* From a frame to all its users, as a reverse walk goes; how many steps. */
static u64 walk_users(struct mfn mfn)
{
	struct rmap_entry entry[16], *from = NULL, last;
	u64 steps = 0;
	unsigned count;

	while ((count = rmap_list(mfn, from, entry, ARRAY_SIZE(entry)))) {
		steps += count;
		last = entry[count - 1];
		from = &last;
	}
	return steps;
}

/*
 * The frames behind the pages: how many, and the longest reverse walk from one. Each frame is
 * walked for its first user.
 */
static u64 count_frames(struct addrspace *as, u64 *longest)
{
	u64 frames = 0, users = 0;

	*longest = 0;
	for (u64 page = 0; page < POPULAR; page++) {
		struct mfn mfn = {world_mfn(as, page)};
		struct rmap_entry first;
		u64 steps;

		assert_int_equal(rmap_list(mfn, NULL, &first, 1), 1);
		if (first.gfn.raw != page)
			continue;
		steps = walk_users(mfn);
		*longest = MAX(*longest, steps);
		users += steps;
		frames++;
	}
	assert_int_equal(users, POPULAR);
	return frames;
}

/*
 * Far more pages than the machine has frames: each batch makes room for the next by being merged.
 */
static struct addrspace *make_popular(u32 cap, const struct merge_engine *engine)
{
	struct addrspace *as = world_space(POPULAR);

	assert_int_equal(merge_configure(engine, &(struct merge_limits){.cap = cap, .zero = true}),
			 0);
	assert_int_equal(merge_add(as, world_range(0, POPULAR), 0), 0);
	for (u64 start = 0; start < POPULAR; start += BATCH) {
		for (u64 page = start; page < start + BATCH; page++)
			fill_page(as, page, 0x5a5a);
		for (unsigned pass = 0; pass < 3; pass++)
			(void)merge_scan(POPULAR);
	}
	return as;
}

static void end_popular(struct addrspace *as)
{
	merge_remove_all(as);
	addrspace_destroy(as);
	check_reasons(0);
	check_audit();
	world_end();
}

static void breaking_popular_pages_leaves_the_others(struct addrspace *as)
{
	for (u64 page = 0; page < POPULAR; page += 33) {
		u64 value = page;

		assert_int_equal(addrspace_write(as, (struct gpa){page << PAGE_SHIFT}, &value, 8),
				 0);
	}
	for (u64 page = 0; page < POPULAR; page++) {
		u64 value;

		assert_int_equal(addrspace_read(as, (struct gpa){page << PAGE_SHIFT}, &value, 8),
				 0);
		assert_int_equal(value, page % 33 ? 0x5a5a : page);
	}
	check_audit();
}

static void a_page_shared_100000_times_has_short_reverse_walks(void **state)
{
	for (unsigned e = 0; e < merge_engines(); e++) {
		struct merge_stats before, after;
		struct addrspace *as;
		u64 frames, longest;

		world_begin(1, 64);
		merge_stats(&before);
		as = make_popular(CAP, merge_engine_at(e));
		merge_stats(&after);
		frames = count_frames(as, &longest);
		print_message("# %s: %llu frames, longest walk %llu steps, %llu compares\n",
			      merge_engine_name(merge_engine_at(e)), (unsigned long long)frames,
			      (unsigned long long)longest,
			      (unsigned long long)(after.compares - before.compares));
		assert_int_equal(longest, CAP);
		assert_int_equal(frames, (POPULAR + CAP - 1) / CAP);
		/* One to find it, one under guard; however long the chain is. */
		assert_true(after.compares - before.compares <= 3 * POPULAR);
		check_audit();
		breaking_popular_pages_leaves_the_others(as);
		end_popular(as);
	}
}

/* The control: what the cap is for. */
static void without_a_cap_a_reverse_walk_is_100000_steps(void **state)
{
	struct addrspace *as;
	u64 longest;

	world_begin(1, 64);
	as = make_popular(1u << 30, &merge_engine_hash);
	assert_int_equal(count_frames(as, &longest), 1);
	assert_int_equal(longest, POPULAR);
	check_audit();
	end_popular(as);
}

/* --- VMs that come and go -------------------------------------------------------------------- */

static void end_life(struct vm *vm)
{
	merge_remove_all(vm->as);
	stage2_destroy(vm->s2);
	addrspace_destroy(vm->as);
}

/* Two VMs share, one dies first, the other goes on. */
static void one_life(struct sim_random *random)
{
	unsigned first = (unsigned)sim_below(random, VMS);
	struct vm vms[VMS] = {0};

	for (unsigned i = 0; i < VMS; i++) {
		make_vm(&vms[i]);
		assert_int_equal(merge_add(vms[i].as, world_range(0, AREA), 0), 0);
	}
	for (u64 pass = sim_below(random, 5); pass; pass--)
		(void)merge_scan(VMS * AREA);
	put(&vms[0], sim_below(random, PAGES), 99);
	guest_out();
	end_life(&vms[first]);
	(void)merge_scan(VMS * AREA);
	check_contents(&vms[!first]);
	end_life(&vms[!first]);
}

static void ten_thousand_pairs_leave_no_frame_behind(void **state)
{
	struct sim_random random = sim_random_start(10000);
	struct frame_stats before, after;

	world_begin(1, 2);
	frame_stats(&before);
	for (unsigned life = 0; life < 10000; life++) {
		struct merge_limits limits = {
			.cap = 4, .secure = sim_once_in(&random, 4), .zero = true};

		assert_int_equal(merge_configure(merge_engine_at(life % merge_engines()), &limits),
				 0);
		one_life(&random);
		frame_stats(&after);
		assert_int_equal(before.free, after.free);
		if (life % 100 == 0)
			check_audit();
	}
	check_reasons(0);
	world_end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_missing_frame_at_any_step_loses_nothing),
		cmocka_unit_test(merging_goes_on_with_the_reserve_alone),
		cmocka_unit_test(a_page_shared_100000_times_has_short_reverse_walks),
		cmocka_unit_test(without_a_cap_a_reverse_walk_is_100000_steps),
		cmocka_unit_test(ten_thousand_pairs_leave_no_frame_behind),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
