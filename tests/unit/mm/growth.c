/* SPDX-License-Identifier: Apache-2.0 */
/*
 * growth.c: how costs grow, by counts (docs/scaling.md): each law is held at several sizes. The
 * program prints the counts, of which ./run bench growth draws the figures.
 */
#include "sim/explore.h"
#include "sim/mm_world.h"

#include <mm/merge.h>
#include <mm/rmap.h>

#include "mm/space/space.h"

#define CPUS_MAX 16u

static void print(const char *curve, u64 x, u64 count)
{
	printf("growth: %s %lu %lu\n", curve, x, count);
}

/* --- LOCK_MMU, by fault and CPU ------------------------------------------------------------ */

static struct spinlock *counted;
static u64 acquisitions, waits;
static bool waiting[CPUS_MAX]; /* a CPU for the lock that is counted */

/* An acquisition that does not succeed at once is a wait, however often it is tried again. */
bool __real_spin_trylock(struct spinlock *lock);
bool __wrap_spin_trylock(struct spinlock *lock);
bool __wrap_spin_trylock(struct spinlock *lock)
{
	bool taken = __real_spin_trylock(lock);
	bool *mine = &waiting[arch_cpu_id()];

	if (lock != counted)
		return taken;
	acquisitions += taken;
	waits += !taken && !*mine;
	*mine = !taken;
	if (taken)
		sched_point("LOCK_MMU held");
	return taken;
}

#define FAULTS 64u

/* vCPUs of one VM touch pages in turn. */
static u64 locks_of_faults(unsigned cpus, bool backed)
{
	struct addrspace *as;
	struct stage2 *s2;

	world_begin(cpus, 64);
	as = world_space(4096);
	s2 = world_stage2(as);
	if (backed)
		assert_int_equal(addrspace_populate(as, world_range(0, FAULTS)), 0);
	counted = &as->lock;
	acquisitions = 0;
	for (unsigned i = 0; i < FAULTS; i++) {
		sim_set_cpu(i % cpus);
		assert_int_equal(guest_write(s2, i * PAGE_SIZE, 1), FAULT_MAPPED);
	}
	counted = NULL;
	for (unsigned cpu = 0; cpu < cpus; cpu++) {
		sim_set_cpu(cpu);
		guest_out();
	}
	sim_set_cpu(0);
	stage2_destroy(s2);
	addrspace_destroy(as);
	world_end();
	return acquisitions;
}

static void a_fault_takes_the_lock_as_often_on_any_number_of_vcpus(void **state)
{
	u64 first = locks_of_faults(1, false);

	assert_true(first <= 3 * FAULTS);
	for (unsigned cpus = 1; cpus <= 8; cpus++) {
		u64 locks = locks_of_faults(cpus, false);

		print("fault_locks", cpus, locks);
		assert_int_equal(locks, first);
	}
}

/*
 * All vCPUs at once: each touches pages of its own. At one in three of the locks it takes, race
 * points, and holds of LOCK_MMU a CPU stops, and another one goes on: both are drawn by chance.
 */
#define EACH	  32u
#define SCHEDULES 16u

static struct addrspace *shared;
static struct stage2 *shared_s2;
static unsigned faulting;

static void begin_faults(void *world)
{
	world_begin(faulting, 64);
	shared = world_space(4096);
	shared_s2 = world_stage2(shared);
	counted = &shared->lock;
}

static void fault_all(void *world)
{
	for (u64 i = 0; i < EACH; i++) {
		u64 page = arch_cpu_id() * EACH + i;

		assert_int_equal(guest_write(shared_s2, page * PAGE_SIZE, 1), FAULT_MAPPED);
		guest_out();
	}
}

static void end_faults(void *world)
{
	counted = NULL;
	stage2_destroy(shared_s2);
	addrspace_destroy(shared);
	world_end();
}

