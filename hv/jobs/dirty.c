/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dirty.c: the hardware's part of dirty logging: page-modification logs (SDM vol. 3C, 28.3.6).
 *
 * A log is drained when it is full, at the end of its vCPU's turn, and before a call of that vCPU
 * that reads what was written: so writes of the other vCPUs of a VM are complete once each has had
 * its turn.
 */
#include <hv/dirty.h>
#include <abi/machine.h>
#include <hv/vm.h>
#include <lib/error.h>
#include <lib/log.h>
#include <mm/dirty_log.h>

#define LOG_THIS LOG_VM
#define DRAIN	 32

static int enable_pml(struct vm *vm)
{
	int err = virt->pml_enable ? 0 : ERR_UNSUPPORTED;

	for (unsigned i = 0; !err && i < vm->config.vcpus; i++)
		err = virt->pml_enable(&vm->vcpu[i]->arch, true);
	return err;
}

/* The best mode up to *mode that the machine has; `warn`: with a message if that is less. */
static int choose_mode(struct vm *vm, enum dirty_mode *mode, bool warn)
{
	int err = 0;

	if (*mode == DIRTY_PML) {
		err = enable_pml(vm);
		if (err == ERR_UNSUPPORTED) {
			if (warn)
				log_warn("%s: dirty=pml: this CPU has no page-modification log; "
					 "dirty=bits",
					 vm->config.name);
			*mode = DIRTY_BITS;
			err = 0;
		}
	}
	if (*mode == DIRTY_BITS && !virt->stage2->level[0].dirty) {
		if (warn)
			log_warn("%s: dirty=bits: second-level tables have no dirty bits; dirty=wp",
				 vm->config.name);
		*mode = DIRTY_WRITE_PROTECT;
	}
	return err;
}

/*
 * For the scanner of merging: the best mode that the machine has, with one state for a large leaf's
 * pages.
 */
static void choose_for_merging(struct vm *vm)
{
	vm->config.dirty_log = true;
	vm->config.dirty = DIRTY_PML;
	dirty_log_coarse(vm->memory, true);
}

const char *dirty_source_name(const struct vm *vm)
{
	static const char *const names[] = {[DIRTY_WRITE_PROTECT] = "write protection",
					    [DIRTY_BITS] = "dirty bits",
					    [DIRTY_PML] = "the page-modification log"};

	return names[dirty_log_mode(vm->memory)];
}

int dirty_setup(struct vm *vm, bool merged)
{
	const u64 end = MIN(vm->config.memory, (u64)MACHINE_HOLE_START);
	bool by_config = vm->config.dirty_log;
	int err;

	if (!by_config && merged)
		choose_for_merging(vm);
	if (!vm->config.dirty_log)
		return 0;
	err = choose_mode(vm, &vm->config.dirty, by_config);
	if (err)
		return err;
	/* The mode is the whole address space's. */
	return dirty_log_start(vm->memory, gfn_range((struct gfn){0}, end >> PAGE_SHIFT),
			       vm->config.dirty);
}

void dirty_drain(struct vcpu *vcpu)
{
	struct gpa written[DRAIN];
	unsigned count;

	if (likely(!vcpu->vm->config.dirty_log || vcpu->vm->config.dirty != DIRTY_PML))
		return;
	while ((count = virt->pml_drain(&vcpu->arch, written, DRAIN)) > 0)
		dirty_log_pml(vcpu->stage2, written, count);
}
