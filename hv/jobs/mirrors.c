/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mirrors.c: the work of the devices of subscriber=.
 */
#include <hv/mirrors.h>
#include <arch/cpu.h>
#include <hv/vm.h>
#include <mm/mirror.h>

#define MIRROR_READS 64 /* of a VM's devices in a step */

/* Of CPU 0: the tick of the next step; the device that reads next. */
static u64 due = TICK_NEVER;
static unsigned hand;

void mirrors_start(const struct vm *vm)
{
	if (vm->mirrors)
		due = 0;
}

static void mirrors_read(struct vm *vm)
{
	for (unsigned i = 0; vm->mirrors && i < MIRROR_READS; i++)
		(void)mirror_step(vm->mirror[hand++ % vm->mirrors]);
}

bool mirrors_poll(bool idle)
{
	struct vm *vm;

	if (likely(due == TICK_NEVER) || arch_cpu_id() != 0 || arch_ticks() < due)
		return false;
	for (unsigned i = 0; (vm = vm_get(i)); i++) {
		if (!vm_hold(vm))
			continue;
		mirrors_read(vm);
		vm_release(vm);
	}
	due = arch_ticks() + arch_ticks_per_second() / 1000;
	return false;
}

u64 mirrors_alarm(void)
{
	return arch_cpu_id() == 0 ? due : TICK_NEVER;
}
