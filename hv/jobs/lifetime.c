/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lifetime.c: the clock behind kill_after=.
 *
 * Invariants:
 * LIFETIME-1  no VM is stopped before its time, and each at the first poll after it.
 */
#include <hv/lifetime.h>
#include <arch/cpu.h>
#include <hv/vm.h>

/* Of CPU 0: the start of the VMs, and the tick at which the next of them is due. */
static u64 started, due = TICK_NEVER;

static u64 lifetime_end(const struct vm *vm)
{
	u64 after = vm->config.kill_after;

	return after ? started + arch_ticks_per_second() / 1000 * after : TICK_NEVER;
}

void lifetime_start(const struct vm *vm)
{
	if (!started)
		started = arch_ticks();
	due = MIN(due, lifetime_end(vm));
}

/* vm_stop() ignores a VM that has ended by itself. */
static void stop_overdue(u64 now)
{
	struct vm *vm;

	due = TICK_NEVER;
	for (unsigned i = 0; (vm = vm_get(i)); i++) {
		u64 end = lifetime_end(vm);

		if (end <= now)
			vm_stop(vm, VM_END_KILLED, 0);
		else
			due = MIN(due, end);
	}
}

bool lifetime_poll(bool idle)
{
	u64 now;

	if (due == TICK_NEVER || arch_cpu_id() != 0)
		return false;
	now = arch_ticks();
	if (now >= due)
		stop_overdue(now);
	return false;
}

u64 lifetime_alarm(void)
{
	return arch_cpu_id() == 0 ? due : TICK_NEVER;
}
