/* SPDX-License-Identifier: Apache-2.0 */
/*
 * life.c: the list of VMs, and the end of a VM's life.
 *
 *     any CPU         vm_stop          RUNNING -> STOPPING, REQUEST_STOP for each vCPU, kicks
 *     owner           run loop         unloads a vCPU, takes it out of its queue, vm_release_vcpu()
 *     last release    vm_release       STOPPING -> DEAD, kick
 *     run loop        vm_take_dead     DEAD -> DESTROYING; destroys it (vm.c); vm_mark_ended: ENDED
 *
 * Why in steps: the vCPUs of a VM are on several CPUs, and each alone may touch its own. The last
 * reference may end in the middle of an exit of another VM, or in a job; destruction takes long and
 * takes locks, so it is left to the run loop. No room below hv/vm.c calls up into it.
 *
 * Invariants:
 * LIFE-1  the first vm_stop() decides the reason; later ones change nothing.
 * LIFE-2  vCPUs, board and memory of a VM exist while it is held: by a vCPU that is not GONE, or by
 *         vm_hold().
 * LIFE-3  one CPU takes a DEAD VM, and only from its run loop.
 *
 * Locking: vm->lock (LOCK_VM) guards what vm.h marks [v].
 */
#include <hv/vm.h>
#include <arch/cpu.h>
#include <ck_pr.h>
#include <hv/sched.h>
#include <hv/vcpu.h>
#include <lib/error.h>
#include <lib/log.h>
#include <lib/string.h>

#define LOG_THIS LOG_VM
#define VMS_MAX	 64

/* vms, vm_count: [I] while VMs run. alive: VMs not ENDED; dead: VMs to be destroyed; both [a]. */
static struct vm *vms[VMS_MAX];
static unsigned vm_count, vms_alive, vms_dead;

static const char *const end_names[VM_ENDS] = {
	[VM_END_SHUTDOWN] = "shut down",	[VM_END_REBOOT] = "requested a restart",
	[VM_END_HALTED] = "halted for good",	[VM_END_TRIPLE_FAULT] = "triple fault",
	[VM_END_NO_MEMORY] = "out of memory",	[VM_END_UNHANDLED] = "stopped",
	[VM_END_ENTRY_FAILED] = "entry failed", [VM_END_KILLED] = "ended by the user",
};

const char *vm_end_name(enum vm_end end)
{
	return end < VM_ENDS ? end_names[end] : "?";
}

struct vm *vm_get(unsigned number)
{
	return number < vm_count ? vms[number] : NULL;
}

struct vm *vm_find(const char *name)
{
	for (unsigned i = 0; i < vm_count; i++)
		if (strcmp(vms[i]->config.name, name) == 0)
			return vms[i];
	return NULL;
}

unsigned vm_count_alive(void)
{
	return ck_pr_load_uint(&vms_alive);
}

int vm_list_add(struct vm *vm)
{
	if (vm_count == VMS_MAX)
		return ERR_RANGE;
	vms[vm_count++] = vm;
	vm->id = vm_count;
	ck_pr_inc_uint(&vms_alive);
	return 0;
}

void vm_list_remove(struct vm *vm)
{
	CHECK(vms[vm_count - 1] == vm);
	vms[--vm_count] = NULL;
	if (vm->state == VM_CREATED)
		ck_pr_dec_uint(&vms_alive);
}

void vm_stop(struct vm *vm, enum vm_end end, u64 status)
{
	bool first;

	spin_lock(&vm->lock);
	first = vm->state == VM_RUNNING;
	if (first) {
		vm->end = end;
		vm->status = status;
		ck_pr_fence_release();
		ck_pr_store_uint(&vm->state, VM_STOPPING);
	}
	/* Under the lock: the last vCPU, and with it the array, stays until it is released. */
	for (unsigned i = 0; first && i < vm->config.vcpus; i++)
		vcpu_request(vm->vcpu[i], REQUEST_STOP);
	spin_unlock(&vm->lock);
}

void vm_pause(struct vm *vm)
{
	ck_pr_store_32(&vm->paused, 1);
	for (unsigned i = 0; i < vm->config.vcpus; i++)
		vcpu_request(vm->vcpu[i], REQUEST_RESCHEDULE);
}

void vm_resume(struct vm *vm)
{
	ck_pr_store_32(&vm->paused, 0);
	for (unsigned i = 0; i < vm->config.vcpus; i++)
		sched_resumed(vm->vcpu[i]);
}

bool vm_hold(struct vm *vm)
{
	bool runs;

	spin_lock(&vm->lock);
	runs = vm->state == VM_RUNNING;
	vm->held += runs;
	spin_unlock(&vm->lock);
	return runs;
}

/* The kick makes this CPU pass its run loop once more before it sleeps. */
void vm_release(struct vm *vm)
{
	bool last;

	spin_lock(&vm->lock);
	last = --vm->held == 0;
	if (last) {
		ck_pr_store_uint(&vm->state, VM_DEAD);
		ck_pr_inc_uint(&vms_dead);
	}
	spin_unlock(&vm->lock);
	if (last)
		arch_cpu_kick(arch_cpu_id());
}

static void add_times(struct exit_times *sum, const struct exit_times *times)
{
	for (unsigned i = 0; i < HV_EXIT_REASONS; i++) {
		sum->ticks[i] += times->ticks[i];
		for (unsigned n = 0; n < EXIT_BUCKETS; n++)
			sum->bucket[i][n] += times->bucket[i][n];
	}
}

void vm_release_vcpu(struct vcpu *vcpu)
{
	struct vm *vm = vcpu->vm;

	spin_lock(&vm->lock);
	ck_pr_store_32(&vcpu->state, VCPU_GONE);
	for (unsigned i = 0; i < HV_EXIT_REASONS; i++)
		vm->exits[i] += exit_count(&vcpu->exits[i]);
	add_times(&vm->times, &vcpu->times);
	vm->slices += vcpu->slices;
	vm->stolen += vcpu->stolen;
	vm->used += vcpu->used;
	vm->injected += vcpu->injected;
	vm->lost_accesses += vcpu->lost_accesses;
	vm->starved += vcpu->starved;
	spin_unlock(&vm->lock);
	vm_release(vm);
}

/* LIFE-3: one CPU alone succeeds in the exchange. */
struct vm *vm_take_dead(void)
{
	if (likely(ck_pr_load_uint(&vms_dead) == 0))
		return NULL;
	for (unsigned i = 0; i < vm_count; i++) {
		if (ck_pr_cas_uint(&vms[i]->state, VM_DEAD, VM_DESTROYING)) {
			ck_pr_dec_uint(&vms_dead);
			return vms[i];
		}
	}
	return NULL;
}

void vm_mark_ended(struct vm *vm)
{
	ck_pr_fence_release();
	ck_pr_store_uint(&vm->state, VM_ENDED);
	if (ck_pr_faa_uint(&vms_alive, -1u) == 1)
		for (unsigned i = 0; i < arch_cpu_count(); i++)
			arch_cpu_kick(i);
}
