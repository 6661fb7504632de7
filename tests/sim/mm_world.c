/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mm_world.c: guests and address spaces for the tests of mm. mm_world.h has the idea.
 */
#include "sim/mm_world.h"
#include "sim/explore.h"

#include <mm/reclaim.h>

#include "mm/stage2/private.h"

#define TLB_SIZE 16

struct translation {
	struct stage2 *s2; /* TLBs are tagged by root */
	u64 gfn, mfn;
	unsigned attr;
	bool valid;
};

/* One simulated CPU. */
struct guest_cpu {
	struct stage2 *s2; /* NULL: outside */
	struct stage2_gate gate;
	bool kicked;
	struct translation tlb[TLB_SIZE];
};

static struct guest_cpu cpus[ARCH_CPUS_MAX];
static u64 frames_free;
struct guest_counters guest_counters;

static void leave(struct guest_cpu *cpu)
{
	if (cpu->s2)
		stage2_leave(&cpu->gate);
	cpu->s2 = NULL;
}

/* Under the explorer the CPU comes out at its next step, else at once. */
static void on_kick(unsigned cpu)
{
	unsigned me = arch_cpu_id();

	guest_counters.kicks++;
	cpus[cpu].kicked = true;
	if (sched_running())
		return;
	sim_set_cpu(cpu);
	leave(&cpus[cpu]);
	sim_set_cpu(me);
}

void world_begin(unsigned count, u64 mib)
{
	struct frame_stats stats;

	sim_boot(count, mib * MIB);
	sim_on_kick = on_kick;
	memset(cpus, 0, sizeof(cpus));
	memset(&guest_counters, 0, sizeof(guest_counters));
	frame_stats(&stats);
	frames_free = stats.free;
}

void world_end(void)
{
	struct frame_stats stats;

	reclaim_fini();
	frame_stats(&stats);
	assert_int_equal(stats.free, frames_free);
}

struct addrspace *world_space(u64 frames)
{
	struct addrspace *as;

	assert_int_equal(addrspace_create("test", &as), 0);
	assert_int_equal(addrspace_add_slot(as, world_range(0, frames), SLOT_RAM), 0);
	return as;
}

struct stage2 *world_stage2(struct addrspace *as)
{
	struct stage2 *s2;

	assert_int_equal(stage2_create(as, &ept_format, &s2), 0);
	return s2;
}

void world_each_policy(void (*body)(const struct notifier_policy *policy, enum retry_mode retry))
{
	for (unsigned i = 0; i < notifier_policy_count(); i++) {
		body(notifier_policy(i), RETRY_REENTER);
		body(notifier_policy(i), RETRY_INPLACE);
	}
}

static void set_axis(struct notifier_policy *point, unsigned axis, unsigned value)
{
	const char *name = policy_axis_name(axis);
	int err = notifier_policy_set(point, name, strlen(name), policy_axis_word(axis, value));

	assert_int_equal(err, 0);
}

/* `passes`, the last axis, is without effect on stage 2s and caches: one pass. */
#define AXES (POLICY_AXES - 1)

/* The next point: the axes are the digits of a number; false: that was the last. */
static bool next_point(struct notifier_policy *point)
{
	for (unsigned axis = 0; axis < AXES; axis++) {
		unsigned value = policy_axis_value(point, axis) + 1;

		if (policy_axis_word(axis, value)) {
			set_axis(point, axis, value);
			return true;
		}
		set_axis(point, axis, 0);
	}
	return false;
}

unsigned world_each_point(enum policy_events events,
			  void (*body)(const struct notifier_policy *point, unsigned number))
{
	struct notifier_policy point = *notifier_policy_find("masked", 6);
	unsigned count = 0;

	for (unsigned axis = 0; axis < POLICY_AXES; axis++)
		set_axis(&point, axis, 0);
	do
		if (point.events == events)
			body(&point, count++);
	while (next_point(&point));
	return count;
}

struct gfn_range world_range(u64 gfn, u64 frames)
{
	return gfn_range((struct gfn){gfn}, frames);
}

u64 world_mfn(struct addrspace *as, u64 gfn)
{
	ppte_t pte = primary_load(&as->primary, (struct gfn){gfn});

	return ppte_backed(pte) ? ppte_mfn(pte).raw : 0;
}

static void enter(struct guest_cpu *cpu, struct stage2 *s2)
{
	if (cpu->s2 == s2 && !cpu->kicked)
		return;
	guest_out();
	cpu->kicked = false;
	cpu->gate = stage2_gate(s2);
	stage2_enter(&cpu->gate);
	if (stage2_is_behind(&cpu->gate)) {
		guest_counters.flushes++;
		for (unsigned i = 0; i < TLB_SIZE; i++)
			if (cpu->tlb[i].s2 == s2)
				cpu->tlb[i].valid = false;
	}
	cpu->s2 = s2;
}

void guest_out(void)
{
	leave(&cpus[arch_cpu_id()]);
}