static void wait_for_the_lock(unsigned cpus)
{
	struct sim_random random = sim_random_start(0x6c6f636b);
	struct sched_scenario scenario = {
		.setup = begin_faults,
		.check = end_faults,
		.preemptions = ~0u,
		.limit = SCHEDULES,
		.random = &random,
		.at_locks = true,
	};

	faulting = cpus;
	for (unsigned cpu = 0; cpu < cpus; cpu++)
		scenario.task[cpu] = fault_all;
	acquisitions = waits = 0;
	sched_explore(&scenario);
}

/* The lock is fair, so an acquisition waits at most for one turn of each other CPU. */
static void faults_at_once_take_the_lock_as_often_as_in_turn(void **state)
{
	u64 each = locks_of_faults(1, false) / FAULTS;

	for (unsigned cpus = 1; cpus <= 8; cpus++) {
		u64 faults = (u64)SCHEDULES * cpus * EACH;

		wait_for_the_lock(cpus);
		print("fault_at_once_locks", cpus, acquisitions * 64 / faults);
		print("fault_at_once_waits", cpus, waits * 64 / faults);
		assert_int_equal(acquisitions, each * faults);
		assert_true(cpus > 1 ? waits > 0 && waits <= acquisitions : waits == 0);
	}
}

/* --- A flush, by CPUs in the guest --------------------------------------------------------- */

static u64 kicks_of_a_flush(unsigned inside)
{
	struct addrspace *as;
	struct stage2 *s2;
	u64 before;

	world_begin(CPUS_MAX, 64);
	as = world_space(64);
	s2 = world_stage2(as);
	for (unsigned cpu = 1; cpu <= inside; cpu++) {
		sim_set_cpu(cpu);
		assert_int_equal(guest_write(s2, 0, 1), FAULT_MAPPED);
	}
	sim_set_cpu(0);
	before = guest_counters.kicks;
	assert_int_equal(cow_protect(as, world_range(0, 1)), 0);
	before = guest_counters.kicks - before;
	for (unsigned cpu = 1; cpu <= inside; cpu++) {
		sim_set_cpu(cpu);
		guest_out();
	}
	sim_set_cpu(0);
	stage2_destroy(s2);
	addrspace_destroy(as);
	world_end();
	return before;
}

static void a_flush_kicks_the_cpus_inside_and_no_others(void **state)
{
	for (unsigned inside = 0; inside < CPUS_MAX; inside++) {
		u64 kicks = kicks_of_a_flush(inside);

		print("flush_kicks", inside, kicks);
		assert_int_equal(kicks, inside);
	}
}

/* --- A pass, by pages owned and pages written ---------------------------------------------- */

static const struct merge_limits limits = {.cap = 256, .zero = true};

static void write_pages(struct stage2 *s2, u64 pages, u64 stride, u64 salt)
{
	for (u64 page = 0; page < pages; page += stride)
		assert_int_equal(guest_write(s2, page * PAGE_SIZE, salt + page), FAULT_MAPPED);
	guest_out();
}

static struct merge_stats pass(u64 pages)
{
	struct merge_stats before, after;

	merge_stats(&before);
	assert_int_equal(merge_scan(pages), pages);
	merge_stats(&after);
	after.pages_read -= before.pages_read;
	after.pages_skipped -= before.pages_skipped;
	return after;
}

/* Pages that the third pass reads, and those that it passes over with their chunk. */
static struct merge_stats settled_pass(u64 pages, u64 stride)
{
	struct merge_stats found;
	struct addrspace *as;
	struct stage2 *s2;

	world_begin(1, 64);
	assert_int_equal(merge_configure(merge_engine_find("hash", 4), &limits), 0);
	as = world_space(pages);
	s2 = world_stage2(as);
	assert_int_equal(merge_add(as, world_range(0, pages), 0), 0);
	write_pages(s2, pages, 1, 1);
	for (unsigned i = 0; i < 3; i++)
		(void)pass(pages);
	if (stride)
		write_pages(s2, pages, stride, 1 << 20);
	found = pass(pages);
	merge_remove_all(as);
	stage2_destroy(s2);
	addrspace_destroy(as);
	world_end();
	return found;
}

