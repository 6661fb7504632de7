/* SPDX-License-Identifier: Apache-2.0 */
/*
 * loader.c: carries out a load plan and writes what the boot protocol promises.
 *
 *     0          segments ...      end of the highest one          modules
 *     |..........[kernel    ]......|info|map|list|strings|.........[mod 0][mod 1]
 *                                   from a page of its own, and so is each module
 */
#include <hv/loader.h>
#include <abi/machine.h>
#include <abi/multiboot.h>
#include <arch/regs.h>
#include <hv/acpi.h>
#include <hv/bios.h>
#include <hv/bzimage.h>
#include <hv/linux.h>
#include <hv/mptable.h>
#include <hv/pc.h>
#include <hv/ram.h>
#include <hv/vm.h>
#include <lib/error.h>
#include <lib/log.h>
#include <lib/string.h>

#define LOG_THIS LOG_HV

#define MAP_ENTRY_SIZE (sizeof(struct multiboot_map_entry) - 4)
#define MAP_ENTRIES    RAM_RANGES_MAX
#define LOADER_NAME    "Samepage"

/* The boot information, as it lies in memory at `gpa`; `used` bytes of the text. */
struct info_area {
	struct multiboot_info info;
	struct multiboot_map_entry map[MAP_ENTRIES];
	struct multiboot_module module[LOAD_MODULES_MAX];
	char text[sizeof(LOADER_NAME) + (1 + LOAD_MODULES_MAX) * VM_ARG_MAX];
	size_t used;
};

#define FIELD(gpa, member) ((u32)((gpa) + offsetof(struct info_area, member)))

static u64 info_size(const struct info_area *area)
{
	return offsetof(struct info_area, text) + area->used;
}

/* Appends a string of at most VM_ARG_MAX bytes; where the guest finds it. */
static u32 add_text(struct info_area *area, u64 gpa, const char *text)
{
	u32 at = (u32)(gpa + info_size(area));

	(void)string_copy(area->text + area->used, VM_ARG_MAX, text);
	area->used += strlen(area->text + area->used) + 1;
	return at;
}

static void add_range(struct info_area *area, u64 start, u64 end)
{
	struct multiboot_map_entry *entry = &area->map[area->info.map_length / sizeof(*entry)];

	if (start >= end)
		return;
	*entry = (struct multiboot_map_entry){
		.size = MAP_ENTRY_SIZE,
		.base_low = (u32)start,
		.base_high = (u32)(start >> 32),
		.length_low = (u32)(end - start),
		.length_high = (u32)((end - start) >> 32),
		.type = 1,
	};
	area->info.map_length += sizeof(*entry);
}

static void fill_info(struct info_area *area, u64 gpa, const struct vm_config *config)
{
	struct multiboot_info *info = &area->info;
	u64 end = ram_low_end(config->memory);
	u64 upper = end > MACHINE_HOLE_END ? end - MACHINE_HOLE_END : 0;
	u64 lower = MIN(end, config->board ? ACPI_TABLES_GPA : (u64)MACHINE_HOLE_START);
	struct ram_range range;

	info->flags = MULTIBOOT_INFO_MEMORY | MULTIBOOT_INFO_COMMAND_LINE | MULTIBOOT_INFO_MODULES |
		      MULTIBOOT_INFO_MAP | MULTIBOOT_INFO_LOADER;
	info->mem_lower = (u32)(lower >> 10);
	info->mem_upper = (u32)(upper >> 10);
	info->map = FIELD(gpa, map);
	info->modules = FIELD(gpa, module);
	info->loader_name = add_text(area, gpa, LOADER_NAME);
	info->command_line = add_text(area, gpa, config->arg);
	add_range(area, 0, lower);
	for (unsigned n = 1; ram_range(config->memory, n, &range); n++)
		add_range(area, range.start, range.end);
}

