/* SPDX-License-Identifier: Apache-2.0 */
/*
 * take.c: the figures of the machine, a CPU, a merge domain, as they are now.
 */
#include <arch/cpu.h>
#include <hv/merging.h>
#include <hv/sched.h>
#include <lib/format.h>
#include <lib/log.h>
#include <mm/tlb.h>
#include "hv/stat/private.h"

struct stat_channel stat_channel;

bool stat_machine_prefix(unsigned instance, char *prefix)
{
	prefix[0] = '\0';
	return instance == 0;
}

static u64 breaks_of_all(void)
{
	struct vm *vm;
	u64 sum = 0;

	for (unsigned i = 0; (vm = vm_get(i)); i++)
		sum += stat_vm_breaks(vm);
	return sum;
}

enum stat_taken stat_machine_take(unsigned instance, void *figures, u64 *walk)
{
	struct stat_machine *out = figures;

	out->uptime = stat_ns(arch_ticks());
	out->ticks_per_second = arch_ticks_per_second();
	for (unsigned phase = 0; phase < BOOT_PHASES; phase++)
		out->boot[phase] = boot_phase_ticks((enum boot_phase)phase);
	out->cpus = arch_cpu_count();
	out->vms = vm_count_alive();
	out->log_lines = log_writes();
	frame_stats(&out->frames);
	reclaim_stats(&out->reclaim);
	merge_stats(&out->merge);
	out->saved = (out->merge.pages_sharing + out->merge.zero_pages -
		      MIN(out->merge.zero_pages, out->merge.zero_frames)) *
		     PAGE_SIZE;
	out->breaks = breaks_of_all();
	out->channel = stat_channel;
	return STAT_TAKEN;
}

bool stat_cpu_prefix(unsigned instance, char *prefix)
{
	format_text(prefix, STAT_PREFIX_MAX, "cpu.%u.", instance);
	return instance < arch_cpu_count();
}

enum stat_taken stat_cpu_take(unsigned instance, void *figures, u64 *walk)
{
	struct stat_cpu *out = figures;

	out->turns = sched_turns(instance);
	stage2_cpu_flushes(instance, &out->flushes, &out->waited);
	merge_cpu_stats(instance, &out->scan);
	out->scan_time = stat_ns(merging_time(instance));
	return STAT_TAKEN;
}

bool stat_domain_prefix(unsigned instance, char *prefix)
{
	struct merge_domain_stats stats;

	if (!merge_domain_stats(instance, &stats))
		return false;
	format_text(prefix, STAT_PREFIX_MAX, "domain.%u.", stats.number);
	return true;
}

enum stat_taken stat_domain_take(unsigned instance, void *figures, u64 *walk)
{
	struct stat_domain *out = figures;
	struct merge_domain_stats stats;

	if (!merge_domain_stats(instance, &stats))
		return STAT_NONE;
	*out = (struct stat_domain){stats.pages, stats.frames, stats.bytes};
	return STAT_TAKEN;
}
