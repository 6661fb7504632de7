/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vm.c: making VMs and taking them down.
 *
 * Why a VM takes itself down in steps: its vCPUs are on several CPUs, and each alone may touch its
 * own. So vm_stop() only says that it is over; each CPU lets its vCPUs go when it next passes its
 * run loop; and whichever CPU lets the last one go frees the rest.
 *
 * Invariants:
 * VM-1  after vm_release_vcpu() of the last vCPU, every frame the VM ever had is free again.
 * VM-2  the first vm_stop() decides the reason; later ones change nothing.
 *
 * Locking: vm->lock (LOCK_VM) guards what vm.h marks [v].
 */
#include <hv/vm.h>
#include <arch/cpu.h>
#include <abi/machine.h>
#include <hv/dirty.h>
#include <hv/gva.h>
#include <hv/lifetime.h>
#include <hv/memory.h>
#include <hv/merging.h>
#include <hv/pc.h>
#include <hv/sched.h>
#include <hv/vcpu.h>
#include <lib/error.h>
#include <lib/log.h>
#include <lib/string.h>
#include <mm/guest_cache.h>
#include <mm/stage2.h>

#define LOG_THIS LOG_VM
#define VMS_MAX	 64

static struct vm *vms[VMS_MAX];
static unsigned vm_count;
static unsigned vms_alive;
static unsigned next_cpu; /* for VMs that do not say which CPU */

static const char *const end_names[VM_ENDS] = {
	[VM_END_SHUTDOWN] = "shut down",	[VM_END_REBOOT] = "asked for a restart",
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
	return __atomic_load_n(&vms_alive, __ATOMIC_ACQUIRE);
}

/* The `n`-th CPU of a set, and when there are no more, from the first again. */
static unsigned nth_cpu(u64 set, unsigned n)
{
	u64 left = set;

	while (n-- > 0) {
		left &= left - 1;
		if (left == 0)
			left = set;
	}
	return (unsigned)__builtin_ctzll(left);
}

static unsigned choose_cpu(const struct vm_config *config, unsigned i)
{
	return config->cpus ? nth_cpu(config->cpus, i) : nth_cpu(arch_guest_cpus(), next_cpu++);
}

static int make_vcpu(struct vm *vm, unsigned index)
{
	struct vcpu_setup setup = {
		.stage2_root = stage2_root(vm->stage2),
		.address_space_id = vm->id,
		.fetch = vcpu_fetch,
	};
	struct vcpu *vcpu = hv_alloc(sizeof(*vcpu));
	int err;

	if (!vcpu)
		return ERR_NO_MEMORY;
	vcpu->vm = vm;
	vcpu->index = index;
	vcpu->cpu = choose_cpu(&vm->config, index);
	vcpu->state = VCPU_OFF;
	err = virt->vcpu_init(&vcpu->arch, &setup);
	if (err != 0) {
		hv_free(vcpu, sizeof(*vcpu));
		return err;
	}
	vm->vcpu[index] = vcpu;
	return 0;
}

static int add_slot(struct vm *vm, u64 start, u64 end, enum slot_kind kind)
{
	struct gfn_range range = {{start >> PAGE_SHIFT}, {end >> PAGE_SHIFT}};
	int err = addrspace_add_slot(vm->memory, range, kind);

	if (err == 0 && vm->config.populate)
		err = addrspace_populate(vm->memory, range);
	return err;
}

static int add_slots(struct vm *vm)
{
	u64 size = vm->config.memory;
	int err = add_slot(vm, 0, MIN(size, (u64)MACHINE_HOLE_START), SLOT_RAM);

	if (err == 0 && size > MACHINE_HOLE_END)
		err = add_slot(vm, MACHINE_HOLE_END, size, SLOT_RAM);
	if (err == 0 && vm->config.board)
		err = add_slot(vm, PC_ROM_START, MACHINE_HOLE_END, SLOT_ROM);
	return err;
}

static int make_board(struct vm *vm)
{
	struct arch_vcpu *arch = &vm->vcpu[0]->arch;

	virt->vcpu_load(arch);
	virt->get_state(arch, &vm->reset);
	virt->vcpu_put(arch);
	return pc_create(vm);
}