static int write_module(struct vm *vm, struct info_area *area, u64 at,
			const struct load_module *module)
{
	if (at + module->size > ram_low_end(vm->config.memory)) {
		log_error("%s: a module of %zu bytes does not fit its memory", vm->config.name,
			  module->size);
		return ERR_RANGE;
	}
	area->module[area->info.module_count].start = (u32)at;
	area->module[area->info.module_count++].end = (u32)(at + module->size);
	return addrspace_write(vm->memory, (struct gpa){at}, module->file, module->size);
}

/* All that needs no place for the modules. False: too many modules. */
static bool describe(struct info_area *area, u64 at, const struct vm_config *config,
		     const struct load_module *modules, unsigned count)
{
	*area = (struct info_area){0};
	if (count > LOAD_MODULES_MAX)
		return false;
	fill_info(area, at, config);
	for (unsigned i = 0; i < count; i++)
		area->module[i].command_line = add_text(area, at, modules[i].arg);
	return true;
}

/* Behind the kernel; *gpa says where. */
static int write_info(struct vm *vm, const struct load_plan *plan,
		      const struct load_module *modules, unsigned count, u64 *gpa)
{
	static struct info_area area; /* too large for a stack; boot is on one CPU */
	u64 end = MAX(plan->end, (u64)MACHINE_HOLE_END);
	u64 at = ALIGN_UP(end, PAGE_SIZE), next;

	if (!describe(&area, at, &vm->config, modules, count) ||
	    at + info_size(&area) > ram_low_end(vm->config.memory)) {
		log_error("%s: no room for the boot information behind the kernel",
			  vm->config.name);
		return ERR_RANGE;
	}
	next = ALIGN_UP(at + info_size(&area), PAGE_SIZE);
	for (unsigned i = 0; i < count; i++) {
		int err = write_module(vm, &area, next, &modules[i]);

		if (err)
			return err;
		next = ALIGN_UP(next + modules[i].size, PAGE_SIZE);
	}
	*gpa = at;
	return addrspace_write(vm->memory, (struct gpa){at}, &area, info_size(&area));
}

/* For systems older than ACPI. */
static int write_mptable(struct vm *vm)
{
	static u8 tables[MPTABLE_SIZE];
	size_t used = mptable_build(vm->config.vcpus, tables, (struct gpa){MPTABLE_GPA});

	return addrspace_write(vm->memory, (struct gpa){MPTABLE_GPA}, tables, used);
}

/* The firmware's tables, and what the two searches of ACPI 5.2.5.1 find. */
static int write_acpi(struct vm *vm)
{
	static u8 tables[ACPI_TABLES_SIZE]; /* too large for a stack; boot is on one CPU */
	const u16 segment = ACPI_TABLES_GPA >> 4;
	const struct acpi_machine machine = {.vcpus = vm->config.vcpus,
					     .pci = vm->pc->pci.function[1] != NULL};
	size_t used;
	int err =
		acpi_build(&machine, tables, sizeof(tables), (struct gpa){ACPI_TABLES_GPA}, &used);

	if (!err)
		err = addrspace_write(vm->memory, (struct gpa){ACPI_TABLES_GPA}, tables, used);
	if (!err)
		err = addrspace_write(vm->memory, (struct gpa){ACPI_EBDA_POINTER}, &segment,
				      sizeof(segment));
	if (!err)
		err = addrspace_write(vm->memory, (struct gpa){ACPI_ROM_RSDP}, tables,
				      ACPI_RSDP_SIZE);
	return err;
}

/* What firmware leaves in a PC's memory; for a firmware of the VM's own, what that reads. */
static int write_firmware(struct vm *vm)
{
	int err;

	if (vm->config.type == VM_BIOS)
		return bios_offer_files(vm);
	if (!vm->config.board)
		return 0;
	err = write_acpi(vm);
	return err ? err : write_mptable(vm);
}

/* Fresh memory reads zero, so only what the file holds is written. */
static int write_segments(struct vm *vm, const struct load_plan *plan, const u8 *file)
{
	for (unsigned i = 0; i < plan->segments; i++) {
		const struct load_segment *segment = &plan->segment[i];
		int err = addrspace_write(vm->memory, (struct gpa){segment->gpa},
					  file + segment->offset, segment->file_size);

		if (err)
			return err;
	}
	return 0;
}

