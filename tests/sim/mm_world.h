/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mm_world.h: an address space, its stage 2, and simulated guest CPUs with TLBs, for the tests of
 * mm.
 *
 * A guest CPU does what the hardware does: it looks into its TLB, walks the stage-2 table if it has
 * no translation, sets A and D, keeps what it found until a flush, and comes out on a
 * violation or when it is kicked. So a flush that is missing shows as a stale read.
 */
#ifndef SAMEPAGE_TESTS_SIM_MM_WORLD_H
#define SAMEPAGE_TESTS_SIM_MM_WORLD_H

#include "sim/sim.h"

#include <arch/exit.h>
#include <mm/addrspace.h>
#include <mm/cow.h>
#include <mm/fault.h>
#include <mm/guest_cache.h>
#include <mm/notifier.h>
#include <mm/stage2.h>
#include <mm/tlb.h>

/* The machine of a test: CPUs, memory in MiB. end: everything must have been given back. */
void world_begin(unsigned cpus, u64 mib);
void world_end(void);

struct addrspace *world_space(u64 frames);
struct stage2 *world_stage2(struct addrspace *as);

/* Runs a test body under each policy, and each retry mode. */
void world_each_policy(void (*body)(const struct notifier_policy *policy, enum retry_mode retry));

/*
 * Runs it for each point of the axes, accepted or refused, that has these events in place; each is
 * made from `masked`. How many points there were.
 */
unsigned world_each_point(enum policy_events events,
			  void (*body)(const struct notifier_policy *point, unsigned number));

/*
 * A guest's 8-byte access at gpa on this CPU. It enters, and stays inside until a kick or a
 * violation; guest_out() leaves. The last fault that was not resolved, or MAPPED.
 */
enum fault_outcome guest_read(struct stage2 *s2, u64 gpa, u64 *value);
enum fault_outcome guest_write(struct stage2 *s2, u64 gpa, u64 value);
void guest_out(void);
/* Waits for another CPU while inside the guest; comes out if kicked. */
void guest_idle(void);

/* Violations so far on all CPUs, and those that were answered with RACED. */
struct guest_counters {
	u64 exits, raced, kicks, flushes;
};
extern struct guest_counters guest_counters;

/* A gfn's frame as the primary has it; 0 where there is none. */
u64 world_mfn(struct addrspace *as, u64 gfn);
struct gfn_range world_range(u64 gfn, u64 frames);

/* The word at gpa, as a device model reads it by its cache or, without one, a guest by a view. */
u64 world_read(struct stage2 *view, struct guest_cache *cache, u64 gpa);

/* Makes `gfns` share one frame with `value` as its first word. */
void world_share(struct addrspace *as, const u64 *gfns, unsigned count, u64 value);

#endif
