/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vm.c: creation and destruction of VMs, out of the parts that the rooms below define.
 *
 * Invariants:
 * VM-1  after vm_destroy(), every frame the VM ever had is free again.
 */
#include <hv/vm_create.h>
#include <abi/machine.h>
#include <arch/cpu.h>
#include <hv/bios.h>
#include <hv/cpuid.h>
#include <hv/dirty.h>
#include <hv/display.h>
#include <hv/gva.h>
#include <hv/insn_memo.h>
#include <hv/irqchip.h>
#include <hv/lifetime.h>
#include <hv/memory.h>
#include <hv/merging.h>
#include <hv/mirrors.h>
#include <hv/mtrr.h>
#include <hv/pc.h>
#include <hv/ram.h>
#include <hv/sched.h>
#include <hv/stat.h>
#include <hv/uart.h>
#include <lib/error.h>
#include <lib/log.h>
#include <lib/string.h>
#include <mm/guest_cache.h>
#include <mm/mirror.h>
#include <mm/stage2.h>
#include <trace/trace.h>

#define LOG_THIS     LOG_VM
#define MIRRORS_SIZE (VM_SUBSCRIBERS * sizeof(struct mirror *))
#define MEMOS_SIZE   (INSN_MEMOS * sizeof(struct insn_memo))

/* One allocation: a VM, and those of its parts that rooms above core define. */
struct vm_parts {
	struct vm vm;
	struct uart uart;
	struct cpuid_table cpuid;
};

static unsigned next_cpu; /* for VMs that do not say which CPU */

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

/* The last vCPU uses the view, if there is one. */
static struct stage2 *choose_stage2(const struct vm *vm, unsigned index)
{
	return vm->view && index + 1 == vm->config.vcpus ? vm->view : vm->stage2;
}