/* Multiboot Specification 3.2: flat segments, protected mode, no paging. */
static void state_multiboot(struct guest_state *state, const struct load_plan *plan)
{
	for (unsigned i = 0; i <= SEG_GS; i++)
		state->seg[i] = (struct guest_segment_state){
			.selector = i == SEG_CS ? 0x08 : 0x10,
			.limit = 0xffffffff,
			.attr = i == SEG_CS ? SEG_CODE_32 : SEG_DATA_32,
		};
	state->seg[SEG_LDTR].attr = SEG_ATTR_UNUSABLE;
	state->seg[SEG_TR].attr = SEG_BUSY_TSS;
	state->cr0 = CR0_PE | CR0_ET;
	state->rip = plan->entry;
}

/* As a PC's firmware enters a boot sector. */
static void state_real(struct guest_state *state, const struct load_plan *plan)
{
	state->seg[SEG_CS].selector = 0;
	state->seg[SEG_CS].base = 0;
	state->rip = plan->entry;
}

/* The reset vector by its address below 4 GiB (SDM vol. 3A, 9.1.4). */
static void state_bios(struct guest_state *state, const struct load_plan *plan)
{
	state->seg[SEG_CS].selector = 0xf000;
	state->seg[SEG_CS].base = plan->entry & ~0xffffull;
	state->rip = plan->entry & 0xffff;
}

static void (*const state_makers[])(struct guest_state *, const struct load_plan *) = {
	[VM_MULTIBOOT] = state_multiboot,
	[VM_REAL] = state_real,
	[VM_LINUX] = linux_state,
	[VM_BIOS] = state_bios,
};

static int set_entry(struct vm *vm, const struct load_plan *plan, u64 info)
{
	struct vcpu *vcpu = vm->vcpu[0];
	struct guest_state state;
	int err;

	virt->vcpu_load(&vcpu->arch);
	virt->get_state(&vcpu->arch, &state);
	state_makers[vm->config.type](&state, plan);
	if (vm->config.type == VM_MULTIBOOT) {
		vcpu->arch.gpr[GPR_RAX] = MULTIBOOT_LOADER_MAGIC;
		vcpu->arch.gpr[GPR_RBX] = info;
	} else if (vm->config.type == VM_LINUX) {
		vcpu->arch.gpr[GPR_RSI] = LINUX_PARAMS_GPA;
	} else if (vm->config.type == VM_REAL) {
		vcpu->arch.gpr[GPR_RSP] = MACHINE_REAL_ENTRY;
	}
	err = virt->set_state(&vcpu->arch, &state);
	virt->vcpu_put(&vcpu->arch);
	return err;
}

/* A boot protocol: its parser. */
static int (*const planners[])(const void *, size_t, u64, struct load_plan *, const char **) = {
	[VM_MULTIBOOT] = load_plan_multiboot,
	[VM_REAL] = load_plan_real,
	[VM_LINUX] = load_plan_linux,
	[VM_BIOS] = load_plan_bios,
};

int load_guest(struct vm *vm, const void *file, size_t size, const struct load_module *modules,
	       unsigned module_count)
{
	struct load_plan plan;
	const char *why = NULL;
	u64 info = 0;
	int err = planners[vm->config.type](file, size, vm->config.memory, &plan, &why);

	if (err) {
		log_error("%s: %s", vm->config.name, why);
		return err;
	}
	err = write_segments(vm, &plan, file);
	if (!err)
		err = write_firmware(vm);
	if (!err && vm->config.type == VM_MULTIBOOT)
		err = write_info(vm, &plan, modules, module_count, &info);
	if (!err && vm->config.type == VM_LINUX)
		err = linux_write(vm, &plan, file, modules, module_count);
	if (!err)
		err = set_entry(vm, &plan, info);
	if (err)
		log_error("%s: not loaded: %s", vm->config.name, error_name(err));
	return err;
}