static int make_parts(struct vm *vm)
{
	int err = addrspace_create(vm->config.name, &vm->memory);

	if (err == 0)
		err = add_slots(vm);
	if (err == 0)
		err = stage2_create(vm->memory, virt->stage2, &vm->stage2);
	for (unsigned i = 0; err == 0 && i < vm->config.devices; i++)
		err = guest_cache_create(vm->memory, &vm->cache[i]);
	for (unsigned i = 0; err == 0 && i < vm->config.vcpus; i++)
		err = make_vcpu(vm, i);
	if (err == 0)
		err = dirty_setup(vm);
	if (err == 0 && vm->config.board)
		err = make_board(vm);
	return err;
}

static void take_apart(struct vm *vm)
{
	pc_destroy(vm);
	for (unsigned i = 0; i < VM_VCPUS_MAX; i++) {
		struct vcpu *vcpu = vm->vcpu[i];

		if (!vcpu)
			continue;
		virt->vcpu_fini(&vcpu->arch);
		hv_free(vcpu, sizeof(*vcpu));
		vm->vcpu[i] = NULL;
	}
	if (vm->memory) {
		merging_remove(vm);
		CHECK(!addrspace_release(vm->memory));
	}
	for (unsigned i = 0; i < VM_DEVICES_MAX; i++) {
		if (vm->cache[i])
			guest_cache_destroy(vm->cache[i]);
		vm->cache[i] = NULL;
	}
	if (vm->stage2)
		stage2_destroy(vm->stage2);
	if (vm->memory)
		addrspace_destroy(vm->memory);
	vm->stage2 = NULL;
	vm->memory = NULL;
}

/* The UART calls it with the console's lock held. */
LOCK_UNCHECKED static void send_to_console(void *console, char c)
{
	console_put(console, c);
}

int vm_create(const struct vm_config *config, struct vm **out)
{
	struct vm *vm;
	int err;

	if (vm_find(config->name))
		return ERR_EXISTS;
	if (vm_count == VMS_MAX)
		return ERR_RANGE;
	vm = hv_alloc(sizeof(*vm));
	if (!vm)
		return ERR_NO_MEMORY;
	vm->config = *config;
	vm->id = vm_count + 1;
	vm->state = VM_CREATED;
	spin_init(&vm->lock, LOCK_VM, "vm");
	console_init(&vm->console, config->name, config->console);
	uart_init(&vm->uart, send_to_console, &vm->console);
	cpuid_table_build(&vm->cpuid, config->vcpus, config->board, arch_xcr0_allowed(),
			  arch_cpuid);
	err = make_parts(vm);
	if (err != 0) {
		take_apart(vm);
		hv_free(vm, sizeof(*vm));
		return err;
	}
	vms[vm_count++] = vm;
	__atomic_add_fetch(&vms_alive, 1, __ATOMIC_RELEASE);
	*out = vm;
	return 0;
}

void vm_discard(struct vm *vm)
{
	CHECK(vm->state == VM_CREATED && vms[vm_count - 1] == vm);
	vms[--vm_count] = NULL;
	__atomic_sub_fetch(&vms_alive, 1, __ATOMIC_RELEASE);
	take_apart(vm);
	hv_free(vm, sizeof(*vm));
}

void vm_start(struct vm *vm)
{
	vm->state = VM_RUNNING;
	vm->awake = 1;
	vm->held = 1;
	vm->vcpu[0]->state = VCPU_READY;
	log_info("%s: started, %llu KiB, %u vCPU", vm->config.name,
		 (unsigned long long)(vm->config.memory >> 10), vm->config.vcpus);
	merging_add(vm);
	lifetime_start(vm);
	sched_add(vm->vcpu[0]);
}

void vm_stop(struct vm *vm, enum vm_end end, u64 status)
{
	bool first;

	spin_lock(&vm->lock);
	first = vm->state == VM_RUNNING;
	if (first) {
		vm->end = end;
		vm->status = status;
		__atomic_store_n(&vm->state, VM_STOPPING, __ATOMIC_RELEASE);
	}
	/* Under the lock: the last vCPU, and with it the array, cannot go before it is released. */
	for (unsigned i = 0; first && i < vm->config.vcpus; i++)
		vcpu_request(vm->vcpu[i], REQUEST_STOP);
	spin_unlock(&vm->lock);
}