static int make_vcpu(struct vm *vm, unsigned index)
{
	struct stage2 *stage2 = choose_stage2(vm, index);
	struct vcpu_setup setup = {
		.stage2_root = stage2_root(stage2),
		.address_space_id = vm->id,
		.fetch = vcpu_fetch,
	};
	struct vcpu *vcpu = hv_alloc(sizeof(*vcpu));
	int err;

	if (!vcpu)
		return ERR_NO_MEMORY;
	vcpu->vm = vm;
	mtrr_init(&vcpu->mtrrs);
	vcpu->index = index;
	vcpu->stage2 = stage2;
	vcpu->cpu = choose_cpu(&vm->config, index);
	vcpu->state = VCPU_OFF;
	vcpu->waits_for_sipi = index > 0;
	for (unsigned i = 0; i < HV_EXIT_REASONS; i++)
		exit_count_init(&vcpu->exits[i]);
	err = virt->vcpu_init(&vcpu->arch, &setup);
	if (err) {
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

	if (!err && vm->config.populate)
		err = addrspace_populate(vm->memory, range);
	return err;
}

static bool is_addressable(const struct vm *vm)
{
	unsigned bits = cpuid_address_bits(vm->cpuid);

	if (ram_end(vm->config.memory) <= BIT(bits))
		return true;
	log_error("%s: %lu MiB of memory need more than the %u address bits of this CPU",
		  vm->config.name, vm->config.memory >> 20, bits);
	return false;
}

static int add_rom(struct vm *vm, u64 start, u64 end)
{
	vm->rom_start = start;
	vm->rom_end = end;
	return add_slot(vm, start, end, SLOT_ROM);
}

/* Below 1 MiB a BIOS runs in RAM: its copy, its variables, option ROMs. */
static int add_slots(struct vm *vm)
{
	const bool bios = vm->config.type == VM_BIOS;
	struct ram_range ram;
	int err = is_addressable(vm) ? 0 : ERR_UNSUPPORTED;

	for (unsigned n = 0; !err && ram_range(vm->config.memory, n, &ram); n++)
		err = add_slot(vm, ram.start, ram.end, SLOT_RAM);
	if (!err && vm->config.board)
		err = add_slot(vm, VGA_TEXT_START, VGA_TEXT_END, SLOT_RAM);
	if (!err && bios)
		err = add_slot(vm, PC_ROM_START, MACHINE_HOLE_END, SLOT_RAM);
	else if (!err && vm->config.board)
		err = add_rom(vm, PC_ROM_START, MACHINE_HOLE_END);
	if (!err && bios)
		err = add_rom(vm, BIOS_ROM_START, MACHINE_DEVICES_END);
	return err;
}

static int make_board(struct vm *vm)
{
	struct arch_vcpu *arch = &vm->vcpu[0]->arch;

	virt->vcpu_load(arch);
	virt->get_state(arch, &vm->reset);
	virt->vcpu_put(arch);
	for (unsigned i = 0; i < vm->config.vcpus; i++) {
		vm->vcpu[i]->memos = hv_alloc(MEMOS_SIZE);
		if (!vm->vcpu[i]->memos)
			return ERR_NO_MEMORY;
	}
	return pc_create(vm);
}

/* Part `n` of `count` of its address space. */
static struct gfn_range mirror_range(const struct vm *vm, unsigned n, unsigned count)
{
	u64 pages = ram_end(vm->config.memory) >> PAGE_SHIFT;

	return (struct gfn_range){{pages * n / count}, {pages * (n + 1) / count}};
}

static int make_mirror(struct vm *vm, const struct vm_config_subscriber *row, unsigned n)
{
	bool part = row->kind == VM_SUBSCRIBER_INTERVAL;
	struct gfn_range range = mirror_range(vm, part ? n : 0, part ? row->count : 1);
	u64 wait = arch_ticks_per_second() / 1000000 * row->wait;
	int err = mirror_create(vm->memory, (enum mirror_kind)row->kind, range, wait,
				&vm->mirror[vm->mirrors]);

	vm->mirrors += !err;
	return err;
}

static int make_subscribers(struct vm *vm)
{
	const struct vm_config *config = &vm->config;
	int err = 0;

	for (unsigned i = 0; !err && i < config->subscribers; i++) {
		const struct vm_config_subscriber *row = &config->subscriber[i];

		if (row->kind == VM_SUBSCRIBER_VIEW) {
			err = stage2_create(vm->memory, virt->stage2, &vm->view);
			continue;
		}
		if (!vm->mirror)
			vm->mirror = hv_alloc(MIRRORS_SIZE);
		if (!vm->mirror)
			return ERR_NO_MEMORY;
		for (unsigned n = 0; !err && n < row->count; n++)
			err = make_mirror(vm, row, n);
	}
	return err;
}

static void destroy_subscribers(struct vm *vm)
{
	while (vm->mirrors > 0)
		mirror_destroy(vm->mirror[--vm->mirrors]);
	if (vm->mirror)
		hv_free(vm->mirror, MIRRORS_SIZE);
	vm->mirror = NULL;
	if (vm->view)
		stage2_destroy(vm->view);
	vm->view = NULL;
}

static int make_parts(struct vm *vm)
{
	int err = addrspace_create(vm->config.name, &vm->memory);

	if (!err)
		err = add_slots(vm);
	if (!err)
		err = stage2_create(vm->memory, virt->stage2, &vm->stage2);
	for (unsigned i = 0; !err && i < vm->config.devices; i++)
		err = guest_cache_create(vm->memory, &vm->cache[i]);
	if (!err)
		err = make_subscribers(vm);
	for (unsigned i = 0; !err && i < vm->config.vcpus; i++)
		err = make_vcpu(vm, i);
	if (!err)
		err = dirty_setup(vm, merging_domain(vm) != 0);
	if (!err && vm->config.board)
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
		if (vcpu->memos)
			hv_free(vcpu->memos, MEMOS_SIZE);
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
	destroy_subscribers(vm);
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

static enum cpuid_apic apic_of(const struct vm_config *config)
{
	if (!config->board)
		return CPUID_NO_APIC;
	return config->no_x2apic ? CPUID_XAPIC : CPUID_X2APIC;
}

static struct vm *alloc_vm(const struct vm_config *config)
{
	struct vm_parts *parts = hv_alloc(sizeof(*parts));
	struct vm *vm;

	if (!parts)
		return NULL;
	vm = &parts->vm;
	vm->config = *config;
	vm->state = VM_CREATED;
	vm->uart = &parts->uart;
	vm->cpuid = &parts->cpuid;
	vm->irqchip = &hypercall_irqchip;
	spin_init(&vm->lock, LOCK_VM, "vm");
	console_init(&vm->console, config->name, config->console);
	uart_init(&parts->uart, send_to_console, &vm->console);
	cpuid_table_build(&parts->cpuid, config->vcpus, apic_of(config), arch_xcr0_allowed(),
			  arch_ticks_per_second(), arch_cpuid);
	return vm;
}

static void free_vm(struct vm *vm)
{
	hv_free(vm, sizeof(struct vm_parts));
}

int vm_create(const struct vm_config *config, struct vm **out)
{
	struct vm *vm;
	int err;

	if (vm_find(config->name))
		return ERR_EXISTS;
	vm = alloc_vm(config);
	if (!vm)
		return ERR_NO_MEMORY;
	err = vm_list_add(vm);
	if (err) {
		free_vm(vm);
		return err;
	}
	err = make_parts(vm);
	if (err) {
		vm_discard(vm);
		return err;
	}
	*out = vm;
	return 0;
}

void vm_discard(struct vm *vm)
{
	CHECK(vm->state == VM_CREATED);
	vm_list_remove(vm);
	take_apart(vm);
	free_vm(vm);
}

void vm_start(struct vm *vm)
{
	vm->state = VM_RUNNING;
	vm->awake = 1;
	vm->held = 1;
	vm->vcpu[0]->state = VCPU_READY;
	log_info("%s: started, %lu KiB, %u vCPU", vm->config.name, vm->config.memory >> 10,
		 vm->config.vcpus);
	merging_add(vm);
	lifetime_start(vm);
	mirrors_start(vm);
	sched_add(vm->vcpu[0]);
}

/* The console's last line comes before the message, so that a log reads in order. */
void vm_destroy(struct vm *vm)
{
	display_finish(vm);
	console_flush(&vm->console);
	if (vm->end == VM_END_SHUTDOWN)
		log_info("%s: %s, status %lu", vm->config.name, vm_end_name(vm->end), vm->status);
	else
		log_info("%s: %s", vm->config.name, vm_end_name(vm->end));
	stat_vm_end(vm);
	merging_remove(vm); /* the scanner may hold frames of it */
	stat_vm_end_counters(vm);
	TRACE(vm_end, addrspace_id(vm->memory), .end = (u8)vm->end);
	audit_space(vm->memory, &vm->audit);
	take_apart(vm);
	vm_mark_ended(vm);
}

void vm_free_all(void)
{
	unsigned count = 0;

	while (vm_get(count))
		count++;
	while (count > 0) {
		struct vm *vm = vm_get(--count);

		CHECK(vm->state == VM_ENDED);
		vm_list_remove(vm);
		free_vm(vm);
	}
}