void guest_idle(void)
{
	if (cpus[arch_cpu_id()].kicked)
		guest_out();
	sched_wait();
}

/* Walks the table as the hardware does, and fills the TLB; NULL: violation. */
static struct translation *walk(struct guest_cpu *cpu, struct stage2 *s2, u64 gpa, unsigned need)
{
	struct translation *entry = &cpu->tlb[(gpa >> PAGE_SHIFT) % TLB_SIZE];
	const struct pgtable_format *format = s2->table.format;
	unsigned set = PT_ACCESSED | (need & PT_WRITE ? PT_DIRTY : 0);
	struct pgtable_visit visit;
	unsigned attr;

	pgtable_lookup(&s2->table, gpa, &visit);
	if (visit.kind != VISIT_LEAF)
		return NULL;
	attr = format->attr(visit.pte, visit.level);
	if (need & ~attr)
		return NULL;
	pgtable_exchange(&s2->table, visit.slot,
			 visit.pte | format->level[visit.level].accessed |
				 (set & PT_DIRTY ? format->level[visit.level].dirty : 0));
	entry->s2 = s2;
	entry->gfn = gpa >> PAGE_SHIFT;
	entry->mfn = (pte_addr(format, visit.pte, visit.level).raw + (gpa - visit.address)) >>
		     PAGE_SHIFT;
	entry->attr = attr | set;
	entry->valid = true;
	return entry;
}

static struct translation *translate(struct guest_cpu *cpu, struct stage2 *s2, u64 gpa,
				     unsigned need)
{
	struct translation *entry = &cpu->tlb[(gpa >> PAGE_SHIFT) % TLB_SIZE];
	unsigned cached = need | (need & PT_WRITE ? PT_DIRTY : 0); /* D is set by a walk */

	if (!entry->valid || entry->s2 != s2 || entry->gfn != gpa >> PAGE_SHIFT ||
	    (cached & ~entry->attr))
		return walk(cpu, s2, gpa, need);
	return entry;
}

/* The word behind gpa, once the guest may access it. */
static enum fault_outcome access(struct stage2 *s2, u64 gpa, unsigned access, u64 **word)
{
	struct guest_cpu *cpu = &cpus[arch_cpu_id()];
	unsigned need = access == HV_WRITE ? PT_WRITE : PT_READ;

	for (;;) {
		struct translation *entry;
		enum fault_outcome outcome;

		enter(cpu, s2);
		sched_point("guest: inside");
		if (cpu->kicked)
			continue;
		entry = translate(cpu, s2, gpa, need);
		if (entry) {
			u64 hpa = (entry->mfn << PAGE_SHIFT) + page_offset(gpa);

			*word = arch_hpa_to_virt((struct hpa){hpa});
			return FAULT_MAPPED;
		}
		guest_out();
		guest_counters.exits++;
		sched_point("guest: out");
		outcome = fault_handle(s2, (struct gpa){gpa}, access);
		if (outcome == FAULT_RACED) {
			guest_counters.raced++;
			sched_wait();
		} else if (outcome != FAULT_MAPPED && outcome != FAULT_SPURIOUS) {
			return outcome;
		}
	}
}

enum fault_outcome guest_read(struct stage2 *s2, u64 gpa, u64 *value)
{
	enum fault_outcome outcome;
	u64 *word;

	outcome = access(s2, gpa, HV_READ, &word);
	if (outcome == FAULT_MAPPED)
		*value = *word;
	return outcome;
}

enum fault_outcome guest_write(struct stage2 *s2, u64 gpa, u64 value)
{
	enum fault_outcome outcome;
	u64 *word;

	outcome = access(s2, gpa, HV_WRITE, &word);
	if (outcome == FAULT_MAPPED)
		*word = value;
	return outcome;
}

u64 world_read(struct stage2 *view, struct guest_cache *cache, u64 gpa)
{
	u64 value = 0;
	void *place;

	if (!cache) {
		assert_int_equal(guest_read(view, gpa, &value), FAULT_MAPPED);
		return value;
	}
	assert_int_equal(guest_cache_get(cache, (struct gpa){gpa}, 8, false, &place), 0);
	value = *(u64 *)place;
	guest_cache_put(cache, (struct gpa){gpa});
	return value;
}

void world_share(struct addrspace *as, const u64 *gfns, unsigned count, u64 value)
{
	struct mfn shared = {0};

	for (unsigned i = 0; i < count; i++) {
		struct gfn gfn = {gfns[i]};
		struct cow_look look;

		assert_int_equal(addrspace_write(as, gfn_to_gpa(gfn), &value, sizeof(value)), 0);
		assert_int_equal(cow_protect(as, gfn_range(gfn, 1)), 0);
		assert_int_equal(cow_look(as, gfn, &look), 0);
		if (i) {
			assert_int_equal(cow_share(as, gfn, &look, shared), 0);
		} else {
			assert_int_equal(cow_offer(as, gfn, &look), 0);
			shared = look.mfn;
		}
	}
	assert_false(frame_put(shared));
}
