/* SPDX-License-Identifier: Apache-2.0 */
/*
 * world.h: lab 4. An address space with two stage 2s, and CPUs that can be inside of either.
 */
#ifndef SAMEPAGE_LABS_4_WORLD_H
#define SAMEPAGE_LABS_4_WORLD_H

#include "harness/audit.h"
#include "sim/explore.h"
#include "sim/mm_world.h"

#include "mm/stage2/private.h"

#define GPA (5 * PAGE_SIZE)

static struct addrspace *as;
static struct stage2 *s2, *other;

static inline void begin(unsigned cpus)
{
	world_begin(cpus, 16);
	as = world_space(1024);
	assert_int_equal(addrspace_set_policy(as, notifier_policy_find("masked", 6)), 0);
	s2 = world_stage2(as);
	other = world_stage2(as);
	assert_int_equal(addrspace_populate(as, world_range(0, 16)), 0);
}

static inline void end(void)
{
	for (unsigned cpu = 0; cpu < arch_cpu_count(); cpu++) {
		sim_set_cpu(cpu);
		guest_out();
	}
	sim_set_cpu(0);
	addrspace_settle(as);
	lab_audit();
	stage2_destroy(other);
	stage2_destroy(s2);
	addrspace_destroy(as);
	world_end();
}

static inline void enter(unsigned cpu, struct stage2 *table)
{
	u64 value;

	sim_set_cpu(cpu);
	assert_int_equal(guest_read(table, GPA, &value), FAULT_MAPPED);
	sim_set_cpu(0);
}

#endif
