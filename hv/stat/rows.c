/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rows.c: the table of figures, by scope. scripts/statistics.py makes docs/statistics.md of it.
 */
#include <arch/exit.h>
#include "hv/stat/private.h"

static const struct stat_family by_reason = {HV_EXIT_REASONS, stat_exit_name};

#define AT(field) offsetof(struct stat_machine, field)
static const struct stat_row machine_rows[] = {
	{"machine.uptime", "ns", STAT_COUNTER, AT(uptime), NULL, "Time since boot."},
	{"machine.ticks_per_second", "ticks/s", STAT_GAUGE, AT(ticks_per_second), NULL,
	 "The rate of the clock in which ticks are counted: the TSC."},
	{"machine.cpus", "CPUs", STAT_GAUGE, AT(cpus), NULL, "CPUs that are up."},
	{"machine.vms", "VMs", STAT_GAUGE, AT(vms), NULL, "VMs that have not ended."},
	{"machine.frames.total", "frames", STAT_GAUGE, AT(frames.total), NULL,
	 "Frames that the allocator manages."},
	{"machine.frames.free", "frames", STAT_GAUGE, AT(frames.free), NULL,
	 "Frames that nothing owns, those in the CPUs' caches included."},
};
#undef AT

#define AT(field) offsetof(struct stat_cpu, field)
static const struct stat_row cpu_rows[] = {
	{"turns", "turns", STAT_COUNTER, AT(turns), NULL, "Times that a vCPU was given the CPU."},
};
#undef AT

#define AT(field) offsetof(struct stat_vm, field)
static const struct stat_row vm_rows[] = {
	{"exits.*", "exits", STAT_COUNTER, AT(exits), &by_reason, "Exits by reason."},
	{"slices", "turns", STAT_COUNTER, AT(slices), NULL, "Turns of its vCPUs on a CPU."},
	{"used", "ns", STAT_COUNTER, AT(used), NULL, "Time that its vCPUs were on a CPU."},
};
#undef AT

#define ROWS(rows) rows, ARRAY_SIZE(rows)
const struct stat_scope stat_scopes[] = {
	{"machine", ROWS(machine_rows), stat_machine_prefix, stat_machine_take},
	{"CPU", ROWS(cpu_rows), stat_cpu_prefix, stat_cpu_take},
	{"VM", ROWS(vm_rows), stat_vm_prefix, stat_vm_take},
};
const unsigned stat_scope_count = ARRAY_SIZE(stat_scopes);

_Static_assert(sizeof(struct stat_machine) <= STAT_FIGURES_MAX, "they fit into a cursor");
_Static_assert(sizeof(struct stat_vm) <= STAT_FIGURES_MAX, "they fit into a cursor");
