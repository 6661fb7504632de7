/* SPDX-License-Identifier: Apache-2.0 */
/*
 * linux.c: the 64-bit and the 32-bit boot protocol carried out (Linux, Documentation/x86/boot.rst,
 * "64-bit Boot Protocol", "32-bit Boot Protocol").
 */
#include <hv/linux.h>
#include <arch/regs.h>
#include <arch/cpu.h>
#include <hv/acpi.h>
#include <hv/bzimage.h>
#include <hv/memory.h>
#include <hv/vm.h>
#include <lib/error.h>
#include <lib/format.h>
#include <lib/log.h>
#include <lib/string.h>

#define LOG_THIS LOG_HV

static int write_initrd(struct vm *vm, const struct load_plan *plan, const void *file,
			const struct load_module *initrd, struct linux_boot *boot)
{
	u64 memory = vm->config.memory;
	int err = linux_place_initrd(file, plan, memory, initrd->size, &boot->initrd_gpa);

	if (err) {
		log_error("%s: an initial RAM disk of %zu bytes does not fit its memory",
			  vm->config.name, initrd->size);
		return err;
	}
	boot->initrd_size = initrd->size;
	return addrspace_write(vm->memory, (struct gpa){boot->initrd_gpa}, initrd->file,
			       initrd->size);
}

/* Parameters, page tables and descriptors, through a buffer. */
static int write_tables(struct vm *vm, const struct load_plan *plan, const void *file,
			const struct linux_boot *boot, void *buffer)
{
	u64 gdt[4];
	int err;

	linux_fill_params(file, boot, buffer);
	err = addrspace_write(vm->memory, (struct gpa){LINUX_PARAMS_GPA}, buffer,
			      LINUX_PARAMS_SIZE);
	if (err)
		return err;
	linux_fill_tables(buffer);
	err = addrspace_write(vm->memory, (struct gpa){LINUX_TABLES_GPA}, buffer,
			      LINUX_TABLES_PAGES * PAGE_SIZE);
	if (err)
		return err;
	linux_fill_gdt(gdt, plan->entry_32);
	return addrspace_write(vm->memory, (struct gpa){LINUX_GDT_GPA}, gdt, sizeof(gdt));
}

static bool contains(const char *text, const char *word)
{
	size_t len = strlen(word), all = strlen(text);

	for (size_t at = 0; at + len <= all; at++) {
		if (memcmp(text + at, word, len) == 0)
			return true;
	}
	return false;
}

/*
 * The command line, with the TSC's rate behind it: Linux reads CPUID 15H on Intel's CPUs only, and
 * elsewhere measures the rate, which fails on a busy machine and costs it the TSC.
 */
static int write_command_line(struct vm *vm)
{
	/* Too large for a stack; boot is on one CPU. */
	static char line[VM_ARG_MAX + sizeof(" tsc_early_khz=") + 20];
	u64 khz = arch_ticks_per_second() / 1000;
	size_t length = format_text(line, sizeof(line), "%s", vm->config.arg);

	if (!contains(line, "tsc_early_khz="))
		length += format_text(line + length, sizeof(line) - length, " tsc_early_khz=%lu",
				      khz);
	return addrspace_write(vm->memory, (struct gpa){LINUX_COMMAND_GPA}, line, length + 1);
}

int linux_write(struct vm *vm, const struct load_plan *plan, const void *file,
		const struct load_module *modules, unsigned count)
{
	struct linux_boot boot = {
		.memory = vm->config.memory,
		.command_line_gpa = LINUX_COMMAND_GPA,
		.rsdp_gpa = ACPI_TABLES_GPA,
	};
	void *buffer;
	int err = 0;

	if (count > 1)
		log_warn("%s: a Linux guest has one module, its initial RAM disk; %u more are "
			 "ignored",
			 vm->config.name, count - 1);
	if (count > 0)
		err = write_initrd(vm, plan, file, &modules[0], &boot);
	if (!err)
		err = write_command_line(vm);
	if (err)
		return err;
	buffer = hv_alloc(LINUX_TABLES_PAGES * PAGE_SIZE);
	if (!buffer)
		return ERR_NO_MEMORY;
	err = write_tables(vm, plan, file, &boot, buffer);
	hv_free(buffer, LINUX_TABLES_PAGES * PAGE_SIZE);
	return err;
}

/* Either protocol: flat segments of LINUX_BOOT_CS and _DS, ESI the boot parameters. */
static void boot_segments(struct guest_state *state, u32 code)
{
	for (unsigned i = 0; i <= SEG_GS; i++)
		state->seg[i] = (struct guest_segment_state){
			.selector = i == SEG_CS ? LINUX_BOOT_CS : LINUX_BOOT_DS,
			.limit = 0xffffffff,
			.attr = i == SEG_CS ? code : SEG_DATA_32,
		};
	state->seg[SEG_LDTR].attr = SEG_ATTR_UNUSABLE;
	state->seg[SEG_TR].attr = SEG_BUSY_TSS;
	state->gdtr.base = LINUX_GDT_GPA;
	state->gdtr.limit = 4 * 8 - 1;
}

void linux_state(struct guest_state *state, const struct load_plan *plan)
{
	boot_segments(state, plan->entry_32 ? SEG_CODE_32 : SEG_CODE_64);
	state->rip = plan->entry;
	state->cr0 = CR0_PE | CR0_ET;
	if (plan->entry_32)
		return;
	state->cr0 |= CR0_NE | CR0_PG;
	state->cr3 = LINUX_TABLES_GPA;
	state->cr4 = CR4_PAE;
	state->efer = EFER_LME | EFER_LMA;
}