static void a_pass_over_unwritten_memory_reads_nothing(void **state)
{
	for (u64 pages = 512; pages <= 8192; pages *= 2) {
		struct merge_stats found = settled_pass(pages, 0);

		print("pass_read_owned", pages, found.pages_read);
		assert_int_equal(found.pages_read, 0);
		assert_int_equal(found.pages_skipped, pages);
	}
}

static void a_pass_reads_the_pages_that_were_written(void **state)
{
	for (u64 stride = 4096; stride; stride /= 4) {
		struct merge_stats found = settled_pass(4096, stride);

		print("pass_read_written", 4096 / stride, found.pages_read);
		assert_int_equal(found.pages_read, 4096 / stride);
	}
}

/* --- VMs, and the size of one -------------------------------------------------------------- */

static u64 frames_used(void)
{
	struct frame_stats stats;

	frame_stats(&stats);
	return stats.total - stats.free;
}

/* Frames of a VM that has touched nothing. */
static u64 frames_of_vms(unsigned vms, u64 pages)
{
	static struct addrspace *as[64];
	static struct stage2 *s2[64];
	u64 frames;

	world_begin(1, 64);
	frames = frames_used();
	for (unsigned vm = 0; vm < vms; vm++) {
		as[vm] = world_space(pages);
		s2[vm] = world_stage2(as[vm]);
	}
	frames = frames_used() - frames;
	for (unsigned vm = 0; vm < vms; vm++) {
		stage2_destroy(s2[vm]);
		addrspace_destroy(as[vm]);
	}
	world_end();
	return frames;
}

static void each_vm_takes_as_many_frames_as_the_first(void **state)
{
	u64 one = frames_of_vms(1, 4096);

	for (unsigned vms = 1; vms <= 64; vms *= 2) {
		u64 frames = frames_of_vms(vms, 4096);

		print("vm_frames", vms, frames);
		assert_true(frames <= vms * one);
	}
}

static void an_untouched_vm_takes_the_same_whatever_its_size(void **state)
{
	u64 small = frames_of_vms(1, 1 << 8);

	for (unsigned order = 8; order <= 28; order += 4) {
		u64 frames = frames_of_vms(1, 1ull << order);

		print("vm_frames_by_size", 1ull << order, frames);
		assert_int_equal(frames, small);
	}
}

/* --- Sharers of a frame -------------------------------------------------------------------- */

static void the_rmap_takes_ten_bytes_a_sharer_at_most(void **state)
{
	for (u64 users = 2; users <= 100000; users *= 7) {
		struct mfn mfn;

		world_begin(1, 64);
		assert_int_equal(frame_alloc(0, FRAME_GUEST, 0, &mfn), 0);
		for (u64 i = 0; i < users; i++)
			assert_int_equal(rmap_add(mfn, 1, (struct gfn){i * 104729 % (1 << 20)}), 0);
		print("rmap_bytes", users, rmap_bytes());
		assert_true(rmap_bytes() <= 10 * users);
		for (u64 i = 0; i < users; i++)
			rmap_remove(mfn, 1, (struct gfn){i * 104729 % (1 << 20)});
		frame_free(mfn, 0);
		world_end();
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_fault_takes_the_lock_as_often_on_any_number_of_vcpus),
		cmocka_unit_test(faults_at_once_take_the_lock_as_often_as_in_turn),
		cmocka_unit_test(a_flush_kicks_the_cpus_inside_and_no_others),
		cmocka_unit_test(a_pass_over_unwritten_memory_reads_nothing),
		cmocka_unit_test(a_pass_reads_the_pages_that_were_written),
		cmocka_unit_test(each_vm_takes_as_many_frames_as_the_first),
		cmocka_unit_test(an_untouched_vm_takes_the_same_whatever_its_size),
		cmocka_unit_test(the_rmap_takes_ten_bytes_a_sharer_at_most),
	};

	return cmocka_run_group_tests_name("growth", tests, NULL, NULL);
}