static void count_pages(struct vm *vm)
{
	struct vm_memory_stats *stats = &vm->memory_stats;
	const struct addrspace_pages *pages = &stats->pages;

	addrspace_count(vm->memory, &stats->pages);
	stats->absent = (vm->config.memory >> PAGE_SHIFT) -
			MIN(vm->config.memory >> PAGE_SHIFT,
			    pages->private + pages->shared + pages->zero + pages->reclaimed);
}

/* To the row of its kind, or the first empty one. */
static int add_subscriber(struct subscription *sub, void *argument)
{
	struct vm_memory_stats *stats = argument;
	struct vm_subscriber_stats *row = stats->subscribers;

	while (row->name && strcmp(row->name, sub->ops->name) != 0)
		row++;
	CHECK(row < stats->subscribers + VM_SUBSCRIBERS_MAX);
	row->name = sub->ops->name;
	row->count++;
	for (unsigned event = 0; event < EVENTS; event++) {
		row->drops[event] += sub->counters[event].starts;
		row->changes[event] += sub->counters[event].changed_gfns;
	}
	return 0;
}

static void collect_memory_stats(struct vm *vm)
{
	struct notifier *notifier = addrspace_notifier(vm->memory);
	struct vm_memory_stats *stats = &vm->memory_stats;

	stage2_stats(vm->stage2, &stats->stage2);
	notifier_each(notifier, add_subscriber, stats);
	stats->policy = notifier_policy_name(addrspace_policy(vm->memory));
	for (unsigned event = 0; event < EVENTS; event++) {
		for (unsigned policy = 0; policy < NOTIFIER_POLICIES; policy++)
			stats->notifications[event] +=
				notifier->counters[policy][event].notifications;
		stats->unwanted[event] = notifier->unwanted[event];
	}
}

/* The console's last words come before the message, so that a log reads in order. */
static void bury(struct vm *vm)
{
	console_flush(&vm->console);
	if (vm->end == VM_END_SHUTDOWN)
		log_info("%s: %s, status %llu", vm->config.name, vm_end_name(vm->end),
			 (unsigned long long)vm->status);
	else
		log_info("%s: %s", vm->config.name, vm_end_name(vm->end));
	count_pages(vm);
	merging_remove(vm); /* the scanner may hold frames of it */
	collect_memory_stats(vm);
	audit_space(vm->memory, &vm->audit);
	take_apart(vm);
	__atomic_store_n(&vm->state, VM_ENDED, __ATOMIC_RELEASE);
	if (__atomic_sub_fetch(&vms_alive, 1, __ATOMIC_ACQ_REL) == 0)
		for (unsigned i = 0; i < arch_cpu_count(); i++)
			arch_cpu_kick(i);
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

void vm_let_go(struct vm *vm)
{
	bool last;

	spin_lock(&vm->lock);
	last = --vm->held == 0;
	spin_unlock(&vm->lock);
	if (last)
		bury(vm);
}

void vm_release_vcpu(struct vcpu *vcpu)
{
	struct vm *vm = vcpu->vm;

	spin_lock(&vm->lock);
	vcpu->state = VCPU_GONE;
	for (unsigned i = 0; i < HV_EXIT_REASONS; i++)
		vm->exits[i] += vcpu->exits[i];
	vm->slices += vcpu->slices;
	vm->used += vcpu->used;
	vm->injected += vcpu->injected;
	vm->lost_accesses += vcpu->lost_accesses;
	vm->starved += vcpu->starved;
	spin_unlock(&vm->lock);
	vm_let_go(vm);
}

void vm_forget_all(void)
{
	while (vm_count > 0) {
		struct vm *vm = vms[--vm_count];

		CHECK(vm->state == VM_ENDED);
		hv_free(vm, sizeof(*vm));
		vms[vm_count] = NULL;
	}
}
