/* SPDX-License-Identifier: Apache-2.0 */
/*
 * take.c: the figures of a machine, a CPU, a VM, as they are now.
 */
#include <arch/cpu.h>
#include <ck_pr.h>
#include <hv/sched.h>
#include <lib/format.h>
#include <lib/log.h>
#include "hv/stat/private.h"

const char *stat_exit_name(unsigned index)
{
	return hv_exit_name(index);
}

bool stat_machine_prefix(unsigned instance, char *prefix)
{
	prefix[0] = '\0';
	return instance == 0;
}

bool stat_machine_take(unsigned instance, void *figures)
{
	struct stat_machine *out = figures;

	out->uptime = stat_ns(arch_ticks());
	out->ticks_per_second = arch_ticks_per_second();
	out->cpus = arch_cpu_count();
	out->vms = vm_count_alive();
	out->log_lines = log_writes();
	frame_stats(&out->frames);
	reclaim_stats(&out->reclaim);
	merge_stats(&out->merge);
	out->channel = stat_channel;
	return true;
}

bool stat_cpu_prefix(unsigned instance, char *prefix)
{
	format_text(prefix, STAT_PREFIX_MAX, "cpu.%u.", instance);
	return instance < arch_cpu_count();
}

bool stat_cpu_take(unsigned instance, void *figures)
{
	struct stat_cpu *out = figures;

	out->turns = sched_turns(instance);
	return true;
}

bool stat_vm_prefix(unsigned instance, char *prefix)
{
	const struct vm *vm = vm_get(instance);

	if (vm)
		format_text(prefix, STAT_PREFIX_MAX, "vm.%s.", vm->config.name);
	return vm;
}

/* Of the vCPUs that are GONE, and of those that are not. */
static u64 vm_sum(const struct vm *vm, u64 gone, size_t at)
{
	for (unsigned i = 0; i < vm->config.vcpus; i++)
		if (vm->vcpu[i] && ck_pr_load_32(&vm->vcpu[i]->state) != VCPU_GONE)
			gone += ck_pr_load_64((u64 *)((char *)vm->vcpu[i] + at));
	return gone;
}

bool stat_vm_take(unsigned instance, void *figures)
{
	struct vm *vm = vm_get(instance);
	struct stat_vm *out = figures;

	for (unsigned i = 0; i < HV_EXIT_REASONS; i++)
		out->exits[i] =
			vm_sum(vm, vm->exits[i], offsetof(struct vcpu, exits) + i * sizeof(u64));
	out->slices = vm_sum(vm, vm->slices, offsetof(struct vcpu, slices));
	out->used = stat_ns(vm_sum(vm, vm->used, offsetof(struct vcpu, used)));
	return true;
}
